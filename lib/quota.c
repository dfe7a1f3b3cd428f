/* lib/quota.c: see quota.h. There are as many users as have clients, so a list is enough. */
#include "quota.h"

#include <errno.h>
#include <stdlib.h>

void quota_limit(struct quota *q, enum quota_what what, size_t total)
{
	q->each[what] = total / 4 > 0 ? total / 4 : 1;
	q->all[what] = total - total / 8 > 1 ? total - total / 8 - 1 : 1;
}

static struct quota_user *find(struct quota *q, uid_t uid)
{
	for (struct quota_user *u = q->users; u != NULL; u = u->next)
		if (u->uid == uid)
			return u;
	struct quota_user *u = calloc(1, sizeof *u);
	if (u == NULL)
		return NULL;
	*u = (struct quota_user){.next = q->users, .uid = uid};
	q->users = u;
	return u;
}

int quota_enter(struct quota *q, const struct peer *peer, struct quota_user **user)
{
	*user = NULL;
	if (peer_ours(peer))
		return 0;
	struct quota_user *u = find(q, peer->uid);
	if (u == NULL)
		return -1;
	if (quota_take(q, u, QUOTA_CLIENTS, 1)) {
		*user = u;
		return 0;
	}
	quota_leave(q, u);
	errno = EDQUOT;
	return -1;
}

bool quota_take(struct quota *q, struct quota_user *user, enum quota_what what, size_t n)
{
	if (user == NULL)
		return true;
	user->used[what] += n;
	q->used[what] += n;
	return user->used[what] <= q->each[what] && q->used[what] <= q->all[what];
}

void quota_give(struct quota *q, struct quota_user *user, enum quota_what what, size_t n)
{
	if (user == NULL)
		return;
	user->used[what] -= n;
	q->used[what] -= n;
}

void quota_leave(struct quota *q, struct quota_user *user)
{
	if (user == NULL)
		return;
	quota_give(q, user, QUOTA_CLIENTS, 1);
	if (user->used[QUOTA_CLIENTS] > 0)
		return;
	struct quota_user **at = &q->users;
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}
