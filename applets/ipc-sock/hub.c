/* hub.c: --broadcast (stdin to all) and --hub (each to all the others).
 *
 * All clients read from one ring of records, each at its own place, so that a thousand sleeping ones
 * cost no more than one. When the ring is full nothing more is taken in, until the slowest has gone on:
 * for at most a second, then those in the way are closed (--slow close), or at once lose the
 * records that they did not get (--slow drop), or all wait for them (--slow wait).
 */
#define _GNU_SOURCE
#include "ipc-sock.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STALL NS_PER_S

static struct client *of(struct loop_watch *w)
{
	return (struct client *)(void *)((char *)w - offsetof(struct client, watch));
}

/* Send C what it has not got, as much as it takes. False when it is gone. */
static bool feed(struct client *c);
static void client_input(struct client *c);
static void resume(struct server *s);

static void pause_inputs(struct server *s)
{
	struct backlog *log = &s->log;
	if (log->full)
		return;
	log->full = true;
	loop_remove(&s->loop, &s->input);
	if (s->slow == SLOW_CLOSE)
		(void)loop_at(&s->loop, &log->stall, wait_now() + STALL);
}

/* The second is over: those who hold the oldest half of the ring are too slow. */
static void stalled(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	struct backlog *log = &s->log;
	backlog_trim(s);
	uint64_t line = log->start + (log->end - log->start) / 2;
	uint64_t rec = log->first + (log->last - log->first) / 2;
	(void)t;
	for (struct client *c = s->oldest, *next; c != NULL; c = next) {
		next = c->next;
		if (c->pos > line || c->rec > rec)
			continue;
		s->stats.slow++;
		call_warn(s->call, 0, "connection %llu is too slow; it is closed",
			(unsigned long long)c->id);
		client_abort(c);
	}
	if (!loop->quit)
		resume(s);
}

/* Take in one record of LEN bytes, terminator included. False: not now. */
static bool take_record(struct server *s, const char *data, size_t len, uint64_t from)
{
	struct backlog *log = &s->log;
	if (!backlog_room(log, len))
		backlog_trim(s);
	if (!backlog_room(log, len) && s->slow == SLOW_DROP) {
		for (struct client *c = s->oldest, *next; c != NULL; c = next) {
			next = c->next;
			/* Those in the older half; else every record would be a search. */
			if ((c->pos <= log->start + (log->end - log->start) / 2 ||
				    c->rec <= log->first + (log->last - log->first) / 2) &&
				backlog_skip(c) < 0)
				client_abort(c);
		}
		backlog_trim(s);
	}
	if (!backlog_room(log, len)) {
		pause_inputs(s);
		return false;
	}
	backlog_append(log, data, len, from);
	return true;
}

/* Records from DATA into the ring; how many bytes were taken. *BAD: one is too long. */
static size_t take_records(struct server *s, const char *data, size_t len, uint64_t from, bool *bad)
{
	bool stream = s->type == SOCK_STREAM;
	struct frame frame = s->frame;
	size_t done = 0, n, terminator;
	/* What a packet client says is a record as it is. */
	if (!stream && from != 0)
		frame.kind = FRAME_RAW;
	*bad = false;
	while (done < len &&
		(n = sock_record_end(s, frame, data + done, len - done, &terminator)) > 0) {
		*bad = n - terminator > s->record_max;
		if (*bad || !take_record(s, data + done, stream ? n : n - terminator, from))
			return done;
		done += n;
	}
	*bad = len - done > s->record_max + 1;
	return done;
}

static void feed_all(struct server *s)
{
	for (struct client *c = s->oldest, *next; c != NULL && !s->loop.quit; c = next) {
		next = c->next;
		if (!c->watch.added || (c->watch.events & EPOLLOUT) == 0)
			(void)feed(c);
	}
}

/* Everything that came in and was sent: end if nothing more can come. */
static void check_end(struct server *s)
{
	if (s->input_eof && s->pending.len == 0 && !s->stopping && !s->loop.quit)
		server_stop(s);
}

/* What stdin gave into the ring, and to the clients. */
static void give_input(struct server *s)
{
	struct buf *p = &s->pending;
	bool bad;
	size_t n = take_records(s, buf_at(p), p->len, 0, &bad);
	if (n > 0)
		buf_take(p, n);
	feed_all(s);
	if (s->loop.quit)
		return;
	if (bad) {
		server_end(s,
			call_fail(s->call, ST_DATA, 0,
				"stdin: a record is longer than %zu bytes (-S)", s->record_max));
		return;
	}
	if (!s->log.full && s->input_eof && p->len > 0) {
		server_end(s, call_fail(s->call, ST_DATA, 0, "stdin ended inside a block"));
		return;
	}
	if (!s->log.full && !s->input_eof)
		(void)loop_add(&s->loop, &s->input, EPOLLIN);
	check_end(s);
}

/* A last record without its terminator gets one. */
static int terminate(const struct server *s, struct buf *b)
{
	char end = s->frame.kind == FRAME_NULL ? '\0' : '\n';
	bool ended = s->frame.kind == FRAME_LINES || s->frame.kind == FRAME_NULL;
	if (!ended || b->len == 0 || buf_at(b)[b->len - 1] == end)
		return 0;
	return buf_add(b, &end, 1);
}

static void input_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	(void)events;
	ssize_t n = read(w->fd, s->scratch, s->scratch_size);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		server_end(s, call_fail(s->call, ST_IO, errno, "read stdin"));
		return;
	}
	if (n == 0) {
		s->input_eof = true;
		loop_remove(loop, w);
		if (terminate(s, &s->pending) < 0)
			server_end(s, call_error(s->call, ENOMEM, "read stdin"));
	} else if (buf_add(&s->pending, s->scratch, (size_t)n) < 0) {
		server_end(s, call_error(s->call, ENOMEM, "read stdin"));
		return;
	}
	give_input(s);
}

/* There is room again: those whose input waited go on. */
static void resume(struct server *s)
{
	s->log.full = false;
	loop_cancel(&s->loop, &s->log.stall);
	if (s->role == ROLE_BROADCAST) {
		give_input(s);
		return;
	}
	for (struct client *c = s->oldest, *next; c != NULL && !s->log.full && !s->loop.quit;
		c = next) {
		next = c->next;
		if (!c->paused)
			continue;
		c->paused = false;
		client_input(c);
	}
	feed_all(s);
}

/* Somebody has gone on, or gone: is there room enough to be worth it? */
static void progress(struct server *s)
{
	struct backlog *log = &s->log;
	if (!log->full || s->loop.quit)
		return;
	backlog_trim(s);
	if (log->end - log->start <= log->size / 2 && log->last - log->first <= log->nmarks / 2)
		resume(s);
}

static void left(struct loop *loop, struct loop_timer *t)
{
	(void)t;
	progress(loop->arg);
}

/* A client has gone, perhaps in the middle of a round over all of them: look at it afterwards. */
void hub_left(struct server *s)
{
	s->log.left.due = left;
	if (s->log.full && !s->loop.quit)
		(void)loop_at(&s->loop, &s->log.left, wait_now());
}

/* 1 all sent; 0 no room; -1 gone. */
static int send_rest(struct client *c)
{
	while (c->rest.len > 0) {
		ssize_t n = client_send(c, buf_at(&c->rest), c->rest.len);
		if (n <= 0)
			return (int)n;
		buf_take(&c->rest, (size_t)n);
	}
	return 1;
}

static bool finish_feed(struct client *c)
{
	struct server *s = c->srv;
	if (!c->ending || c->shut)
		return true;
	c->shut = true;
	if (s->farewell_len > 0 && client_send(c, s->farewell, s->farewell_len) < 0)
		return false;
	shutdown(c->watch.fd, SHUT_WR);
	if (!c->eof)
		return true;
	client_close(c, -1);
	return false;
}

static bool feed(struct client *c)
{
	struct server *s = c->srv;
	int r = send_rest(c);
	for (size_t len; r > 0;) {
		const char *piece = backlog_piece(c, &len);
		if (len == 0)
			break;
		if (s->type != SOCK_STREAM)
			piece = backlog_packet(c, piece, len);
		ssize_t n = client_send(c, piece, len);
		if (n > 0)
			backlog_advance(c, (size_t)n);
		/* After the end of stdin the grace is for those who do not go on. */
		if (n > 0 && s->stopping && s->input_eof)
			(void)loop_at(&s->loop, &s->grace_over, wait_now() + s->grace);
		r = n < 0 ? -1 : n > 0;
	}
	if (r < 0)
		return false;
	if (r > 0 && !finish_feed(c))
		return false;
	uint32_t in = c->paused || c->eof ? 0 : EPOLLIN;
	if (c->watch.fd >= 0)
		(void)loop_add(&s->loop, &c->watch, in | (r == 0 ? EPOLLOUT : 0));
	return true;
}

void hub_finish(struct client *c)
{
	(void)feed(c);
}

/* What C says: to the others (--hub), or to nobody. */
static void client_input(struct client *c)
{
	struct server *s = c->srv;
	bool bad;
	size_t n = take_records(s, buf_at(&c->buf), c->buf.len, c->id, &bad);
	if (n > 0)
		buf_take(&c->buf, n);
	if (bad) {
		call_warn(s->call, 0, "connection %llu: a record is longer than %zu bytes (-S)",
			(unsigned long long)c->id, s->record_max);
		client_close(c, -1);
		return;
	}
	c->paused = s->log.full && c->buf.len > 0;
	uint32_t out = c->watch.events & EPOLLOUT;
	(void)loop_add(&s->loop, &c->watch, (c->paused || c->eof ? 0 : EPOLLIN) | out);
}

void hub_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct client *c = of(w);
	struct server *s = c->srv;
	bool gone;
	if ((events & EPOLLOUT) != 0) {
		bool alive = feed(c);
		progress(s);
		if (!alive || loop->quit)
			return;
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	/* It hears all the rest after the end of what it says, but not when it is not there at all. */
	if (c->eof && (events & (EPOLLHUP | EPOLLERR)) != 0) {
		client_close(c, -1);
		return;
	}
	ssize_t n = client_read(c, &gone);
	if (gone || n == -1)
		return;
	if (n == READ_END) {
		c->eof = true;
		if (c->shut || (s->type == SOCK_STREAM && terminate(s, &c->buf) < 0)) {
			client_close(c, -1);
			return;
		}
	}
	if (s->role == ROLE_HUB && !s->stopping && n > 0 &&
		buf_add(&c->buf, s->scratch, (size_t)n) < 0) {
		client_abort(c);
		return;
	}
	client_input(c);
	if (!loop->quit)
		feed_all(s);
}

/* --broadcast: begin to read stdin. */
int hub_input(struct server *s)
{
	if (s->input.added || s->input_eof || s->log.full)
		return 0;
	return loop_add(&s->loop, &s->input, EPOLLIN) < 0
		? call_error(s->call, errno, "watch stdin")
		: 0;
}

int hub_start(struct server *s)
{
	struct backlog *log = &s->log;
	int status = backlog_start(s);
	log->stall.due = stalled;
	if (status != 0 || s->role == ROLE_HUB)
		return status;
	s->input = (struct loop_watch){.fd = s->call->in, .ready = input_ready};
	return s->min == 0 ? hub_input(s) : 0;
}
