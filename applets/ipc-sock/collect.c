/* collect.c: --collect, and ipc-sock recv: whole records of all clients, one after the other, to stdout.
 * A record that is not whole is kept with its client, up to -S bytes. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* For recv, which ends after so many. */
static void counted(struct server *s)
{
	if (++s->records == s->records_max)
		server_end(s, ST_OK);
}

#define JSON_CHUNK 1000 /* becomes six times as much at worst */

/* The bytes of REC as the inside of a JSON string, cut between characters only. */
static int json_text(struct buf *to, const char *rec, size_t len)
{
	struct out out;
	struct json j;
	int r = 0;
	for (size_t n; len > 0 && r == 0; rec += n, len -= n) {
		n = len < JSON_CHUNK ? len : JSON_CHUNK;
		for (int back = 0; n < len && n > 1 && back < 3 && (rec[n] & 0xc0) == 0x80; back++)
			n--;
		out.fd = -1;
		out.err = 0;
		out.len = 0;
		json_start(&j, &out);
		json_bytes(&j, NULL, rec, n);
		r = buf_add(to, out.buf + 1, out.len - 2);
	}
	return r;
}

static void as_json(
	struct server *s, struct client *c, const char *from, const char *rec, size_t len)
{
	struct out out;
	struct json j;
	struct buf line = {0};
	out.fd = -1;
	out.err = 0;
	out.len = 0;
	json_start(&j, &out);
	json_open(&j, NULL, '{');
	json_str(&j, "event", "record");
	if (c != NULL) {
		json_uint(&j, "conn", c->id);
		if (c->peer.known) {
			json_uint(&j, "uid", c->peer.uid);
			json_int(&j, "pid", c->peer.pid);
		}
	} else {
		json_str(&j, "from", *from != '\0' ? from : NULL);
	}
	json_uint(&j, "size", len);
	json_str(&j, "data", "");
	/* Behind the first quote of the empty string the data is put in. */
	if (buf_add(&line, out.buf, out.len - 1) < 0 || json_text(&line, rec, len) < 0 ||
		buf_add(&line, "\"}\n", 3) < 0)
		server_end(s, call_error(s->call, ENOMEM, "print a record"));
	else
		outq_put(s, buf_at(&line), line.len);
	buf_free(&line);
}

/* A record and its terminator in one write(2): there is a byte behind it in the scratch buffer. */
static void put_line(struct server *s, const char *rec, size_t len, char end)
{
	if (rec < s->scratch || rec + len >= s->scratch + s->scratch_size) {
		outq_put(s, rec, len);
		outq_put(s, &end, 1);
		return;
	}
	char *behind = s->scratch + (rec - s->scratch) + len, old = *behind;
	*behind = end;
	outq_put(s, rec, len + 1);
	*behind = old;
}

void collect_record(
	struct server *s, struct client *c, const char *from, const char *rec, size_t len)
{
	char end = s->frame.kind == FRAME_NULL ? '\0' : '\n';
	if (s->json) {
		as_json(s, c, from, rec, len);
	} else if (s->frame.kind == FRAME_SIZE && len != s->frame.size) {
		server_end(s,
			call_fail(s->call, ST_DATA, 0, "a record of %zu bytes, not %zu", len,
				s->frame.size));
		return;
	} else if (s->frame.kind == FRAME_LINES || s->frame.kind == FRAME_NULL) {
		put_line(s, rec, len, end);
	} else {
		outq_put(s, rec, len);
	}
	counted(s);
}

static void pause_if_full(struct client *c)
{
	struct server *s = c->srv;
	if (s->outq.buf.len <= OUTQ_MOST || s->loop.quit)
		return;
	c->paused = true;
	/* Wholly, since a hang-up cannot be masked and would be told again and again. */
	loop_remove(&s->loop, &c->watch);
}

void collect_resume(struct server *s)
{
	for (struct client *c = s->oldest; c != NULL; c = c->next)
		if (c->paused) {
			c->paused = false;
			(void)loop_add(&s->loop, &c->watch, EPOLLIN);
		}
	if (s->type == SOCK_DGRAM)
		server_accepting(s, true);
}

/* Whole records at once when nothing needs to be done with each of them. */
static bool in_bulk(const struct server *s)
{
	return !s->json && s->type == SOCK_STREAM && s->records_max == 0 &&
		s->frame.kind != FRAME_SIZE;
}

/* The length of all whole records at the front of DATA. */
static size_t whole(const struct server *s, const char *data, size_t len)
{
	if (s->frame.kind == FRAME_RAW)
		return len;
	const char *p = memrchr(data, s->frame.kind == FRAME_NULL ? '\0' : '\n', len);
	return p != NULL ? (size_t)(p - data) + 1 : 0;
}

static size_t put_whole(struct client *c, const char *data, size_t len)
{
	struct server *s = c->srv;
	size_t done = 0, terminator;
	if (in_bulk(s)) {
		done = whole(s, data, len);
		if (done > 0)
			outq_put(s, data, done);
		return done;
	}
	for (size_t n; !s->loop.quit &&
		(n = sock_record_end(s, s->frame, data + done, len - done, &terminator)) > 0;
		done += n)
		collect_record(s, c, NULL, data + done, n - terminator);
	return done;
}

/* LEN bytes have come. False: C is gone, or the server. */
static bool take(struct client *c, const char *data, size_t len)
{
	struct server *s = c->srv;
	size_t terminator, n;
	if (c->buf.len > 0) {
		/* The rest of the record that was begun. */
		n = sock_record_end(s, s->frame, data, len, &terminator);
		if (s->frame.kind == FRAME_SIZE)
			n = c->buf.len + len >= s->frame.size ? s->frame.size - c->buf.len : 0;
		size_t more = n > 0 ? n : len;
		if (c->buf.len + more - (n > 0 ? terminator : 0) > s->record_max)
			goto too_long;
		if (buf_add(&c->buf, data, more) < 0)
			goto gone;
		if (n == 0)
			return true;
		(void)put_whole(c, buf_at(&c->buf), c->buf.len);
		buf_free(&c->buf);
		data += n;
		len -= n;
	}
	if (len > 0 && !s->loop.quit) {
		n = put_whole(c, data, len);
		data += n;
		len -= n;
	}
	if (s->loop.quit || len == 0)
		return !s->loop.quit;
	if (len > s->record_max)
		goto too_long;
	if (buf_add(&c->buf, data, len) == 0)
		return true;
gone:
	client_close(c, -1);
	return false;
too_long:
	call_warn(s->call, 0,
		"connection %llu: a record is longer than %zu bytes (-S); it is closed",
		(unsigned long long)c->id, s->record_max);
	buf_free(&c->buf);
	client_close(c, -1);
	return false;
}

/* The end of C's stream: a last record without its terminator is one all the same. */
static void last(struct client *c)
{
	struct server *s = c->srv;
	if (c->buf.len > 0 && s->frame.kind == FRAME_SIZE)
		call_warn(s->call, 0, "connection %llu ended inside a block",
			(unsigned long long)c->id);
	else if (c->buf.len > 0)
		collect_record(s, c, NULL, buf_at(&c->buf), c->buf.len);
	buf_free(&c->buf);
	client_close(c, -1);
}

void collect_lost(struct client *c)
{
	struct server *s = c->srv;
	/* recv -c has got all that it wants. */
	if (c->buf.len == 0 || (s->records_max > 0 && s->records >= s->records_max))
		return;
	c->dropped++;
	call_warn(s->call, 0, "connection %llu ended inside a record; %zu bytes are lost",
		(unsigned long long)c->id, c->buf.len);
}

void collect_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct client *c = (struct client *)(void *)((char *)w - offsetof(struct client, watch));
	struct server *s = c->srv;
	bool gone = false;
	ssize_t n = -1;
	(void)loop;
	(void)events;
	if (s->outq.pipe[0] >= 0) {
		n = outq_splice(s, w->fd);
		c->in += n > 0 ? (uint64_t)n : 0;
		if (n > 0)
			client_active(c);
		if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
			return;
	}
	if (n != READ_END)
		n = client_read(c, &gone);
	if (gone || n == -1)
		return;
	if (n == READ_END) {
		last(c);
		return;
	}
	if (s->type != SOCK_STREAM)
		collect_record(s, c, NULL, s->scratch, (size_t)n);
	else if (!take(c, s->scratch, (size_t)n))
		return;
	pause_if_full(c);
}
