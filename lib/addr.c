/* lib/addr.c: see addr.h. Host names are looked up in addr_host.c. */
#define _GNU_SOURCE
#include "addr.h"

#include "fd.h"
#include "num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SUN_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of an abstract name at *S, escapes taken back; -1 when the escape is none. */
static int unescape(const char **s)
{
	const char *p = *s;
	*s = p + 1;
	if (p[0] != '\\')
		return (unsigned char)p[0];
	*s = p + 2;
	if (p[1] == '0')
		return 0;
	if (p[1] == '\\')
		return '\\';
	if (p[1] != 'x' || hex(p[2]) < 0 || hex(p[3]) < 0)
		return -1;
	*s = p + 4;
	return hex(p[2]) << 4 | hex(p[3]);
}

static const char *parse_abstract(struct addr *a, const char *name)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&a->list[0].ss;
	size_t len = 1; /* the leading NUL makes it abstract */
	sun->sun_family = AF_UNIX;
	while (*name != '\0') {
		int c = unescape(&name);
		if (c < 0)
			return "not an escape (\\0, \\xNN or \\\\)";
		if (len == sizeof sun->sun_path)
			return "abstract name longer than 107 bytes";
		sun->sun_path[len++] = (char)c;
	}
	a->list[0].len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	a->n = 1;
	return NULL;
}

static const char *parse_path(struct addr *a, const char *kind)
{
	a->is_path = true;
	if (object_path(&a->obj, kind, a->path, sizeof a->path) == NULL)
		return "path longer than 4095 bytes";
	size_t len = strlen(a->path);
	if (a->path[len - 1] == '/')
		return "a directory, not a socket";
	return NULL;
}

static const char *parse_vsock(struct addr *a, const char *s)
{
	static const struct {
		const char *name;
		unsigned cid;
	} names[] = {{"any", VMADDR_CID_ANY}, {"", VMADDR_CID_ANY}, {"*", VMADDR_CID_ANY},
		{"local", 1}, {"host", VMADDR_CID_HOST}};
	struct sockaddr_vm *vm = (struct sockaddr_vm *)&a->list[0].ss;
	const char *colon = strchr(s, ':');
	char word[16];
	int64_t cid = -1, port;
	if (colon == NULL || colon - s >= (ptrdiff_t)sizeof word)
		return "not vsock:CID:PORT";
	snprintf(word, sizeof word, "%.*s", (int)(colon - s), s);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(word, names[i].name) == 0)
			cid = names[i].cid;
	if (cid < 0 && (num_int(word, &cid) != NULL || cid < 0 || cid > UINT32_MAX))
		return "not a vsock CID (a number, any, local or host)";
	if (num_int(colon + 1, &port) != NULL || port < 0 || port > UINT32_MAX)
		return "not a vsock port";
	vm->svm_family = AF_VSOCK;
	vm->svm_cid = (unsigned)cid;
	vm->svm_port = (unsigned)port;
	a->list[0].len = sizeof *vm;
	a->n = 1;
	return NULL;
}

const char *addr_parse(struct addr *a, const char *text)
{
	return addr_parse_kind(a, text, "sock");
}

static bool all_digits(const char *s)
{
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

/* A number, but none of a port? Others are names of services. */
static bool bad_port(const char *port)
{
	int64_t n;
	return all_digits(port) && (num_int(port, &n) != NULL || n > 65535);
}

static bool is_host_port(const char *word)
{
	const char *colon = strrchr(word, ':');
	return colon != NULL && all_digits(colon + 1);
}

const char *addr_parse_kind(struct addr *a, const char *text, const char *kind)
{
	size_t skip, len;
	const char *port, *why = object_parse(&a->obj, text);
	a->text = text;
	a->family = AF_UNIX;
	a->type = SOCK_STREAM;
	a->is_path = false;
	a->fd = -1;
	a->n = 0;
	a->path[0] = '\0';
	memset(&a->list[0], 0, sizeof a->list[0]);
	if (why != NULL)
		return why;
	switch (a->obj.kind) {
	case OBJECT_WORD:
		if (is_host_port(text))
			return "a host and a port; did you mean tcp: or udp: in front of it? (unix: for a path)";
		return parse_path(a, kind);
	case OBJECT_FILE:
	case OBJECT_UNIX: return parse_path(a, kind);
	case OBJECT_ABSTRACT: return parse_abstract(a, a->obj.name);
	case OBJECT_VSOCK: a->family = AF_VSOCK; return parse_vsock(a, a->obj.name);
	case OBJECT_UDP: a->type = SOCK_DGRAM; /* fall through */
	case OBJECT_TCP:
		a->family = AF_INET;
		why = addr_split(a->obj.name, &skip, &len, &port);
		return why == NULL && bad_port(port) ? "a port is 0 to 65535" : why;
	case OBJECT_FD:
		a->family = AF_UNSPEC;
		a->fd = a->obj.fd;
		return NULL;
	default: return "not the address of a socket";
	}
}

int addr_make_dir(const struct addr *a)
{
	if (a->obj.kind != OBJECT_WORD)
		return 0;
	int fd = object_dir("sock", true);
	fd_close(fd);
	return fd < 0 ? -1 : 0;
}

static int path_address(struct addr_at *at, const char *path)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&at->sa.ss;
	size_t len = strlen(path);
	if (len > SUN_PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len + 1);
	at->sa.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

/* Apart, for its frame: most paths are short, and pages of stack cost time. */
static __attribute__((noinline)) int enter_long(const char *path, bool exists, struct addr_at *at)
{
	char short_path[SUN_PATH_MAX + 1], dir[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	bool whole = exists && strlen(name) > SUN_PATH_MAX - 32;
	int n = snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
		slash != NULL ? path : ".");
	if (n < 0 || (size_t)n >= sizeof dir) {
		errno = ENAMETOOLONG;
		return -1;
	}
	at->fd = fd_open(AT_FDCWD, whole ? path : dir, O_PATH | (whole ? 0 : O_DIRECTORY), 0);
	if (at->fd < 0)
		return -1;
	n = snprintf(short_path, sizeof short_path, "/proc/self/fd/%d%s%s", at->fd,
		whole ? "" : "/", whole ? "" : name);
	if (n > 0 && (size_t)n < sizeof short_path)
		return path_address(at, short_path);
	addr_leave(at);
	errno = ENAMETOOLONG;
	return -1;
}

int addr_enter(const char *path, bool exists, struct addr_at *at)
{
	*at = (struct addr_at){.fd = -1};
	return strlen(path) <= SUN_PATH_MAX ? path_address(at, path) : enter_long(path, exists, at);
}

void addr_leave(struct addr_at *at)
{
	fd_close(at->fd);
	at->fd = -1;
}

static const char *unix_text(const struct sockaddr_un *sun, socklen_t len, char buf[ADDR_TEXT])
{
	size_t n = len - offsetof(struct sockaddr_un, sun_path), o = 0;
	const char *path = sun->sun_path;
	buf[0] = '\0';
	if (len <= offsetof(struct sockaddr_un, sun_path))
		return buf;
	if (path[0] != '\0') {
		/* Only what has a '/' before any ':' and no '@' in front is read as a path by itself. */
		const char *slash = memchr(path, '/', n = strnlen(path, n));
		bool plain = slash != NULL && memchr(path, ':', (size_t)(slash - path)) == NULL &&
			path[0] != '@';
		snprintf(buf, ADDR_TEXT, "%s%.*s", plain ? "" : "unix:", (int)n, path);
		return buf;
	}
	buf[o++] = '@';
	buf[o] = '\0';
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)path[i];
		bool plain = c > ' ' && c < 0x7f && c != '\\';
		int w = plain       ? snprintf(buf + o, ADDR_TEXT - o, "%c", c)
			: c == '\\' ? snprintf(buf + o, ADDR_TEXT - o, "\\\\")
				    : snprintf(buf + o, ADDR_TEXT - o, "\\x%02x", c);
		o += (size_t)w;
	}
	return buf;
}

bool addr_host_port(const struct sockaddr *sa, char host[64], unsigned *port)
{
	host[0] = '\0';
	*port = 0;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
		*port = ntohs(in->sin_port);
		return inet_ntop(AF_INET, &in->sin_addr, host, 64) != NULL;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)sa;
		*port = ntohs(in->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
			return inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], host, 64) != NULL;
		return inet_ntop(AF_INET6, &in->sin6_addr, host, 64) != NULL;
	}
	if (sa->sa_family == AF_VSOCK) {
		const struct sockaddr_vm *vm = (const struct sockaddr_vm *)(const void *)sa;
		*port = vm->svm_port;
		snprintf(host, 64, "%u", vm->svm_cid);
		return true;
	}
	return false;
}

const char *addr_text(const struct sockaddr *sa, socklen_t len, int type, char buf[ADDR_TEXT])
{
	char host[64];
	unsigned port;
	buf[0] = '\0';
	if (len < sizeof sa->sa_family)
		return buf;
	if (sa->sa_family == AF_UNIX)
		return unix_text((const struct sockaddr_un *)(const void *)sa, len, buf);
	if (!addr_host_port(sa, host, &port))
		return buf;
	bool six = strchr(host, ':') != NULL;
	snprintf(buf, ADDR_TEXT, "%s:%s%s%s:%u",
		sa->sa_family == AF_VSOCK    ? "vsock"
			: type == SOCK_DGRAM ? "udp"
					     : "tcp",
		six ? "[" : "", host, six ? "]" : "", port);
	return buf;
}

bool addr_equal(const struct sockaddr *a, socklen_t alen, const struct sockaddr *b, socklen_t blen)
{
	char ta[ADDR_TEXT], tb[ADDR_TEXT];
	if (alen < sizeof a->sa_family || blen < sizeof b->sa_family ||
		a->sa_family != b->sa_family)
		return false;
	addr_text(a, alen, SOCK_STREAM, ta);
	addr_text(b, blen, SOCK_STREAM, tb);
	return *ta != '\0' && strcmp(ta, tb) == 0;
}
