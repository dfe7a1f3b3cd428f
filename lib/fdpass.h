/* lib/fdpass.h: any number of descriptors with names over a unix socket, so that programs which know
 * only sendmsg(2) and recvmsg(2) take part.
 *
 * What is sent is one line of text, the names joined with ':', in as many messages as it takes. Each
 * message carries up to CMSG_MAX_FDS descriptors and as many names:
 *
 *	"a:b:...:"   more messages follow
 *	"y:z\n"      the last one
 *	"y:z\n\005"  the last one, and the sender waits for the byte \006
 *
 * A name that is not given is empty, so the text of one descriptor without a name is one byte. A foreign
 * receiver gets a message with one recvmsg(2). Of a foreign sender any text is taken: as names when it has
 * as many pieces as descriptors came, else it means nothing; a text that does not announce more is the last.
 */
#ifndef IPC_FDPASS_H
#define IPC_FDPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wait.h"

#define FDPASS_NAME_MAX 255 /* FDNAME_MAX of sd_pid_notify_with_fds(3) */
#define FDPASS_UNNAMED "unknown"

/* May NAME name a descriptor: printable ASCII without ':', at most FDPASS_NAME_MAX bytes, or empty? NULL,
 * or what is wrong with it. */
const char *fdpass_name(const char *name);

/* Send the N (> 0) descriptors FDS; NAMES[i] NULL: without a name. ASK for fdpass_confirm(). 0; -1 with
 * errno as cmsg_send(): what was sent until then is not to be taken. While too many descriptors of this
 * user are under way it waits for the receiver; ETOOMANYREFS: it was not we who sent those. */
int fdpass_send(int sock, const int *fds, const char *const *names, size_t n, bool ask,
	int64_t deadline, const struct stop *stop);
/* Wait for the receiver's confirmation. 0; -1 with errno ECONNRESET: it went without having received
 * all; EPIPE: it went without a word; EPROTO: it said something else; ETIMEDOUT, EAGAIN, EINTR. */
int fdpass_confirmed(int sock, int64_t deadline, const struct stop *stop);

/* What has been received. Zero it before the first use. */
struct fdpass {
	int *fds; /* O_CLOEXEC */
	size_t n, cap;
	char *names; /* joined with ':', FDPASS_UNNAMED for those without; NULL when there are none */
	size_t len, room;
	bool asked; /* the sender waits for fdpass_confirm() */
};

enum fdpass_end {
	FDPASS_DONE,
	FDPASS_FAILED,  /* errno as cmsg_recv(); EMFILE: more came than this process may have */
	FDPASS_NOTHING, /* the peer went without sending a byte */
	FDPASS_CUT,     /* it went in the middle: .n had come */
	FDPASS_PLAIN,   /* it sent bytes without descriptors */
	FDPASS_COUNT,   /* not as many as wanted: .n or more */
};
/* Receive WANT descriptors, 0: as many as the sender says. WANT gathers messages of a foreign sender until
 * there are so many. Unless FDPASS_DONE what came is of no use; fdpass_drop() closes it. */
enum fdpass_end fdpass_recv(
	struct fdpass *p, int sock, size_t want, int64_t deadline, const struct stop *stop);
/* Tell a sender that asked that all is well. A sender that has gone is not an error. */
void fdpass_confirm(const struct fdpass *p, int sock);
/* Close all and free. */
void fdpass_drop(struct fdpass *p);

#endif
