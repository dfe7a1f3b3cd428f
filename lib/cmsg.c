/* lib/cmsg.c: see cmsg.h. */
#define _GNU_SOURCE
#include "cmsg.h"

#include "fd.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* Room for credentials, a security label, a pidfd and time stamps beside the descriptors: an inherited
 * socket may have been told to deliver them. */
#define OTHERS 1024

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(CMSG_MAX_FDS * sizeof(int)) + OTHERS];
};

/* musl's macro mixes signs; nothing of it is ours to mend. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
struct cmsghdr *cmsg_next(struct msghdr *msg, struct cmsghdr *c)
{
	return CMSG_NXTHDR(msg, c);
}
#pragma GCC diagnostic pop

void cmsg_close(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(fds[i]);
}

/* After a failed call: 0 to try again, -1 to give up. */
static int again(int sock, short events, int64_t deadline, const struct stop *stop)
{
	if (errno == EINTR)
		return wait_stopped(stop) != 0 ? (errno = EINTR, -1) : 0;
	if (errno != EAGAIN)
		return -1;
	return wait_fd(sock, events, deadline, stop) < 0 ? -1 : 0;
}

/* musl's own sendmsg(2) refuses control data of more than 1024 bytes, which 253 descriptors are. Its structs
 * have the kernel's layout, with padding that is zero here. */
static ssize_t send_message(int sock, const struct msghdr *msg, int flags)
{
	return (ssize_t)syscall(SYS_sendmsg, sock, msg, flags);
}

int cmsg_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, int64_t deadline,
	const struct stop *stop)
{
	union control control;
	if (nfds > CMSG_MAX_FDS || len == 0) {
		errno = EINVAL;
		return -1;
	}
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (nfds > 0) {
		memset(&control, 0, sizeof control);
		msg.msg_control = control.buf;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	/* Waiting is done by wait_fd, which knows deadlines and stop signals; without either of them the
	 * call itself may block. */
	int flags = MSG_NOSIGNAL |
		(deadline != DEADLINE_NONE || (stop != NULL && stop->mask != NULL) ? MSG_DONTWAIT
										   : 0);
	while (iov.iov_len > 0) {
		ssize_t n = send_message(sock, &msg, flags);
		if (n < 0) {
			if (again(sock, POLLOUT, deadline, stop) < 0)
				return -1;
			continue;
		}
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

/* How many descriptors the control message C carries. */
static size_t fds_in(const struct cmsghdr *c)
{
	bool rights = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS;
	return rights ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
}

static int fd_at(struct cmsghdr *c, size_t i)
{
	int fd;
	memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
	return fd;
}

/* Take the descriptors out of MSG: at most CAP into FDS, any others are closed. */
static size_t take_fds(struct msghdr *msg, int *fds, size_t cap)
{
	size_t n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = cmsg_next(msg, c)) {
		for (size_t i = 0; i < fds_in(c); i++)
			if (n < cap)
				fds[n++] = fd_at(c, i);
			else
				fd_close(fd_at(c, i));
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_PIDFD &&
			c->cmsg_len >= CMSG_LEN(sizeof(int)))
			fd_close(fd_at(c, 0));
	}
	return n;
}

static size_t count_fds(struct msghdr *msg)
{
	size_t n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = cmsg_next(msg, c))
		n += fds_in(c);
	return n;
}

static void take_cred(struct msghdr *msg, struct peer *peer)
{
	struct ucred cred;
	*peer = (struct peer){.known = false};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = cmsg_next(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
			c->cmsg_len < CMSG_LEN(sizeof cred))
			continue;
		memcpy(&cred, CMSG_DATA(c), sizeof cred);
		*peer = (struct peer){
			.known = true, .uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
	}
}

ssize_t cmsg_recv(int sock, void *data, size_t len, int *fds, size_t cap, size_t *nfds,
	int64_t deadline, const struct stop *stop)
{
	struct peer peer;
	return cmsg_recv_from(sock, data, len, fds, cap, nfds, &peer, deadline, stop);
}

ssize_t cmsg_recv_from(int sock, void *data, size_t len, int *fds, size_t cap, size_t *nfds,
	struct peer *peer, int64_t deadline, const struct stop *stop)
{
	union control control;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg;
	ssize_t n;
	int flags = MSG_CMSG_CLOEXEC |
		(deadline != DEADLINE_NONE || (stop != NULL && stop->mask != NULL) ? MSG_DONTWAIT
										   : 0);
	*nfds = 0;
	for (;;) {
		msg = (struct msghdr){.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.buf,
			.msg_controllen = sizeof control.buf};
		n = recvmsg(sock, &msg, flags);
		if (n >= 0)
			break;
		if (again(sock, POLLIN, deadline, stop) < 0)
			return -1;
	}
	bool more = cap > 0 && count_fds(&msg) > cap;
	*nfds = take_fds(&msg, fds, cap);
	take_cred(&msg, peer);
	if ((msg.msg_flags & MSG_TRUNC) == 0 && (msg.msg_flags & MSG_CTRUNC) == 0 && !more)
		return n;
	cmsg_close(fds, *nfds);
	*nfds = 0;
	errno = (msg.msg_flags & MSG_TRUNC) != 0 ? EMSGSIZE : EMFILE;
	return -1;
}

/* The bytes, with the kernel's own, that the peer has not received yet. While the kernel gives the last of
 * them back it says that there is room with one byte still counted; a buffer is never that small. */
static bool is_drained(int sock)
{
	int left = 0;
	return ioctl(sock, SIOCOUTQ, &left) < 0 || left < 64;
}

int cmsg_drain(int sock, int64_t deadline, const struct stop *stop)
{
	if (is_drained(sock))
		return 0;
	/* Edge-triggered: each buffer that is given back makes an event, the last one too. */
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int r = epfd < 0 ? -1 : epoll_ctl(epfd, EPOLL_CTL_ADD, sock, &ev);
	while (r == 0 && !is_drained(sock)) {
		r = wait_fd(epfd, POLLIN, deadline, stop) < 0 ? -1 : 0;
		if (r == 0)
			(void)epoll_wait(epfd, &ev, 1, 0);
	}
	fd_close(epfd);
	return r == 0 ? 1 : -1;
}
