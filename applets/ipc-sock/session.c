/* session.c: relay from a datagram socket: each sender has a connection of its own to TO, found again by
 * its address, until nothing has moved for --idle, or until it was idle longest when another sender needs
 * its place. What cannot be passed on at once is dropped, counted, and said once. */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

ssize_t session_answer(const struct link *l, const void *data, size_t len)
{
	/* A sender without a name cannot be answered. */
	if (l->peer->sa.len <= sizeof l->peer->sa.sa.sa_family)
		return (ssize_t)len;
	return sock_dgram_answer(l->answer, data, len, l->peer);
}

/* Answered from the address that was asked last. */
static struct client *find(struct server *s, const struct sock_from *from)
{
	/* Those that were active last come first. */
	for (struct client *c = s->newest; c != NULL; c = c->prev) {
		struct sock_from *peer = c->link != NULL ? c->link->peer : NULL;
		if (peer != NULL && peer->sa.len == from->sa.len &&
			memcmp(&peer->sa.ss, &from->sa.ss, from->sa.len) == 0) {
			*peer = *from;
			return c;
		}
	}
	return NULL;
}

/* A session for FROM; NULL: there is none, and why was said. */
static struct client *open_session(struct server *s, const struct sock_from *from)
{
	struct sock_from *peer = malloc(sizeof *peer);
	if (peer == NULL) {
		s->stats.refused++;
		return NULL;
	}
	/* The one that was idle longest makes room. */
	if (s->n >= s->max) {
		s->stats.idled++;
		call_note(s->call, 1, "connection %llu makes room for another sender",
			(unsigned long long)s->oldest->id);
		client_close(s->oldest, -1);
	}
	*peer = *from;
	s->relay->peer = peer;
	s->relay->fresh = NULL;
	server_greet(s, -1);
	/* Taken over, or it could not begin. */
	free(s->relay->peer);
	s->relay->peer = NULL;
	return s->relay->fresh;
}

void session_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	(void)events;
	for (int i = 0; i < 64 && !loop->quit; i++) {
		struct sock_from from;
		ssize_t n = sock_dgram_recv(w->fd, s->scratch, s->scratch_size, &from);
		if (n < 0)
			return;
		struct client *c = find(s, &from);
		if (c == NULL)
			c = open_session(s, &from);
		if (c == NULL) {
			s->stats.dropped++;
			continue;
		}
		struct link *l = c->link;
		client_active(c);
		c->in += (uint64_t)n;
		if (n == 0) /* not passed on: a stream has none */
			continue;
		if (l->up.rec.len > 0 || (size_t)n > s->record_max ||
			buf_add(&l->up.rec, s->scratch, (size_t)n) < 0)
			way_lost(c, l->up.rec.len > 0 ? EAGAIN : EMSGSIZE, (size_t)n);
		else if (l->connected)
			relay_turn(c);
	}
}
