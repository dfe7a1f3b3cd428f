/* applets/ipc-fifo/records.c: reading whole records and not a byte more.
 *
 * Several readers may take from one FIFO. Each, under flock(2) on its read end, looks at what is there
 * without taking it (tee(2) into a pipe of its own), writes the records it wants to stdout, and only
 * then takes exactly those bytes. So what it does not want is the next reader's, a record goes to
 * one reader, and one that could not be written out stays where it was.
 *
 * What surprises: while a record is incomplete the FIFO is readable all the same; more.c then tells
 * of each write, and nothing is taken yet. When the FIFO is full and the record still has no end,
 * it must be taken piece by piece: then the lock is kept until the end has come (.held).
 *
 * Limits: a reader killed between writing and taking has done the record twice; processes that
 * read the FIFO without this lock take what they get.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "copy.h"
#include "fd.h"
#include "frame.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LOOK (8 << 10)
#define MOST (1 << 20) /* looked at in one go */
#define LONGEST (1 << 30)

struct taker {
	struct call *call;
	struct fifo *f;
	struct frame frame;
	uint64_t want, got; /* records */
	const char *until;
	size_t until_len;
	int lock;                 /* read end that carries the lock */
	struct fifo_scratch peek; /* what tee(2) fills; of the FIFO's capacity if possible */
	struct fifo_more more;
	const struct stop *stop;
	bool edge; /* the FIFO holds the beginning of a record: wait for more */
	bool room; /* stdout takes any amount at once */
	char *buf; /* .held bytes that were taken, then what was seen: .len in all */
	size_t cap, len, held, scanned, look;
	bool full;  /* there was no more to see because the FIFO is full */
	bool gone;  /* no writer has it open */
	bool found; /* the record of --until */
};

static void undo_buf(void *taker, intptr_t n)
{
	(void)n;
	free(((struct taker *)taker)->buf);
}

static int start(struct taker *t)
{
	struct call *call = t->call;
	struct stat st;
	t->lock = t->more.fd = -1;
	t->stop = &call->stop;
	call_undo(call, undo_buf, t, 0);
	if (fifo_scratch(call, &t->peek) < 0)
		return -1;
	/* An inherited descriptor shares its lock with all who have it: lock one of our own. */
	t->lock = t->f->fd;
	if (t->f->obj.kind == OBJECT_FD) {
		int own = call_own(call, fifo_again(t->f));
		t->lock = own >= 0 ? own : t->f->fd;
	}
	t->room = fstat(call->out.fd, &st) == 0 &&
		(S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(call->out.fd)));
	if (t->room && call->opt[READ_CAPACITY].count == 0 && t->want > 16)
		copy_pipe(t->f->fd);
	t->look = t->room && t->want > 16 ? MOST : FIRST_LOOK;
	return 0;
}

static int grow(struct taker *t, size_t need)
{
	if (need <= t->cap)
		return 0;
	size_t cap = need < 2 * t->cap ? 2 * t->cap : need;
	char *more = realloc(t->buf, cap);
	if (more == NULL)
		return -1;
	t->buf = more;
	t->cap = cap;
	return 0;
}

/* As many slots in the pipe of our own as the FIFO has: when ours is full, the FIFO is too. */
static void match_slots(struct taker *t)
{
	int size = fcntl(t->f->fd, F_GETPIPE_SZ);
	if (size == *t->peek.slots)
		return;
	(void)fcntl(t->peek.in, F_SETPIPE_SZ, size);
	*t->peek.slots = size;
}

/* See what is in the FIFO, up to .look bytes, without taking it: behind the held bytes in .buf. */
static int see(struct taker *t)
{
	struct pollfd in = {.fd = t->f->fd, .events = POLLIN};
	struct pollfd ours = {.fd = t->peek.in, .events = POLLOUT};
	t->len = t->held;
	match_slots(t);
	t->gone = poll(&in, 1, 0) > 0 && (in.revents & POLLHUP) != 0;
	ssize_t n;
	do
		n = tee(t->f->fd, t->peek.in, t->look, SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -1;
	t->full = n > 0 && (size_t)n < t->look && poll(&ours, 1, 0) == 0;
	if (n <= 0)
		return 0;
	if (grow(t, t->held + (size_t)n + 1) < 0 ||
		fd_read(t->peek.out, t->buf + t->held, (size_t)n) != n)
		return -1;
	t->len += (size_t)n;
	return 0;
}

/* Take the bytes behind the held ones up to offset END out of the FIFO. */
static int take(struct taker *t, size_t end)
{
	char *into = t->buf + t->held;
	size_t len = end - t->held;
	return len == 0 ? 0 : fd_read(t->f->fd, into, len) == (ssize_t)len ? 0 : -1;
}

/* The length of the record at offset AT with its terminator, *BODY without; 0: it has no end yet. */
static size_t record(struct taker *t, size_t at, size_t *body)
{
	if (t->frame.kind == FRAME_SIZE) {
		*body = t->frame.size;
		return t->len - at >= *body ? *body : 0;
	}
	size_t from = at > t->scanned ? at : t->scanned;
	const char *end =
		memchr(t->buf + from, t->frame.kind == FRAME_NULL ? '\0' : '\n', t->len - from);
	t->scanned = end != NULL ? 0 : t->len;
	*body = end != NULL ? (size_t)(end - t->buf) - at : 0;
	return end != NULL ? *body + 1 : 0;
}

static bool is_until(const struct taker *t, const char *rec, size_t len)
{
	return t->until != NULL && len == t->until_len && memcmp(rec, t->until, len) == 0;
}

/* What of .buf to print, and in *END what to take: complete records, no more than are wanted and
 * stdout has room for, but one at least. *COUNT is how many of them are printed. */
static size_t choose(struct taker *t, size_t *end, uint64_t *count)
{
	size_t at = 0, body, n;
	*count = 0;
	while (t->buf != NULL && *count < t->want - t->got && (n = record(t, at, &body)) > 0) {
		if (!t->room && at > 0 && at + n > PIPE_BUF)
			break;
		if (is_until(t, t->buf + at, body)) {
			t->found = true;
			*end = at + n;
			return at;
		}
		at += n;
		++*count;
	}
	*end = at;
	return at;
}

/* Write LEN bytes of .buf to stdout, never asleep where a stop signal could not come through. */
static int output(struct taker *t, size_t len)
{
	int fd = t->call->out.fd;
	for (size_t at = 0, n; at < len; at += n) {
		n = t->room || len - at < PIPE_BUF ? len - at : PIPE_BUF;
		if (!t->room && wait_fd(fd, POLLOUT, DEADLINE_NONE, t->stop) < 0)
			return call_waited(t->call, errno, "wait for stdout");
		if (fd_write(fd, t->buf + at, n) < 0)
			return call_stdout_error(t->call, errno);
	}
	return ST_OK;
}

/* Print the first PRINT bytes of .buf, take those up to END out of the FIFO. */
static int deliver(struct taker *t, size_t print, size_t end, uint64_t count)
{
	int status = output(t, print);
	if (status != ST_OK)
		return status;
	if (take(t, end) < 0)
		return call_error(t->call, errno, "read %s", t->f->name);
	t->held = t->scanned = 0;
	t->edge = false;
	t->got += count;
	return ST_OK;
}

/* The last writer has gone without ending its record: it counts as ended. */
static int deliver_rest(struct taker *t)
{
	size_t len = t->len;
	if (len == 0)
		return ST_OK;
	if (t->frame.kind == FRAME_SIZE)
		return call_fail(t->call, ST_DATA, 0,
			"%s: the writers have gone inside a record (%zu of %zu bytes came)",
			t->f->name, len, t->frame.size);
	t->found = is_until(t, t->buf, len);
	if (t->found)
		return deliver(t, 0, len, 0);
	t->buf[len] = t->frame.kind == FRAME_NULL ? '\0' : '\n';
	return deliver(t, len + 1, len, 1);
}

/* Waiting for the rest of a record whose beginning is taken already. */
static int take_on(struct taker *t)
{
	if (t->len > LONGEST)
		return call_fail(t->call, ST_DATA, 0, "%s: record of more than 1 GiB", t->f->name);
	if (take(t, t->len) < 0)
		return call_error(t->call, errno, "read %s", t->f->name);
	t->held = t->len;
	if (wait_fd(t->f->fd, POLLIN, call_deadline(t->call), t->stop) >= 0)
		return ST_OK;
	if (errno == EINTR && call_stopped(t->call) != 0)
		call_warn(t->call, 0, "%s: stopped inside a record, its first %zu bytes are lost",
			t->f->name, t->held);
	return call_waited(t->call, errno, "%s: inside a record, its first %zu bytes are lost",
		t->f->name, t->held);
}

/* One look under the lock. */
static int turn(struct taker *t)
{
	for (;;) {
		size_t end = 0;
		uint64_t count = 0;
		if (see(t) < 0)
			return call_error(t->call, errno, "read %s", t->f->name);
		size_t print = choose(t, &end, &count);
		if (end > 0)
			return deliver(t, print, end, count);
		if (t->len - t->held == t->look) {
			t->look *= 2;
		} else if (t->gone) {
			return deliver_rest(t);
		} else if (t->full || t->held > 0) {
			int status = take_on(t);
			if (status != ST_OK)
				return status;
		} else {
			t->edge = t->len > 0;
			return ST_OK;
		}
	}
}

/* Sleep until there is something, with .edge something more, or a hang-up. 0 or -1. */
static int await(struct taker *t, int64_t deadline)
{
	if (!t->edge)
		return wait_fd(t->f->fd, POLLIN, deadline, t->stop) < 0 ? -1 : 0;
	if (t->more.fd >= 0)
		return fifo_more_wait(&t->more, deadline);
	/* What came before the watch began is not reported: look once more before sleeping. */
	if (fifo_more_start(&t->more, t->call, t->lock) < 0)
		return -1;
	t->stop = &t->more.stop;
	return 0;
}

/* Wait for records, and print those that come together. *END: -n, and no more are there. */
static int next_records(struct taker *t, bool *end)
{
	struct call *call = t->call;
	int64_t deadline = call_deadline(call);
	bool any = t->want == UINT64_MAX && t->until == NULL && t->got > 0;
	t->gone = false;
	if (await(t, deadline) < 0) {
		*end = true;
		return fifo_silent(call, t->f, errno, any);
	}
	/* Not with the lock held, where it can be helped. */
	if (!t->room && wait_fd(call->out.fd, POLLOUT, DEADLINE_NONE, t->stop) < 0)
		return call_waited(call, errno, "wait for stdout");
	if (lock_flock(t->lock, false, DEADLINE_NOW, NULL) < 0 &&
		(errno != EAGAIN || lock_flock(t->lock, false, deadline, t->stop) < 0))
		return call_waited(call, errno, "lock %s against other readers", t->f->name);
	int status = turn(t);
	lock_flock_free(t->lock);
	return status;
}

/* The last writer has gone; a fresh read end waits for the next one. */
static int follow(struct taker *t)
{
	bool own = t->lock != t->f->fd;
	if (!own) /* the watch is on the descriptor that goes */
		fifo_more_end(&t->more);
	int status = fifo_reopen(t->call, t->f);
	if (!own)
		t->lock = t->f->fd;
	return status;
}

static int take_records(struct taker *t)
{
	bool follows = t->call->std[STD_FOLLOW].count > 0, end = false;
	while (t->got < t->want && !t->found && !end) {
		int status = next_records(t, &end);
		if (status != ST_OK)
			return status;
		if (!t->gone || t->got >= t->want || t->found || t->len > 0)
			continue;
		if ((follows || t->got == 0) && fifo_removed(t->f))
			return call_fail(t->call, ST_NOOBJ, 0, "%s: was removed", t->f->name);
		if (!follows)
			break;
		status = follow(t);
		if (status != ST_OK)
			return status;
	}
	if (t->until != NULL ? t->found || t->got == t->want
			     : t->want == UINT64_MAX || t->got == t->want)
		return ST_OK;
	if (t->until != NULL)
		return call_fail(t->call, ST_NOPEER, 0,
			"the writers of %s have gone before --until %s", t->f->name, t->until);
	return call_fail(t->call, ST_NOPEER, 0,
		"the writers of %s have gone after %llu of %llu records", t->f->name,
		(unsigned long long)t->got, (unsigned long long)t->want);
}

int fifo_records(struct call *call, struct fifo *f)
{
	struct taker *t = call_alloc(call, sizeof *t);
	if (t == NULL)
		return call_error(call, ENOMEM, "read %s", f->name);
	t->call = call;
	t->f = f;
	t->frame = frame_of(call);
	t->want = call->std[STD_COUNT].count > 0 ? (uint64_t)call->std[STD_COUNT].num : UINT64_MAX;
	if (call->opt[READ_UNTIL].count > 0) {
		t->until = call->opt[READ_UNTIL].str;
		t->until_len = strlen(t->until);
	}
	if (start(t) < 0)
		return call_error(call, errno, "read %s", f->name);
	return take_records(t);
}
