/* lib/newfile.h: a file that is complete before it has a name: no reader sees it half-written, and
 * nothing is left behind by a process that is killed on the way (O_TMPFILE, open(2)). Where the file
 * system has no unnamed files, where /proc is missing, and to replace another, a temporary name in
 * the same directory is used.
 */
#ifndef IPC_NEWFILE_H
#define IPC_NEWFILE_H

#include <stdbool.h>

struct newfile {
	int fd;    /* O_RDWR | O_CLOEXEC, mode MODE & 0700 until newfile_link */
	int dirfd; /* borrowed */
	const char *path;
	unsigned mode; /* exact, whatever the umask is */
	char *tmp;     /* the temporary name, NULL when unnamed */
};

/* Begin a file that is to become DIRFD/PATH. 0, or -1 with errno. */
int newfile_open(struct newfile *f, int dirfd, const char *path, unsigned mode);
/* Give it its mode and name, which must be free: -1 with EEXIST else. */
int newfile_link(struct newfile *f);
/* Is the name a symbolic link to nothing? Then open(2) says ENOENT and newfile_link EEXIST for ever: a file is never
 * made through such a link, which would be to let whoever made the link choose the place. */
bool newfile_dangling(int dirfd, const char *path);
/* The same onto a name that is taken: the old file gives way in one step (rename(2)). */
int newfile_replace(struct newfile *f);
/* Forget it: remove the temporary name if there is one. The descriptor is closed unless *FD takes
 * it. errno is kept. */
void newfile_end(struct newfile *f, int *fd);

#endif
