/* lib/addr.h: socket addresses as people write them (ipcbox(1), OBJECTS): unix:PATH or a word with a
 * '/', a bare word ($IPC_DIR/WORD.sock), @NAME or abstract:NAME with the escapes \0, \xNN and \\,
 * tcp:HOST:PORT, udp:HOST:PORT, vsock:CID:PORT, fd:N.
 *
 * Host names: numbers first, then getaddrinfo(3) where the C library we are linked with has one that
 * works (musl, and glibc when linked dynamically); a static glibc binary, which would need NSS modules
 * at run time, reads /etc/hosts itself and knows no DNS.
 */
#ifndef IPC_ADDR_H
#define IPC_ADDR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "object.h"

#define ADDR_MAX 8 /* so many of a host's addresses are tried */

struct addr_sa {
	union {
		struct sockaddr sa;
		struct sockaddr_storage ss;
	};
	socklen_t len;
};

struct addr {
	struct object obj;
	const char *text; /* as the user wrote it */
	int family; /* AF_UNIX, AF_VSOCK, AF_INET (also for IPv6, until resolved); AF_UNSPEC: fd:N */
	int type;   /* SOCK_STREAM, for udp: SOCK_DGRAM; the caller may choose another for unix */
	bool is_path; /* a unix socket in the file system: .path is its name */
	int fd;       /* fd:N, else -1 */
	unsigned n;   /* addresses in .list: 1, for host names after addr_resolve() up to ADDR_MAX;
			   * 0 for paths, which addr_enter() turns into an address */
	struct addr_sa list[ADDR_MAX];
	char path[PATH_MAX];
};

/* Read TEXT (kept by reference). Nothing is looked up, so this never blocks. NULL, or a phrase that
 * says what is wrong. */
const char *addr_parse(struct addr *a, const char *text);
/* The same for sockets of another kind: a bare word is $IPC_DIR/WORD.KIND. */
const char *addr_parse_kind(struct addr *a, const char *text, const char *kind);
/* Make $IPC_DIR when A is a bare word that we are about to create, as object_dir(). 0 or -1. */
int addr_make_dir(const struct addr *a);
/* Look the host up. PASSIVE: to listen on: an empty host or "*" is every address. May block in DNS.
 * Nothing to do for other kinds. NULL, or what is wrong. */
const char *addr_resolve(struct addr *a, bool passive);

/* HOST:PORT or [HOST]:PORT in S: where the host begins (*SKIP), its length, and the port. NULL, or what is
 * wrong with it. */
const char *addr_split(const char *s, size_t *skip, size_t *len, const char **port);

/* A path as an address for bind(2) and connect(2). A path over 107 bytes is reached through an O_PATH
 * descriptor of its directory (for connect(2), of the socket itself when its last component is too
 * long as well) and /proc/self/fd/N/NAME, never cut. */
struct addr_at {
	struct addr_sa sa;
	int fd; /* to be closed by addr_leave(); -1 */
};
/* 0; -1 with errno ENAMETOOLONG (last component too long for bind(2)) or that of open(2). EXISTS: the
 * socket is there, to be connected to. */
int addr_enter(const char *path, bool exists, struct addr_at *at);
void addr_leave(struct addr_at *at);

/* Room for any address as text: an escaped abstract name is the longest. */
#define ADDR_TEXT 512
/* SA as text that addr_parse() reads: "/PATH" ("unix:PATH" when it could be taken for something
 * else), "@NAME" escaped, "tcp:127.0.0.1:80", "udp:[::1]:53" by TYPE, "vsock:CID:PORT"; "" for an unnamed socket. Returns BUF. */
const char *addr_text(const struct sockaddr *sa, socklen_t len, int type, char buf[ADDR_TEXT]);
/* The host part alone ("127.0.0.1", "::1", CID) and the port; false when SA has none. */
bool addr_host_port(const struct sockaddr *sa, char host[64], unsigned *port);
/* Do both name the same place? Paths by their text. */
bool addr_equal(const struct sockaddr *a, socklen_t alen, const struct sockaddr *b, socklen_t blen);

#endif
