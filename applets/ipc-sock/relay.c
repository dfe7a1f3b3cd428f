/* relay.c: each client of FROM gets a connection of its own to TO; both ways, each way to its end.
 *
 * Bytes move by splice(2) through a pipe, which a direction has only while something is in it; pipes that are
 * empty wait in a pool for the next. Where packets or datagrams are on either side, each is read whole and
 * written whole: towards a stream its bytes, from a stream what one read gave.
 */
#define _GNU_SOURCE
#include "relay.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int run_sock_relay(struct call *call);

#define CLIENTS 1024
#define SESSION_IDLE (60 * NS_PER_S)

void relay_end(struct client *c)
{
	struct server *s = c->srv;
	struct link *l = c->link;
	loop_cancel(&s->loop, &l->again);
	for (struct side *side = &l->a;; side = &l->b) {
		loop_remove(&s->loop, &side->watch);
		/* An end before its time is not to be taken for the end of an answer. */
		if (l->whole)
			fd_close(side->watch.fd);
		else
			sock_abort(side->watch.fd);
		if (side == &l->b)
			break;
	}
	way_put_pipe(s->relay, &l->up);
	way_put_pipe(s->relay, &l->down);
	buf_free(&l->up.rec);
	buf_free(&l->down.rec);
	free(l->peer);
	free(l);
	c->link = NULL;
	if (s->relay->fresh == c)
		s->relay->fresh = NULL;
}

#define LACK_PAUSE (100 * NS_PER_MS)
#define DOOMED NS_PER_S

/* There is no memory to move more: after a pause, and with no event before. */
static bool watch_later(struct server *s, struct link *l)
{
	loop_remove(&s->loop, &l->a.watch);
	loop_remove(&s->loop, &l->b.watch);
	return loop_at(&s->loop, &l->again, wait_now() + LACK_PAUSE) == 0;
}

/* What each side is waited for. False: both ways have ended. */
static bool watch_both(struct server *s, struct link *l)
{
	/* Done both ways; or one has gone for good, and the other knows. */
	bool ended = (l->a.shut && (l->b.shut || l->b.hung)) || (l->b.shut && l->a.hung) ||
		(l->peer != NULL && l->b.eof && !l->down.waits);
	l->whole = l->whole || ended;
	if (ended)
		return false;
	if (l->up.lacks || l->down.lacks)
		return watch_later(s, l);
	uint32_t a = (l->up.waits || l->a.eof ? 0 : EPOLLIN) | (l->down.waits ? EPOLLOUT : 0);
	uint32_t b = (l->down.waits || l->b.eof ? 0 : EPOLLIN) | (l->up.waits ? EPOLLOUT : 0);
	/* One that has hung up would tell so again and again while the other is waited for. */
	if (l->a.watch.fd < 0 || (a == 0 && l->a.hung))
		loop_remove(&s->loop, &l->a.watch);
	else if (loop_add(&s->loop, &l->a.watch, a) < 0)
		return false;
	if (b == 0 && l->b.hung)
		loop_remove(&s->loop, &l->b.watch);
	else if (loop_add(&s->loop, &l->b.watch, b) < 0)
		return false;
	return true;
}

void relay_turn(struct client *c)
{
	struct server *s = c->srv;
	struct link *l = c->link;
	if (!way_go(s, &l->up) || !way_go(s, &l->down) || !watch_both(s, l))
		client_close(c, -1);
}

static void side_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct side *side = (struct side *)(void *)w;
	struct link *l = side->client->link;
	(void)loop;
	if (l->doomed) {
		client_close(side->client, -1);
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		side->hung = true;
	if (!l->connected)
		return;
	relay_turn(side->client);
}

/* Only what was not read resets a unix socket: when nothing has come yet, the first bytes are waited for a
 * little while. */
static bool doom(struct server *s, struct link *l)
{
	struct peer peer;
	if (l->peer != NULL || s->stopping || peer_of(l->a.watch.fd, &peer) < 0 ||
		wait_fd(l->a.watch.fd, POLLIN, DEADLINE_NOW, NULL) > 0)
		return false;
	loop_remove(&s->loop, &l->b.watch);
	fd_close(l->b.watch.fd);
	l->b.watch.fd = -1;
	l->doomed = true;
	return loop_at(&s->loop, &l->again, wait_now() + DOOMED) == 0 &&
		loop_add(&s->loop, &l->a.watch, EPOLLIN) == 0;
}

static void refuse(struct client *c, int err)
{
	struct server *s = c->srv;
	struct link *l = c->link;
	s->stats.failed++;
	if (l->up.rec.len > 0)
		c->dropped++;
	/* Each sender of datagrams comes again and again. */
	if (l->peer == NULL || s->relay->said != err)
		call_warn(s->call, err, "connection %llu: connect %s", (unsigned long long)c->id,
			s->relay->to.text);
	s->relay->said = err;
	if (!doom(s, l))
		client_close(c, -1);
}

static void attempt(struct client *c);

static void again(struct loop *loop, struct loop_timer *t)
{
	struct link *l = (struct link *)(void *)((char *)t - offsetof(struct link, again));
	struct client *c = l->a.client;
	(void)loop;
	if (l->doomed)
		client_close(c, -1);
	else if (l->connected)
		relay_turn(c);
	else if (l->b.watch.fd >= 0)
		refuse(c, ETIMEDOUT);
	else
		attempt(c);
}

static void joined(struct client *c)
{
	struct link *l = c->link;
	struct server *s = c->srv;
	client_fed(c);
	l->connected = true;
	loop_cancel(&s->loop, &l->again);
	l->b.watch.ready = side_ready;
	relay_turn(c);
}

/* Not now: later, while --retry lasts. A full backlog and a lack of ours are always worth another try until -w
 * is over. */
static void failed_attempt(struct client *c, int err)
{
	struct link *l = c->link;
	struct server *s = c->srv;
	/* Ours to wait for, as long as others may give something back. */
	if (sock_lacks(err) && s->n > 1) {
		client_starved(c, err);
		l->deadline = wait_until(s->relay->timeout);
		if (loop_at(&s->loop, &l->again, wait_now() + LACK_PAUSE) < 0)
			refuse(c, err);
		return;
	}
	int64_t now = wait_now(),
		until = (err == EAGAIN || sock_lacks(err)) && l->until < l->deadline ? l->deadline
										     : l->until;
	if (now >= until || loop_at(&s->loop, &l->again, now + 20 * NS_PER_MS) < 0)
		refuse(c, err);
}

/* Names may have several addresses: the next one at once; after the last it is a failure. */
static void next_address(struct client *c, int err)
{
	struct link *l = c->link;
	bool more = !sock_lacks(err) && l->at + 1 < c->srv->relay->to.n;
	l->at = more ? l->at + 1 : sock_lacks(err) ? l->at : 0;
	if (more)
		attempt(c);
	else
		failed_attempt(c, err);
}

static void connect_done(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct side *side = (struct side *)(void *)w;
	(void)events;
	if (sock_connect_result(w->fd) == 0) {
		joined(side->client);
		return;
	}
	int err = errno;
	loop_remove(loop, w);
	fd_close(w->fd);
	w->fd = -1;
	next_address(side->client, err);
}

static void attempt(struct client *c)
{
	struct server *s = c->srv;
	struct relay *r = s->relay;
	struct link *l = c->link;
	bool pending = false;
	int fd = sock_connect_start(&r->to, l->at, r->type, &pending);
	if (fd < 0) {
		next_address(c, errno);
		return;
	}
	l->b.watch.fd = fd;
	if (!pending) {
		joined(c);
		return;
	}
	l->b.watch.ready = connect_done;
	if (loop_add(&s->loop, &l->b.watch, EPOLLOUT) < 0 ||
		loop_at(&s->loop, &l->again, l->deadline) < 0)
		refuse(c, errno);
}

unsigned relay_cost(const struct server *s)
{
	unsigned sockets = s->type == SOCK_DGRAM ? 1 : 2, pipes = s->relay->splices ? 4 : 0;
	return sockets + pipes;
}

int relay_begin(struct client *c, int fd)
{
	struct server *s = c->srv;
	struct link *l = calloc(1, sizeof *l);
	if (l == NULL)
		return -1;
	c->link = l;
	l->peer = s->relay->peer;
	s->relay->peer = NULL;
	l->answer = s->bound->fd;
	s->relay->fresh = c;
	l->a = (struct side){
		.client = c, .type = s->type, .watch = {.fd = fd, .ready = side_ready}};
	l->b = (struct side){.client = c, .type = s->relay->type, .watch = {.fd = -1}};
	l->whole = l->peer != NULL; /* a session has no end that says anything */
	l->up = (struct way){.from = &l->a, .to = &l->b, .pipe = {-1, -1}};
	l->down = (struct way){.from = &l->b, .to = &l->a, .pipe = {-1, -1}};
	l->again.due = again;
	l->until = wait_until(s->relay->retry);
	l->deadline = wait_until(s->relay->timeout);
	c->watch.fd = -1;
	if (s->idle > 0 && s->idle_check.slot == 0)
		(void)loop_at(&s->loop, &s->idle_check, c->active + s->idle);
	attempt(c);
	return 0;
}

/* The relay stops: TO hears the end of what the client says, may answer it, and ends the rest. */
void relay_finish(struct client *c)
{
	struct link *l = c->link;
	if (l->doomed || !l->connected || l->peer != NULL) {
		client_close(c, -1);
		return;
	}
	(void)shutdown(l->a.watch.fd, SHUT_RD);
	relay_turn(c);
}

static void undo_pipes(void *relay, intptr_t n)
{
	struct relay *r = relay;
	(void)n;
	while (r->npipes > 0) {
		r->npipes--;
		fd_close(r->pipes[r->npipes][0]);
		fd_close(r->pipes[r->npipes][1]);
	}
}

int run_sock_relay(struct call *call)
{
	struct relay *r = call_alloc(call, sizeof *r);
	struct server *s = call_alloc(call, sizeof *s);
	if (r == NULL || s == NULL || call_undo(call, undo_pipes, r, 0) < 0)
		return call_error(call, ENOMEM, "relay");
	const char *to = call->args[1].str, *why = addr_parse(&r->to, to);
	if (why == NULL && r->to.fd >= 0)
		why = "a descriptor is no address to connect to";
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", to, why);
	why = addr_resolve(&r->to, false);
	if (why != NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: %s", to, why);
	int status = server_init(s, call, ROLE_RELAY, sock_opt_type(call, SOCK_STREAM));
	if (status >= 0)
		return status;
	/* Nothing but silence ends the session of one who sends datagrams. */
	if (s->type == SOCK_DGRAM && s->idle == 0)
		s->idle = SESSION_IDLE;
	s->relay = r;
	if (s->max == UINT64_MAX)
		s->max = CLIENTS;
	r->type = call->opt[S_TO_TYPE].count > 0 ? sock_types[call->opt[S_TO_TYPE].num]
		: call->opt[S_TYPE].count > 0 && r->to.family == AF_UNIX ? s->type
									 : r->to.type;
	r->splices = s->type == SOCK_STREAM && r->type == SOCK_STREAM;
	r->retry = call->opt[S_RETRY].num;
	r->timeout = call->std[STD_TIMEOUT].count > 0 ? call->std[STD_TIMEOUT].num : 10 * NS_PER_S;
	return server_run(s);
}
