/* tests/fuzz/fdpass.c: descriptors with names from a foreign sender: any text, in any messages, with any number of
 * descriptors. There is a name for each descriptor that came, none of them unprintable, and none of the
 * descriptors stays open.
 *
 * Input: a byte for how many are wanted, then messages: descriptors (low four bits), length, text.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "cmsg.h"
#include "fdpass.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_all(struct input *in, int sock, int fd)
{
	int fds[16];
	for (int i = 0; i < 16; i++)
		fds[i] = fd;
	for (int i = 0; i < 32 && in->len > 0; i++) {
		size_t n = fuzz_byte(in) & 15, len;
		const uint8_t *text = fuzz_bytes(in, fuzz_byte(in) + 1, &len);
		if (len == 0 || cmsg_send(sock, text, len, fds, n, DEADLINE_NOW, NULL) < 0)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct fdpass p = {0};
	int socks[2];
	unsigned how = fuzz_byte(&in);
	int before = fuzz_next_fd();
	FUZZ_HOLDS(socketpair(AF_UNIX,
			   ((how & 128) != 0 ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0,
			   socks) == 0);
	send_all(&in, socks[0], STDERR_FILENO);
	close(socks[0]);
	enum fdpass_end end = fdpass_recv(&p, socks[1], how & 31, DEADLINE_NOW, NULL);
	size_t names = p.names != NULL;
	for (const char *s = p.names; s != NULL && *s != '\0'; s++) {
		names += *s == ':';
		FUZZ_HOLDS(*s >= ' ' && *s <= '~');
	}
	FUZZ_HOLDS(end == FDPASS_FAILED || names == p.n);
	FUZZ_HOLDS(end != FDPASS_DONE || (how & 31) == 0 || p.n == (how & 31));
	fdpass_confirm(&p, socks[1]);
	fdpass_drop(&p);
	close(socks[1]);
	FUZZ_HOLDS(fuzz_next_fd() == before);
	char *name = fuzz_rest(&(struct input){data, size});
	if (fdpass_name(name) == NULL)
		FUZZ_HOLDS(strlen(name) <= FDPASS_NAME_MAX && strchr(name, ':') == NULL);
	free(name);
	return 0;
}
