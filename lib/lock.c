/* lib/lock.c: see lock.h. */
#define _GNU_SOURCE
#include "lock.h"

#include "fd.h"
#include "lease.h"
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static struct flock range(short type, int64_t start, int64_t len)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)len};
}

static int take_fcntl(int fd, unsigned family, bool shared, int64_t start, int64_t len,
	int64_t deadline, const struct stop *stop)
{
	struct flock fl = range(shared ? F_RDLCK : F_WRLCK, start, len);
	struct wait_timer t;
	int r;
	if (deadline != DEADLINE_NONE || stop != NULL) { /* a timer that nobody needs costs more */
		do
			r = fcntl(fd, family == LOCK_OFD ? F_OFD_SETLK : F_SETLK, &fl);
		while (r < 0 && errno == EINTR);
		if (r < 0 && errno == EACCES)
			errno = EAGAIN;
		if (r == 0 || deadline == DEADLINE_NOW || errno != EAGAIN)
			return r;
	}
	if (wait_timer_start(&t, deadline, stop) < 0)
		return -1;
	while ((r = fcntl(fd, family == LOCK_OFD ? F_OFD_SETLKW : F_SETLKW, &fl)) < 0 &&
		errno == EINTR && !wait_timer_due(&t))
		;
	wait_timer_stop(&t);
	return r;
}

/* The kernel (EINVAL), or the file system, has no OFD locks. */
static bool no_ofd(int e)
{
	return e == EINVAL || e == ENOSYS || e == EOPNOTSUPP || e == ENOLCK;
}

int lock_fcntl(int fd, unsigned family, bool shared, int64_t start, int64_t len, int64_t deadline,
	const struct stop *stop)
{
	int r = take_fcntl(fd, family, shared, start, len, deadline, stop);
	if (r == 0 || family != LOCK_OFD || !no_ofd(errno))
		return r;
	if (start == 0 && len == 0)
		return lock_flock(fd, shared, deadline, stop);
	errno = EOPNOTSUPP; /* EINVAL would be ours */
	return -1;
}

int lock_flock(int fd, bool shared, int64_t deadline, const struct stop *stop)
{
	int op = shared ? LOCK_SH : LOCK_EX;
	struct wait_timer t;
	int r;
	if (deadline != DEADLINE_NONE || stop != NULL) { /* a timer that nobody needs costs more */
		do
			r = flock(fd, op | LOCK_NB);
		while (r < 0 && errno == EINTR);
		if (r == 0 || deadline == DEADLINE_NOW || errno != EAGAIN)
			return r;
	}
	if (wait_timer_start(&t, deadline, stop) < 0)
		return -1;
	while ((r = flock(fd, op)) < 0 && errno == EINTR && !wait_timer_due(&t))
		;
	wait_timer_stop(&t);
	return r;
}

void lock_fcntl_free(int fd, unsigned family, int64_t start, int64_t len)
{
	int e = errno;
	struct flock fl = range(F_UNLCK, start, len);
	if (fcntl(fd, family == LOCK_OFD ? F_OFD_SETLK : F_SETLK, &fl) < 0 && family == LOCK_OFD &&
		start == 0 && len == 0)
		(void)flock(fd, LOCK_UN);
	errno = e;
}

void lock_flock_free(int fd)
{
	int e = errno;
	(void)flock(fd, LOCK_UN);
	errno = e;
}

/* File systems where flock(2) is an fcntl lock: NFS, SMB, CIFS, SMB2. */
static bool one_family(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	uint32_t type = (uint32_t)fs.f_type;
	return type == 0x6969 || type == 0x517b || type == 0xff534d42 || type == 0xfe534d42;
}

static bool wants_both(const struct lock *l)
{
	return (l->want & (LOCK_OFD | LOCK_FLOCK)) == (LOCK_OFD | LOCK_FLOCK);
}

static bool is_program(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_mode & 0111) != 0;
}

/* What of L->want can be taken on its descriptor. 0 or -1 EBADF, EISDIR. */
static int choose(struct lock *l)
{
	bool ranged = l->start != 0 || l->len != 0;
	bool dir = S_ISDIR(l->st.st_mode);
	l->can = ranged ? l->want & ~LOCK_FLOCK : l->want;
	if ((l->can & (LOCK_OFD | LOCK_POSIX)) == 0)
		return 0;
	if (dir || !(l->shared ? l->readable : l->writable)) {
		l->can &= LOCK_FLOCK;
	} else if (wants_both(l) && !ranged && one_family(l->fd)) {
		l->can = LOCK_OFD;
	}
	if (l->can != 0)
		return 0;
	errno = dir ? EISDIR : EBADF;
	return -1;
}

/* Make the file with exactly l->mode; EEXIST when another was faster. */
static int create_exact(struct lock *l)
{
	struct newfile f;
	int fd = -1;
	if (newfile_open(&f, l->at.dirfd, l->at.rel, l->mode) < 0)
		return -1;
	int r = newfile_link(&f);
	newfile_end(&f, r == 0 ? &fd : NULL);
	return fd;
}

/* Does L need its file open for writing? A look at the file before it is opened decides only which
 * way to open it: what is locked is judged by what was opened. */
static bool needs_write(const struct lock *l)
{
	struct stat st;
	if (l->shared || (l->want & (LOCK_OFD | LOCK_POSIX)) == 0)
		return false;
	return l->named || !wants_both(l) || l->start != 0 || l->len != 0 ||
		fstatat(l->at.dirfd, l->at.rel, &st, 0) < 0 || !is_program(&st);
}

static int open_as(struct lock *l, int access, int64_t deadline, const struct stop *stop)
{
	l->readable = access != O_WRONLY;
	l->writable = access != O_RDONLY;
	return l->fd = lease_open(l->at.dirfd, l->at.rel, access, 0, deadline, stop);
}

static int create(struct lock *l, int access)
{
	unsigned mode = l->mode != 0 ? l->mode : l->obj.kind == OBJECT_WORD ? 0600 : 0666;
	return l->fd = l->exact ? create_exact(l)
				: fd_open(l->at.dirfd, l->at.rel, access | O_CREAT | O_EXCL, mode);
}

static bool refused(int e)
{
	return e == EACCES || e == EROFS || e == EISDIR || e == EPERM || e == ETXTBSY;
}

static int open_file(struct lock *l, int64_t deadline, const struct stop *stop)
{
	int access = needs_write(l) ? O_RDWR : O_RDONLY;
	for (;;) {
		/* Without O_CREAT first: with it, fs.protected_regular and directories refuse. */
		if (open_as(l, access, deadline, stop) >= 0 || errno != ENOENT)
			break;
		if (create(l, access) >= 0 || errno != EEXIST)
			return l->fd;
		if (newfile_dangling(l->at.dirfd, l->at.rel)) {
			errno = ELOOP;
			return -1;
		}
	}
	if (l->fd >= 0 || !refused(errno))
		return l->fd;
	int e = errno;
	if (access == O_RDWR && open_as(l, O_RDONLY, deadline, stop) < 0 && errno == ENOENT)
		errno = e;
	if (l->fd < 0 && errno == EACCES && (l->want & LOCK_FLOCK) != 0)
		open_as(l, O_WRONLY, deadline, stop);
	return l->fd;
}

int lock_open(struct lock *l, int64_t deadline, const struct stop *stop)
{
	l->at.dirfd = AT_FDCWD;
	l->fd = -1;
	if (l->obj.kind == OBJECT_FD) {
		int flags = fcntl(l->obj.fd, F_GETFL);
		if (flags < 0)
			return -1;
		l->fd = l->obj.fd;
		l->readable = (flags & O_ACCMODE) != O_WRONLY;
		l->writable = (flags & O_ACCMODE) != O_RDONLY;
	} else if (object_at(&l->obj, "lock", true, &l->at) < 0 ||
		open_file(l, deadline, stop) < 0) {
		return -1;
	}
	if (fstat(l->fd, &l->st) < 0)
		return -1;
	return choose(l);
}

bool lock_current(const struct lock *l)
{
	struct stat st;
	if (l->obj.kind == OBJECT_FD)
		return true;
	return fstatat(l->at.dirfd, l->at.rel, &st, 0) == 0 && st.st_dev == l->st.st_dev &&
		st.st_ino == l->st.st_ino;
}

/* OFD and flock both, holding none while waiting for the other. */
static int take_both(struct lock *l, int64_t deadline, const struct stop *stop)
{
	for (;;) {
		if (take_fcntl(l->fd, LOCK_OFD, l->shared, 0, 0, deadline, stop) < 0)
			return -1;
		if (lock_flock(l->fd, l->shared, DEADLINE_NOW, NULL) == 0)
			return 0;
		lock_fcntl_free(l->fd, LOCK_OFD, 0, 0);
		if (errno != EAGAIN || lock_flock(l->fd, l->shared, deadline, stop) < 0)
			return -1;
		if (take_fcntl(l->fd, LOCK_OFD, l->shared, 0, 0, DEADLINE_NOW, NULL) == 0)
			return 0;
		lock_flock_free(l->fd);
		if (errno != EAGAIN)
			return -1;
	}
}

/* Where flock(2) is made of fcntl locks it needs a file open for writing, as flock(1) knows: put
 * such a description of the very same file behind L's descriptor. 0 or -1, errno is kept. */
static int reopen_writable(struct lock *l)
{
	struct stat st;
	int e = errno;
	if ((e != EBADF && e != EIO) || l->writable || l->obj.kind == OBJECT_FD)
		return -1;
	int fd = fd_open(l->at.dirfd, l->at.rel, O_RDWR | O_NONBLOCK, 0);
	bool same = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == l->st.st_dev &&
		st.st_ino == l->st.st_ino;
	if (same && dup3(fd, l->fd, O_CLOEXEC) >= 0)
		l->readable = l->writable = true;
	fd_close(fd);
	errno = e;
	return l->writable ? 0 : -1;
}

static int take_flock(struct lock *l, int64_t deadline, const struct stop *stop)
{
	int r = lock_flock(l->fd, l->shared, deadline, stop);
	return r < 0 && reopen_writable(l) == 0 ? lock_flock(l->fd, l->shared, deadline, stop) : r;
}

int lock_take(struct lock *l, int64_t deadline, const struct stop *stop)
{
	int r;
	if (l->can == LOCK_FLOCK)
		r = take_flock(l, deadline, stop);
	else if (l->can != (LOCK_OFD | LOCK_FLOCK))
		r = lock_fcntl(l->fd, l->can, l->shared, l->start, l->len, deadline, stop);
	else if ((r = take_both(l, deadline, stop)) < 0 && no_ofd(errno)) {
		l->can = LOCK_FLOCK;
		r = take_flock(l, deadline, stop);
	}
	if (r == 0)
		l->held = l->can;
	return r;
}

void lock_release(struct lock *l)
{
	if ((l->held & LOCK_FLOCK) != 0)
		lock_flock_free(l->fd);
	if ((l->held & ~LOCK_FLOCK) != 0)
		lock_fcntl_free(l->fd, l->held & ~LOCK_FLOCK, l->start, l->len);
	l->held = 0;
}

void lock_close(struct lock *l)
{
	if (l->obj.kind != OBJECT_FD)
		fd_close(l->fd);
	l->fd = -1;
	l->held = 0;
	object_at_close(&l->at);
}

void lock_release_all(struct lock *locks, unsigned n)
{
	for (unsigned i = n; i-- > 0;) {
		lock_release(&locks[i]);
		lock_close(&locks[i]);
	}
}

static int order(const struct lock *a, const struct lock *b)
{
	if (a->st.st_dev != b->st.st_dev)
		return a->st.st_dev < b->st.st_dev ? -1 : 1;
	return a->st.st_ino < b->st.st_ino ? -1 : a->st.st_ino > b->st.st_ino;
}

/* The first lock behind LAST in the global order, NULL at the end; of twins only one is left open. */
static struct lock *next(struct lock *locks, unsigned n, const struct lock *last)
{
	struct lock *best = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct lock *l = &locks[i];
		if (l->twin || l == last || (last != NULL && order(l, last) <= 0))
			continue;
		if (best != NULL && order(l, best) == 0) {
			lock_close(l);
			l->twin = true;
		} else if (best == NULL || order(l, best) < 0) {
			best = l;
		}
	}
	return best;
}

/* One attempt. 1 all taken, 0 a file was replaced, -1. */
static int attempt(struct lock *locks, unsigned n, int64_t deadline, const struct stop *stop,
	struct lock **failed, const char **step)
{
	*step = "open";
	for (unsigned i = 0; i < n; i++) {
		*failed = &locks[i];
		locks[i].twin = false;
		if (lock_open(&locks[i], deadline, stop) < 0)
			return -1;
	}
	*step = "lock";
	for (struct lock *l = NULL; (l = next(locks, n, l)) != NULL;) {
		*failed = l;
		if (lock_take(l, deadline, stop) < 0)
			return -1;
		if (!lock_current(l))
			return 0;
	}
	return 1;
}

int lock_take_all(struct lock *locks, unsigned n, int64_t deadline, const struct stop *stop,
	struct lock **failed, const char **step)
{
	struct lock *l;
	const char *s;
	for (unsigned i = 0; i < n; i++) {
		locks[i].fd = -1;
		locks[i].at.dirfd = AT_FDCWD;
	}
	for (unsigned tries = 1;; tries++) {
		int r = attempt(locks, n, deadline, stop, failed != NULL ? failed : &l,
			step != NULL ? step : &s);
		if (r > 0)
			return 0;
		int e = r < 0 ? errno : 0;
		lock_release_all(locks, n);
		if (r == 0 && tries > 100 && deadline != DEADLINE_NONE && wait_now() >= deadline)
			e = wait_expired(deadline);
		errno = e;
		if (e != 0)
			return -1;
	}
}
