/* lib/meet.h: two processes meet on a unix socket; either may be the one that listens, and each looks at
 * who the other one is. For verbs that need one connection. The functions report failures through the
 * call and return a status, as sock_connect() does.
 *
 *	struct meet *m = call_alloc(call, sizeof *m);
 *	m->text = ...; m->listen = ...; m->deadline = call_deadline(call);
 *	status = meet_start(call, m);
 *	if (status == 0)
 *		status = meet_peer(call, m, &sock);
 */
#ifndef IPC_MEET_H
#define IPC_MEET_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "peer.h"
#include "sock.h"

struct call;

struct meet {
	/* Set by the caller; .mode is that of the path when .has_mode. */
	const char *text; /* the socket as the user wrote it */
	bool listen, has_mode;
	mode_t mode;
	int64_t retry;     /* connecting: keep trying for so long while nobody is there; ns */
	const char *allow; /* NULL, or as for allow_parse(): whom else than root and our user */
	int64_t deadline;
	/* By meet_start(). */
	struct addr addr;
	struct allow rules;
	struct sock_bound *bound; /* listening */
	int given;                /* N of fd:N, which is left open; -1 */
	int64_t until;            /* end of .retry */
	/* By meet_peer(). */
	struct peer peer;
};

/* Read the address and the rules; listen when asked to. */
int meet_start(struct call *call, struct meet *m);
/* The connection, blocking, owned by CALL: that of the first client that is let in (the path is gone then, and
 * nobody else can come), or one to the server. */
int meet_peer(struct call *call, struct meet *m, int *sock);
/* The peer went before anything was done: close SOCK; true when meet_peer() may be called again, since
 * there is time left of .retry. Takes 10 ms. */
bool meet_again(struct call *call, struct meet *m, int sock);

#endif
