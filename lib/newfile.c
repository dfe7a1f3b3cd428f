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

int newfile_open(struct newfile *f, int dirfd, const char *path, unsigned mode)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0, size = len + 64;
	*f = (struct newfile){.fd = -1, .dirfd = dirfd, .path = path, .mode = mode};
	f->tmp = malloc(size);
	if (f->tmp == NULL)
		return -1;
	snprintf(f->tmp, size, "%.*s.", (int)len, path);
	f->fd = fd_open(dirfd, f->tmp, O_TMPFILE | O_RDWR, mode & 0700);
	if (f->fd >= 0) {
		free(f->tmp);
		f->tmp = NULL;
		return 0;
	}
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
		snprintf(f->tmp + len, size - len, ".tmp.%ld.%llx", (long)getpid(),
			(unsigned long long)wait_now());
		f->fd = fd_open(dirfd, f->tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0700);
	}
	if (f->fd >= 0)
		return 0;
	int e = errno;
	free(f->tmp);
	f->tmp = NULL;
	errno = e;
	return -1;
}

int newfile_link(struct newfile *f)
{
	char self[40];
	if (fchmod(f->fd, f->mode) < 0)
		return -1;
	if (f->tmp != NULL)
		return linkat(f->dirfd, f->tmp, f->dirfd, f->path, 0);
	/* AT_EMPTY_PATH would need a privilege. */
	snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, self, f->dirfd, f->path, AT_SYMLINK_FOLLOW);
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
