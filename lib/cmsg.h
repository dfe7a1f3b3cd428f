/* lib/cmsg.h: descriptors over unix sockets (SCM_RIGHTS, unix(7), cmsg(3)).
 *
 * Rules kept here: at least one byte of data travels with descriptors; at most CMSG_MAX_FDS go in one
 * message; what arrives is O_CLOEXEC; a message that was cut (MSG_CTRUNC) is an error, and every
 * descriptor that came with it is closed again. What else a socket was told to deliver (SO_PASSCRED,
 * SO_PASSPIDFD ...) takes no room from the descriptors, and leaves none behind.
 */
#ifndef IPC_CMSG_H
#define IPC_CMSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "peer.h"
#include "wait.h"

#define CMSG_MAX_FDS 253 /* SCM_MAX_FD of the kernel */

/* Send LEN (> 0) bytes of DATA, and FDS with the first of them. All bytes are sent, on stream sockets
 * in as many calls as it takes. 0; -1 with errno: EPIPE, EMSGSIZE, ETOOMANYREFS (too many of this
 * user's descriptors are under way), EINVAL (NFDS too large), ETIMEDOUT, EAGAIN, EINTR. MSG_NOSIGNAL. */
int cmsg_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, int64_t deadline,
	const struct stop *stop);
/* One recvmsg(2) of at most LEN bytes and at most CAP descriptors into FDS, *NFDS of them. Returns the
 * bytes received, 0 at the end of the stream; -1 with errno: EMSGSIZE (data of a record did not fit),
 * EMFILE (descriptors were cut off: no room here, or more than CAP were sent), ETIMEDOUT, EAGAIN,
 * EINTR. Descriptors that are not asked for (CAP 0) are closed. */
ssize_t cmsg_recv(int sock, void *data, size_t len, int *fds, size_t cap, size_t *nfds,
	int64_t deadline, const struct stop *stop);
/* cmsg_recv for a datagram socket that has SO_PASSCRED on: *PEER tells who sent it (SCM_CREDENTIALS, which
 * the kernel checks, but for privileged senders), .known unset when the message does not say. */
ssize_t cmsg_recv_from(int sock, void *data, size_t len, int *fds, size_t cap, size_t *nfds,
	struct peer *peer, int64_t deadline, const struct stop *stop);
/* Wait until the peer has received (or thrown away) all that was sent on SOCK. 1; 0 when there was
 * nothing to wait for; -1 with errno ETIMEDOUT, EAGAIN, EINTR. What to do about ETOOMANYREFS. */
int cmsg_drain(int sock, int64_t deadline, const struct stop *stop);
/* Close N descriptors, errno untouched. */
void cmsg_close(const int *fds, size_t n);
/* The control message after C in MSG, NULL at the end. */
struct cmsghdr *cmsg_next(struct msghdr *msg, struct cmsghdr *c);

#endif
