/* lib/mqdir.c: see mqdir.h. */
#define _GNU_SOURCE
#include "mqdir.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

/* The queues of our own IPC namespace as a directory that is mounted nowhere: needs CAP_SYS_ADMIN. */
static int private_mount(void)
{
	int fs = (int)syscall(SYS_fsopen, "mqueue", 1 /* FSOPEN_CLOEXEC */);
	int mnt = -1;
	if (fs >= 0 && syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0)
		mnt = (int)syscall(
			SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0xe /* nosuid nodev noexec */);
	fd_close(fs);
	if (mnt < 0)
		return -1;
	int dir = fd_open(mnt, ".", O_RDONLY | O_DIRECTORY, 0);
	fd_close(mnt);
	return dir;
}

int mqdir_open(void)
{
	struct statfs fs;
	int fd = private_mount();
	if (fd >= 0)
		return fd;
	fd = fd_open(AT_FDCWD, "/dev/mqueue", O_RDONLY | O_DIRECTORY, 0);
	bool lacking = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == MQDIR_MAGIC)
		return fd;
	fd_close(fd);
	if (!lacking)
		errno = EPERM;
	return -1;
}
