/* applets/ipc-bench/cell.c: one measurement: make the channels, start the players, wait for the driver,
 * and leave nothing behind.
 *
 * All that blocks is done by the players, which are processes of their own. We only wait for them, so that
 * a signal, a player's death and a mechanism that hangs are all the same to us: the rest are killed.
 */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"
#include "spawn.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/wait.h>

#define HANGS (10 * NS_PER_S) /* beyond the time it was given */

static void reap(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void chan_init(struct chan *c, struct bench *b)
{
	*c = (struct chan){.b = b, .in = -1, .out = -1, .file = -1, .id = -1};
}

static void chan_close(struct chan *c)
{
	if (c->id >= 0)
		msgctl(c->id, IPC_RMID, NULL);
	reap(c->guard);
	if (c->mem != NULL)
		munmap(c->mem, c->size);
	fd_close(c->in);
	fd_close(c->out);
	fd_close(c->file);
	chan_init(c, c->b);
}

static void cell_end(void *arg, intptr_t unused)
{
	struct bench *b = arg;
	(void)unused;
	for (unsigned i = 0; i < PLAYERS; i++) {
		reap(b->pids[i]);
		b->pids[i] = 0;
	}
	for (unsigned i = 0; i < b->nchans; i++) {
		chan_close(&b->to[i]);
		chan_close(&b->back[i]);
	}
	b->nchans = 0;
}

/* -1 with errno; b->why or the control's step says more. */
static int open_channels(struct bench *b)
{
	unsigned n = b->pattern == BROADCAST ? b->receivers : 1;
	for (unsigned i = 0; i < n; i++) {
		chan_init(&b->to[i], b);
		chan_init(&b->back[i], b);
		b->to[i].to = b->back[i].from = i + 1;
		b->nchans = i + 1;
		if (b->mech->open(b, &b->to[i], &b->back[i]) < 0)
			return -1;
	}
	return 0;
}

/* The driver last, when there is somebody to talk to. */
static int start_players(struct bench *b)
{
	for (unsigned i = b->receivers + 1; i-- > 0;) {
		b->me = i;
		errno = spawn_fork(i == 0 ? play_driver : play_receiver, b, SPAWN_DIE, &b->pids[i]);
		if (errno != 0)
			return bench_step(b, "start a process");
	}
	return 0;
}

/* Wait until the driver is done, a player has ended, or we are stopped. 0; -1 with errno. */
static int watch(struct bench *b, struct pollfd *fds)
{
	unsigned n = b->receivers + 1;
	int64_t limit = wait_until(2 * b->budget + HANGS);
	for (;;) {
		int64_t due = bench_progress_due(b), until = due < limit ? due : limit;
		int r = wait_poll(fds, n, until, &b->call->stop);
		if (r > 0)
			return 0;
		if (r < 0 && (errno != ETIMEDOUT || until == limit))
			return -1;
		bench_progress(b);
	}
}

static int watch_players(struct bench *b)
{
	struct pollfd fds[PLAYERS];
	unsigned n = 0;
	int r = 0;
	for (; n <= b->receivers && r == 0; n++) {
		fds[n] = (struct pollfd){.fd = wait_pidfd(b->pids[n]), .events = WAIT_END};
		if (fds[n].fd < 0)
			r = -1;
	}
	if (r == 0)
		r = watch(b, fds);
	int err = errno;
	while (n-- > 0)
		fd_close(fds[n].fd);
	errno = err;
	return r;
}

/* Can the mechanism do the pattern at all? */
static bool suits(const struct bench *b, struct result *r)
{
	const char *why = NULL;
	if (b->mech->call != NULL && b->pattern >= BROADCAST)
		why = "a call has one server";
	else if (b->pattern == QUEUE && (b->mech->flags & M_QUEUE) == 0)
		why = "one receiver only";
	if (why != NULL)
		snprintf(r->why, sizeof r->why, "%s", why);
	return why == NULL;
}

static void say_why(const struct bench *b, struct result *r, int err)
{
	if (b->why[0] != '\0')
		snprintf(r->why, sizeof r->why, "%s", b->why);
	else if (b->ctl->err == ECANCELED) /* the step says it all */
		snprintf(r->why, sizeof r->why, "%s", b->ctl->step);
	else if (b->ctl->err != 0)
		snprintf(r->why, sizeof r->why, "%s: %s",
			b->ctl->step != NULL ? b->ctl->step : "play", strerror(b->ctl->err));
	else if (err == ETIMEDOUT)
		snprintf(r->why, sizeof r->why, "no end within %d s",
			(int)((2 * b->budget + HANGS) / NS_PER_S));
	else if (err != 0)
		snprintf(r->why, sizeof r->why, "%s", strerror(err));
	else
		snprintf(r->why, sizeof r->why, "a process of the measurement was killed");
}

int cell_run(struct bench *b, struct result *r)
{
	struct call *call = b->call;
	unsigned mark = call->nundo;
	*r = (struct result){0};
	*b->ctl = (struct control){0};
	b->why[0] = '\0';
	b->receivers = b->pattern >= BROADCAST ? b->workers : 1;
	if (!suits(b, r))
		return 0;
	call_undo(call, cell_end, b, 0);
	int bad = open_channels(b);
	if (bad == 0)
		bad = start_players(b);
	if (bad == 0)
		bad = watch_players(b);
	int err = bad == 0 ? 0 : errno;
	call_unwind(call, mark);
	if (call_stopped(call) != 0)
		return call_waited(call, EINTR, "measure %s", b->mech->name);
	if (__atomic_load_n(&b->ctl->over, __ATOMIC_ACQUIRE) != 0)
		*r = b->ctl->result;
	else
		say_why(b, r, err);
	return 0;
}
