/* tests/fuzz/name.c: names of objects and socket addresses. Any text is read or refused with a phrase; an address
 * that was read is written as text that reads as the same address. Addresses as a kernel or a peer gives them, of
 * any family and length, are written within bounds.
 *
 * Input: a byte (odd: the rest is a struct sockaddr), then text.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "addr.h"
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void object(const char *s)
{
	static char path[8192];
	struct object o;
	if (object_parse(&o, s) != NULL)
		return;
	FUZZ_HOLDS(o.text == s && o.kind <= OBJECT_FD);
	FUZZ_HOLDS(o.name == NULL || (o.name >= s && o.name <= s + strlen(s)));
	FUZZ_HOLDS(o.kind != OBJECT_FD || o.fd >= 0);
	FUZZ_HOLDS(o.kind != OBJECT_WORD || (o.name != NULL && strlen(o.name) <= OBJECT_WORD_MAX));
	for (size_t room = 1; room <= sizeof path; room *= 16) {
		const char *p = object_path(&o, "kind", path, room);
		FUZZ_HOLDS(p == NULL || p != path || strlen(path) < room);
	}
}

static void address(const char *s)
{
	static struct addr a, b;
	char text[ADDR_TEXT];
	size_t skip, len;
	const char *port;
	if (addr_split(s, &skip, &len, &port) == NULL)
		FUZZ_HOLDS(skip + len <= strlen(s) && port >= s && port <= s + strlen(s));
	if (addr_parse_kind(&a, s, "kind") == NULL && a.is_path)
		FUZZ_HOLDS(strlen(a.path) < sizeof a.path);
	if (addr_parse(&a, s) != NULL || a.n == 0)
		return;
	FUZZ_HOLDS(a.n <= ADDR_MAX && a.list[0].len <= sizeof a.list[0].ss);
	addr_text(&a.list[0].sa, a.list[0].len, a.type, text);
	FUZZ_HOLDS(addr_parse(&b, text) == NULL && b.n == a.n && b.type == a.type);
	FUZZ_HOLDS(a.list[0].len == b.list[0].len &&
		memcmp(&a.list[0].ss, &b.list[0].ss, a.list[0].len) == 0);
}

static void from_kernel(struct input *in)
{
	struct addr_sa sa;
	static struct addr a;
	char text[ADDR_TEXT], host[64];
	unsigned port;
	size_t len;
	memset(&sa, 0xa5, sizeof sa);
	const uint8_t *data = fuzz_bytes(in, sizeof(struct sockaddr_un), &len);
	memcpy(&sa.ss, data, len);
	if (len < sizeof sa.sa.sa_family)
		return;
	addr_text(&sa.sa, (socklen_t)len, SOCK_STREAM, text);
	FUZZ_HOLDS(strlen(text) < sizeof text);
	/* The empty abstract name is one to the kernel, and none to people. */
	bool path = sa.sa.sa_family == AF_UNIX && *text != '\0' && data[sizeof(sa_family_t)] != 0;
	if (sa.sa.sa_family == AF_UNIX && *text == '@' && text[1] != '\0')
		FUZZ_HOLDS(addr_parse(&a, text) == NULL && a.n == 1 && a.list[0].len == len);
	else if (path && text[strlen(text) - 1] != '/')
		FUZZ_HOLDS(addr_parse(&a, text) == NULL && a.is_path &&
			strncmp(a.path, (const char *)data + sizeof(sa_family_t), strlen(a.path)) ==
				0);
	FUZZ_HOLDS(addr_equal(&sa.sa, (socklen_t)len, &sa.sa, (socklen_t)len) == (*text != '\0'));
	(void)addr_host_port(&sa.sa, host, &port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	if ((fuzz_byte(&in) & 1) != 0) {
		from_kernel(&in);
		return 0;
	}
	char *s = fuzz_rest(&in);
	object(s);
	address(s);
	free(s);
	return 0;
}
