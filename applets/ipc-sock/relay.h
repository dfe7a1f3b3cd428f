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
	struct addr_sa *peer; /* of the session that is being made */
	struct client *fresh; /* the client that relay_begin() has just made */
};

struct side {
	struct loop_watch watch;
	struct client *client;
	bool eof;  /* it has sent all, and we have read it */
	bool shut; /* we have half-closed towards it */
	bool hung; /* gone for good */
};

/* One direction. */
struct way {
	struct side *from, *to;
	int pipe[2];
	size_t in_pipe;
	struct buf rec; /* a record that waits */
	bool waits;     /* for room at .to */
};

struct link {
	struct side a, b;
	struct way up, down;
	struct loop_timer again; /* connecting: the next attempt, or the end of attempts */
	int64_t until, deadline;
	bool connected;
	struct addr_sa *peer; /* FROM is a datagram socket: whose session this is, else NULL */
	int answer;           /* and the socket that it is answered by */
};

/* way.c: move what can be moved, and pass the end on. */
void way_go(struct server *s, struct way *w);
/* Give W's pipe back. */
void way_put_pipe(struct relay *r, struct way *w);

/* session.c: send a datagram to the peer of L. As send(2). */
ssize_t session_answer(const struct link *l, const void *data, size_t len);
/* relay.c: something is to be sent to TO. */
void relay_turn(struct client *c);

#endif
