/* lib/fd.c: see fd.h. */
#define _GNU_SOURCE
#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

int fd_open(int dirfd, const char *path, int flags, unsigned mode)
{
	int fd;
	do
		fd = openat(dirfd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 || fd > 2)
		return fd;
	int up = fd_dup(fd, 3);
	fd_close(fd);
	return up;
}

void fd_close(int fd)
{
	int e = errno;
	if (fd >= 0)
		close(fd);
	errno = e;
}

int fd_dup(int fd, int min)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, min);
}

int fd_raise(int fd, int min)
{
	int up = fd < min ? fd_dup(fd, min) : -1;
	if (up < 0 && fd < 10)
		up = fd_dup(fd, 10);
	if (up < 0)
		return fd;
	fd_close(fd);
	return up;
}

/* One transfer primitive for the four loops below: OFF -1 means at the file position. */
static ssize_t transfer(int fd, char *buf, size_t len, off_t off, bool out)
{
	if (out)
		return off < 0 ? write(fd, buf, len) : pwrite(fd, buf, len, off);
	return off < 0 ? read(fd, buf, len) : pread(fd, buf, len, off);
}

static ssize_t all(int fd, void *buf, size_t len, off_t off, bool out)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = transfer(
			fd, (char *)buf + done, len - done, off < 0 ? -1 : off + (off_t)done, out);
		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0) {
			if (!out)
				break;
			errno = EIO;
			return -1;
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = out ? POLLOUT : POLLIN};
			(void)poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return (ssize_t)done;
}

ssize_t fd_read(int fd, void *buf, size_t len)
{
	return all(fd, buf, len, -1, false);
}

ssize_t fd_pread(int fd, void *buf, size_t len, off_t off)
{
	return all(fd, buf, len, off, false);
}

int fd_write(int fd, const void *buf, size_t len)
{
	return all(fd, (void *)(uintptr_t)buf, len, -1, true) < 0 ? -1 : 0;
}

int fd_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return all(fd, (void *)(uintptr_t)buf, len, off, true) < 0 ? -1 : 0;
}

bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int fd_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -1;
	int want = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return want == flags ? 0 : fcntl(fd, F_SETFL, want);
}

int fd_slurp(int dirfd, const char *path, size_t max, char **text, size_t *len)
{
	int fd = fd_open(dirfd, path, O_RDONLY, 0);
	if (fd < 0)
		return -1;
	size_t cap = 4096, n = 0;
	char *buf = malloc(cap + 1);
	while (buf != NULL) {
		ssize_t r = fd_read(fd, buf + n, cap - n);
		if (r < 0)
			goto fail;
		n += (size_t)r;
		if (n < cap)
			break;
		if (cap >= max) {
			errno = EFBIG;
			goto fail;
		}
		cap = cap * 2 > max ? max : cap * 2;
		char *more = realloc(buf, cap + 1);
		if (more == NULL)
			goto fail;
		buf = more;
	}
	fd_close(fd);
	if (buf == NULL)
		return -1;
	buf[n] = '\0';
	*text = buf;
	*len = n;
	return 0;
fail:
	fd_close(fd);
	free(buf);
	return -1;
}

void fd_slurp_free(char *text)
{
	free(text);
}

int fd_fill_std(void)
{
	int closed = 0;
	for (int fd = 0; fd < 3; fd++) {
		if (fd_is_open(fd))
			continue;
		/* The wrong direction on purpose: a write to a closed stdout must fail, not vanish. */
		int null = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
		if (null != fd)
			return -1;
		closed |= 1 << fd;
	}
	return closed;
}

bool fd_was_closed(int fd)
{
	struct stat st;
	int flags = fd >= 0 && fd < 3 ? fcntl(fd, F_GETFL) : -1;
	if (flags < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	return st.st_rdev == makedev(1, 3) &&
		(flags & O_ACCMODE) == (fd == 0 ? O_WRONLY : O_RDONLY);
}

rlim_t fd_limit_raise(struct rlimit *old)
{
	*old = (struct rlimit){0};
	if (prlimit(0, RLIMIT_NOFILE, NULL, old) < 0)
		return 0;
	struct rlimit most = {old->rlim_max, old->rlim_max};
	bool raised = most.rlim_cur == old->rlim_cur || prlimit(0, RLIMIT_NOFILE, &most, NULL) == 0;
	return raised ? most.rlim_cur : old->rlim_cur;
}

int fd_limit_restore(const struct rlimit *old)
{
	return old->rlim_max == 0 ? 0 : prlimit(0, RLIMIT_NOFILE, old, NULL);
}

int fd_truncate(int fd, off_t size)
{
	int r;
	do
		r = ftruncate(fd, size);
	while (r < 0 && errno == EINTR);
	return r;
}

int fd_allocate(int fd, off_t size)
{
	int e;
	do
		e = posix_fallocate(fd, 0, size);
	while (e == EINTR);
	return e;
}

int fd_pipe_size(int fd, int want)
{
	int now = fcntl(fd, F_GETPIPE_SZ);
	if (now < 0)
		return -1;
	for (; want > now; want /= 2)
		if (fcntl(fd, F_SETPIPE_SZ, want) >= 0)
			return fcntl(fd, F_GETPIPE_SZ);
	return now;
}

int fd_nameless(const char *name)
{
	static const char *const dirs[] = {"/dev/shm", "/tmp"};
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd >= 0 || !fd_other_way(errno))
		return fd;
	int e = errno;
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		fd = fd_open(AT_FDCWD, dirs[i], O_TMPFILE | O_RDWR | O_EXCL, 0600);
		if (fd >= 0 || errno == EMFILE || errno == ENFILE)
			return fd;
	}
	errno = e;
	return -1;
}

#define MOST_FDS (1 << 20) /* looked at where neither close_range(2) nor /proc is there */

void fd_close_from(int from)
{
	struct rlimit limit = {.rlim_cur = MOST_FDS};
	if (syscall(SYS_close_range, (unsigned)from, ~0U, 0) == 0)
		return;
	DIR *dir = opendir("/proc/self/fd");
	if (dir != NULL) {
		for (struct dirent *d; (d = readdir(dir)) != NULL;) {
			int fd = atoi(d->d_name); // NOLINT(cert-err34-c): the kernel's numbers
			if (d->d_name[0] != '.' && fd >= from && fd != dirfd(dir))
				close(fd);
		}
		closedir(dir);
		return;
	}
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	int most = limit.rlim_cur < MOST_FDS ? (int)limit.rlim_cur : MOST_FDS;
	for (int fd = from; fd < most; fd++)
		close(fd);
}

void fd_touch(int fd, const struct stat *st)
{
	static const struct timespec used[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
	struct timespec now;
	int e = errno;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	/* Who may only write it has to take both times. */
	if (now.tv_sec != st->st_atime && now.tv_sec != st->st_mtime && futimens(fd, used) < 0)
		(void)futimens(fd, NULL);
	errno = e;
}
