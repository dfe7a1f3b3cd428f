/* client.c: connections: what is read and sent, who is idle, who goes. Who comes in: accept.c. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void append(struct server *s, struct client *c)
{
	c->prev = s->newest;
	c->next = NULL;
	*(s->newest != NULL ? &s->newest->next : &s->oldest) = c;
	s->newest = c;
}

void client_link(struct client *c)
{
	append(c->srv, c);
	c->srv->n++;
}

static void unlink_client(struct server *s, struct client *c)
{
	*(c->prev != NULL ? &c->prev->next : &s->oldest) = c->next;
	*(c->next != NULL ? &c->next->prev : &s->newest) = c->prev;
}

void client_abort(struct client *c)
{
	struct server *s = c->srv;
	loop_remove(&s->loop, &c->watch);
	sock_abort(c->watch.fd);
	c->watch.fd = -1;
	client_close(c, -1);
}

void client_close(struct client *c, int wstatus)
{
	struct server *s = c->srv;
	bool was_full = s->n >= s->max;
	client_fed(c);
	if (s->role == ROLE_COLLECT)
		collect_lost(c);
	if (wstatus != -2)
		server_report_close(c, wstatus);
	if (c->link != NULL)
		relay_end(c);
	loop_remove(&s->loop, &c->watch);
	fd_close(c->watch.fd);
	if (c->child.watch.fd >= 0)
		loop_child_forget(&s->loop, &c->child);
	client_uncount(c);
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
