/* pump.c: connect on a stream: stdin to the server, the server to stdout, until both are done.
 *
 * Bytes from a pipe or file go to the socket, and from the socket into a pipe, inside the kernel
 * (splice(2), sendfile(2)); else by way of one buffer per direction. Nothing blocks but poll(2), so
 * that each end's going is noticed at once, whatever the others do.
 *
 * The end: when stdin and the server have both ended. When the server is gone for good, what stdin still
 * had for it is lost, and that is 69. When it has only said all it has to say (over TCP nobody can tell
 * that from the other), what stdin has ready is still sent, but more is not waited for: whoever sits
 * there idle learns at once.
 */
#define _GNU_SOURCE
#include "pump.h"

#include "call.h"
#include "fd.h"
#include "loop.h"
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

enum how { BY_COPY, BY_SPLICE, BY_SENDFILE };

struct flow {
	int in, out;
	enum how how;
	char *data; /* CHUNK bytes, from the first use on */
	size_t start, len;
	bool eof;    /* nothing more comes */
	bool waits;  /* for room at .out rather than for bytes from .in */
	bool always; /* .in is a file: never waits */
	bool wide;   /* .out has as large a buffer as can be */
	uint64_t done;
};

struct pump {
	struct call *call;
	const struct addr *a;
	int sock;
	struct flow up, down;
	bool shut;   /* we have half-closed */
	bool hung;   /* the server is gone for good */
	int failure; /* errno of a send that failed: bytes are lost */
};

static mode_t kind(int fd)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? 0 : st.st_mode & S_IFMT;
}

static ssize_t put(const struct pump *p, const struct flow *f, const char *data, size_t len)
{
	return f->out == p->sock ? send(f->out, data, len, MSG_NOSIGNAL | MSG_DONTWAIT)
				 : loop_write(f->out, data, len);
}

/* Once inside the kernel. Bytes, 0 at the end of .in, -1 with EAGAIN when one of both must wait. */
static ssize_t move(struct flow *f)
{
	ssize_t n;
	if (f->how == BY_SENDFILE)
		n = sendfile(f->out, f->in, NULL, CHUNK * 16);
	else
		n = splice(f->in, NULL, f->out, NULL, CHUNK * 4, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	return n;
}

static ssize_t fill(struct pump *p, struct flow *f)
{
	if (f->data == NULL)
		f->data = malloc(CHUNK);
	if (f->data == NULL) {
		errno = ENOMEM;
		return -1;
	}
	f->start = 0;
	ssize_t n = f->in == p->sock ? recv(f->in, f->data, CHUNK, MSG_DONTWAIT)
				     : read(f->in, f->data, CHUNK);
	f->len = n > 0 ? (size_t)n : 0;
	return n;
}

/* Did the .out of F fail, rather than its .in? After splice(2) only the errno can tell. */
static bool out_failed(const struct pump *p, const struct flow *f, int err)
{
	return f->out == p->sock ? err == EPIPE || err == ECONNRESET || err == ENOTCONN
				 : err == EPIPE;
}

enum step { STEP_DONE, STEP_MORE, STEP_WAIT, STEP_IN_FAILED, STEP_OUT_FAILED };

static enum step copy_step(struct pump *p, struct flow *f)
{
	ssize_t n;
	if (f->len == 0) {
		n = fill(p, f);
		if (n == 0)
			return STEP_DONE;
		if (n < 0) {
			f->waits = false;
			return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_IN_FAILED;
		}
	}
	n = put(p, f, f->data + f->start, f->len);
	if (n < 0) {
		f->waits = true;
		return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_OUT_FAILED;
	}
	f->start += (size_t)n;
	f->len -= (size_t)n;
	f->done += (uint64_t)n;
	f->waits = f->len > 0;
	return STEP_MORE;
}

/* A lot is to be moved: as much as the kernel allows may be under way, so that both sides work at once. */
static void widen(struct pump *p, struct flow *f)
{
	int want = 1 << 20;
	if (f->wide)
		return;
	f->wide = true;
	if (f->out == p->sock)
		(void)setsockopt(f->out, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
	else
		(void)fd_pipe_size(f->out, want);
}

static enum step kernel_step(struct pump *p, struct flow *f)
{
	ssize_t n = move(f);
	if (n > 0) {
		f->done += (uint64_t)n;
		f->waits = false;
		return STEP_MORE;
	}
	if (n == 0)
		return STEP_DONE;
	if (fd_other_way(errno)) {
		f->how = BY_COPY;
		return STEP_MORE;
	}
	if (errno == EINTR)
		return STEP_MORE;
	if (errno != EAGAIN)
		return out_failed(p, f, errno) ? STEP_OUT_FAILED : STEP_IN_FAILED;
	/* Bytes were there when poll(2) said so; if they still are, it is the other side that waits. */
	f->waits = f->always || wait_fd(f->in, POLLIN, DEADLINE_NOW, NULL) > 0;
	if (f->waits)
		widen(p, f);
	return STEP_WAIT;
}

/* Bytes that stdin has and nobody will get. */
static uint64_t left_over(const struct flow *up)
{
	struct stat st;
	off_t at;
	int n = 0;
	uint64_t left = up->len;
	if (up->eof)
		return left;
	if (up->always && fstat(up->in, &st) == 0 && (at = lseek(up->in, 0, SEEK_CUR)) >= 0)
		return left + (st.st_size > at ? (uint64_t)(st.st_size - at) : 0);
	return ioctl(up->in, FIONREAD, &n) == 0 && n > 0 ? left + (uint64_t)n : left;
}

/* -1: go on; else the status to end with. */
static int go_up(struct pump *p)
{
	struct flow *f = &p->up;
	switch (f->how == BY_COPY ? copy_step(p, f) : kernel_step(p, f)) {
	case STEP_MORE:
	case STEP_WAIT: return -1;
	case STEP_DONE: f->eof = true; return -1;
	case STEP_IN_FAILED: return call_fail(p->call, ST_IO, errno, "read stdin");
	case STEP_OUT_FAILED: break;
	}
	/* The answer may still be there to be read. */
	p->failure = errno;
	f->waits = false;
	return -1;
}

static int go_down(struct pump *p)
{
	struct flow *f = &p->down;
	switch (f->how == BY_COPY ? copy_step(p, f) : kernel_step(p, f)) {
	case STEP_MORE:
	case STEP_WAIT: return -1;
	case STEP_DONE: break;
	case STEP_IN_FAILED:
		if (p->failure == 0)
			p->failure = errno;
		p->hung = true;
		break;
	case STEP_OUT_FAILED: return call_stdout_error(p->call, errno);
	}
	f->eof = true;
	int r = wait_fd(p->sock, 0, DEADLINE_NOW, NULL);
	p->hung = p->hung || (r > 0 && (r & (POLLHUP | POLLERR)) != 0);
	return -1;
}

static bool up_open(const struct pump *p)
{
	return !(p->up.eof && p->up.len == 0) && p->failure == 0;
}

/* The server has ended. Is there still anything to be sent? *STATUS says how it ends. */
static bool over(struct pump *p, int *status)
{
	if (!p->down.eof || p->down.len > 0)
		return false;
	if (p->failure == 0 && !up_open(p)) {
		*status = ST_OK;
		return true;
	}
	/* It may still read: what there is to be sent is sent, but more is not waited for. */
	if (p->failure == 0 && !p->hung &&
		(p->up.len > 0 || p->up.always ||
			wait_fd(p->up.in, POLLIN, DEADLINE_NOW, NULL) > 0))
		return false;
	/* Is there anything for it that it will not get? An end of file is nothing. */
	char byte;
	if (p->failure == 0 && p->up.len == 0 && !p->up.eof &&
		(p->up.always || wait_fd(p->up.in, POLLIN, DEADLINE_NOW, NULL) > 0) &&
		left_over(&p->up) == 0 && read(p->up.in, &byte, 1) <= 0)
		p->up.eof = true;
	uint64_t lost = left_over(&p->up);
	*status = ST_OK;
	if (p->failure != 0 || lost > 0)
		*status = call_fail(p->call, ST_NOPEER, p->failure,
			"%s: the server closed the connection; %llu bytes were sent, %s%llu not",
			p->a->text, (unsigned long long)p->up.done, p->up.eof ? "" : "at least ",
			(unsigned long long)lost);
	return true;
}

static void half_close(struct pump *p)
{
	if (p->shut || up_open(p))
		return;
	p->shut = true;
	(void)shutdown(p->sock, SHUT_WR);
}

/* What to wait for. */
static void wanted(struct pump *p, struct pollfd fds[3])
{
	bool up = up_open(p), down = !p->down.eof || p->down.len > 0;
	for (int i = 0; i < 3; i++)
		fds[i] = (struct pollfd){.fd = -1};
	if (up && !p->up.waits && !p->up.always && !p->up.eof)
		fds[0] = (struct pollfd){.fd = p->up.in, .events = POLLIN};
	fds[1].fd = p->sock;
	if (up && (p->up.waits || p->up.always || p->up.len > 0))
		fds[1].events |= POLLOUT;
	if (!p->down.eof && !p->down.waits)
		fds[1].events |= POLLIN;
	/* With no events it still tells when the server goes; once is enough. */
	if (p->hung && (p->down.eof || p->down.waits))
		fds[1].fd = -1;
	if (down)
		fds[2] = (struct pollfd){.fd = p->down.out, .events = p->down.waits ? POLLOUT : 0};
	if (p->down.always && !p->down.waits)
		fds[2].fd = -1;
}

static int turn(struct pump *p, const struct pollfd fds[3])
{
	int status = -1;
	if (!p->down.waits && (fds[2].revents & POLLERR) != 0)
		return call_stdout_error(p->call, EPIPE);
	p->hung = p->hung || (fds[1].revents & (POLLHUP | POLLERR)) != 0;
	bool in = (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
	if (!(p->down.eof && p->down.len == 0) && (p->down.waits ? fds[2].revents != 0 : in))
		status = go_down(p);
	bool room = (fds[1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
	if (status < 0 && up_open(p) && (p->up.waits || p->up.always ? room : fds[0].revents != 0))
		status = go_up(p);
	half_close(p);
	return status;
}

static void choose(struct pump *p)
{
	mode_t in = kind(p->up.in), out = kind(p->down.out);
	int flags = fcntl(p->down.out, F_GETFL);
	p->up.always = S_ISREG(in) || S_ISBLK(in);
	p->down.always = S_ISREG(out) || S_ISBLK(out);
	p->up.how = p->up.always ? BY_SENDFILE : S_ISFIFO(in) ? BY_SPLICE : BY_COPY;
	/* Not into a pipe opened to append: splice(2) refuses, and neither do small answers gain. */
	p->down.how = S_ISFIFO(out) && (flags & O_APPEND) == 0 ? BY_SPLICE : BY_COPY;
	/* A socket that is not ours stays as it is: only send(2) and recv(2) do not wait then. */
	if (p->a->fd >= 0)
		p->up.how = p->down.how = BY_COPY;
}

int pump_stream(struct call *call, const struct addr *a, int sock, int64_t idle)
{
	struct pump pump = {.call = call,
		.a = a,
		.sock = sock,
		.up = {.in = call->in, .out = sock},
		.down = {.in = sock, .out = call->out.fd}};
	struct pump *p = &pump;
	struct pollfd fds[3];
	int status = -1;
	if (a->fd < 0 && fd_nonblock(sock, true) < 0)
		return call_error(call, errno, "connect %s", a->text);
	choose(p);
	while (status < 0 && !over(p, &status)) {
		wanted(p, fds);
		if (wait_poll(fds, 3, wait_until(idle), &call->stop) < 0) {
			status = errno == ETIMEDOUT || errno == EAGAIN
				? call_fail(call, ST_TIMEOUT, 0, "%s: nothing moved for --idle",
					  a->text)
				: call_waited(call, errno, "wait for %s", a->text);
			break;
		}
		status = turn(p, fds);
	}
	free(p->up.data);
	free(p->down.data);
	return status;
}
