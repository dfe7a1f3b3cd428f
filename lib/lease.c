/* lib/lease.c: see lease.h.
 *
 * What surprises: O_NONBLOCK means two things to open(2). For a FIFO it means "do not wait for the
 * other end", which is always wanted here; for a leased file it means "fail with EAGAIN", which is
 * not. Only a leased file gives EAGAIN, so that alone makes us open it again without O_NONBLOCK.
 */
#define _GNU_SOURCE
#include "lease.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <time.h>

int lease_open(int dirfd, const char *path, int flags, mode_t mode, int64_t deadline,
	const struct stop *stop)
{
	struct wait_timer t;
	int fd = fd_open(dirfd, path, flags | O_NONBLOCK, mode);
	if (fd >= 0 || errno != EAGAIN || deadline == DEADLINE_NOW)
		return fd;
	if (wait_timer_start(&t, deadline, stop) < 0)
		return -1;
	do
		fd = openat(dirfd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
	while (fd < 0 && errno == EINTR && !wait_timer_due(&t));
	wait_timer_stop(&t);
	return fd < 0 || fd > 2 ? fd : fd_raise(fd, 3);
}

/* Of what other hosts, or a daemon, have open there, our kernel knows nothing: NFS, SMB, CIFS,
 * SMB2, FUSE, 9p, Ceph, AFS, GFS2, OCFS2, Coda, Lustre, GPFS, vboxsf, BeeGFS. */
static bool shared_elsewhere(int fd)
{
	static const uint32_t types[] = {0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546,
		0x01021997, 0x00c36400, 0x5346414f, 0x01161970, 0x7461636f, 0x73757245, 0x0bd00bd0,
		0x47504653, 0x786f4256, 0x19830326};
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

/* Who opens the file meanwhile makes the kernel send us SIGIO, which ends a process that does
 * not know it. */
static void block(struct lease *l)
{
	sigset_t io, pending;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	pthread_sigmask(SIG_BLOCK, &io, &l->mask);
	l->pending = sigpending(&pending) == 0 && sigismember(&pending, SIGIO) == 1;
}

static void unblock(const struct lease *l)
{
	static const struct timespec now;
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	if (!l->pending)
		(void)sigtimedwait(&io, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &l->mask, NULL);
}

int lease_take(struct lease *l, int fd)
{
	l->fd = fd;
	if (shared_elsewhere(fd)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	block(l);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
		return 0;
	int e = errno;
	unblock(l);
	errno = e;
	return -1;
}

void lease_release(struct lease *l)
{
	int e = errno;
	(void)fcntl(l->fd, F_SETLEASE, F_UNLCK);
	unblock(l);
	errno = e;
}
