/* tests/contract/refuse.c: see refuse.h. A call is refused before anything is done, as the kernel does. */
#define _GNU_SOURCE
#include "refuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct {
	bool on;
	enum refuse_kind kind;
	unsigned long at, count;
	unsigned which;
	pid_t pid; /* what a child asks for is the child's */
	char what[64];
} now;

void refuse_begin(enum refuse_kind kind, unsigned long at, unsigned which)
{
	memset(&now, 0, sizeof now);
	now.kind = kind;
	now.at = at;
	now.which = which;
	now.pid = getpid();
	now.on = true;
}

unsigned long refuse_end(void)
{
	now.on = false;
	return now.count;
}

const char *refuse_what(void)
{
	return now.what[0] != '\0' ? now.what : NULL;
}

/* 0, or the error to give; ERRORS ends with 0. */
static int refused(enum refuse_kind kind, const char *name, const int *errors)
{
	if (!now.on || kind != now.kind || *errors == 0 || getpid() != now.pid)
		return 0;
	if (++now.count != now.at)
		return 0;
	for (unsigned i = 0; i < now.which && *errors != 0; i++)
		errors++;
	if (*errors != 0)
		snprintf(now.what, sizeof now.what, "%s: %s", name, strerror(*errors));
	return *errors;
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})
#define ASK(kind, name, ...) refused(REFUSE_##kind, name, ERRORS(__VA_ARGS__))

/* NAME of PARAMS, called with ARGS, fails by returning FAILED with errno as one of the list. */
#define WRAP(kind, type, name, params, args, failed, ...) \
	type __real_##name params;                        \
	type __wrap_##name params;                        \
	type __wrap_##name params                         \
	{                                                 \
		int err = ASK(kind, #name, __VA_ARGS__);  \
		if (err == 0)                             \
			return __real_##name args;        \
		errno = err;                              \
		return failed;                            \
	}
#define MEMORY(type, name, params, args, failed) \
	WRAP(MEMORY, type, name, params, args, failed, ENOMEM)
#define CALL(type, name, params, args, ...) WRAP(CALLS, type, name, params, args, -1, __VA_ARGS__)

MEMORY(void *, malloc, (size_t n), (n), NULL)
MEMORY(void *, calloc, (size_t n, size_t size), (n, size), NULL)
MEMORY(void *, realloc, (void *p, size_t n), (p, n), NULL)
MEMORY(char *, strdup, (const char *s), (s), NULL)
MEMORY(int, vasprintf, (char **to, const char *fmt, va_list ap), (to, fmt, ap), -1)
MEMORY(DIR *, opendir, (const char *path), (path), NULL)
MEMORY(DIR *, fdopendir, (int fd), (fd), NULL)

/* Files */
WRAP(CALLS, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t off),
	(p, n, prot, flags, fd, off), MAP_FAILED, ENOMEM)
CALL(int, fstat, (int fd, struct stat *st), (fd, st), EIO)
CALL(int, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags),
	EIO, EACCES)
CALL(int, stat, (const char *path, struct stat *st), (path, st), EIO, EACCES)
CALL(int, lstat, (const char *path, struct stat *st), (path, st), EIO, EACCES)
CALL(int, statfs, (const char *path, struct statfs *st), (path, st), EIO)
CALL(int, fstatfs, (int fd, struct statfs *st), (fd, st), EIO)
CALL(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), EIO, EINTR)
CALL(ssize_t, pread, (int fd, void *buf, size_t n, off_t off), (fd, buf, n, off), EIO, EINTR)
CALL(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), ENOSPC, EINTR, EIO)
CALL(ssize_t, pwrite, (int fd, const void *buf, size_t n, off_t off), (fd, buf, n, off), ENOSPC,
	EINTR, EIO)
CALL(off_t, lseek, (int fd, off_t off, int how), (fd, off, how), EIO)
CALL(int, ftruncate, (int fd, off_t size), (fd, size), ENOSPC, EINTR, EIO)
CALL(int, fallocate, (int fd, int mode, off_t off, off_t n), (fd, mode, off, n), ENOSPC, EINTR,
	EOPNOTSUPP)
CALL(int, fsync, (int fd), (fd), EIO, ENOSPC)
CALL(int, fdatasync, (int fd), (fd), EIO)
CALL(int, syncfs, (int fd), (fd), EIO)
CALL(int, flock, (int fd, int how), (fd, how), ENOLCK, EINTR)
CALL(int, linkat, (int a, const char *from, int b, const char *to, int flags),
	(a, from, b, to, flags), ENOSPC, EACCES)
CALL(int, rename, (const char *from, const char *to), (from, to), ENOSPC, EACCES)
CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), ENOSPC,
	EACCES)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), ENOSPC, EACCES)
CALL(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), ENOSPC, EACCES)
CALL(int, mkfifoat, (int dir, const char *path, mode_t mode), (dir, path, mode), ENOSPC, EACCES)
CALL(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev), (dir, path, mode, dev),
	ENOSPC, EACCES)
CALL(int, mkostemp, (char *path, int flags), (path, flags), ENOSPC, EACCES)
WRAP(CALLS, char *, mkdtemp, (char *path), (path), NULL, ENOSPC, EACCES)
CALL(int, chmod, (const char *path, mode_t mode), (path, mode), EPERM)
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), EPERM, EIO)
CALL(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags),
	EPERM)
CALL(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g), EPERM)
CALL(int, fchownat, (int dir, const char *path, uid_t u, gid_t g, int flags),
	(dir, path, u, g, flags), EPERM)
CALL(int, utimensat, (int dir, const char *path, const struct timespec *t, int flags),
	(dir, path, t, flags), EPERM)
CALL(int, fsetxattr, (int fd, const char *name, const void *p, size_t n, int flags),
	(fd, name, p, n, flags), ENOSPC, EOPNOTSUPP)
CALL(ssize_t, fgetxattr, (int fd, const char *name, void *p, size_t n), (fd, name, p, n),
	EOPNOTSUPP, EIO)
CALL(ssize_t, readlink, (const char *path, char *buf, size_t n), (path, buf, n), EACCES)
CALL(ssize_t, readlinkat, (int dir, const char *path, char *buf, size_t n), (dir, path, buf, n),
	EACCES)
CALL(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, ENOMEM)
CALL(int, pipe2, (int *fds, int flags), (fds, flags), EMFILE, ENFILE)
CALL(int, dup2, (int a, int b), (a, b), EBUSY)
CALL(ssize_t, splice, (int a, off_t *ao, int b, off_t *bo, size_t n, unsigned flags),
	(a, ao, b, bo, n, flags), ENOMEM, EINTR)
CALL(ssize_t, tee, (int a, int b, size_t n, unsigned flags), (a, b, n, flags), ENOMEM, EINTR)
CALL(ssize_t, sendfile, (int a, int b, off_t *off, size_t n), (a, b, off, n), ENOMEM, EINTR, EIO)
CALL(ssize_t, copy_file_range, (int a, off_t *ao, int b, off_t *bo, size_t n, unsigned flags),
	(a, ao, b, bo, n, flags), ENOSPC, EINTR, EIO)
WRAP(CALLS, void *, mremap, (void *p, size_t n, size_t m, int flags), (p, n, m, flags), MAP_FAILED,
	ENOMEM)

/* Waiting */
CALL(int, eventfd, (unsigned n, int flags), (n, flags), EMFILE)
CALL(int, epoll_create1, (int flags), (flags), EMFILE, ENOMEM)
CALL(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *ev), (ep, op, fd, ev), ENOMEM,
	ENOSPC)
CALL(int, epoll_wait, (int ep, struct epoll_event *ev, int n, int ms), (ep, ev, n, ms), EINTR)
CALL(int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms), ENOMEM, EINTR)
CALL(int, ppoll, (struct pollfd * p, nfds_t n, const struct timespec *t, const sigset_t *set),
	(p, n, t, set), ENOMEM, EINTR)
CALL(int, inotify_init1, (int flags), (flags), EMFILE, ENOMEM)
CALL(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask), ENOSPC)
CALL(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), EMFILE)
CALL(int, timer_create, (clockid_t clock, struct sigevent *ev, timer_t *t), (clock, ev, t), EAGAIN,
	ENOMEM)
CALL(pid_t, fork, (void), (), EAGAIN, ENOMEM)
CALL(int, kill, (pid_t pid, int sig), (pid, sig), EPERM)
/* With WNOHANG they do not wait, and no signal ends them. */
#define WAITS(how) (((how)&WNOHANG) == 0 ? EINTR : 0)
CALL(pid_t, waitpid, (pid_t pid, int *st, int how), (pid, st, how), WAITS(how))
CALL(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int how), (type, id, info, how),
	WAITS(how))

/* Sockets */
CALL(int, socket, (int family, int type, int protocol), (family, type, protocol), EMFILE, ENOBUFS,
	EACCES)
CALL(int, socketpair, (int family, int type, int protocol, int *fds), (family, type, protocol, fds),
	EMFILE, ENOBUFS)
CALL(int, bind, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len), EADDRINUSE,
	EACCES)
CALL(int, listen, (int fd, int n), (fd, n), EADDRINUSE)
CALL(int, connect, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len), ECONNREFUSED,
	EINTR, EACCES)
CALL(int, accept4, (int fd, struct sockaddr *sa, socklen_t *len, int flags), (fd, sa, len, flags),
	EMFILE, EINTR, ECONNABORTED)
CALL(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *len),
	(fd, level, name, p, len), ENOBUFS)
CALL(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t len),
	(fd, level, name, p, len), ENOBUFS)
CALL(int, getsockname, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len), ENOBUFS)
CALL(int, getpeername, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len), ENOTCONN,
	ENOBUFS)
CALL(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), ENOBUFS,
	EINTR, ECONNRESET)
CALL(ssize_t, sendto,
	(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len),
	(fd, buf, n, flags, sa, len), ENOBUFS, EINTR, ECONNREFUSED)
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), ENOBUFS, EINTR,
	ECONNRESET)
CALL(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), ECONNRESET,
	EINTR, ENOMEM)
CALL(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), ECONNRESET, EINTR,
	ENOMEM)
CALL(int, shutdown, (int fd, int how), (fd, how), ENOTCONN)

/* System V */
CALL(int, msgget, (key_t key, int flags), (key, flags), ENOSPC, EACCES)
CALL(int, msgctl, (int id, int cmd, struct msqid_ds *ds), (id, cmd, ds), EACCES, EIDRM)
CALL(int, msgsnd, (int id, const void *m, size_t n, int flags), (id, m, n, flags), ENOMEM, EINTR,
	EIDRM)
CALL(ssize_t, msgrcv, (int id, void *m, size_t n, long type, int flags), (id, m, n, type, flags),
	EACCES, EINTR, EIDRM)
CALL(int, semget, (key_t key, int n, int flags), (key, n, flags), ENOSPC, EACCES)
CALL(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n), ENOSPC, EINTR, EIDRM)
CALL(int, semtimedop, (int id, struct sembuf *ops, size_t n, const struct timespec *t),
	(id, ops, n, t), ENOSPC, EINTR, EIDRM)
CALL(int, shmget, (key_t key, size_t n, int flags), (key, n, flags), ENOSPC, EACCES)
CALL(int, shmctl, (int id, int cmd, struct shmid_ds *ds), (id, cmd, ds), EACCES, EIDRM)
WRAP(CALLS, void *, shmat, (int id, const void *p, int flags), (id, p, flags), (void *)-1, ENOMEM,
	EACCES)

/* Those with as many arguments as the first ones say: the last is a word, whatever it stands for. */
#define VARIADIC(type, name, params, last, first, errors)       \
	type __real_##name params;                              \
	type __wrap_##name params;                              \
	type __wrap_##name params                               \
	{                                                       \
		va_list ap;                                     \
		va_start(ap, last);                             \
		long word = va_arg(ap, long);                   \
		va_end(ap);                                     \
		int err = refused(REFUSE_CALLS, #name, errors); \
		if (err == 0)                                   \
			return __real_##name(first, word);      \
		errno = err;                                    \
		return -1;                                      \
	}
#define BOTH(...) __VA_ARGS__

/* These are many calls under one name; what only asks or sets a flag is never refused. */
static const int *fcntl_errors(int cmd)
{
	static const int none[] = {0}, lock[] = {ENOLCK, EINTR, 0}, copy[] = {EMFILE, 0},
			 other[] = {EPERM, EBUSY, 0};
	switch (cmd) {
	case F_GETFD:
	case F_SETFD:
	case F_GETFL: return none;
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: return lock;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC: return copy;
	default: return other;
	}
}

static const int *syscall_errors(long n)
{
	static const int none[] = {0}, again[] = {EINTR, 0}, open[] = {EMFILE, ENOSYS, EPERM, 0},
			 queue[] = {EMFILE, ENOMEM, ENOSPC, EACCES, 0},
			 send[] = {ENOBUFS, ECONNRESET, EINTR, 0}, write[] = {ENOSPC, EINTR, 0},
			 access[] = {EACCES, ENOSYS, 0}, mail[] = {EBADMSG, EINTR, 0},
			 fork[] = {EAGAIN, ENOMEM, 0};
	switch (n) {
	case SYS_futex:
	case SYS_rt_sigtimedwait: return again;
	case SYS_pidfd_open:
	case SYS_fsopen:
	case SYS_fsmount:
	case SYS_signalfd4:
	case SYS_pidfd_getfd: return open;
	case SYS_mq_open: return queue;
	case SYS_mq_timedsend:
	case SYS_mq_timedreceive: return mail;
	case SYS_sendmsg: return send;
	case SYS_pwritev2: return write;
	case SYS_clone: return fork;
	case SYS_statx:
	case SYS_renameat2:
	case SYS_kcmp:
	case SYS_mq_unlink:
	case SYS_mq_getsetattr:
	case SYS_fsconfig:
	case SYS_pidfd_send_signal: return access;
	default: return none;
	}
}

static const int file_errors[] = {EMFILE, EACCES, EINTR, ENOSPC, 0}, ioctl_errors[] = {ENOTTY, 0},
		 semctl_errors[] = {EACCES, EIDRM, 0};
VARIADIC(int, open, (const char *path, int flags, ...), flags, BOTH(path, flags), file_errors)
VARIADIC(int, openat, (int dir, const char *path, int flags, ...), flags, BOTH(dir, path, flags),
	file_errors)
VARIADIC(int, fcntl, (int fd, int cmd, ...), cmd, BOTH(fd, cmd), fcntl_errors(cmd))
VARIADIC(int, semctl, (int id, int n, int cmd, ...), cmd, BOTH(id, n, cmd), semctl_errors)
#ifdef __GLIBC__
VARIADIC(int, ioctl, (int fd, unsigned long cmd, ...), cmd, BOTH(fd, cmd), ioctl_errors)
#else
VARIADIC(int, ioctl, (int fd, int cmd, ...), cmd, BOTH(fd, cmd), ioctl_errors)
#endif

int __wrap_posix_fallocate(int fd, off_t off, off_t n);
int __real_posix_fallocate(int fd, off_t off, off_t n);
int __wrap_posix_fallocate(int fd, off_t off, off_t n)
{
	int err = ASK(CALLS, "posix_fallocate", ENOSPC, EINTR, EOPNOTSUPP);
	return err != 0 ? err : __real_posix_fallocate(fd, off, n);
}

/* An entry that cannot be read; at its end errno says nothing. */
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir)
{
	int err = ASK(CALLS, "readdir", EIO);
	if (err == 0)
		return __real_readdir(dir);
	errno = err;
	return NULL;
}

/* syscall(2): with all six words that there may be. */
long __wrap_syscall(long n, ...);
long __real_syscall(long n, ...);
long __wrap_syscall(long n, ...)
{
	long a[6];
	va_list ap;
	va_start(ap, n);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	int err = refused(REFUSE_CALLS, "syscall", syscall_errors(n));
	if (err == 0)
		return __real_syscall(n, a[0], a[1], a[2], a[3], a[4], a[5]);
	errno = err;
	return -1;
}
