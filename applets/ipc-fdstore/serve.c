/* serve.c: the life of the server: who comes in, who is let go, how it ends. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_FDS 24 /* stdio, epoll, our own sockets */
#define CLIENTS_MOST 1024
#define ACCEPT_PAUSE (100 * NS_PER_MS)
#define NAMES_TOLD 8

static void undo_store(void *arg, intptr_t n)
{
	struct store *s = arg;
	(void)n;
	s->loop.quit = true;
	s->taker = NULL;
	for (struct client *c = s->oldest, *next; c != NULL; c = next) {
		next = c->next;
		fds_client_close(c);
	}
	while (s->n > 0)
		fds_entry_drop(s->entries[s->n - 1]);
	free(s->entries);
	loop_end(&s->loop);
	(void)fd_limit_restore(&s->nofile);
}

/* Each thing that is kept takes a descriptor, and so does each client; one message can bring CMSG_MAX_FDS
 * more, of which all but one are closed at once. */
static void raise_limit(struct store *s)
{
	rlim_t limit = fd_limit_raise(&s->nofile);
	size_t all = limit > 1 << 24 ? 1 << 24 : (size_t)limit;
	s->max_clients = all / 8 > CLIENTS_MOST ? CLIENTS_MOST : all / 8 + 1;
	quota_limit(&s->quota, QUOTA_CLIENTS, s->max_clients);
	size_t spare = SPARE_FDS + s->max_clients + CMSG_MAX_FDS;
	size_t most = all > 2 * spare ? all - spare : all / 2;
	const struct val *max = &s->call->opt[SERVE_MAX];
	s->max = max->count > 0 ? num_to_size(max->num) : most;
	if (s->max <= most)
		return;
	call_warn(s->call, 0, "--max %zu: only %zu, by the limit of open files (ulimit -Hn %zu)",
		s->max, most, all);
	s->max = most;
}

/* ---- clients */

static void accepting(struct store *s)
{
	bool on = !s->paused && s->nclients < s->max_clients;
	if (s->taker == NULL && !s->handed)
		(void)loop_add(&s->loop, &s->listener, on ? EPOLLIN : 0);
}

void fds_store_listen(struct store *s, bool on)
{
	if (!on) {
		loop_remove(&s->loop, &s->listener);
		loop_remove(&s->loop, &s->notified);
	} else {
		accepting(s);
		if (s->notify != NULL)
			(void)loop_add(&s->loop, &s->notified, EPOLLIN);
	}
	for (struct client *c = s->oldest; c != NULL; c = c->next)
		if (on)
			(void)loop_add(&s->loop, &c->watch, EPOLLIN);
		else if (c != s->taker)
			loop_remove(&s->loop, &c->watch);
}

void fds_store_left(struct store *s)
{
	if (s->idle > 0 && s->n == 0 && s->nclients == 0 && !s->loop.quit)
		(void)loop_at(&s->loop, &s->quiet, wait_until(s->idle));
}

static void still_quiet(struct loop *loop, struct loop_timer *t)
{
	(void)t;
	loop_quit(loop);
}

/* What it was taking out and did not confirm stays. */
static void give_back(struct client *c)
{
	struct store *s = c->store;
	for (size_t i = 0; c->claims > 0 && i < s->n; i++)
		if (s->entries[i]->claim == c->id)
			s->entries[i]->claim = 0;
}

void fds_client_close(struct client *c)
{
	struct store *s = c->store;
	give_back(c);
	loop_cancel(&s->loop, &c->idle);
	loop_remove(&s->loop, &c->watch);
	fd_close(c->watch.fd);
	*(c->prev != NULL ? &c->prev->next : &s->oldest) = c->next;
	*(c->next != NULL ? &c->next->prev : &s->newest) = c->prev;
	s->nclients--;
	quota_leave(&s->quota, c->user);
	bool taker = c == s->taker;
	free(c);
	if (s->loop.quit)
		return;
	if (taker) {
		s->taker = NULL;
		call_warn(s->call, 0, "%s: who took over has ended before the end; all stays here",
			s->addr.text);
		fds_store_listen(s, true);
		if (s->stopping)
			loop_quit(&s->loop);
	} else {
		accepting(s);
	}
	fds_store_left(s);
}

static void idle(struct loop *loop, struct loop_timer *t)
{
	struct client *c = (struct client *)(void *)((char *)t - offsetof(struct client, idle));
	struct store *s = c->store;
	/* Nobody was listening to it. */
	if (s->taker != NULL && c != s->taker)
		(void)loop_at(loop, t, wait_now() + CLIENT_PATIENCE);
	else
		fds_client_close(c);
}

/* Say why, and go: it reads this in place of an answer. */
static void refuse(struct store *s, int fd, enum reason why)
{
	struct head head = {.reason = why, .num = (int64_t)s->quota.each[QUOTA_CLIENTS]};
	fds_packet_start(&s->out, &head);
	fds_packet_seal(&s->out, 0);
	(void)cmsg_send(fd, s->out.data, s->out.len, NULL, 0, DEADLINE_NOW, NULL);
	fd_close(fd);
}

struct client *fds_store_adopt(struct store *s, int fd, const struct peer *peer, uint64_t id)
{
	struct client *c = calloc(1, sizeof *c);
	struct quota_user *user = NULL;
	if (c == NULL || quota_enter(&s->quota, peer, &user) < 0) {
		if (c != NULL && errno == EDQUOT)
			refuse(s, fd, WHY_CROWD);
		else
			fd_close(fd);
		free(c);
		return NULL;
	}
	c->store = s;
	c->user = user;
	c->id = id;
	c->peer = *peer;
	c->watch = (struct loop_watch){.fd = fd, .ready = fds_client_ready};
	c->idle.due = idle;
	c->prev = s->newest;
	*(s->newest != NULL ? &s->newest->next : &s->oldest) = c;
	s->newest = c;
	s->nclients++;
	loop_cancel(&s->loop, &s->quiet);
	return c;
}

int fds_client_wait(struct client *c)
{
	struct store *s = c->store;
	if (loop_add(&s->loop, &c->watch, EPOLLIN) == 0 &&
		loop_at(&s->loop, &c->idle, wait_now() + CLIENT_PATIENCE) == 0)
		return 0;
	fds_client_close(c);
	return -1;
}

static void accept_again(struct loop *loop, struct loop_timer *t)
{
	struct store *s = loop->arg;
	(void)t;
	s->paused = false;
	accepting(s);
}

/* No descriptor or memory: those that wait stay in the kernel's queue for a while. */
static void accept_failed(struct store *s, int err)
{
	if (err == EAGAIN || err == EINTR || err == ECONNABORTED)
		return;
	if (!s->warned)
		call_warn(
			s->call, err, "accept on %s (it goes on when there is room)", s->addr.text);
	s->warned = s->paused = true;
	accepting(s);
	(void)loop_at(&s->loop, &s->accept_again, wait_now() + ACCEPT_PAUSE);
}

static void accept_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct store *s = loop->arg;
	struct peer peer;
	(void)events;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		accept_failed(s, errno);
		return;
	}
	if (peer_of(fd, &peer) < 0 || !allow_peer(&s->allow, &peer, fd)) {
		refuse(s, fd, WHY_DENIED);
		return;
	}
	struct client *c = fds_store_adopt(s, fd, &peer, s->next_id++);
	if (c == NULL)
		return;
	accepting(s);
	/* As a rule it has asked already. */
	fds_client_ready(loop, &c->watch, EPOLLIN);
}

/* ---- start and end */

static void on_stop(struct loop *loop, int sig)
{
	struct store *s = loop->arg;
	(void)sig;
	/* A handover is let come to its end, so that nothing is lost; a second signal ends it. */
	if (s->taker != NULL && !s->stopping) {
		s->stopping = true;
		return;
	}
	/* Who takes over may have all already: then the name is his. */
	if (s->taker != NULL)
		s->bound->ino = 0;
	loop_quit(loop);
}

static void tell_lost(struct store *s)
{
	const char *names = "";
	if (s->handed || s->n == 0)
		return;
	for (size_t i = 0; names != NULL && i < s->n && i < NAMES_TOLD; i++)
		names = call_fmt(s->call, "%s%s%s", names, i > 0 ? ", " : "", s->entries[i]->name);
	call_warn(s->call, 0,
		"%s: ended with %zu descriptor%s still kept, now gone: %s%s (serve --takeover would have kept them)",
		s->addr.text, s->n, s->n == 1 ? "" : "s", names != NULL ? names : "",
		s->n > NAMES_TOLD ? ", ..." : "");
}

/* Who may connect is decided by credentials; the mode only keeps others away from the start. */
static struct sock_how how_of(const struct store *s, int type)
{
	const struct val *mode = &s->call->std[STD_MODE];
	return (struct sock_how){SOCK_HOW, .type = type, .inherit = type == SOCK_SEQPACKET,
		.has_mode = true,
		.mode = mode->count > 0         ? (mode_t)mode->num
			: s->allow.text != NULL ? 0666
						: 0600};
}

static int listen_fresh(struct store *s)
{
	struct sock_how how = how_of(s, SOCK_SEQPACKET);
	int status = sock_listen(s->call, &s->addr, &how, &s->bound);
	if (status == 0 && s->bound->type != SOCK_SEQPACKET)
		return call_fail(s->call, ST_USAGE, 0, "%s: a %s socket, not a seqpacket one",
			s->addr.text, sock_type_name(s->bound->type));
	return status;
}

static int listen_notify(struct store *s)
{
	struct sock_how how = how_of(s, SOCK_DGRAM);
	int on = 1, status = 0;
	if (s->notify_addr.text == NULL)
		return 0;
	if (s->notify == NULL)
		status = sock_listen(s->call, &s->notify_addr, &how, &s->notify);
	if (status != 0)
		return status;
	s->notified = (struct loop_watch){.fd = s->notify->fd, .ready = fds_notify_ready};
	if (setsockopt(s->notify->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
		fd_nonblock(s->notify->fd, true) < 0)
		return call_error(s->call, errno, "receive on %s", s->notify_addr.text);
	return 0;
}

static int take_options(struct store *s)
{
	struct call *call = s->call;
	const char *list = call->opt[SERVE_ALLOW].str, *why = allow_parse(&s->allow, list);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "--allow: %s: %s", list, why);
	s->max_per_uid = num_to_size(call->opt[SERVE_MAX_PER_UID].num);
	s->idle = call->opt[SERVE_IDLE].num == DEADLINE_NONE ? 0 : call->opt[SERVE_IDLE].num;
	int status = fds_link_address(call, call->args[0].str, &s->addr);
	if (status != 0 || call->opt[SERVE_NOTIFY].count == 0)
		return status;
	status = fds_link_address(call, call->opt[SERVE_NOTIFY].str, &s->notify_addr);
	if (status == 0 && s->notify_addr.obj.kind == OBJECT_WORD)
		return call_fail(call, ST_USAGE, 0, "--notify-socket %s: wants a path or @name",
			s->notify_addr.text);
	return status;
}

static int serve(struct store *s)
{
	struct call *call = s->call;
	bool taken = false;
	int status = take_options(s);
	if (status != 0)
		return status;
	raise_limit(s);
	if (call->opt[SERVE_TAKEOVER].count > 0 && s->addr.fd < 0)
		status = fds_handover_take(s, &taken);
	if (status == 0 && !taken)
		status = listen_fresh(s);
	if (status == 0)
		status = listen_notify(s);
	if (status != 0)
		return status;
	if (fd_nonblock(s->bound->fd, true) < 0)
		return call_error(call, errno, "serve %s", s->addr.text);
	s->listener = (struct loop_watch){.fd = s->bound->fd, .ready = accept_ready};
	s->loop.stopped = on_stop;
	s->accept_again.due = accept_again;
	s->quiet.due = still_quiet;
	fds_store_listen(s, true);
	fds_store_left(s);
	status = call_serving(call);
	if (status != 0)
		return status;
	if (loop_run(&s->loop) < 0)
		return call_error(call, errno, "wait for clients");
	tell_lost(s);
	return ST_OK;
}

int fdstore_serve(struct call *call)
{
	struct store *s = call_alloc(call, sizeof *s);
	if (s == NULL)
		return call_error(call, ENOMEM, "serve");
	s->call = call;
	s->next_id = 1;
	if (loop_start(&s->loop, &call->stop) < 0)
		return call_error(call, errno, "make an epoll descriptor");
	s->loop.arg = s;
	if (call_undo(call, undo_store, s, 0) < 0)
		return call_error(call, errno, "serve");
	return serve(s);
}
