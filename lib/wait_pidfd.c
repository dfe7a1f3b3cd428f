/* lib/wait_pidfd.c: a descriptor that names one process: see wait.h. Where pidfd_open(2) is refused it is the
 * process's directory in /proc, which names it as well, but tells nobody of its end. */
#define _GNU_SOURCE
#include "proc.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

int wait_pidfd(pid_t pid)
{
	char path[32];
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), e = errno;
	if (fd >= 0 || pid <= 0 || (e != ENOSYS && e != EPERM))
		return fd;
	snprintf(path, sizeof path, "/proc/%ld", (long)pid);
	fd = proc_ours() ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	/* Of a thread there is a directory too. What /proc only hides is not gone. */
	bool gone = syscall(SYS_tgkill, pid, pid, 0) < 0 && errno == ESRCH;
	if (gone && fd >= 0) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		errno = gone ? ESRCH : e;
	return fd;
}

bool wait_pidfd_refused(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The state says nothing of a process of which only the first thread has ended: "task" is a directory with a link for
 * each thread and two more. What cannot be read lives. */
static bool directory_ended(int dirfd)
{
	char text[1024];
	struct stat st;
	int fd = openat(dirfd, "stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESRCH || errno == ENOENT;
	ssize_t n = read(fd, text, sizeof text - 1);
	int e = errno;
	close(fd);
	if (n <= 0)
		return n == 0 || e == ESRCH;
	text[n] = '\0';
	const char *name_end = strrchr(text, ')');
	if (name_end == NULL || strspn(name_end, ") ") != 2 ||
		(name_end[2] != 'Z' && name_end[2] != 'X'))
		return false;
	return fstatat(dirfd, "task", &st, 0) < 0 ? errno == ENOENT || errno == ESRCH
						  : st.st_nlink <= 3;
}

bool wait_pidfd_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = WAIT_END};
	if (poll(&p, 1, 0) <= 0)
		return false;
	return (p.revents & POLLWRNORM) == 0 || directory_ended(fd);
}
