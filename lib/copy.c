/* lib/copy.c: see copy.h. Each way of moving bytes is tried where it can work and left for read(2) and
 * write(2) when the kernel says that it does not (EINVAL for O_APPEND files and the like).
 *
 * What surprises: with .stop or .idle nothing may block but wait_poll. Pipes then move with
 * SPLICE_F_NONBLOCK; what knows no such flag (terminals, blocking sockets) goes through the buffer in
 * pieces that a descriptor reported writable takes without sleeping.
 */
#define _GNU_SOURCE
#include "copy.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_WANT (1 << 20)
/* Between two pipes the bytes were copied into the one and will be copied out of the other: what stays in the
 * processor's cache meanwhile is quicker than what saves a few more wake-ups (measured). */
#define PIPES_WANT (1 << 18)
#define PIPE_DEFAULT (1 << 16)
#define SPLICE_LEN (1u << 20)
#define FILE_LEN (1u << 26)
#define BUFFER_LEN (1u << 18)
#define TURNS_PER_CHECK 16

enum way { WAY_SPLICE, WAY_RANGE, WAY_SENDFILE, WAY_BUFFER };

struct mover {
	struct copy *c;
	enum way way;
	mode_t in, out; /* file types */
	bool waits;     /* .stop or .idle: block nowhere else */
	bool careful;   /* wait before each transfer, since the transfer itself may block */
	unsigned turn;
	char *buf;
};

static void enlarge(int fd, int want)
{
	if (fcntl(fd, F_GETPIPE_SZ) == PIPE_DEFAULT)
		(void)fd_pipe_size(fd, want);
}

void copy_pipe(int fd)
{
	enlarge(fd, PIPE_WANT);
}

static bool is_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

static enum way choose(const struct mover *m)
{
	const struct copy *c = m->c;
	if (m->waits && !S_ISFIFO(m->out) && !S_ISREG(m->out) && !is_nonblock(c->out)) {
		if (S_ISSOCK(m->out) || isatty(c->out))
			return WAY_BUFFER;
	}
	if (S_ISFIFO(m->in) || S_ISFIFO(m->out))
		return WAY_SPLICE;
	if (S_ISREG(m->in) && S_ISREG(m->out))
		return WAY_RANGE;
	if (S_ISREG(m->in) && S_ISSOCK(m->out))
		return WAY_SENDFILE;
	return WAY_BUFFER;
}

/* Sleep until a side is ready, a stop signal or the idle limit. 0 or -1. */
static int wait_side(struct copy *c, int fd, short events)
{
	int64_t deadline = c->idle == DEADLINE_NONE ? DEADLINE_NONE : wait_until(c->idle);
	for (;;) {
		int64_t draw = progress_due(c->progress), at = draw < deadline ? draw : deadline;
		if (wait_fd(fd, events, at, c->stop) >= 0)
			return 0;
		if (errno != ETIMEDOUT || at == deadline)
			break;
		progress_add(c->progress, 0); /* nothing passes: that is to be seen, too */
	}
	c->out_failed = events == POLLOUT && errno != EINTR;
	return -1;
}

/* Was it the OUT side that gave errno? A pipe's read side has no errors of its own. */
static bool from_out(const struct mover *m, int e)
{
	return e == EPIPE || e == ENOSPC || e == EDQUOT || e == EFBIG || S_ISFIFO(m->in);
}

/* WAY does not work between these two: read and write instead. */
static bool unfit(const struct mover *m, int e)
{
	if (fd_other_way(e))
		return true;
	return m->way == WAY_RANGE &&
		(e == EXDEV || e == EOPNOTSUPP || e == EBADF || e == EPERM || e == ETXTBSY ||
			e == EIO);
}

static size_t at_most(const struct copy *c, size_t len)
{
	uint64_t left = c->max - c->done;
	return left < len ? (size_t)left : len;
}

static ssize_t by_kernel(struct mover *m)
{
	struct copy *c = m->c;
	unsigned flags = SPLICE_F_MOVE | (m->waits ? SPLICE_F_NONBLOCK : 0u);
	switch (m->way) {
	case WAY_SPLICE: return splice(c->in, NULL, c->out, NULL, at_most(c, SPLICE_LEN), flags);
	case WAY_RANGE: return copy_file_range(c->in, NULL, c->out, NULL, at_most(c, FILE_LEN), 0);
	case WAY_SENDFILE: return sendfile(c->out, c->in, NULL, at_most(c, FILE_LEN));
	case WAY_BUFFER: break;
	}
	errno = EINVAL;
	return -1;
}

static ssize_t put_some(const struct mover *m, const char *buf, size_t len)
{
	if (S_ISSOCK(m->out))
		return send(m->c->out, buf, len, MSG_NOSIGNAL | (m->waits ? MSG_DONTWAIT : 0));
	/* A writable pipe has room for PIPE_BUF bytes; so has a terminal, as a rule. */
	if (m->waits && !S_ISREG(m->out) && len > PIPE_BUF)
		len = PIPE_BUF;
	return write(m->c->out, buf, len);
}

static int put_all(struct mover *m, size_t len)
{
	struct copy *c = m->c;
	for (size_t at = 0; at < len;) {
		if (m->waits && wait_side(c, c->out, POLLOUT) < 0)
			return -1;
		ssize_t n = put_some(m, m->buf + at, len - at);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			if (wait_side(c, c->out, POLLOUT) < 0)
				return -1;
		} else if (n == 0 || errno != EINTR) {
			errno = n == 0 ? EIO : errno;
			c->out_failed = true;
			return -1;
		}
	}
	return 0;
}

static ssize_t by_buffer(struct mover *m)
{
	struct copy *c = m->c;
	if (m->buf == NULL && (m->buf = malloc(BUFFER_LEN)) == NULL)
		return -1;
	ssize_t n = read(c->in, m->buf, at_most(c, BUFFER_LEN));
	if (n > 0 && put_all(m, (size_t)n) < 0)
		return -2;
	return n;
}

/* Sleep when the last attempt would have blocked (AGAIN times in a row: the kernel does not say by
 * which side, so they are asked in turn), or when the turn has come to look at the signals. */
static int pause_for(struct mover *m, unsigned again)
{
	struct copy *c = m->c;
	if (again == 0 && !m->careful && (!m->waits || m->turn++ % TURNS_PER_CHECK != 0))
		return 0;
	bool out = again > 0 && again % 2 == 0 && m->way != WAY_BUFFER;
	return wait_side(c, out ? c->out : c->in, out ? POLLOUT : POLLIN);
}

static int move_all(struct mover *m)
{
	struct copy *c = m->c;
	unsigned again = 0;
	while (c->done < c->max) {
		if (pause_for(m, again) < 0)
			return -1;
		ssize_t n = m->way == WAY_BUFFER ? by_buffer(m) : by_kernel(m);
		if (n > 0) {
			again = 0;
			c->done += (uint64_t)n;
			if (c->progress != NULL)
				progress_add(c->progress, (uint64_t)n);
		} else if (n == 0) {
			/* Files of /proc have no size: only read(2) shows what is in them. */
			if (c->done > 0 || m->way == WAY_BUFFER || m->way == WAY_SPLICE)
				return 0;
			m->way = WAY_BUFFER;
		} else if (n == -2) {
			return -1;
		} else if (errno == EAGAIN) {
			again++;
		} else if (m->way != WAY_BUFFER && unfit(m, errno)) {
			m->way = WAY_BUFFER;
			m->careful = m->waits;
		} else if (errno != EINTR) {
			c->out_failed = m->way != WAY_BUFFER && from_out(m, errno);
			return -1;
		} else if (wait_stopped(c->stop) != 0) {
			errno = EINTR;
			return -1;
		}
	}
	return 0;
}

/* Can FD be read at all? Who waits for input of what cannot waits for ever: a listening socket, a
 * pidfd, an epoll descriptor, the writing end of a pipe. 0, or -1 with errno. */
static int check_readable(int fd, mode_t mode)
{
	char none, path[40], name[32] = "";
	int listens = 0;
	socklen_t len = sizeof listens;
	if (S_ISSOCK(mode) && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
		listens != 0) {
		errno = EINVAL;
		return -1;
	}
	if (read(fd, &none, 0) == 0)
		return 0;
	if (errno != EINVAL)
		return errno == EBADF || errno == EISDIR ? -1 : 0;
	/* An eventfd and its like want to give eight bytes at once; these give none. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	bool known = readlink(path, name, sizeof name - 1) > 0;
	errno = EINVAL;
	return known &&
			(strncmp(name, "anon_inode:[pidfd]", 18) == 0 ||
				strncmp(name, "pidfd:", 6) == 0 ||
				strncmp(name, "anon_inode:[eventpoll]", 22) == 0)
		? -1
		: 0;
}

int copy_stream(struct copy *c)
{
	struct stat in, out;
	struct mover m = {.c = c, .waits = c->stop != NULL || c->idle != DEADLINE_NONE};
	c->out_failed = false;
	if (fstat(c->in, &in) < 0)
		return -1;
	if (fstat(c->out, &out) < 0) {
		c->out_failed = true;
		return -1;
	}
	m.in = in.st_mode;
	if (check_readable(c->in, m.in) < 0)
		return -1;
	m.out = out.st_mode;
	m.way = choose(&m);
	m.careful = m.waits && (m.way == WAY_BUFFER || (!S_ISFIFO(m.in) && !S_ISREG(m.in)));
	int want = S_ISFIFO(m.in) && S_ISFIFO(m.out) ? PIPES_WANT : PIPE_WANT;
	if (S_ISFIFO(m.in) && !c->as_is)
		enlarge(c->in, want);
	if (S_ISFIFO(m.out) && !c->as_is)
		enlarge(c->out, want);
	int r = move_all(&m), e = errno;
	free(m.buf);
	errno = e;
	return r;
}
