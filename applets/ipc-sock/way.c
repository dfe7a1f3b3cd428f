/* way.c: see relay.h. One direction of a relayed connection. */
#define _GNU_SOURCE
#include "relay.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_WANT (256 * 1024)
#define TRIES 8 /* pieces moved for one connection before the others' turn */

void way_put_pipe(struct relay *r, struct way *w)
{
	if (w->pipe[0] < 0)
		return;
	if (w->in_pipe == 0 && r->npipes < PIPES) {
		memcpy(r->pipes[r->npipes++], w->pipe, sizeof w->pipe);
	} else {
		fd_close(w->pipe[0]);
		fd_close(w->pipe[1]);
	}
	w->pipe[0] = w->pipe[1] = -1;
	w->in_pipe = 0;
}

static int get_pipe(struct relay *r, struct way *w)
{
	if (w->pipe[0] >= 0)
		return 0;
	if (r->npipes > 0) {
		memcpy(w->pipe, r->pipes[--r->npipes], sizeof w->pipe);
		return 0;
	}
	if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		w->pipe[0] = w->pipe[1] = -1;
		return -1;
	}
	(void)fd_pipe_size(w->pipe[1], PIPE_WANT);
	return 0;
}

enum moved { MOVED, MOVED_NOTHING, MOVED_END, MOVED_FAILED, MOVED_LACKS };

static enum moved failed(void)
{
	if (errno == EAGAIN || errno == EINTR)
		return MOVED_NOTHING;
	return sock_lacks(errno) ? MOVED_LACKS : MOVED_FAILED;
}

static void count(const struct way *w, const struct side *client, size_t n)
{
	struct client *c = client->client;
	if (client == w->from && &c->link->a == client)
		c->in += n;
	else if (client == w->to && &c->link->a == client)
		c->out += n;
}

void way_lost(struct client *c, int err, size_t len)
{
	struct server *s = c->srv;
	struct relay *r = s->relay;
	c->dropped++;
	if (r->said == err)
		return;
	r->said = err;
	call_warn(s->call, err, "connection %llu: a record of %zu bytes is lost",
		(unsigned long long)c->id, len);
}

/* The record that waits, once. */
static ssize_t send_record(struct way *w)
{
	struct side *to = w->to;
	if (to->watch.fd < 0)
		return session_answer(to->client->link, buf_at(&w->rec), w->rec.len);
	ssize_t n = send(to->watch.fd, buf_at(&w->rec), w->rec.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || to->type != SOCK_DGRAM || errno == EAGAIN || errno == EINTR ||
		errno == EMSGSIZE)
		return n;
	/* The news is of an earlier datagram (udp), or of a receiver that has gone; another may have come. */
	const struct addr *a = &to->client->srv->relay->to;
	if (a->family == AF_UNIX && sock_connect_again(to->watch.fd, a) < 0)
		return -1;
	return send(to->watch.fd, buf_at(&w->rec), w->rec.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Does the error cost the record only, and not the connection? */
static bool costs_record(const struct way *w, int err)
{
	return w->to->type == SOCK_DGRAM || (w->to->type != SOCK_STREAM && err == EMSGSIZE);
}

static enum moved push_record(struct way *w)
{
	ssize_t n = send_record(w);
	if (n >= 0) {
		count(w, w->to, (size_t)n);
		w->to->client->srv->relay->said = 0;
		buf_take(&w->rec, (size_t)n);
		return MOVED;
	}
	bool wait = errno == EAGAIN || errno == EINTR;
	/* Nobody sees when the socket of a session has room. */
	if (!costs_record(w, errno) || (wait && w->to->watch.fd >= 0))
		return failed();
	way_lost(w->to->client, errno, w->rec.len);
	buf_free(&w->rec);
	return MOVED;
}

/* Out of the pipe, or the record. */
static enum moved push(struct way *w)
{
	enum moved m = MOVED;
	while (w->in_pipe > 0) {
		ssize_t n = splice(w->pipe[0], NULL, w->to->watch.fd, NULL, w->in_pipe,
			SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n <= 0)
			return n < 0 ? failed() : MOVED_FAILED;
		w->in_pipe -= (size_t)n;
		count(w, w->to, (size_t)n);
	}
	while (w->rec.len > 0 && m == MOVED)
		m = push_record(w);
	return m;
}

static enum moved pull_record(struct server *s, struct way *w)
{
	bool stream = w->from->type == SOCK_STREAM;
	int fd = w->from->watch.fd;
	/* TCP takes MSG_TRUNC for "throw it away". */
	ssize_t n = recv(fd, s->scratch, s->scratch_size, MSG_DONTWAIT | (stream ? 0 : MSG_TRUNC));
	/* Empty packets are not passed on: a stream has none. */
	if (n == 0)
		return stream || packets_ended(fd) ? MOVED_END : MOVED;
	if (n < 0 && w->from->type == SOCK_DGRAM && errno != EAGAIN && errno != EINTR) {
		/* About a datagram that was sent before: it has not arrived. */
		way_lost(w->from->client, errno, 0);
		return MOVED;
	}
	if (n < 0)
		return failed();
	count(w, w->from, (size_t)n);
	if ((size_t)n > s->scratch_size) {
		call_warn(s->call, 0, "connection %llu: a record of %zd bytes is longer than %zu",
			(unsigned long long)w->from->client->id, n, s->scratch_size);
		w->from->client->dropped++;
		return MOVED;
	}
	return buf_add(&w->rec, s->scratch, (size_t)n) < 0 ? MOVED_FAILED : MOVED;
}

static enum moved pull(struct server *s, struct way *w)
{
	/* Without a pipe the bytes go by way of us. */
	if (!s->relay->splices || get_pipe(s->relay, w) < 0)
		return pull_record(s, w);
	ssize_t n = splice(w->from->watch.fd, NULL, w->pipe[1], NULL, PIPE_WANT,
		SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n <= 0)
		return n == 0 ? MOVED_END : failed();
	w->in_pipe += (size_t)n;
	count(w, w->from, (size_t)n);
	return MOVED;
}

#define DISCARD 1024 /* reads: more than a socket's buffer holds; TCP goes on sending */

/* No more is taken from FD, and what lies there is thrown away: closed with something unread, a socket tells its peer
 * of a reset, which it may meet before it has read the rest of what was for it. */
static void deafen(int fd)
{
	char sink[8192];
	(void)shutdown(fd, SHUT_RD);
	for (int i = 0; i < DISCARD && recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0; i++)
		;
}

/* Nobody takes what comes this way any more: its sender is told so, and to whom it goes that no more comes; the
 * other way goes on. */
static void give_up(struct way *w)
{
	fd_close(w->pipe[0]);
	fd_close(w->pipe[1]);
	w->pipe[0] = w->pipe[1] = -1;
	w->in_pipe = 0;
	buf_free(&w->rec);
	w->waits = false;
	w->from->eof = w->to->shut = true;
	deafen(w->from->watch.fd);
	(void)shutdown(w->to->watch.fd, SHUT_WR);
}

/* .to takes no more of W. Has only this way ended, or all? */
static bool goes_on(struct way *w, int err)
{
	const struct link *l = w->to->client->link;
	if (l->peer != NULL) {
		way_lost(w->to->client, err, w->rec.len);
		return false;
	}
	if (err != EPIPE && err != ECONNRESET)
		return false;
	/* The error was told once: what .to still gives is read, and its end is a reset. */
	w->to->failed = w->to->failed || err == ECONNRESET;
	give_up(w);
	return true;
}

bool way_go(struct server *s, struct way *w)
{
	w->lacks = false;
	for (int i = 0; i < TRIES; i++) {
		enum moved m = push(w);
		w->waits = m == MOVED_NOTHING;
		w->lacks = m == MOVED_LACKS;
		if (m == MOVED_FAILED)
			return goes_on(w, errno);
		if (w->waits || w->lacks || w->from->eof || w->from->watch.fd < 0)
			break;
		m = pull(s, w);
		w->lacks = m == MOVED_LACKS;
		/* A reset comes after all that could be read. */
		w->from->failed = w->from->failed || m == MOVED_FAILED;
		w->from->eof = m == MOVED_END || m == MOVED_FAILED;
		if (m != MOVED)
			break;
		client_active(w->from->client);
	}
	if (w->in_pipe == 0)
		way_put_pipe(s->relay, w);
	if (!w->from->eof || w->waits || w->lacks || w->to->shut || w->in_pipe > 0 ||
		w->rec.len > 0)
		return true;
	if (w->from->failed)
		return false;
	w->to->shut = true;
	(void)shutdown(w->to->watch.fd, SHUT_WR);
	return true;
}
