/* accept.c: who comes in. A client that cannot be served for lack of descriptors or memory waits, and nobody
 * else is accepted until it is; the rest wait in the kernel's queue. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ACCEPT_BATCH 64                /* then the others have their turn */
#define ACCEPT_PAUSE (100 * NS_PER_MS) /* when descriptors have run out and nobody gives one back */

/* The number of connections of UID, changed by BY. */
static unsigned count_uid(struct server *s, uid_t uid, int by)
{
	size_t i = 0;
	while (i < s->nuids && s->uids[i].uid != uid)
		i++;
	if (i < s->nuids) {
		s->uids[i].n += (unsigned)by;
		unsigned n = s->uids[i].n;
		if (n == 0)
			s->uids[i] = s->uids[--s->nuids];
		return n;
	}
	void *more = realloc(s->uids, (s->nuids + 1) * sizeof *s->uids);
	if (more == NULL)
		return 0;
	s->uids = more;
	s->uids[s->nuids].uid = uid;
	s->uids[s->nuids++].n = (unsigned)by;
	return (unsigned)by;
}

unsigned client_of_uid(struct client *c)
{
	return c->counted ? count_uid(c->srv, c->peer.uid, 0) : 1;
}

void client_uncount(struct client *c)
{
	if (c->counted)
		(void)count_uid(c->srv, c->peer.uid, -1);
	c->counted = false;
}

void server_accepting(struct server *s, bool on)
{
	bool room = s->n < s->max && (s->count == 0 || s->served < s->count) && s->starved == 0;
	on = on && !s->stopping && (room || s->type == SOCK_DGRAM);
	if (on == s->accepting && s->listener.added)
		return;
	s->accepting = on;
	(void)loop_add(&s->loop, &s->listener, on ? EPOLLIN : 0);
}

static void accept_again(struct loop *loop, struct loop_timer *t)
{
	(void)t;
	server_accepting(loop->arg, true);
}

static void say_lack(struct server *s, int err)
{
	s->stats.failed++;
	if (!s->warned)
		call_warn(
			s->call, err, "accept on %s (it goes on when there is room)", s->addr.text);
	s->warned = true;
}

/* No descriptor or memory for another client: those that wait stay in the kernel's queue until one of ours
 * goes, or a little while when there is none; never spin. */
static void accept_failed(struct server *s, int err)
{
	if (err == EAGAIN || err == EINTR || err == ECONNABORTED || err == EPROTO || err == EPERM)
		return;
	say_lack(s, err);
	server_accepting(s, false);
	s->accept_again.due = accept_again;
	(void)loop_at(&s->loop, &s->accept_again, wait_now() + ACCEPT_PAUSE);
}

/* Is the peer of FD let in? Counts it for its user. */
static bool welcome(struct client *c, int fd)
{
	struct server *s = c->srv;
	if (!s->wants_peer)
		return true;
	if (peer_of(fd, &c->peer) < 0)
		return !s->checks && s->max_per_uid == 0;
	if (s->checks && !allow_peer(&s->allow, &c->peer, fd))
		return false;
	c->counted = true;
	unsigned n = count_uid(s, c->peer.uid, 1);
	return s->max_per_uid == 0 || (n > 0 && n <= s->max_per_uid);
}

static void set_idle(struct server *s, int fd)
{
	struct timeval tv = {.tv_sec = (time_t)(s->idle / NS_PER_S),
		.tv_usec = (suseconds_t)(s->idle % NS_PER_S / 1000)};
	if (tv.tv_sec == 0 && tv.tv_usec == 0)
		tv.tv_usec = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static int begin(struct client *c, int fd)
{
	struct server *s = c->srv;
	switch (s->role) {
	case ROLE_CMD:
		if (s->idle > 0)
			set_idle(s, fd);
		return server_cmd_start(c, fd);
	case ROLE_ECHO: c->watch.ready = echo_ready; break;
	case ROLE_COLLECT: c->watch.ready = collect_ready; break;
	case ROLE_RELAY: return relay_begin(c, fd);
	case ROLE_BROADCAST:
	case ROLE_HUB:
		c->watch.ready = hub_ready;
		hub_join(c);
		if (s->role == ROLE_BROADCAST && s->n >= s->min && hub_input(s) != 0)
			return -1;
		break;
	}
	c->watch.fd = fd;
	if (loop_add(&s->loop, &c->watch, EPOLLIN) < 0) {
		c->watch.fd = -1;
		return -1;
	}
	client_fed(c);
	if (s->idle > 0 && s->idle_check.slot == 0)
		(void)loop_at(&s->loop, &s->idle_check, c->active + s->idle);
	return 0;
}

static void serve_it(struct client *c, int fd);

static void feed_again(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	(void)t;
	for (struct client *c = s->oldest, *next; c != NULL && !loop->quit; c = next) {
		next = c->next;
		if (!c->starved || c->link != NULL)
			continue;
		int fd = c->watch.fd;
		c->watch.fd = -1;
		serve_it(c, fd);
	}
}

void client_starved(struct client *c, int err)
{
	struct server *s = c->srv;
	if (!c->starved) {
		say_lack(s, err);
		c->starved = true;
		s->starved++;
	}
	server_accepting(s, false);
}

void client_fed(struct client *c)
{
	struct server *s = c->srv;
	if (!c->starved)
		return;
	c->starved = false;
	s->starved--;
	if (s->starved == 0 && !s->loop.quit)
		server_accepting(s, s->bound->fd >= 0);
}

/* FD belongs to C, which begins, or waits until it can. */
static void serve_it(struct client *c, int fd)
{
	struct server *s = c->srv;
	if (begin(c, fd) == 0)
		return;
	c->watch.fd = fd;
	/* Somebody else may give back what is missing. */
	if (sock_lacks(errno) && s->n > 1) {
		client_starved(c, errno);
		s->feed_again.due = feed_again;
		if (loop_at(&s->loop, &s->feed_again, wait_now() + ACCEPT_PAUSE) == 0)
			return;
	}
	s->stats.failed++;
	client_abort(c);
}

/* A new connection. It is served, or closed. */
void server_greet(struct server *s, int fd)
{
	struct client *c = calloc(1, sizeof *c);
	if (c == NULL) {
		sock_abort(fd);
		s->stats.failed++;
		return;
	}
	c->srv = s;
	c->id = s->next_id++;
	c->watch.fd = c->child.watch.fd = -1;
	if (s->idle > 0 || s->json)
		c->since = c->active = wait_now();
	client_link(c);
	if (!welcome(c, fd)) {
		s->stats.refused++;
		server_report_open(c, fd, "refused");
		call_note(s->call, 1, "refused uid %ld", c->peer.known ? (long)c->peer.uid : -1L);
		fd_close(fd);
		client_close(c, -2);
		return;
	}
	s->served++;
	s->stats.accepted++;
	s->stats.peak = s->n > s->stats.peak ? s->n : s->stats.peak;
	server_report_open(c, fd, "open");
	serve_it(c, fd);
}

void server_accept(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	int flags = s->role == ROLE_CMD ? 0 : SOCK_NONBLOCK;
	(void)w;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && s->accepting && !loop->quit; i++) {
		int fd = sock_accept(s->bound, flags);
		if (fd < 0) {
			accept_failed(s, errno);
			return;
		}
		server_greet(s, fd);
		if (s->n >= s->max || (s->count > 0 && s->served >= s->count))
			server_accepting(s, false);
	}
	if (s->count > 0 && s->served >= s->count && s->n > 0 && s->bound->fd >= 0 &&
		!s->stopping) {
		/* The last that was asked for: nobody need queue for a place that never comes. */
		loop_remove(loop, &s->listener);
		sock_release(s->bound);
	}
}
