/* session.c: relay from a datagram socket: each sender has a connection of its own to TO, found again by
 * its address, until nothing has moved for --idle. What cannot be passed on at once is dropped, as datagrams
 * may be. */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

ssize_t session_answer(const struct link *l, const void *data, size_t len)
{
	ssize_t n = -1;
	/* Who has no name cannot be answered. */
	if (l->peer->len > sizeof l->peer->sa.sa_family)
		n = sendto(l->answer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, &l->peer->sa,
			l->peer->len);
	else
		return (ssize_t)len;
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE) ? (ssize_t)len
										   : n;
}

static struct client *find(struct server *s, const struct addr_sa *sa)
{
	/* Those that were active last come first. */
	for (struct client *c = s->newest; c != NULL; c = c->prev) {
		const struct addr_sa *peer = c->link != NULL ? c->link->peer : NULL;
		if (peer != NULL && peer->len == sa->len &&
			memcmp(&peer->ss, &sa->ss, sa->len) == 0)
			return c;
	}
	return NULL;
}

/* A session for SA; NULL: there is none, and why was said. */
static struct client *open_session(struct server *s, const struct addr_sa *sa)
{
	struct addr_sa *peer = s->n < s->max ? malloc(sizeof *peer) : NULL;
	if (peer == NULL) {
		s->stats.refused++;
		return NULL;
	}
	*peer = *sa;
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
		struct addr_sa sa = {.len = sizeof sa.ss};
		ssize_t n = recvfrom(w->fd, s->scratch, s->scratch_size, MSG_TRUNC | MSG_DONTWAIT,
			&sa.sa, &sa.len);
		if (n < 0)
			return;
		struct client *c = find(s, &sa);
		if (c == NULL)
			c = open_session(s, &sa);
		if (c == NULL)
			continue;
		struct link *l = c->link;
		client_active(c);
		if (l->up.rec.len > 0 || (size_t)n > s->record_max || n == 0 ||
			buf_add(&l->up.rec, s->scratch, (size_t)n) < 0)
			c->dropped++;
		else if (l->connected)
			relay_turn(c);
	}
}
