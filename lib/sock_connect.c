/* lib/sock_connect.c: see sock.h. */
#define _GNU_SOURCE
#include "call.h"
#include "fd.h"
#include "object.h"
#include "sock.h"
#include "sockdiag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RETRY_FIRST (1 * NS_PER_MS)
#define RETRY_MOST (100 * NS_PER_MS)

/* The address to connect to; for paths *AT is to be left. */
static int target(const struct addr *a, unsigned i, struct addr_at *at)
{
	if (a->is_path)
		return addr_enter(a->path, true, at);
	*at = (struct addr_at){.fd = -1};
	if (i >= a->n) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	at->sa = a->list[i];
	return 0;
}

/* A socket for AT; a datagram socket of unix gets a name, so that it can be answered. */
static int make(const struct addr_at *at, int type)
{
	int family = at->sa.sa.sa_family;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr sa = {.sa_family = AF_UNIX};
	if (fd >= 0 && family == AF_UNIX && type == SOCK_DGRAM)
		(void)bind(fd, &sa, sizeof sa.sa_family);
	return fd;
}

/* Nobody is talked to in a directory that somebody else has made in our name. A missing one is told by connect(2). */
static bool is_ours(const struct addr *a)
{
	if (a->obj.kind != OBJECT_WORD)
		return true;
	int fd = object_dir("sock", false);
	fd_close(fd);
	return fd >= 0 || errno != EPERM;
}

int sock_connect_start(const struct addr *a, unsigned i, int type, bool *pending)
{
	struct addr_at at;
	*pending = false;
	if (!is_ours(a)) {
		errno = EPERM;
		return -1;
	}
	if (target(a, i, &at) < 0)
		return -1;
	int fd = make(&at, type), r = -1;
	if (fd >= 0)
		do
			r = connect(fd, &at.sa.sa, at.sa.len);
		while (r < 0 && errno == EINTR && at.sa.sa.sa_family == AF_UNIX);
	/* EINTR: a connection over the network goes on by itself. */
	if (fd >= 0 && r < 0 && (errno == EINPROGRESS || errno == EINTR)) {
		*pending = true;
		r = 0;
	}
	if (r < 0) {
		fd_close(fd);
		fd = -1;
	}
	addr_leave(&at);
	return fd;
}

int sock_connect_result(int fd)
{
	int err = 0;
	socklen_t len = sizeof err;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -1;
	errno = err;
	return err == 0 ? 0 : -1;
}

int sock_connect_again(int fd, const struct addr *a)
{
	struct addr_at at;
	if (!is_ours(a)) {
		errno = EPERM;
		return -1;
	}
	if (target(a, 0, &at) < 0)
		return -1;
	int r = connect(fd, &at.sa.sa, at.sa.len);
	addr_leave(&at);
	return r;
}

/* Stand in the queue of a unix socket whose backlog is full: only a blocking connect(2) can. */
static int connect_queued(const struct addr *a, int type, int64_t deadline, const struct stop *stop)
{
	struct addr_at at;
	struct wait_timer t;
	if (target(a, 0, &at) < 0)
		return -1;
	int fd = make(&at, type);
	int r = fd < 0 ? -1 : fd_nonblock(fd, false);
	if (r == 0)
		r = wait_timer_start(&t, deadline, stop);
	if (r == 0) {
		while ((r = connect(fd, &at.sa.sa, at.sa.len)) < 0 && errno == EINTR &&
			!wait_timer_due(&t))
			;
		wait_timer_stop(&t);
	}
	addr_leave(&at);
	if (r == 0)
		return fd;
	fd_close(fd);
	return -1;
}

static int connect_one(
	const struct addr *a, unsigned i, int type, int64_t deadline, const struct stop *stop)
{
	bool pending;
	int fd = sock_connect_start(a, i, type, &pending);
	if (fd < 0 && errno == EAGAIN && a->family == AF_UNIX && deadline != DEADLINE_NOW)
		return connect_queued(a, type, deadline, stop);
	if (fd < 0)
		return -1;
	if ((pending &&
		    (wait_fd(fd, POLLOUT, deadline, stop) < 0 || sock_connect_result(fd) < 0)) ||
		fd_nonblock(fd, false) < 0) {
		fd_close(fd);
		return -1;
	}
	return fd;
}

int sock_connect_to(const struct addr *a, int type, int64_t deadline, const struct stop *stop)
{
	for (unsigned i = 0;; i++) {
		int fd = connect_one(a, i, type, deadline, stop);
		bool last = i + 1 >= a->n;
		if (fd >= 0 || last || errno == ETIMEDOUT || errno == EINTR ||
			(errno == EAGAIN && deadline == DEADLINE_NOW))
			return fd;
	}
}

/* May the same call succeed later? */
static bool worth_retrying(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case EACCES: /* a server that has not set the mode of its path yet */
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case ENODEV: return true;
	default: return false;
	}
}

/* Watch the directory of PATH for the name to appear; -1 when that cannot be. */
static int watch_dir(const struct addr *a)
{
	char dir[PATH_MAX];
	if (!a->is_path)
		return -1;
	const char *slash = strrchr(a->path, '/');
	snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - a->path) + 1 : 1,
		slash != NULL ? a->path : ".");
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd >= 0 && inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO | IN_ATTRIB) < 0) {
		fd_close(fd);
		fd = -1;
	}
	return fd;
}

static void drain(int fd)
{
	char buf[4096];
	while (read(fd, buf, sizeof buf) > 0)
		;
}

/* Does somebody listen on the unix socket A? The kernel tells, so that a server need not see a client that
 * wants nothing. 0, or -1 with errno as connect(2) would give. */
static int look(const struct addr *a, int type, int64_t deadline, const struct stop *stop)
{
	struct stat st;
	struct sockdiag d;
	if (a->family == AF_UNIX && a->is_path &&
		(stat(a->path, &st) < 0 || faccessat(AT_FDCWD, a->path, W_OK, AT_EACCESS) < 0))
		return -1;
	if (a->family == AF_UNIX && sockdiag_find(a, a->is_path ? &st : NULL, &d) > 0) {
		bool right = type == 0 || d.type == type;
		errno = right ? ECONNREFUSED : EPROTOTYPE;
		return right && (d.listening || d.type == SOCK_DGRAM) ? 0 : -1;
	}
	/* Not in our network namespace, or not unix: there is no other way. */
	int fd = sock_connect_to(a, type != 0 ? type : a->type, deadline, stop);
	fd_close(fd);
	/* Somebody is there, only of another type. */
	return fd >= 0 || (type == 0 && errno == EPROTOTYPE) ? 0 : -1;
}

typedef int attempt_fn(const struct addr *, int, int64_t, const struct stop *);

static int retry(const struct addr *a, int type, int64_t deadline, int64_t until,
	const struct stop *stop, attempt_fn *attempt)
{
	int64_t pause = RETRY_FIRST;
	int events = -1;
	bool watching = false;
	for (;;) {
		int fd = attempt(a, type, deadline, stop), err = errno;
		if (fd >= 0 || !worth_retrying(err) || until == DEADLINE_NOW ||
			wait_now() >= until) {
			fd_close(events);
			errno = err;
			return fd;
		}
		if (!watching) {
			/* Once more after this, so that nothing is missed in between. */
			watching = true;
			events = watch_dir(a);
			continue;
		}
		int64_t next = wait_now() + pause;
		struct pollfd p = {.fd = events, .events = POLLIN};
		int r = wait_poll(&p, 1, next < until ? next : until, stop);
		if (r < 0 && errno == EINTR) {
			fd_close(events);
			errno = EINTR;
			return -1;
		}
		if (r > 0)
			drain(events);
		/* Something happened to the name: listen(2) may follow any moment. */
		pause = r > 0 ? RETRY_FIRST : pause * 2 < RETRY_MOST ? pause * 2 : RETRY_MOST;
	}
}

int sock_connect_retry(
	const struct addr *a, int type, int64_t deadline, int64_t until, const struct stop *stop)
{
	return retry(a, type, deadline, until, stop, sock_connect_to);
}

int sock_wait(const struct addr *a, int type, int64_t deadline, const struct stop *stop)
{
	return retry(a, type, deadline, deadline, stop, look);
}

int sock_connect_failed(struct call *call, const struct addr *a, int type, int errnum)
{
	struct stat st;
	int status = errnum == EPERM ? call_place_error(call, &a->obj, "sock", errnum) : -1;
	if (status >= 0)
		return status;
	switch (errnum) {
	case EPROTOTYPE:
		return call_fail(call, ST_USAGE, 0,
			"connect %s: it is not a %s socket; choose another -t", a->text,
			sock_type_name(type));
	case ENODEV: return call_fail(call, ST_NOPEER, errnum, "connect %s", a->text);
	case ECONNREFUSED:
		if (a->is_path && stat(a->path, &st) == 0 && !S_ISSOCK(st.st_mode))
			return call_fail(
				call, ST_DATA, 0, "connect %s: it is not a socket", a->text);
		/* fall through */
	default: return call_waited(call, errnum, "connect %s", a->text);
	}
}

int sock_connect(struct call *call, struct addr *a, int type, int64_t retry, int *fd)
{
	if (a->fd >= 0) {
		if (sock_type(a->fd) < 0)
			return sock_fd_failed(call, a->fd);
		(void)fcntl(a->fd, F_SETFD, FD_CLOEXEC);
		*fd = call_own(call, a->fd);
		return 0;
	}
	const char *why = addr_resolve(a, false);
	if (why != NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: %s", a->text, why);
	if (type == 0)
		type = a->type;
	int64_t deadline = call_deadline(call), until = wait_until(retry);
	if (until > deadline)
		until = deadline;
	*fd = call_own(call, sock_connect_retry(a, type, deadline, until, &call->stop));
	return *fd >= 0 ? 0 : sock_connect_failed(call, a, type, errno);
}
