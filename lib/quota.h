/* lib/quota.h: how much of a server its users have: connections, descriptors, bytes. The server's own
 * user and root have no limits, and always find room, since all others together cannot take everything.
 */
#ifndef IPC_QUOTA_H
#define IPC_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "peer.h"

/* What is counted. */
enum quota_what { QUOTA_CLIENTS, QUOTA_FDS, QUOTA_BYTES, QUOTA_N };

struct quota_user {
	struct quota_user *next;
	uid_t uid;
	size_t used[QUOTA_N];
};

struct quota {
	struct quota_user *users;
	size_t used[QUOTA_N]; /* by all strangers together */
	size_t each[QUOTA_N]; /* the most for one user */
	size_t all[QUOTA_N];  /* the most for all strangers together */
};

/* Set the limits of WHAT from TOTAL, which is all that the server has: a quarter for each user, seven
 * eighths for all strangers together, at least 1. */
void quota_limit(struct quota *q, enum quota_what what, size_t total);
/* PEER comes in. *USER is NULL for our own user and root; else who it is, counted with one client. 0;
 * -1 with EDQUOT: too many clients already, or ENOMEM. */
int quota_enter(struct quota *q, const struct peer *peer, struct quota_user **user);
/* USER takes N of WHAT, or gives it back. False: more than the limits allow; it is counted all the
 * same, and the server lets the client go. */
bool quota_take(struct quota *q, struct quota_user *user, enum quota_what what, size_t n);
void quota_give(struct quota *q, struct quota_user *user, enum quota_what what, size_t n);
/* One of USER's clients has gone, after it has given back all else. */
void quota_leave(struct quota *q, struct quota_user *user);

#endif
