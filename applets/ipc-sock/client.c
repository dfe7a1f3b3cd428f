/* client.c: connections: who comes in, who is idle, who goes. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ACCEPT_BATCH 64                /* then the others have their turn */
#define ACCEPT_PAUSE (100 * NS_PER_MS) /* when descriptors have run out and nobody gives one back */

static void append(struct server *s, struct client *c)
{
	c->prev = s->newest;
	c->next = NULL;
	*(s->newest != NULL ? &s->newest->next : &s->oldest) = c;
	s->newest = c;
}

static void unlink_client(struct server *s, struct client *c)
{
	*(c->prev != NULL ? &c->prev->next : &s->oldest) = c->next;
	*(c->next != NULL ? &c->next->prev : &s->newest) = c->prev;
}

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

void server_accepting(struct server *s, bool on)
{
	bool room = s->n < s->max && (s->count == 0 || s->served < s->count);
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

/* No descriptor or memory for another client: those that wait stay in the kernel's queue until one of ours
 * goes, or a little while when there is none; never spin. */
static void accept_failed(struct server *s, int err)
{
	if (err == EAGAIN || err == EINTR || err == ECONNABORTED || err == EPROTO || err == EPERM)
		return;
	s->stats.failed++;
	if (!s->warned)
		call_warn(
			s->call, err, "accept on %s (it goes on when there is room)", s->addr.text);
	s->warned = true;
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
	if (s->idle > 0 && s->idle_check.slot == 0)
		(void)loop_at(&s->loop, &s->idle_check, c->active + s->idle);
	return 0;
}

/* A new connection. It is served, or closed. */
void server_greet(struct server *s, int fd)
{
	struct client *c = calloc(1, sizeof *c);
	if (c == NULL) {
		fd_close(fd);
		s->stats.failed++;
		return;
	}
	c->srv = s;
	c->id = s->next_id++;
	c->watch.fd = c->child.watch.fd = -1;
	if (s->idle > 0 || s->json)
		c->since = c->active = wait_now();
	append(s, c);
	s->n++;
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
	if (begin(c, fd) < 0) {
		s->stats.failed++;
		fd_close(fd);
		client_close(c, -1);
	}
}

void server_accept(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	int flags = SOCK_CLOEXEC | (s->role == ROLE_CMD ? 0 : SOCK_NONBLOCK);
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && s->accepting && !loop->quit; i++) {
		int fd = accept4(w->fd, NULL, NULL, flags);
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

void client_close(struct client *c, int wstatus)
{
	struct server *s = c->srv;
	bool was_full = s->n >= s->max;
	if (wstatus != -2)
		server_report_close(c, wstatus);
	if (c->link != NULL)
		relay_end(c);
	loop_remove(&s->loop, &c->watch);
	fd_close(c->watch.fd);
	if (c->child.watch.fd >= 0)
		loop_child_forget(&s->loop, &c->child);
	if (c->counted)
		(void)count_uid(s, c->peer.uid, -1);
	unlink_client(s, c);
	s->n--;
	s->stats.in += c->in;
	s->stats.out += c->out;
	s->stats.dropped += c->dropped;
	buf_free(&c->buf);
	buf_free(&c->rest);
	free(c);
	if (s->role == ROLE_HUB || s->role == ROLE_BROADCAST)
		hub_left(s);
	if (s->loop.quit)
		return;
	if (was_full || !s->accepting)
		server_accepting(s, s->bound->fd >= 0);
	if (s->n == 0 && (s->stopping || (s->count > 0 && s->served >= s->count)))
		server_end(s, ST_OK);
}

void client_active(struct client *c)
{
	struct server *s = c->srv;
	if (s->idle == 0)
		return;
	c->active = wait_now();
	if (s->newest == c)
		return;
	unlink_client(s, c);
	append(s, c);
}

void server_idle_due(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	int64_t now = wait_now();
	/* client_close() takes it out of the list: the next one is another. */
	while (s->role != ROLE_CMD && s->oldest != NULL &&
		s->oldest->active + s->idle <= now) { // NOLINT(clang-analyzer-unix.Malloc)
		s->stats.idled++;
		call_note(
			s->call, 1, "connection %llu was idle", (unsigned long long)s->oldest->id);
		client_close(s->oldest, -1);
	}
	if (!loop->quit && s->role != ROLE_CMD && s->oldest != NULL)
		(void)loop_at(loop, t, s->oldest->active + s->idle);
}

bool packets_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	int n = 0;
	return poll(&p, 1, 0) > 0 && (ioctl(fd, FIONREAD, &n) < 0 || n == 0);
}

ssize_t client_read(struct client *c, bool *gone)
{
	struct server *s = c->srv;
	bool records = s->type != SOCK_STREAM;
	*gone = false;
	ssize_t n = recv(c->watch.fd, s->scratch, s->scratch_size, records ? MSG_TRUNC : 0);
	if (n == 0 && (!records || packets_ended(c->watch.fd)))
		return READ_END;
	if (n >= 0) {
		c->in += (uint64_t)n;
		client_active(c);
		if (!records || (size_t)n <= s->record_max)
			return n;
		call_warn(s->call, 0, "connection %llu: a record of %zd bytes is too long (-S %zu)",
			(unsigned long long)c->id, n, s->record_max);
	} else if (errno == EAGAIN || errno == EINTR) {
		return -1;
	}
	*gone = true;
	client_close(c, -1);
	return -1;
}

ssize_t client_send(struct client *c, const void *data, size_t len)
{
	ssize_t n = send(c->watch.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0) {
		c->out += (uint64_t)n;
		client_active(c);
		return n;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		return 0;
	client_close(c, -1);
	return -1;
}

size_t sock_record_end(const struct server *s, struct frame frame, const char *data, size_t len,
	size_t *terminator)
{
	*terminator = 0;
	if (frame.kind == FRAME_RAW)
		return len < s->record_max ? len : s->record_max;
	if (frame.kind == FRAME_SIZE)
		return len >= frame.size ? frame.size : 0;
	const char *p = memchr(data, frame.kind == FRAME_NULL ? '\0' : '\n', len);
	*terminator = 1;
	return p != NULL ? (size_t)(p - data) + 1 : 0;
}

void client_finish(struct client *c)
{
	struct server *s = c->srv;
	c->ending = true;
	switch (s->role) {
	case ROLE_CMD: server_cmd_eof(c); return;
	case ROLE_BROADCAST:
	case ROLE_HUB: hub_finish(c); return;
	case ROLE_ECHO: echo_finish(c); return;
	case ROLE_RELAY: relay_finish(c); return;
	case ROLE_COLLECT: break;
	}
	if (s->farewell_len > 0 && client_send(c, s->farewell, s->farewell_len) < 0)
		return;
	c->shut = true;
	shutdown(c->watch.fd, SHUT_WR);
}
