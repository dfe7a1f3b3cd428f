/* applets/ipc-sem/queue.c: the queue of those that wait for slots of a file; see slots.c.
 *
 * Two bytes of the file make the order. The first of those that wait holds the turn. The second holds
 * "next" and sleeps in fcntl(F_OFD_SETLKW) for the turn; all others sleep so for "next". That is first
 * come, first served. So one that waits for many slots is not starved by those after it, and holds none
 * while it waits: no deadlock.
 *
 * What surprises: the first may be stopped by a signal, and must not keep free slots from the others. It
 * has written its name into the file, and the second looks once a second whether it is stopped. As long
 * as it is, the second takes what is free without the turn. A second that is stopped as well, or a
 * first that cannot be looked at, holds the others up.
 */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"
#include "lock.h"

#include <errno.h>

static int bad(int e)
{
	errno = e;
	return -1;
}

/* Another has the turn. 1: we have it now; 0: we have our slots without it; -1. */
static int wait_behind(struct sem *s, unsigned k, const int *fds, int32_t owner, int64_t deadline)
{
	const struct stop *stop = &s->call->stop;
	int r = lock_fcntl(s->fd, LOCK_OFD, false, SLOTS_NEXT, 1, deadline, stop);
	if (r < 0)
		return -1;
	for (;;) {
		int64_t look = wait_until(NS_PER_S);
		r = lock_fcntl(s->fd, LOCK_OFD, false, SLOTS_TURN, 1,
			look < deadline ? look : deadline, stop);
		if (r == 0 || errno != ETIMEDOUT || wait_now() >= deadline) {
			r = r == 0 ? 1 : -1;
			break;
		}
		if (slots_first_stopped(s) &&
			((r = slots_try(s, k, fds, owner)) == 0 || errno != EAGAIN))
			break;
	}
	lock_fcntl_free(s->fd, LOCK_OFD, SLOTS_NEXT, 1);
	return r;
}

/* We have the turn: wait for the slots. */
static int wait_turn(struct sem *s, unsigned k, const int *fds, int32_t owner, int64_t deadline)
{
	struct watch w;
	int r;
	slots_name_first(s, true);
	watch_start(&w);
	while ((r = slots_try(s, k, fds, owner)) < 0 && errno == EAGAIN)
		if ((r = watch_wait(&w, s, true, deadline)) < 0)
			break;
	int e = errno;
	slots_name_first(s, false);
	errno = e;
	return r;
}

int slots_take(struct sem *s, unsigned k, const int *fds, int32_t owner, int64_t deadline)
{
	if (slots_gate(s) < 0)
		return -1;
	int turn = -1, r;
	if (deadline != DEADLINE_NOW)
		turn = lock_fcntl(s->fd, LOCK_OFD, false, SLOTS_TURN, 1, DEADLINE_NOW, NULL);
	if (s->removed)
		r = bad(ENOENT);
	else if (deadline == DEADLINE_NOW || turn == 0)
		r = slots_pick(s, k, fds, owner);
	else
		r = bad(k > s->n ? ERANGE : EAGAIN);
	slots_ungate(s);
	if (r < 0 && errno == EAGAIN && deadline != DEADLINE_NOW) {
		shell_sleeps(s, true);
		if (turn < 0 && (r = wait_behind(s, k, fds, owner, deadline)) == 1)
			turn = 0;
		if (turn == 0)
			r = wait_turn(s, k, fds, owner, deadline);
		shell_sleeps(s, false);
	}
	if (turn == 0)
		lock_fcntl_free(s->fd, LOCK_OFD, SLOTS_TURN, 1);
	return r;
}
