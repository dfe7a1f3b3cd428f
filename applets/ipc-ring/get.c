/* ipc-ring get: records out of the ring, to stdout or to a command each.
 *
 * A batch is copied under the lock, and written out without it: neither a slow reader of our stdout nor
 * CMD ever holds up the others. What was taken and not yet written when we are killed by SIGKILL is
 * lost with us; a stop signal waits for it.
 *
 * What surprises: a record for CMD is taken after execve(2) has succeeded, and the lock is held
 * until then. So the record stays in the ring, in its place, when CMD cannot be started. */
#define _GNU_SOURCE
#include "command.h"
#include "fd.h"
#include "frame.h"
#include "ring.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_BYTES 65536

struct getter {
	struct ring *r;
	struct frame frame;
	uint64_t want;  /* records still wanted */
	uint64_t batch; /* at most so many under one lock */
	uint64_t done;
	char *buf; /* the batch, as it will be written */
	size_t cap, len;
	uint64_t held; /* records in it */
	bool some;     /* one batch is enough */
	bool given;    /* CMD has the record */
	bool odd;      /* the next record is not of --record-size bytes */
};

static void undo_free(void *arg, intptr_t n)
{
	struct getter *g = arg;
	(void)n;
	free(g->buf);
}

/* Room for a record of LEN bytes behind the batch; the first of a batch may make the buffer grow. */
static int room(struct getter *g, size_t len)
{
	size_t need = g->len + len + 16;
	if (need <= g->cap)
		return 1;
	if (g->held > 0)
		return 0;
	char *more = realloc(g->buf, need);
	if (more == NULL)
		return -1;
	g->buf = more;
	g->cap = need;
	return 1;
}

static void terminate(struct getter *g)
{
	if (g->frame.kind == FRAME_LINES)
		g->buf[g->len++] = '\n';
	else if (g->frame.kind == FRAME_NULL)
		g->buf[g->len++] = '\0';
}

/* Under the lock: fill the batch. 0, or -1 and *STATUS. */
static int fill(struct call *call, struct getter *g, int *status)
{
	struct ring *r = g->r;
	uint64_t most = g->want < g->batch ? g->want : g->batch;
	while (g->held < most) {
		int64_t len = ring_next(r);
		if (len == -1)
			return 0;
		if (len < 0) {
			*status = call_fail(call, ST_DATA, 0, "%s: damaged", r->m->obj.text);
			return -1;
		}
		g->odd = g->frame.kind == FRAME_SIZE && (size_t)len != g->frame.size;
		if (g->odd)
			return 0;
		int fits = room(g, (size_t)len);
		if (fits < 0)
			*status = call_error(
				call, ENOMEM, "get a record of %lld bytes", (long long)len);
		if (fits <= 0)
			return fits;
		ring_take(r, g->buf + g->len, (size_t)len);
		g->len += (size_t)len;
		terminate(g);
		g->held++;
		r->s.gets++;
	}
	return 0;
}

/* Unlock. TAKEN: the batch leaves the ring. Else its records stay, and are for another reader. */
static void give_lock(struct getter *g, bool taken)
{
	struct ring *r = g->r;
	bool left = !taken || r->s.tail != r->s.head;
	if (taken)
		ring_publish(r);
	ring_unlock(r);
	if (taken)
		ring_wake(r, RING_SPACE);
	if (left)
		ring_wake(r, RING_DATA);
}

/* Copy a batch, waiting for its first record. 1: still locked when there is a CMD and a record for
 * it, else the batch is taken; 0: the ring is closed and drained; -1 and *STATUS. */
static int take_batch(struct call *call, struct getter *g, int *status)
{
	struct ring *r = g->r;
	int64_t deadline = call_deadline(call);
	g->len = 0;
	g->held = 0;
	*status = ring_lock(call, r, call_deadline(call));
	while (*status == 0 && r->s.tail == r->s.head) {
		if (r->f->closed != 0) {
			ring_unlock(r);
			return 0;
		}
		*status = ring_wait(call, r, RING_DATA, deadline);
	}
	if (*status != 0)
		return -1;
	int bad = fill(call, g, status);
	if (call->command == NULL || g->held == 0)
		give_lock(g, g->held > 0);
	return bad < 0 ? -1 : 1;
}

/* One write(2) to a stdout that has just said it has room. A pipe means room for PIPE_BUF; what is longer may
 * block, and a stop signal must end that too. */
static ssize_t write_some(struct call *call, const char *buf, size_t len)
{
	struct wait_timer t;
	ssize_t n;
	if (len <= PIPE_BUF)
		return write(call->out.fd, buf, len);
	if (wait_timer_start(&t, DEADLINE_NONE, &call->stop) < 0)
		return -1;
	do
		n = write(call->out.fd, buf, len);
	while (n < 0 && errno == EINTR && !wait_timer_due(&t));
	wait_timer_stop(&t);
	return n;
}

/* Write the batch to stdout. A stop signal is heeded only while stdout takes nothing. 0 or a status. */
static int write_batch(struct call *call, struct getter *g)
{
	size_t at = 0;
	while (at < g->len) {
		/* One that came during the write interrupts nothing now. */
		int64_t until = call_stopped(call) != 0 ? DEADLINE_NOW : DEADLINE_NONE;
		if (wait_fd(call->out.fd, POLLOUT, until, &call->stop) < 0 && errno == EINTR) {
			call_warn(call, 0,
				"%s: stopped while stdout took nothing: %llu records are lost",
				g->r->m->obj.text, (unsigned long long)g->held);
			return ST_SIGNAL + call_stopped(call);
		}
		ssize_t n = write_some(call, g->buf + at, g->len - at);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			return call_stdout_error(call, errno);
	}
	return 0;
}

/* The batch, one record, as a file: stdin of CMD. */
static int as_file(struct call *call, struct getter *g)
{
	int fd = fd_nameless("record");
	if (fd < 0 || fd_write(fd, g->buf, g->len) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		fd_close(fd);
		return -1;
	}
	return call_own(call, fd);
}

static void started(void *arg, pid_t keeper)
{
	struct getter *g = arg;
	(void)keeper;
	g->given = true;
	give_lock(g, true);
}

static void ended(void *arg)
{
	struct getter *g = arg;
	if (!g->given)
		give_lock(g, false);
}

/* Run CMD on the record; the lock is held at entry. */
static int run_command(struct call *call, struct getter *g)
{
	struct spawn_fd in = {.from = as_file(call, g), .to = 0};
	const char *env[] = {call_fmt(call, "IPC_OBJECT=%s", g->r->m->obj.text), NULL};
	if (in.from < 0 || env[0] == NULL) {
		int e = errno;
		give_lock(g, false);
		return call_fail(call, ST_EARLY, e, "give the record to %s", call->command[0]);
	}
	struct command cmd = {
		.spawn = {.argv = call->command, .env = env, .fds = &in, .nfds = 1},
		.started = started,
		.ended = ended,
		.arg = g,
	};
	g->given = false;
	int status = command_run(call, &cmd);
	call_close(call, in.from);
	return status;
}

static int get_all(struct call *call, struct getter *g)
{
	int status = 0;
	while (g->want > 0 && status == 0 && !(g->some && g->done > 0)) {
		int got = take_batch(call, g, &status);
		if (got < 0 && g->held == 0)
			return status;
		if (got == 0)
			return g->done > 0 || call->std[STD_FOLLOW].count > 0
				? ST_OK
				: call_fail(call, ST_NOPEER, 0, "%s: closed and empty",
					  g->r->m->obj.text);
		int wrote = g->held == 0        ? 0
			: call->command != NULL ? run_command(call, g)
						: write_batch(call, g);
		g->want -= g->held;
		g->done += g->held;
		if (wrote != 0)
			return wrote;
		if (g->odd && g->want > 0)
			return call_fail(call, ST_DATA, 0,
				"%s: the next record is not %zu bytes long; it is still there",
				g->r->m->obj.text, g->frame.size);
		if (call_stopped(call) != 0)
			return ST_SIGNAL + call_stopped(call);
	}
	return status;
}

int ring_get(struct call *call)
{
	struct ring r;
	if (call->opt[GET_OLD].count > 0)
		return ring_old(call);
	bool follow = call->std[STD_FOLLOW].count > 0, count = call->std[STD_COUNT].count > 0;
	struct getter *g = call_alloc(call, sizeof *g); /* freed after its undo has run */
	if (g == NULL)
		return call_error(call, ENOMEM, "get");
	*g = (struct getter){.r = &r,
		.frame = frame_of(call),
		.some = call_batch(call),
		.want = count                        ? (uint64_t)call->std[STD_COUNT].num
			: follow || call_batch(call) ? UINT64_MAX
						     : 1,
		.batch = call->command != NULL           ? 1
			: call->opt[GET_BATCH].count > 0 ? (uint64_t)call->opt[GET_BATCH].num
							 : UINT64_MAX};
	/* A command gets the bytes of the record and nothing else. */
	if (call->command != NULL && g->frame.kind != FRAME_SIZE)
		g->frame.kind = FRAME_RAW;
	int status = ring_open(call, &r, call->args[0].str,
		call->opt[GET_CREATE].count > 0 ? SHARED_CREATE : 0,
		call->opt[GET_SIZE].count > 0 ? (uint64_t)call->opt[GET_SIZE].num : RING_DEFAULT);
	if (status != 0)
		return status;
	g->cap = g->want == 1 ? 4096 : BATCH_BYTES;
	g->buf = malloc(g->cap);
	if (g->buf == NULL || call_undo(call, undo_free, g, 0) < 0)
		return call_error(call, ENOMEM, "get");
	status = call_ready(call);
	if (status == 0)
		status = get_all(call, g);
	return mapped_done(call, r.m, status);
}
