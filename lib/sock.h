/* lib/sock.h: sockets that start safely, connect in time, and clean up after themselves.
 *
 * Listening on a path: under a lock that all users of this library take (flock(2) on the directory,
 * held only while starting), an existing socket is looked at. One that somebody still has open is
 * left alone (EADDRINUSE, with its owner); a dead one is removed; anything else is never touched. So of
 * many that start at the same moment exactly one wins, and a stale path never blocks. bind(2) is
 * made on the name itself, never on another that is renamed afterwards: rename(2) would replace a
 * foreign server that came in between, and getsockname(2) would tell the other name for ever.
 *
 * Mode and owner are those asked for from the instant the name exists, whatever the umask: they are set on
 * the socket before bind(2), which a short-lived child makes with a umask and file system ids of its
 * own. Where the kernel cannot do it (a group that is not our first one; a set-group-ID directory), the name is
 * born open to its owner only, and widened afterwards: never the other way round.
 *
 * The functions that take a struct call report failures through it and return a status, as
 * spawn_call() does; the others return -1 with errno.
 */
#ifndef IPC_SOCK_H
#define IPC_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "addr.h"
#include "wait.h"

struct call;

struct sock_how {
	int type; /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET; 0: what the address says */
	bool has_mode;
	mode_t mode;      /* exact mode of the path; else 0777 less the umask */
	int64_t uid, gid; /* of the path; -1: ours */
	int backlog;      /* 0: as much as the system allows */
	bool inherit; /* take a socket of $LISTEN_FDS (sd_listen_fds(3)) that has this address */
};
#define SOCK_HOW .uid = -1, .gid = -1

/* A bound socket, O_CLOEXEC, blocking. Lives as long as the call. */
struct sock_bound {
	int fd;
	int type;
	bool listens;   /* stream and seqpacket */
	bool inherited; /* from fd:N or $LISTEN_FDS: its path is not ours to remove */
	bool lent;  /* a command had it, and may have handed it on: then the path is not removed */
	char *path; /* what is removed at the end, if it is still ours (device and inode); or NULL */
	dev_t dev;
	ino_t ino;
	struct call *call;
	const char *
		name; /* the address as the kernel knows it, long paths as given; NULL: no memory */
};
/* Bind A, listen when the type does. Status 0 and *BOUND, or a message and its status: ST_BUSY a live
 * socket is there (with who has it), ST_EXISTS something else has the name, ST_PERM, ... The path is
 * removed and the descriptor closed when the call ends. */
int sock_listen(
	struct call *call, struct addr *a, const struct sock_how *how, struct sock_bound **bound);
/* bind(2) B->fd to PATH with HOW's mode and owner and note device and inode; DIRFD is its directory, for
 * what that lends to newborn files. The caller holds the lock. 0 or -1; the path is gone again then. */
int sock_bind_path(struct sock_bound *b, const char *path, int dirfd, const struct sock_how *how);
/* Now: remove the path if it is still ours and close the socket. No client can come any more. */
void sock_release(struct sock_bound *bound);
/* Remove the path A if it is a socket that nobody has open, under the lock that listening takes, so that a server
 * that starts at this moment keeps its own. 0; or a message and its status: ST_BUSY somebody has it,
 * ST_NOOBJ it is not there, ST_USAGE it is no socket, ... */
int sock_remove(struct call *call, const struct addr *a);
/* Take descriptor FD, a listening or datagram socket handed to us, as if bound here. */
int sock_take(struct call *call, int fd, struct sock_bound **bound);

/* For servers that may not wait in accept(2): sock_unblock() before the first, 0 or -1. A socket that was handed
 * to us keeps its O_NONBLOCK, which belongs to all who share it; it is asked by poll(2) first, so only a
 * process that accepts from the same socket at the same moment can make us wait for the next client. */
int sock_unblock(const struct sock_bound *b);
/* A connection, O_CLOEXEC, FLAGS as accept4(2); -1 with errno, EAGAIN when there is none. */
int sock_accept(const struct sock_bound *b, int flags);

/* Begin to connect to A->list[I] (I 0 for paths). A descriptor, O_CLOEXEC | O_NONBLOCK; *PENDING is set
 * while the connection is on its way: writable then, and SO_ERROR tells. -1 with errno; EAGAIN: the
 * backlog of a unix socket is full and nothing was begun. */
int sock_connect_start(const struct addr *a, unsigned i, int type, bool *pending);
/* The result of a pending connect: 0 or -1 with errno. */
int sock_connect_result(int fd);
/* Connect FD, a unix datagram socket, again: whoever has the path A now. 0 or -1 with errno. */
int sock_connect_again(int fd, const struct addr *a);
/* Connect until DEADLINE, each address of the host in turn. A descriptor, O_CLOEXEC, blocking; -1 with errno:
 * ETIMEDOUT, EAGAIN (DEADLINE_NOW), EINTR (stop signal), ECONNREFUSED, ENOENT, EPROTOTYPE (a socket of
 * another type has the name) ... Stays on unix sockets in the queue of a full backlog as long as it takes. */
int sock_connect_to(const struct addr *a, int type, int64_t deadline, const struct stop *stop);
/* The same until somebody accepts, or UNTIL has passed (then the last errno): not there, refused and
 * unreachable are tried again. A path is watched with inotify(7), re-checked at growing intervals, since listen(2)
 * makes no event; so are addresses of other kinds, for which the kernel tells nothing. */
int sock_connect_retry(
	const struct addr *a, int type, int64_t deadline, int64_t until, const struct stop *stop);
/* Wait until somebody accepts connections (or datagrams) at A, of any type when TYPE is 0. Of unix sockets the kernel is asked (sock_diag(7));
 * others are connected to, and the connection is closed at once. 0, or -1 with errno: the last
 * attempt's when DEADLINE has passed. */
int sock_wait(const struct addr *a, int type, int64_t deadline, const struct stop *stop);
/* For verbs: resolve A and connect, with RETRY ns of trying again (0: none), then -w and -n. The descriptor
 * is owned by CALL. Status 0 and *FD, or a message and its status (ST_NOPEER refused, ST_NOOBJ ...). */
int sock_connect(struct call *call, struct addr *a, int type, int64_t retry, int *fd);
/* The status and message for a failed connect with ERRNUM. */
int sock_connect_failed(struct call *call, const struct addr *a, int type, int errnum);

/* Where a datagram came from, and which of our addresses it asked (udp). */
struct sock_from {
	struct addr_sa sa; /* .len 0 or the family's only: nobody that can be answered */
	int family;        /* AF_INET, AF_INET6: which of these is set */
	struct in_pktinfo asked4;
	struct in6_addr asked6;
	unsigned asked6_if; /* its interface */
};
/* Before the first: FD tells which address was asked. */
void sock_dgram_start(int fd);
/* A datagram, never waiting: its whole length, of which LEN bytes are in DATA. -1 with errno. */
ssize_t sock_dgram_recv(int fd, void *data, size_t len, struct sock_from *from);
/* Answer it from the address asked, never waiting. As send(2). */
ssize_t sock_dgram_answer(int fd, const void *data, size_t len, const struct sock_from *to);

/* Close FD, a connection that ends before its time, so that its peer does not take this for the end of what it
 * was to get: TCP resets it. A unix socket has no reset; its peer gets ECONNRESET when FD has
 * something that was not read, and else cannot learn it. errno is kept. */
void sock_abort(int fd);
/* Is ERRNUM a lack of ours (descriptors, memory, watches): no news about the peer, and perhaps over soon? */
bool sock_lacks(int errnum);

/* "stream", "dgram", "seqpacket". */
const char *sock_type_name(int type);
int sock_type(int fd);
/* sock_type(FD) gave -1: the message, and the status: ST_NOOBJ it is not open, ST_USAGE it is no socket. */
int sock_fd_failed(struct call *call, int fd);
bool sock_is_listening(int fd);
/* The address of FD (its peer's when PEER) as text; "" when it has none. Returns BUF. */
const char *sock_name(int fd, bool peer, char buf[ADDR_TEXT]);

#endif
