/* lib/newfile.c: see newfile.h. */
#define _GNU_SOURCE
#include "newfile.h"

#include "fd.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The temporary name: beside PATH, of this process and instant. NULL without memory. */
static char *temporary(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0, size = len + 64;
	char *tmp = malloc(size);
	if (tmp != NULL)
		snprintf(tmp, size, "%.*s.tmp.%ld.%llx", (int)len, path, (long)getpid(),
			(unsigned long long)wait_now());
	return tmp;
}

/* AT_EMPTY_PATH would need a privilege. */
static void self_path(int fd, char path[40])
{
	snprintf(path, 40, "/proc/self/fd/%d", fd);
}

/* Can the unnamed file FD be given a name later? Not where /proc is missing. */
static bool can_link(int fd)
{
	char self[40];
	struct stat a, b;
	self_path(fd, self);
	return stat(self, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino &&
		a.st_dev == b.st_dev;
}

int newfile_open(struct newfile *f, int dirfd, const char *path, unsigned mode)
{
	*f = (struct newfile){.fd = -1, .dirfd = dirfd, .path = path, .mode = mode};
	char *tmp = temporary(path);
	if (tmp == NULL)
		return -1;
	char *slash = strrchr(tmp, '/'), *name = slash != NULL ? slash + 1 : tmp;
	name[1] = '\0'; /* "DIR/." */
	f->fd = fd_open(dirfd, tmp, O_TMPFILE | O_RDWR, mode & 0700);
	name[1] = 't';
	if (f->fd >= 0 && !can_link(f->fd)) {
		fd_close(f->fd);
		f->fd = -1;
		errno = EOPNOTSUPP;
	}
	if (f->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		f->fd = fd_open(dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0700);
		f->tmp = f->fd >= 0 ? tmp : NULL;
	}
	int e = errno;
	if (f->tmp == NULL)
		free(tmp);
	errno = e;                 // NOLINT(clang-analyzer-unix.Malloc): both are kept in f
	return f->fd < 0 ? -1 : 0; // NOLINT(clang-analyzer-unix.Malloc): tmp is kept in f
}

static int link_to(struct newfile *f, const char *path)
{
	char self[40];
	if (f->tmp != NULL)
		return linkat(f->dirfd, f->tmp, f->dirfd, path, 0);
	self_path(f->fd, self);
	return linkat(AT_FDCWD, self, f->dirfd, path, AT_SYMLINK_FOLLOW);
}

int newfile_link(struct newfile *f)
{
	return fchmod(f->fd, f->mode) < 0 ? -1 : link_to(f, f->path);
}

bool newfile_dangling(int dirfd, const char *path)
{
	struct stat st;
	int e = errno;
	bool dangling = fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(st.st_mode) && fstatat(dirfd, path, &st, 0) < 0;
	errno = e;
	return dangling;
}

int newfile_replace(struct newfile *f)
{
	if (fchmod(f->fd, f->mode) < 0)
		return -1;
	if (f->tmp == NULL) {
		char *tmp = temporary(f->path);
		if (tmp == NULL)
			return -1;
		if (link_to(f, tmp) < 0) {
			int e = errno;
			free(tmp);
			errno = e;
			return -1;
		}
		f->tmp = tmp;
	}
	return renameat(f->dirfd, f->tmp, f->dirfd, f->path);
}

void newfile_end(struct newfile *f, int *fd)
{
	int e = errno;
	if (f->tmp != NULL)
		unlinkat(f->dirfd, f->tmp, 0);
	free(f->tmp);
	f->tmp = NULL;
	if (fd != NULL)
		*fd = f->fd;
	else
		fd_close(f->fd);
	f->fd = -1;
	errno = e;
}
