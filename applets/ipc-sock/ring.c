/* ring.c: see ring.h. */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RING_LEAST (1024 * 1024)
#define MARKS 16384

static struct mark *mark_at(const struct backlog *log, uint64_t rec)
{
	return &log->marks[rec & (log->nmarks - 1)];
}

void hub_join(struct client *c)
{
	c->pos = c->srv->log.end;
	c->rec = c->srv->log.last;
	c->partly = false;
}

void hub_free(struct server *s)
{
	free(s->log.data);
	free(s->log.marks);
	s->log.data = NULL;
	s->log.marks = NULL;
}

void backlog_trim(struct server *s)
{
	struct backlog *log = &s->log;
	log->start = log->end;
	log->first = log->last;
	for (struct client *c = s->oldest; c != NULL; c = c->next) {
		if (c->watch.fd < 0)
			continue;
		log->start = c->pos < log->start ? c->pos : log->start;
		log->first = c->rec < log->first ? c->rec : log->first;
	}
}

bool backlog_room(const struct backlog *log, size_t len)
{
	return log->end - log->start + len <= log->size && log->last - log->first < log->nmarks;
}

void backlog_append(struct backlog *log, const char *data, size_t len, uint64_t from)
{
	size_t at = (size_t)(log->end & (log->size - 1));
	size_t first = len < log->size - at ? len : log->size - at;
	memcpy(log->data + at, data, first);
	memcpy(log->data, data + first, len - first);
	log->end += len;
	*mark_at(log, log->last++) = (struct mark){.end = log->end, .from = from};
}

int backlog_skip(struct client *c)
{
	struct backlog *log = &c->srv->log;
	if (c->rec == log->last)
		return 0;
	uint64_t end = mark_at(log, c->rec)->end;
	c->dropped += log->last - c->rec - c->partly;
	while (c->partly && c->pos < end) {
		size_t at = (size_t)(c->pos & (log->size - 1));
		size_t n = (size_t)(end - c->pos);
		n = n < log->size - at ? n : log->size - at;
		if (buf_add(&c->rest, log->data + at, n) < 0)
			return -1;
		c->pos += n;
	}
	hub_join(c);
	return 0;
}

/* The next bytes that are C's in one piece: *LEN of them; 0 when there are none. */
const char *backlog_piece(struct client *c, size_t *len)
{
	struct backlog *log = &c->srv->log;
	bool records = c->srv->type != SOCK_STREAM;
	while (c->rec < log->last && mark_at(log, c->rec)->from == c->id &&
		c->srv->role == ROLE_HUB)
		c->pos = mark_at(log, c->rec++)->end;
	uint64_t end = c->pos;
	for (uint64_t r = c->rec; r < log->last; r++) {
		if (mark_at(log, r)->from == c->id && c->srv->role == ROLE_HUB)
			break;
		end = mark_at(log, r)->end;
		if (records)
			break;
	}
	size_t at = (size_t)(c->pos & (log->size - 1));
	*len = (size_t)(end - c->pos);
	/* A packet must be in one piece: hub_start made sure that it does not wrap. */
	if (!records && *len > log->size - at)
		*len = log->size - at;
	return log->data + at;
}

void backlog_advance(struct client *c, size_t n)
{
	struct backlog *log = &c->srv->log;
	c->pos += n;
	c->partly = true;
	while (c->rec < log->last && mark_at(log, c->rec)->end <= c->pos)
		c->partly = mark_at(log, c->rec++)->end != c->pos;
}

/* A packet that wraps round the end of the ring is put together first. */
const char *backlog_packet(struct client *c, const char *piece, size_t len)
{
	struct server *s = c->srv;
	size_t first = (size_t)(s->log.data + s->log.size - piece);
	if (len <= first)
		return piece;
	memcpy(s->scratch, piece, first);
	memcpy(s->scratch + first, s->log.data, len - first);
	return s->scratch;
}

int backlog_start(struct server *s)
{
	struct backlog *log = &s->log;
	log->size = RING_LEAST;
	while (log->size < 2 * (s->record_max + 1))
		log->size *= 2;
	log->nmarks = MARKS;
	log->data = malloc(log->size);
	log->marks = malloc(log->nmarks * sizeof *log->marks);
	if (log->data == NULL || log->marks == NULL)
		return call_error(s->call, ENOMEM, "serve");
	return 0;
}
