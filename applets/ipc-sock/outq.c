/* outq.c: stdout of a server. It never waits for it: what stdout does not take is kept, and when that
 * is much nothing more is read from the clients. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPLICE_MOST (1024 * 1024)

/* Also behind the last record, when the end has come already: what was received and not passed on is lost. */
static void failed(struct server *s, int err)
{
	s->status = call_stdout_error(s->call, err);
	server_end(s, s->status);
	buf_free(&s->outq.buf);
}

/* Write from DATA; bytes taken, or -1 when the server has ended over it. */
static ssize_t give(struct server *s, const char *data, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = loop_write(s->outq.watch.fd, data + done, len - done);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR) {
			failed(s, errno);
			return -1;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

static void ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	struct outq *q = &s->outq;
	if ((events & EPOLLERR) != 0) {
		failed(s, EPIPE);
		return;
	}
	ssize_t n = give(s, buf_at(&q->buf), q->buf.len);
	if (n < 0)
		return;
	bool was_full = q->buf.len > OUTQ_MOST;
	buf_take(&q->buf, (size_t)n);
	if (q->buf.len == 0)
		(void)loop_add(loop, w, 0);
	if (was_full && q->buf.len <= OUTQ_MOST)
		collect_resume(s);
}

/* Bytes as they are, into a file or /dev/null, need not come by us. */
static void open_pipe(struct server *s)
{
	struct stat st;
	int *p = s->outq.pipe, out = s->outq.watch.fd;
	if (s->role != ROLE_COLLECT || s->type != SOCK_STREAM || s->frame.kind != FRAME_RAW ||
		s->json || s->records_max > 0 || fstat(out, &st) < 0 ||
		!(S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(out))))
		return;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		p[0] = p[1] = -1;
	else
		(void)fd_pipe_size(p[1], SPLICE_MOST);
}

void outq_end(struct server *s)
{
	fd_close(s->outq.pipe[0]);
	fd_close(s->outq.pipe[1]);
	s->outq.pipe[0] = s->outq.pipe[1] = -1;
}

ssize_t outq_splice(struct server *s, int fd)
{
	struct outq *q = &s->outq;
	ssize_t n =
		splice(fd, NULL, q->pipe[1], NULL, SPLICE_MOST, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && fd_other_way(errno))
		outq_end(s);
	if (n <= 0)
		return n == 0 ? READ_END : -1;
	for (ssize_t left = n; left > 0;) {
		ssize_t m =
			splice(q->pipe[0], NULL, q->watch.fd, NULL, (size_t)left, SPLICE_F_MOVE);
		if (m < 0 && fd_other_way(errno)) {
			/* A file opened to append, say: what is in the pipe goes by us, once. */
			char buf[4096];
			m = read(q->pipe[0], buf,
				(size_t)left < sizeof buf ? (size_t)left : sizeof buf);
			if (m > 0 && fd_write(q->watch.fd, buf, (size_t)m) < 0)
				m = -1;
		}
		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0) {
			failed(s, m == 0 ? EIO : errno);
			return n;
		}
		left -= m;
	}
	return n;
}

int outq_start(struct server *s)
{
	s->outq.watch = (struct loop_watch){.fd = s->call->out.fd, .ready = ready};
	open_pipe(s);
	if (s->role != ROLE_COLLECT && !s->json)
		return 0;
	/* With no events: only to learn that its reader has gone. A file cannot be watched. */
	if (loop_add(&s->loop, &s->outq.watch, 0) < 0)
		return call_error(s->call, errno, "watch stdout");
	return 0;
}

void outq_put(struct server *s, const void *data, size_t len)
{
	struct outq *q = &s->outq;
	ssize_t n = q->buf.len == 0 && !q->corked && !s->loop.quit ? give(s, data, len) : 0;
	if (n < 0 || (size_t)n == len)
		return;
	if (buf_add(&q->buf, (const char *)data + n, len - (size_t)n) < 0) {
		server_end(s, call_error(s->call, ENOMEM, "keep what stdout does not take"));
		return;
	}
	if (!q->corked)
		(void)loop_add(&s->loop, &q->watch, EPOLLOUT);
}

void outq_cork(struct server *s, bool on)
{
	struct outq *q = &s->outq;
	q->corked = on;
	if (on || q->buf.len == 0 || s->status > 0)
		return;
	ssize_t n = give(s, buf_at(&q->buf), q->buf.len);
	if (n < 0)
		return;
	buf_take(&q->buf, (size_t)n);
	if (q->buf.len > 0)
		(void)loop_add(&s->loop, &q->watch, EPOLLOUT);
}

void outq_drain(struct server *s, int64_t deadline)
{
	struct buf *b = &s->outq.buf;
	while (b->len > 0) {
		ssize_t n = give(s, buf_at(b), b->len);
		if (n < 0)
			return;
		buf_take(b, (size_t)n);
		if (b->len == 0)
			return;
		/* A signal that came again ends this, too. */
		if (wait_fd(s->outq.watch.fd, POLLOUT, deadline, NULL) < 0) {
			(void)call_fail(
				s->call, ST_IO, 0, "%zu bytes were not taken by stdout", b->len);
			s->status = ST_IO;
			return;
		}
	}
}
