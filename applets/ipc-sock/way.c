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

enum moved { MOVED, MOVED_NOTHING, MOVED_END, MOVED_FAILED };

/* Out of the pipe, or the record. */
static enum moved push(struct way *w)
{
	ssize_t n;
	while (w->in_pipe > 0) {
		n = splice(w->pipe[0], NULL, w->to->watch.fd, NULL, w->in_pipe,
			SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? MOVED_NOTHING
									    : MOVED_FAILED;
		w->in_pipe -= (size_t)n;
	}
	while (w->rec.len > 0) {
		const struct link *l = w->to->client->link;
		n = w->to->watch.fd >= 0 ? send(w->to->watch.fd, buf_at(&w->rec), w->rec.len,
						   MSG_DONTWAIT | MSG_NOSIGNAL)
					 : session_answer(l, buf_at(&w->rec), w->rec.len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			return MOVED_NOTHING;
		if (n < 0 && errno == EMSGSIZE)
			call_warn(w->to->client->srv->call, errno,
				"connection %llu: a record of %zu bytes is lost",
				(unsigned long long)w->to->client->id, w->rec.len);
		if (n < 0)
			return MOVED_FAILED;
		buf_take(&w->rec, (size_t)n);
	}
	return MOVED;
}

static enum moved pull_record(struct server *s, struct way *w)
{
	ssize_t n = recv(w->from->watch.fd, s->scratch, s->scratch_size, MSG_DONTWAIT | MSG_TRUNC);
	/* Empty packets are not passed on: a stream has none. */
	if (n == 0)
		return packets_ended(w->from->watch.fd) ? MOVED_END : MOVED;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_NOTHING : MOVED_FAILED;
	if ((size_t)n > s->scratch_size) {
		call_warn(s->call, 0, "connection %llu: a record of %zd bytes is longer than %zu",
			(unsigned long long)w->from->client->id, n, s->scratch_size);
		return MOVED_FAILED;
	}
	return buf_add(&w->rec, s->scratch, (size_t)n) < 0 ? MOVED_FAILED : MOVED;
}

static enum moved pull(struct server *s, struct way *w)
{
	if (!s->relay->splices)
		return pull_record(s, w);
	if (get_pipe(s->relay, w) < 0)
		return MOVED_FAILED;
	ssize_t n = splice(w->from->watch.fd, NULL, w->pipe[1], NULL, PIPE_WANT,
		SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n == 0)
		return MOVED_END;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_NOTHING : MOVED_FAILED;
	w->in_pipe += (size_t)n;
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

/* Move what can be moved. */
void way_go(struct server *s, struct way *w)
{
	for (int i = 0; i < TRIES; i++) {
		enum moved m = push(w);
		w->waits = m == MOVED_NOTHING;
		if (m == MOVED_FAILED) {
			give_up(w);
			return;
		}
		if (w->waits || w->from->eof || w->from->watch.fd < 0)
			break;
		m = pull(s, w);
		/* A reset comes behind all that could be read: an end like others. */
		if (m == MOVED_END || m == MOVED_FAILED)
			w->from->eof = true;
		if (m != MOVED)
			break;
		client_active(w->from->client);
	}
	if (w->in_pipe == 0)
		way_put_pipe(s->relay, w);
	if (w->from->eof && !w->waits && !w->to->shut && w->in_pipe == 0 && w->rec.len == 0) {
		w->to->shut = true;
		(void)shutdown(w->to->watch.fd, SHUT_WR);
	}
}
