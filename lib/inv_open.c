/* lib/inv_open.c: opening and reading what lies in directories of other users. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int inv_open(int dirfd, const char *path, mode_t type, bool follow, struct stat *st)
{
	char self[32];
	int at = fd_open(dirfd, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0), fd = -1;
	if (at < 0)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", at);
	if (fstat(at, st) == 0 && (st->st_mode & S_IFMT) != type)
		errno = S_ISLNK(st->st_mode) ? ELOOP : EBADMSG;
	else if (type == S_IFDIR)
		fd = fd_open(at, ".", O_RDONLY | O_DIRECTORY, 0);
	else
		fd = fd_open(AT_FDCWD, self, O_RDONLY | O_NONBLOCK, 0);
	fd_close(at);
	return fd;
}

static ssize_t slurp(int fd, char *buf, size_t size)
{
	if (fd < 0)
		return -1;
	ssize_t n = 0, r;
	/* /proc gives a page or so at a time: much less is the end, without another call to find out. */
	do {
		r = read(fd, buf + n, size - 1 - (size_t)n);
		n = r < 0 && n == 0 ? -1 : n + (r > 0 ? r : 0);
	} while (r >= 1024 && (size_t)n < size - 1);
	fd_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

ssize_t inv_slurp(int dirfd, const char *path, char *buf, size_t size)
{
	return slurp(fd_open(dirfd, path, O_RDONLY | O_NONBLOCK, 0), buf, size);
}

ssize_t inv_slurp_file(int dirfd, const char *path, ino_t ino, char *buf, size_t size)
{
	struct stat st;
	int fd = inv_open(dirfd, path, S_IFREG, false, &st);
	if (fd >= 0 && ino != 0 && st.st_ino != ino) {
		fd_close(fd);
		errno = ESTALE;
		return -1;
	}
	return slurp(fd, buf, size);
}

int64_t inv_number(const char *path, int64_t otherwise)
{
	char text[64];
	int64_t n;
	if (inv_slurp(AT_FDCWD, path, text, sizeof text) <= 0)
		return otherwise;
	text[strcspn(text, " \t\n")] = '\0';
	return num_int(text, &n) == NULL ? n : otherwise;
}

int inv_open_at(int dirfd, const char *name, struct stat *st)
{
	return inv_open(dirfd, name, S_IFREG, false, st);
}
