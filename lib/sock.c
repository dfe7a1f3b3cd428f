/* lib/sock.c: see sock.h. Listening; the bind is in sock_bind.c, connecting in sock_connect.c. */
#define _GNU_SOURCE
#include "sock.h"

#include "call.h"
#include "fd.h"
#include "num.h"
#include "object.h"
#include "peer.h"
#include "sockdiag.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_PATIENCE (10 * NS_PER_S) /* starting takes others a few ms */

/* The lock of all who start a server in this directory: flock(2) on the directory, which leaves
 * nothing behind; on PATH.lock when the directory cannot be opened for reading. */
static int lock_dir(const char *path, const struct stop *stop)
{
	char name[PATH_MAX + 8];
	struct wait_timer t;
	const char *slash = strrchr(path, '/');
	snprintf(name, sizeof name, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
		slash != NULL ? path : ".");
	int fd = fd_open(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == EACCES) {
		snprintf(name, sizeof name, "%s.lock", path);
		fd = fd_open(AT_FDCWD, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	}
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	/* A file system without locks: bind(2) itself is what decides then. */
	if (errno != EWOULDBLOCK)
		return fd;
	int r = wait_timer_start(&t, wait_until(LOCK_PATIENCE), stop);
	while (r == 0 && (r = flock(fd, LOCK_EX)) < 0 && errno == EINTR && !wait_timer_due(&t))
		r = 0;
	wait_timer_stop(&t);
	if (r == 0)
		return fd;
	fd_close(fd);
	return -1;
}

/* What has the name. */
enum found { FOUND_NOTHING, FOUND_DEAD, FOUND_LIVE, FOUND_OTHER, FOUND_ERROR };

/* Ask the socket ST at PATH by connecting. *PEER tells who listens. */
static enum found probe(const char *path, int type, struct peer *peer)
{
	struct addr_at at;
	*peer = (struct peer){.known = false};
	if (addr_enter(path, true, &at) < 0)
		return errno == ENOENT ? FOUND_NOTHING : FOUND_ERROR;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -1 : connect(fd, &at.sa.sa, at.sa.len);
	int err = errno;
	if (r == 0)
		(void)peer_of(fd, peer);
	fd_close(fd);
	addr_leave(&at);
	errno = err;
	/* A full backlog and a socket of another type are signs of life, too. */
	if (r == 0 || err == EAGAIN || err == EPROTOTYPE)
		return FOUND_LIVE;
	return err == ECONNREFUSED ? FOUND_DEAD : err == ENOENT ? FOUND_NOTHING : FOUND_ERROR;
}

/* *ST is what was looked at. First the kernel is asked, so that a live server does not see a client that wants nothing; then, since
 * it tells only of our network namespace, a connection is tried. */
static enum found look(const struct addr *a, int type, struct peer *peer, struct stat *st)
{
	struct sockdiag d;
	*peer = (struct peer){.known = false};
	if (lstat(a->path, st) < 0)
		return errno == ENOENT ? FOUND_NOTHING : FOUND_ERROR;
	if (!S_ISSOCK(st->st_mode))
		return FOUND_OTHER;
	if (sockdiag_find(a, st, &d) <= 0)
		return probe(a->path, type, peer);
	pid_t pid = sockdiag_owner(d.inode);
	/* 0: closed since then, or not visible to us. */
	if (pid == 0)
		return probe(a->path, type, peer);
	*peer = (struct peer){.known = d.has_uid, .uid = d.uid, .pid = pid};
	return FOUND_LIVE;
}

static int live(struct call *call, const char *name, const struct peer *peer)
{
	char user[64];
	if (!peer->known)
		return call_fail(
			call, ST_BUSY, 0, "%s: a live socket is there; it is left alone", name);
	num_user_name(peer->uid, user, sizeof user);
	return call_fail(call, ST_BUSY, 0,
		"%s: a live server is there (pid %ld, user %s); it is left alone", name,
		(long)peer->pid, user);
}

static int start(
	struct call *call, struct sock_bound *b, const struct sock_how *how, const char *name)
{
	int backlog = how->backlog > 0 ? how->backlog : SOMAXCONN;
	/* The kernel takes the lesser of this and net.core.somaxconn. */
	if (how->backlog == 0)
		backlog = 1 << 16;
	b->listens = b->type != SOCK_DGRAM;
	if (b->listens && listen(b->fd, backlog) < 0)
		return errno == EADDRINUSE
			? call_fail(call, ST_BUSY, errno, "%s: a live server is there", name)
			: call_error(call, errno, "listen on %s", name);
	return 0;
}

/* The part that happens under the lock. */
static int claim(struct call *call, const struct addr *a, struct sock_bound *b, int dirfd,
	const struct sock_how *how)
{
	struct peer peer;
	struct stat st;
	for (int tries = 0; tries < 8; tries++) {
		enum found found = look(a, b->type, &peer, &st);
		if (found == FOUND_LIVE)
			return live(call, a->text, &peer);
		if (found == FOUND_OTHER)
			return call_fail(
				call, ST_EXISTS, 0, "%s: exists and is not a socket", a->text);
		if (found == FOUND_ERROR)
			return call_error(call, errno, "look whether %s is in use", a->text);
		if (found == FOUND_DEAD && object_unlink(AT_FDCWD, a->path, &st, 0) < 0 &&
			errno != ENOENT)
			return call_error(call, errno, "remove the dead socket %s", a->text);
		if (sock_bind_path(b, a->path, dirfd, how) == 0) {
			b->path = call_strdup(call, a->path);
			return b->path == NULL ? call_error(call, ENOMEM, "listen")
					       : start(call, b, how, a->text);
		}
		if (errno != EADDRINUSE)
			return call_error(call, errno, "bind %s", a->text);
	}
	return call_fail(call, ST_BUSY, 0, "%s: somebody else keeps making it", a->text);
}

/* Does somebody still have the socket ST at B->path open, whom our descriptor was given to? */
static bool handed_on(const struct sock_bound *b, const struct stat *st)
{
	struct addr a = {.family = AF_UNIX, .type = b->type, .is_path = true, .fd = -1};
	struct sockdiag d;
	struct peer peer;
	snprintf(a.path, sizeof a.path, "%s", b->path);
	int found = sockdiag_find(&a, st, &d);
	/* Connections of ours bear its name, too. */
	if (found > 0)
		return d.listening || b->type == SOCK_DGRAM;
	return found < 0 && probe(b->path, b->type, &peer) == FOUND_LIVE;
}

static void undo_release(void *bound, intptr_t n)
{
	struct sock_bound *b = bound;
	struct stat st = {.st_dev = b->dev, .st_ino = b->ino};
	(void)n;
	bool ours = b->ino != 0 && b->path != NULL;
	/* One that was lent is closed first: only then the kernel knows of others. Who takes the path for
	 * dead now removes it under the same lock, and makes another file. Otherwise nobody takes the
	 * path for dead while the socket is open. */
	int lock = ours && b->lent ? lock_dir(b->path, NULL) : -1;
	if (b->lent)
		fd_close(b->fd);
	if (ours && !(b->lent && handed_on(b, &st)))
		(void)object_unlink(AT_FDCWD, b->path, &st, 0);
	if (!b->lent)
		fd_close(b->fd);
	fd_close(lock);
	b->dev = 0;
	b->ino = 0;
	b->fd = -1;
}

void sock_release(struct sock_bound *b)
{
	call_keep(b->call, undo_release, b, 0);
	undo_release(b, 0);
}

static struct sock_bound *new_bound(struct call *call, int fd, int type)
{
	struct sock_bound *b = call_alloc(call, sizeof *b);
	if (b == NULL) {
		fd_close(fd);
		return NULL;
	}
	*b = (struct sock_bound){.fd = fd, .type = type, .call = call};
	return call_undo(call, undo_release, b, 0) < 0 ? NULL : b;
}

/* Take the lock. 0 and *DIRFD, or a status. */
static int lock_for(struct call *call, const struct addr *a, int *dirfd)
{
	*dirfd = lock_dir(a->path, &call->stop);
	if (*dirfd >= 0)
		return 0;
	return errno == ETIMEDOUT
		? call_fail(call, ST_BUSY, 0,
			  "%s: somebody holds the lock of its directory (flock)", a->text)
		: call_waited(call, errno, "open the directory of %s", a->text);
}

int sock_remove(struct call *call, const struct addr *a)
{
	struct peer peer;
	struct stat st;
	int dirfd, status = lock_for(call, a, &dirfd);
	if (status != 0)
		return status;
	switch (look(a, a->type, &peer, &st)) {
	case FOUND_LIVE: status = live(call, a->text, &peer); break;
	case FOUND_NOTHING: status = call_error(call, ENOENT, "remove %s", a->text); break;
	case FOUND_OTHER:
		status = call_fail(call, ST_USAGE, 0, "%s: is not a socket", a->text);
		break;
	case FOUND_ERROR:
		status = call_error(call, errno, "look whether %s is in use", a->text);
		break;
	case FOUND_DEAD:
		if (object_unlink(AT_FDCWD, a->path, &st, 0) < 0)
			status = call_error(call, errno, "remove %s", a->text);
		break;
	}
	fd_close(dirfd);
	return status;
}

static int listen_path(
	struct call *call, const struct addr *a, struct sock_bound *b, const struct sock_how *how)
{
	int dirfd;
	if (addr_make_dir(a) < 0)
		return call_error(call, errno, "directory of %s", a->text);
	int status = lock_for(call, a, &dirfd);
	if (status != 0)
		return status;
	status = claim(call, a, b, dirfd, how);
	fd_close(dirfd);
	b->name = b->path;
	return status;
}

static int listen_sa(struct call *call, const struct addr *a, unsigned i, struct sock_bound *b,
	const struct sock_how *how)
{
	const struct addr_sa *sa = &a->list[i];
	int on = 1, off = 0;
	struct peer peer = {.known = false};
	char name[ADDR_TEXT];
	if (sa->sa.sa_family == AF_INET || sa->sa.sa_family == AF_INET6) {
		/* Connections of a server that has ended must not keep the next one waiting. */
		if (b->type == SOCK_STREAM)
			(void)setsockopt(b->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (sa->sa.sa_family == AF_INET6 && a->n > 1)
			(void)setsockopt(b->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	}
	if (bind(b->fd, &sa->sa, sa->len) < 0) {
		if (errno != EADDRINUSE)
			return call_error(call, errno, "bind %s", a->text);
		int fd = sa->sa.sa_family == AF_UNIX
			? sock_connect_to(a, b->type, DEADLINE_NOW, NULL)
			: -1;
		if (fd >= 0)
			(void)peer_of(fd, &peer);
		fd_close(fd);
		return live(call, a->text, &peer);
	}
	b->name = call_strdup(call, sock_name(b->fd, false, name));
	bool any = sa->sa.sa_family == AF_INET6 &&
		IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&sa->ss)->sin6_addr);
	if (a->n > i + 1 && !any)
		call_warn(call, 0, "%s has several addresses; only %s is served", a->text, name);
	return start(call, b, how, a->text);
}

int sock_take(struct call *call, int fd, struct sock_bound **bound)
{
	char name[ADDR_TEXT];
	int type = sock_type(fd);
	if (type < 0)
		return sock_fd_failed(call, fd);
	if (type != SOCK_DGRAM && !sock_is_listening(fd))
		return call_fail(call, ST_USAGE, 0, "descriptor %d is not a listening socket", fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	struct sock_bound *b = new_bound(call, fd, type);
	if (b == NULL)
		return call_error(call, ENOMEM, "descriptor %d", fd);
	b->inherited = true;
	b->listens = type != SOCK_DGRAM;
	b->name = call_strdup(call, sock_name(fd, false, name));
	*bound = b;
	return 0;
}

/* Is FD the socket that is bound to the file at A, whatever names led to it? */
static bool is_bound_to(int fd, const struct addr *a)
{
	struct stat file, st, other;
	struct sockdiag d;
	struct addr_sa sa = {.len = sizeof sa.ss};
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&sa.ss;
	if (stat(a->path, &file) < 0 || !S_ISSOCK(file.st_mode) || fstat(fd, &st) < 0)
		return false;
	int found = sockdiag_find(a, &file, &d);
	if (found >= 0)
		return found > 0 && d.inode == st.st_ino;
	/* The kernel cannot tell: by the name that it was bound by. */
	return getsockname(fd, &sa.sa, &sa.len) == 0 && sa.sa.sa_family == AF_UNIX &&
		sa.len > sizeof sa.sa.sa_family && sun->sun_path[0] != '\0' &&
		stat(sun->sun_path, &other) == 0 && other.st_dev == file.st_dev &&
		other.st_ino == file.st_ino;
}

/* The descriptor among those of sd_listen_fds(3) that is bound to A already; -1. */
static int inherited(const struct addr *a, int type)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int64_t id, n;
	if (pid == NULL || count == NULL || num_int(pid, &id) != NULL || id != getpid() ||
		num_int(count, &n) != NULL || n < 1 || n > 1024)
		return -1;
	for (int fd = 3; fd < 3 + (int)n; fd++) {
		struct addr_sa sa = {.len = sizeof sa.ss};
		if (sock_type(fd) != type || getsockname(fd, &sa.sa, &sa.len) < 0)
			continue;
		if (a->is_path && is_bound_to(fd, a))
			return fd;
		for (unsigned i = 0; i < a->n; i++)
			if (addr_equal(&sa.sa, sa.len, &a->list[i].sa, a->list[i].len))
				return fd;
	}
	return -1;
}

int sock_listen(
	struct call *call, struct addr *a, const struct sock_how *how, struct sock_bound **bound)
{
	int type = how->type != 0 ? how->type : a->type;
	if (a->fd >= 0)
		return sock_take(call, a->fd, bound);
	const char *why = addr_resolve(a, true);
	if (why != NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: %s", a->text, why);
	int fd = how->inherit ? inherited(a, type) : -1;
	if (fd >= 0)
		return sock_take(call, fd, bound);
	int family = a->is_path ? AF_UNIX : a->list[0].sa.sa_family;
	unsigned i = 0;
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && a->n > 1) {
		i = 1;
		fd = socket(a->list[1].sa.sa_family, type | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return call_error(call, errno, "make a socket for %s", a->text);
	struct sock_bound *b = new_bound(call, fd, type);
	if (b == NULL)
		return call_error(call, ENOMEM, "listen on %s", a->text);
	int status = a->is_path ? listen_path(call, a, b, how) : listen_sa(call, a, i, b, how);
	if (status == 0)
		*bound = b;
	return status;
}
