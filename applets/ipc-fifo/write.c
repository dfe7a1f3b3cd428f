/* applets/ipc-fifo/write.c: records, or a stream, into a FIFO.
 *
 * Records that are at hand together go out in one write(2) of at most PIPE_BUF bytes, which the
 * kernel keeps whole among all writers (pipe(7)); longer ones, with --lock, under the lock of lock.c,
 * and with every signal held back from their first byte to their last.
 *
 * What surprises: a reader that has gone is known by EPIPE at the next write, and then also what
 * was written but not read is lost; at the end the same is asked with poll(2) and FIONREAD.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "copy.h"
#include "frame.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCKED_BATCH (64 << 10)
#define LONGEST (1 << 30)

struct writer {
	struct call *call;
	struct fifo *f;
	struct frame frame;
	int64_t deadline;
	bool lock, nolocks;
	int turn;
	char *batch; /* records with their terminators, on their way out together */
	size_t cap, len;
	uint64_t held;    /* records in the batch */
	uint64_t written; /* records that the FIFO has taken */
};

/* What became of the records, for every way to fail in the middle. */
static const char *tally(const struct writer *w)
{
	const char *text =
		call_fmt(w->call, "%llu record%s before %s written; this and what follows %s",
			(unsigned long long)w->written, w->written == 1 ? "" : "s",
			w->written == 1 ? "was" : "were", "was not delivered");
	return text != NULL ? text : "the rest was not delivered";
}

static int no_reader(const struct writer *w)
{
	int n = fifo_unread(w->f->fd);
	const char *lost = n > 0 ? call_fmt(w->call, ", %d bytes of it unread", n) : "";
	return call_fail(w->call, ST_NOPEER, 0, "the reader of %s has gone: %s%s", w->f->name,
		tally(w), lost != NULL ? lost : "");
}

static int failed(const struct writer *w, int e)
{
	if (e == EPIPE)
		return no_reader(w);
	if (e == ETIMEDOUT || e == EAGAIN || e == EINTR)
		return call_waited(w->call, e, "%s is full: %s", w->f->name, tally(w));
	return call_error(w->call, e, "write %s: %s", w->f->name, tally(w));
}

/* A FIFO on a file system without locks: only --lock needs them. */
static int take_turn(struct writer *w)
{
	if (w->nolocks)
		return 0;
	int r = fifo_lock(w->f->fd, w->turn, w->deadline, &w->call->stop);
	bool none = r < 0 &&
		(errno == ENOLCK || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS);
	if (!none || w->lock)
		return r;
	w->nolocks = true;
	return 0;
}

static void end_turn(struct writer *w)
{
	if (!w->nolocks)
		fifo_unlock(w->f->fd);
}

/* At most PIPE_BUF bytes: all or nothing. An inherited descriptor may be a blocking one. */
static int put_short(struct writer *w)
{
	for (;;) {
		if (take_turn(w) < 0)
			return -1;
		ssize_t n = write(w->f->fd, w->batch, w->len);
		int e = errno;
		end_turn(w);
		if (n >= 0)
			return 0;
		if (e != EAGAIN && e != EINTR) {
			errno = e;
			return -1;
		}
		if (wait_fd(w->f->fd, POLLOUT, w->deadline, &w->call->stop) < 0)
			return -1;
	}
}

/* Write all of DATA with signals held back. 0; -1; EAGAIN only when nothing of it is out yet. */
static int put_whole(const struct writer *w, const char *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(w->f->fd, data + at, len - at);
		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN && at > 0) {
			if (wait_fd(w->f->fd, POLLOUT, DEADLINE_NONE, NULL) < 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/* More than that: once begun it is brought to its end, whatever signal or deadline comes. */
static int put_long(struct writer *w, const char *data, size_t len)
{
	sigset_t all, old;
	sigfillset(&all);
	for (;;) {
		if (wait_fd(w->f->fd, POLLOUT, w->deadline, &w->call->stop) < 0 || take_turn(w) < 0)
			return -1;
		sigprocmask(SIG_BLOCK, &all, &old);
		int r = put_whole(w, data, len), e = errno;
		end_turn(w);
		sigprocmask(SIG_SETMASK, &old, NULL);
		errno = e;
		if (r == 0 || e != EAGAIN)
			return r;
	}
}

static int flush(struct writer *w)
{
	if (w->len == 0)
		return 0;
	w->deadline = call_deadline(w->call);
	if ((w->len <= PIPE_BUF ? put_short(w) : put_long(w, w->batch, w->len)) < 0)
		return -1;
	w->written += w->held;
	w->held = 0;
	w->len = 0;
	return 0;
}

static size_t terminator(const struct writer *w)
{
	return w->frame.kind == FRAME_LINES || w->frame.kind == FRAME_NULL ? 1 : 0;
}

/* Put one record behind the others, writing those out first when there is no room. */
static int add(struct writer *w, const char *rec, size_t len)
{
	size_t need = len + terminator(w);
	if (w->frame.kind == FRAME_SIZE && len != w->frame.size) {
		errno = EBADMSG;
		return -1;
	}
	if (w->len + need > w->cap) {
		if (flush(w) < 0)
			return -1;
		if (need > w->cap) {
			char *more = realloc(w->batch, need);
			if (more == NULL)
				return -1;
			w->batch = more;
			w->cap = need;
		}
	}
	memcpy(w->batch + w->len, rec, len);
	if (terminator(w) > 0)
		w->batch[w->len + len] = w->frame.kind == FRAME_NULL ? '\0' : '\n';
	w->len += need;
	w->held++;
	return 0;
}

/* Reading or taking up the next record failed with errno. */
static int bad_record(struct writer *w, int e)
{
	struct call *call = w->call;
	if (flush(w) < 0)
		return failed(w, errno);
	if (e == EMSGSIZE && w->lock)
		return call_fail(call, ST_DATA, 0, "record of more than 1 GiB: %s", tally(w));
	if (e == EMSGSIZE)
		return call_fail(call, ST_DATA, 0,
			"record longer than %zu bytes, the longest that is whole among all writers (see "
			"--lock): %s",
			(size_t)PIPE_BUF - terminator(w), tally(w));
	if (e == EBADMSG)
		return call_fail(call, ST_DATA, 0,
			"record of another length than --record-size %zu: %s", w->frame.size,
			tally(w));
	return call_error(call, e, "read stdin: %s", tally(w));
}

static int put_records(struct writer *w)
{
	struct records src;
	char *rec;
	size_t len;
	int r, e = 0, status = ST_OK;
	records_start(&src, w->call, 1, w->lock ? LONGEST : PIPE_BUF - terminator(w));
	while ((r = records_next(&src, &rec, &len)) > 0) {
		if (add(w, rec, len) < 0) {
			e = errno;
			status = e == EBADMSG ? bad_record(w, e) : failed(w, e);
			break;
		}
		if (!records_ready(&src) && flush(w) < 0) {
			status = failed(w, errno);
			break;
		}
	}
	e = errno;
	records_end(&src);
	if (status != ST_OK)
		return status;
	if (r < 0)
		return bad_record(w, e);
	return flush(w) < 0 ? failed(w, errno) : ST_OK;
}

static void undo_batch(void *writer, intptr_t n)
{
	(void)n;
	free(((struct writer *)writer)->batch);
}

/* Has the reader gone and left something in the FIFO? Nobody may ever read it. */
static int all_read(struct writer *w)
{
	int n = fifo_unread(w->f->fd);
	if (n == 0)
		return ST_OK;
	return call_fail(w->call, ST_NOPEER, 0,
		"the reader of %s has gone and left %d bytes unread", w->f->name, n);
}

static int write_records(struct call *call, struct fifo *f)
{
	struct writer *w = call_alloc(call, sizeof *w);
	if (w == NULL || call_undo(call, undo_batch, w, 0) < 0)
		return call_error(call, ENOMEM, "write %s", f->name);
	*w = (struct writer){.call = call,
		.f = f,
		.frame = frame_of(call),
		.lock = call->opt[WRITE_LOCK].count > 0};
	w->turn = w->lock ? 0 : getpid();
	w->cap = w->lock ? LOCKED_BATCH : PIPE_BUF;
	w->batch = malloc(w->cap);
	if (w->batch == NULL)
		return call_error(call, ENOMEM, "write %s", f->name);
	int status = put_records(w);
	return status != ST_OK ? status : all_read(w);
}

static uint64_t size_of(int fd)
{
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);
	return at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > at
		? (uint64_t)(st.st_size - at)
		: 0;
}

/* --raw from stdin: bytes, as fast as they go, under one lock for the whole stream with --lock. */
static int write_stream(struct call *call, struct fifo *f, int64_t deadline)
{
	struct progress bar;
	struct copy copy = {.in = call->in,
		.out = f->fd,
		.max = UINT64_MAX,
		.progress = &bar,
		.as_is = call->opt[WRITE_CAPACITY].count > 0,
		.idle = DEADLINE_NONE,
		.stop = call->stop.signal != NULL ? &call->stop : NULL};
	if (call->opt[WRITE_LOCK].count > 0 && fifo_lock(f->fd, 0, deadline, &call->stop) < 0)
		return call_waited(call, errno, "lock %s", f->name);
	progress_start(&bar, call->err, call->std[STD_PROGRESS].count > 0, size_of(call->in));
	int r = copy_stream(&copy), e = errno;
	progress_end(&bar);
	if (r < 0 && e == EPIPE)
		return call_fail(call, ST_NOPEER, 0,
			"the reader of %s has gone: %d of %llu bytes are unread, and what follows was "
			"not delivered",
			f->name, fifo_unread(f->fd), (unsigned long long)copy.done);
	if (r < 0)
		return call_waited(call, e,
			copy.out_failed ? "write %s after %llu bytes"
					: "read stdin for %s after %llu bytes",
			f->name, (unsigned long long)copy.done);
	struct writer w = {.call = call, .f = f};
	return all_read(&w);
}

int fifo_write(struct call *call)
{
	struct fifo *f = call_alloc(call, sizeof *f);
	int64_t deadline = call_deadline(call);
	struct frame frame = frame_of(call);
	bool lock = call->opt[WRITE_LOCK].count > 0;
	if (f == NULL)
		return call_error(call, ENOMEM, "write");
	if (frame.kind == FRAME_SIZE && frame.size > PIPE_BUF && !lock)
		return call_fail(call, ST_DATA, 0,
			"records of %zu bytes are whole among several writers up to %d only; see --lock",
			frame.size, PIPE_BUF);
	int status = fifo_find(call, call->args[0].str, true, false, f);
	if (status == ST_OK)
		status = fifo_open_write(call, f, deadline);
	if (status == ST_OK)
		status = fifo_capacity(call, f, &call->opt[WRITE_CAPACITY]);
	if (status != ST_OK)
		return status;
	if (frame.kind == FRAME_RAW && call->nargs == 1)
		return write_stream(call, f, deadline);
	return write_records(call, f);
}
