/* lib/frame.c: see frame.h. One buffer, read in large pieces, scanned with memchr(3) once. */
#define _GNU_SOURCE
#include "frame.h"

#include "call.h"
#include "num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_CAP 65536

struct frame frame_of(const struct call *call)
{
	if (call->std[STD_NULL].count > 0)
		return (struct frame){FRAME_NULL, 0};
	if (call->std[STD_RECORD_SIZE].count > 0)
		return (struct frame){FRAME_SIZE, num_to_size(call->std[STD_RECORD_SIZE].num)};
	if (call->std[STD_RAW].count > 0)
		return (struct frame){FRAME_RAW, 0};
	return (struct frame){FRAME_LINES, 0};
}

void frame_start(struct frame_reader *r, int fd, struct frame frame, size_t max)
{
	*r = (struct frame_reader){.fd = fd, .frame = frame, .max = max, .deadline = DEADLINE_NONE};
}

void frame_end(struct frame_reader *r)
{
	free(r->buf);
	r->buf = NULL;
	r->cap = r->start = r->end = r->scanned = 0;
}

/* Room for more input: move what is left to the front, else grow. -1 with EMSGSIZE or ENOMEM. */
static int make_room(struct frame_reader *r)
{
	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->scanned -= r->start;
		r->start = 0;
	}
	if (r->end < r->cap)
		return 0;
	size_t most = r->max < SIZE_MAX - 1 ? r->max + 1 : r->max;
	size_t cap = r->cap == 0 ? FIRST_CAP : r->cap > SIZE_MAX / 2 ? SIZE_MAX : r->cap * 2;
	if (r->cap >= FIRST_CAP && r->cap >= most) {
		errno = EMSGSIZE;
		return -1;
	}
	if (cap > most && most > FIRST_CAP)
		cap = most;
	char *more = realloc(r->buf, cap);
	if (more == NULL)
		return -1;
	r->buf = more;
	r->cap = cap;
	return 0;
}

/* One read(2) into the buffer. 1, 0 at end of file, -1. */
static int fill(struct frame_reader *r)
{
	if (r->eof)
		return 0;
	if (make_room(r) < 0)
		return -1;
	for (;;) {
		bool waits = r->deadline != DEADLINE_NONE || r->stop != NULL;
		if (waits && wait_fd(r->fd, POLLIN, r->deadline, r->stop) < 0)
			return -1;
		ssize_t n = read(r->fd, r->buf + r->end, r->cap - r->end);
		if (n > 0) {
			r->end += (size_t)n;
			return 1;
		}
		if (n == 0) {
			r->eof = true;
			return 0;
		}
		if (errno == EAGAIN) {
			if (wait_fd(r->fd, POLLIN, r->deadline, r->stop) < 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
}

/* The length of the record at start if it is complete, else -1. */
static ssize_t complete(struct frame_reader *r)
{
	size_t have = r->end - r->start;
	if (r->buf == NULL || have == 0)
		return -1;
	if (r->frame.kind == FRAME_RAW)
		return (ssize_t)(have < r->max ? have : r->max);
	if (r->frame.kind == FRAME_SIZE)
		return have >= r->frame.size ? (ssize_t)r->frame.size : -1;
	char end = r->frame.kind == FRAME_NULL ? '\0' : '\n';
	char *p = memchr(r->buf + r->scanned, end, r->end - r->scanned);
	r->scanned = p != NULL ? (size_t)(p - r->buf) : r->end;
	return p != NULL ? p - (r->buf + r->start) : -1;
}

static int take(struct frame_reader *r, size_t n, size_t terminator, char **rec, size_t *len)
{
	if (n > r->max) {
		errno = EMSGSIZE;
		return -1;
	}
	*rec = r->buf + r->start;
	*len = n;
	r->start += n + terminator;
	r->scanned = r->start;
	return 1;
}

/* What is left when the stream ends. */
static int last(struct frame_reader *r, char **rec, size_t *len)
{
	if (r->end == r->start)
		return 0;
	if (r->frame.kind == FRAME_SIZE) {
		errno = EBADMSG;
		return -1;
	}
	r->unterminated = true;
	return take(r, r->end - r->start, 0, rec, len);
}

int frame_read(struct frame_reader *r, char **rec, size_t *len)
{
	for (;;) {
		ssize_t n = complete(r);
		if (n >= 0) {
			bool ended = r->frame.kind == FRAME_LINES || r->frame.kind == FRAME_NULL;
			return take(r, (size_t)n, ended ? 1 : 0, rec, len);
		}
		int got = fill(r);
		if (got < 0)
			return -1;
		if (got == 0)
			return last(r, rec, len);
	}
}

bool frame_ready(struct frame_reader *r)
{
	return complete(r) >= 0;
}

int frame_whole(struct frame_reader *r, char **rec, size_t *len)
{
	int got;
	while ((got = fill(r)) > 0)
		;
	if (got < 0)
		return -1;
	return take(r, r->end - r->start, 0, rec, len);
}

int frame_put(struct out *out, struct frame frame, const void *rec, size_t len)
{
	if (frame.kind == FRAME_SIZE && len != frame.size) {
		errno = EMSGSIZE;
		return -1;
	}
	int r = out_put(out, rec, len);
	if (frame.kind == FRAME_LINES)
		r = out_char(out, '\n');
	else if (frame.kind == FRAME_NULL)
		r = out_char(out, '\0');
	if (r < 0)
		errno = out->err;
	return r;
}

void records_start(struct records *src, struct call *call, unsigned first, size_t max)
{
	*src = (struct records){.call = call, .next = first, .operands = first < call->nargs};
	frame_start(&src->reader, call->in, frame_of(call), max);
}

void records_end(struct records *src)
{
	frame_end(&src->reader);
}

int records_next(struct records *src, char **rec, size_t *len)
{
	if (!src->operands && src->reader.frame.kind != FRAME_RAW)
		return frame_read(&src->reader, rec, len);
	if (!src->operands) {
		if (src->done)
			return 0;
		src->done = true;
		return frame_whole(&src->reader, rec, len);
	}
	if (src->next == src->call->nargs)
		return 0;
	*rec = (char *)(uintptr_t)src->call->args[src->next].str;
	*len = strlen(*rec);
	if (*len > src->reader.max) {
		errno = EMSGSIZE;
		return -1;
	}
	src->next++;
	return 1;
}

bool records_ready(struct records *src)
{
	return src->operands ? src->next < src->call->nargs : frame_ready(&src->reader);
}
