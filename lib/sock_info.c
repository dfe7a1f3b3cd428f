/* lib/sock_info.c: see sock.h. What a socket is, and ending a connection so that its peer learns of it. */
#define _GNU_SOURCE
#include "sock.h"

#include "call.h"
#include "fd.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

const char *sock_type_name(int type)
{
	return type == SOCK_STREAM       ? "stream"
		: type == SOCK_DGRAM     ? "dgram"
		: type == SOCK_SEQPACKET ? "seqpacket"
					 : "socket";
}

static int get_int(int fd, int opt)
{
	int n = -1;
	socklen_t len = sizeof n;
	return getsockopt(fd, SOL_SOCKET, opt, &n, &len) < 0 ? -1 : n;
}

int sock_type(int fd)
{
	return get_int(fd, SO_TYPE);
}

bool sock_is_listening(int fd)
{
	return get_int(fd, SO_ACCEPTCONN) == 1;
}

const char *sock_name(int fd, bool peer, char buf[ADDR_TEXT])
{
	struct addr_sa sa = {.len = sizeof sa.ss};
	int r = peer ? getpeername(fd, &sa.sa, &sa.len) : getsockname(fd, &sa.sa, &sa.len);
	buf[0] = '\0';
	return r < 0 ? buf : addr_text(&sa.sa, sa.len, sock_type(fd), buf);
}

int sock_fd_failed(struct call *call, int fd)
{
	if (errno == EBADF)
		return call_fail(call, ST_NOOBJ, 0, "descriptor %d is not open", fd);
	if (errno == ENOTSOCK)
		return call_fail(call, ST_USAGE, 0, "descriptor %d is not a socket", fd);
	return call_error(call, errno, "descriptor %d", fd);
}

int sock_unblock(const struct sock_bound *b)
{
	return b->inherited ? 0 : fd_nonblock(b->fd, true);
}

int sock_accept(const struct sock_bound *b, int flags)
{
	if (b->inherited && wait_fd(b->fd, POLLIN, DEADLINE_NOW, NULL) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return accept4(b->fd, NULL, NULL, flags | SOCK_CLOEXEC);
}

void sock_abort(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	fd_close(fd);
}

bool sock_lacks(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM ||
		errnum == ENOSPC;
}
