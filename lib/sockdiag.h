/* lib/sockdiag.h: what the kernel knows of sockets, ours or not (sock_diag(7)), in this network
 * namespace. Sees the socket behind a path without connecting to it. */
#ifndef IPC_SOCKDIAG_H
#define IPC_SOCKDIAG_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "addr.h"
#include "proc.h"

struct sockdiag {
	int family, type; /* SOCK_STREAM ... */
	bool listening;
	bool connected; /* to a peer (unix), or established */
	bool has_queue;
	unsigned queued,
		backlog; /* listening: connections that wait, and how many may; else bytes to be
				   * read or, for unix, packets */
	ino_t inode;     /* of the socket itself, as in /proc/PID/fd: "socket:[N]" */
	ino_t peer;      /* unix: of the socket at the other end; 0: none, or not known */
	bool has_uid;
	uid_t uid;
	dev_t vfs_dev; /* of the path that it is bound to */
	ino_t vfs_ino; /* 0: bound to no path */
	struct addr_sa sa;
};

/* Call FN for each socket of FAMILY (AF_UNIX: all that have a name; AF_INET, AF_INET6: TYPE SOCK_STREAM
 * those that listen, SOCK_DGRAM those that are bound) until it returns non-zero. 0, FN's value, or -1
 * with errno (EAFNOSUPPORT, EPROTONOSUPPORT: the kernel cannot tell). */
int sockdiag_each(int family, int type, int (*fn)(void *arg, const struct sockdiag *d), void *arg);
/* The same for all unix sockets, those without a name too: .sa.len is 0 then. */
int sockdiag_each_unix(int (*fn)(void *arg, const struct sockdiag *d), void *arg);
/* The socket that is bound to A, to the file ST when that is not NULL: a listening one rather than others.
 * 1, 0 when there is none, -1 with errno. */
int sockdiag_find(const struct addr *a, const struct stat *st, struct sockdiag *d);
/* A process that has socket INODE open, 0: none, or not visible. */
pid_t sockdiag_owner(ino_t inode);

#endif
