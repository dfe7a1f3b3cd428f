/* applets/ipc-fifo/open.c: from a name to an open end, and the verbs create and rm.
 *
 * open(2) of a read end that blocks cannot be told from one that does not by writers, so readers
 * open with O_NONBLOCK and sleep in poll(2), which knows deadlines and stop signals: such a
 * descriptor reports neither data nor a hang-up before a writer has come. A write end has no such
 * form (ENXIO says no more than "not now"), there open(2) itself must sleep, under a timer.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "fd.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *fifo_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return "a regular file";
	case S_IFDIR: return "a directory";
	case S_IFSOCK: return "a socket";
	case S_IFCHR:
	case S_IFBLK: return "a device";
	case S_IFLNK: return "a symbolic link";
	default: return "a FIFO";
	}
}

int fifo_find(struct call *call, const char *text, bool fd_too, bool create_dir, struct fifo *f)
{
	const char *why = object_parse(&f->obj, text);
	f->name = text;
	f->fd = -1;
	f->at.dirfd = AT_FDCWD;
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", text, why);
	if (f->obj.kind == OBJECT_FD && fd_too)
		return ST_OK;
	if (f->obj.kind != OBJECT_FILE && f->obj.kind != OBJECT_WORD)
		return call_fail(call, ST_USAGE, 0,
			"%s: not the name of a FIFO (PATH, file:PATH, NAME%s)", text,
			fd_too ? ", fd:N" : "");
	if (object_at(&f->obj, "fifo", create_dir, &f->at) < 0) {
		int e = errno, status = call_place_error(call, &f->obj, "fifo", e);
		return status >= 0 ? status : call_error(call, e, "open the directory of %s", text);
	}
	call_place_old(call, &f->obj, "fifo", f->at.old);
	if (f->at.dirfd != AT_FDCWD)
		call_own(call, f->at.dirfd);
	return ST_OK;
}

void fifo_forget(struct call *call, struct fifo *f)
{
	if (f->at.dirfd != AT_FDCWD)
		call_close(call, f->at.dirfd);
	f->at.dirfd = AT_FDCWD;
}

int fifo_unread(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n = 0;
	if (poll(&p, 1, 0) <= 0 || (p.revents & POLLERR) == 0)
		return 0;
	return ioctl(fd, FIONREAD, &n) == 0 ? n : 0;
}

static int must_be_fifo(struct call *call, const struct fifo *f)
{
	if (S_ISFIFO(f->st.st_mode))
		return ST_OK;
	return call_fail(
		call, ST_DATA, 0, "%s is %s, not a FIFO", f->name, fifo_type(f->st.st_mode));
}

int fifo_look(struct call *call, struct fifo *f)
{
	if (f->obj.kind == OBJECT_FD) {
		if (fstat(f->obj.fd, &f->st) < 0)
			return call_fail(call, ST_NOOBJ, errno, "%s", f->name);
	} else if (fstatat(f->at.dirfd, f->at.rel, &f->st, 0) < 0) {
		return call_error(call, errno, "look at %s", f->name);
	}
	return must_be_fifo(call, f);
}

/* What was opened may be another file than the one that was looked at. */
static int look_again(struct call *call, struct fifo *f)
{
	if (fstat(f->fd, &f->st) < 0)
		return call_error(call, errno, "look at %s", f->name);
	return must_be_fifo(call, f);
}

/* An inherited descriptor: take it as it is if it is open for what MODE asks. */
static int borrow(struct call *call, struct fifo *f, int mode)
{
	int flags = fcntl(f->obj.fd, F_GETFL); /* it is open: fifo_look */
	if ((flags & O_ACCMODE) != mode && (flags & O_ACCMODE) != O_RDWR)
		return call_fail(call, ST_USAGE, 0, "%s is not open for %s", f->name,
			mode == O_RDONLY ? "reading" : "writing");
	f->fd = call_own(call, fd_dup(f->obj.fd, 3));
	return f->fd < 0 ? call_error(call, errno, "duplicate %s", f->name) : ST_OK;
}

int fifo_open_read(struct call *call, struct fifo *f)
{
	int status = fifo_look(call, f);
	if (status != ST_OK)
		return status;
	if (f->obj.kind == OBJECT_FD)
		return borrow(call, f, O_RDONLY);
	f->fd = call_open(call, f->at.dirfd, f->at.rel, O_RDONLY | O_NONBLOCK, 0);
	if (f->fd < 0)
		return call_error(call, errno, "open %s", f->name);
	return look_again(call, f);
}

int fifo_again(const struct fifo *f)
{
	char path[40];
	struct stat st;
	snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0 || f->obj.kind == OBJECT_FD)
		return fd;
	fd = fd_open(f->at.dirfd, f->at.rel, O_RDONLY | O_NONBLOCK, 0); /* no /proc */
	if (fd < 0 ||
		(fstat(fd, &st) == 0 && st.st_ino == f->st.st_ino && st.st_dev == f->st.st_dev))
		return fd;
	fd_close(fd);
	errno = ESTALE;
	return -1;
}

/* open(2) that sleeps until there is a reader. fd_open would go on after EINTR. */
static int sleep_in_open(const struct fifo *f, int64_t deadline, const struct stop *stop)
{
	struct wait_timer t;
	int fd = -1;
	if (wait_timer_start(&t, deadline, stop) < 0)
		return -1;
	while (!wait_timer_due(&t)) {
		fd = openat(f->at.dirfd, f->at.rel, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0 || errno != EINTR)
			break;
	}
	wait_timer_stop(&t);
	return fd;
}

#define AT_ONCE (50 * NS_PER_MS) /* rm closes its end of what it has removed within microseconds */

bool fifo_removed(const struct fifo *f)
{
	struct stat st;
	return f->obj.kind != OBJECT_FD && fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

/* Was it rm that woke us? Then there is no reader. One that unlinked the FIFO itself stays. */
static bool woken_by_rm(const struct fifo *f)
{
	if (!fifo_removed(f))
		return false;
	int events = wait_fd(f->fd, 0, wait_until(AT_ONCE), NULL);
	return events > 0 && (events & POLLERR) != 0;
}

int fifo_open_write(struct call *call, struct fifo *f, int64_t deadline)
{
	int status = fifo_look(call, f);
	if (status != ST_OK)
		return status;
	if (f->obj.kind == OBJECT_FD)
		return borrow(call, f, O_WRONLY);
	f->fd = call_open(call, f->at.dirfd, f->at.rel, O_WRONLY | O_NONBLOCK, 0);
	if (f->fd < 0 && errno == ENXIO && deadline == DEADLINE_NOW)
		return call_waited(call, EAGAIN, "%s has no reader", f->name);
	if (f->fd < 0 && errno == ENXIO) {
		call_waits(call, "waiting for a reader of %s", f->name);
		f->fd = call_own(call, sleep_in_open(f, deadline, &call->stop));
		if (f->fd < 0 && (errno == ETIMEDOUT || errno == EINTR))
			return call_waited(call, errno, "%s has no reader", f->name);
		if (f->fd >= 0 && fd_nonblock(f->fd, true) < 0)
			return call_error(call, errno, "open %s", f->name);
		if (f->fd >= 0 && woken_by_rm(f))
			return call_fail(call, ST_NOOBJ, 0, "%s: was removed", f->name);
	}
	if (f->fd < 0)
		return call_error(call, errno, "open %s", f->name);
	return look_again(call, f);
}

int fifo_capacity(struct call *call, const struct fifo *f, const struct val *v)
{
	int64_t size = v->num;
	if (v->count == 0)
		return ST_OK;
	/* It cannot become smaller than what others have put into it by now. */
	while (fcntl(f->fd, F_SETPIPE_SZ, (int)size) < 0 && errno == EBUSY && size < INT32_MAX / 2)
		size *= 2;
	int e = errno;
	if (fcntl(f->fd, F_GETPIPE_SZ) >= v->num)
		return ST_OK;
	char *text = NULL;
	size_t len = 0;
	if (e != EPERM)
		return call_error(
			call, e, "set the capacity of %s to %lld", f->name, (long long)v->num);
	if (fd_slurp(AT_FDCWD, "/proc/sys/fs/pipe-max-size", 64, &text, &len) == 0 && len > 0)
		text[len - 1] = '\0';
	int status = call_fail(call, ST_LIMIT, 0,
		"set the capacity of %s to %lld: more than /proc/sys/fs/pipe-max-size (%s) or what "
		"pipe-user-pages-soft leaves you",
		f->name, (long long)v->num, text != NULL ? text : "?");
	fd_slurp_free(text);
	return status;
}

/* With exactly MODE from birth: no temporary name that may stay behind, and no chmod(2), which
 * might meet another file. Made by a child, whose umask is its own. It sends no signal when it
 * ends, and only a wait(2) with __WCLONE sees it: a shell that hosts us knows nothing of it. */
static int make_exact(int dirfd, const char *rel, mode_t mode)
{
	int st = 0;
	long pid = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
	if (pid == 0) {
		syscall(SYS_umask, 0);
		int err = mknodat(dirfd, rel, S_IFIFO | mode, 0) < 0 ? errno : 0;
		for (;;)
			syscall(SYS_exit, err);
	}
	if (pid < 0)
		return -1;
	while (waitpid((pid_t)pid, &st, (int)__WCLONE) < 0)
		if (errno != EINTR)
			return -1;
	errno = WIFEXITED(st) ? WEXITSTATUS(st) : EINTR;
	return errno == 0 ? 0 : -1;
}

static int create_one(struct call *call, struct fifo *f)
{
	bool exact = call->std[STD_MODE].count > 0;
	int r = exact ? make_exact(f->at.dirfd, f->at.rel, (mode_t)call->std[STD_MODE].num)
		      : mknodat(f->at.dirfd, f->at.rel, S_IFIFO | 0666, 0);
	int e = errno;
	if (r == 0)
		return ST_OK;
	if (e == EEXIST && fstatat(f->at.dirfd, f->at.rel, &f->st, AT_SYMLINK_NOFOLLOW) == 0)
		return call_fail(call, ST_EXISTS, 0, "%s exists; it is %s", f->name,
			fifo_type(f->st.st_mode));
	return call_error(call, e, "create %s", f->name);
}

int fifo_unlink(struct fifo *f)
{
	if (object_unlink(f->at.dirfd, f->at.rel, &f->st, 0) == 0)
		return 0;
	return errno == ENOENT ? 1 : -1;
}

/* Those that sleep on a removed FIFO, a writer in open(2) or a reader in poll(2), are woken by an end that is opened and closed. FD is from O_PATH, before the name went. */
static void wake_all(int fd)
{
	static const int modes[] = {O_RDWR, O_RDONLY, O_WRONLY};
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	for (size_t i = 0; fd >= 0 && i < sizeof modes / sizeof *modes; i++) {
		int end = fd_open(AT_FDCWD, path, modes[i] | O_NONBLOCK, 0);
		fd_close(end);
		if (end >= 0 && modes[i] == O_RDWR)
			break;
	}
}

static int rm_one(struct call *call, struct fifo *f)
{
	/* The name itself, not what a symbolic link leads to: that is what would be removed. */
	if (fstatat(f->at.dirfd, f->at.rel, &f->st, AT_SYMLINK_NOFOLLOW) < 0)
		return call_error(call, errno, "remove %s", f->name);
	int status = must_be_fifo(call, f);
	if (status != ST_OK)
		return status;
	int fd = fd_open(f->at.dirfd, f->at.rel, O_PATH | O_NOFOLLOW, 0);
	int r = fifo_unlink(f), e = errno;
	struct stat st;
	if (r == 0 && fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_nlink == 0)
		wake_all(fd);
	fd_close(fd);
	if (r < 0)
		return call_error(call, e, "remove %s", f->name);
	return r == 0
		? ST_OK
		: call_fail(call, ST_NOOBJ, 0, "%s was removed or replaced meanwhile", f->name);
}

/* Each operand on its own: the others are done when one fails. The first failure is the status. */
static int each(struct call *call, bool create, int (*fn)(struct call *, struct fifo *))
{
	int first = ST_OK;
	for (unsigned i = 0; i < call->nargs; i++) {
		struct fifo f;
		int status = fifo_find(call, call->args[i].str, false, create, &f);
		if (status == ST_OK)
			status = fn(call, &f);
		fifo_forget(call, &f);
		if (first == ST_OK)
			first = status;
	}
	return first;
}

int fifo_create(struct call *call)
{
	return each(call, true, create_one);
}

int fifo_rm(struct call *call)
{
	return each(call, false, rm_one);
}
