/* relay.h: what the files of relay share. */
#ifndef IPC_SOCK_RELAY_H
#define IPC_SOCK_RELAY_H

#include "ipc-sock.h"

#define PIPES 64 /* kept when empty */

struct relay {
	struct addr to;
	int type; /* of the side that we connect to */
	bool splices;
	int64_t retry, timeout;
	int pipes[PIPES][2];
	unsigned npipes;
	struct sock_from *peer; /* of the session that is being made */
	struct client *fresh;   /* the client that relay_begin() has just made */
	int said;               /* why a record was lost; 0: the last one was not */
};

struct side {
	struct loop_watch watch;
	struct client *client;
	int type;
	bool eof;    /* it has sent all, and we have read it */
	bool failed; /* what it has sent is not all: it was reset */
	bool shut;   /* we have half-closed towards it */
	bool hung;   /* gone for good */
};

/* One direction. */
struct way {
	struct side *from, *to;
	int pipe[2];
	size_t in_pipe;
	struct buf rec; /* a record that waits */
	bool waits;     /* for room at .to */
	bool lacks;     /* memory */
};

struct link {
	struct side a, b;
	struct way up, down;
	struct loop_timer
		again; /* connecting: the next attempt, or the end of attempts; else the next
				  * turn after one that lacked memory */
	int64_t until, deadline;
	unsigned at; /* the address of TO that is tried, or the next one */
	bool connected;
	bool whole; /* both ways have come to their end: no reset */
	bool doomed; /* it is reset as soon as the client has sent something, or does not for DOOMED */
	struct sock_from *peer; /* FROM is a datagram socket: whose session this is, else NULL */
	int answer;             /* and the socket that it is answered by */
};

/* way.c: move what can be moved, and pass the end on. False: the link is to be closed. */
bool way_go(struct server *s, struct way *w);
/* A record of LEN bytes for or from C is lost by ERR: counted, and said once. */
void way_lost(struct client *c, int err, size_t len);
/* Give W's pipe back. */
void way_put_pipe(struct relay *r, struct way *w);

/* session.c: send a datagram to the peer of L. As send(2). */
ssize_t session_answer(const struct link *l, const void *data, size_t len);
/* relay.c: something is to be sent to TO. */
void relay_turn(struct client *c);

#endif
