/* lib/inv_name.c: the name of a file that was made without one (O_TMPFILE) and linked to it then: for as
 * long as it is open, /proc calls it "DIR/#INODE (deleted)". Its name is looked for in DIR; each such
 * directory is read once. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DELETED " (deleted)"

static void read_names(struct inv *inv, int fd, const char *dir, dev_t dev)
{
	DIR *d = fdopendir(fd);
	if (d == NULL) {
		fd_close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		struct inv_object *entry;
		if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
			continue;
		entry = inv_alloc(inv, sizeof *entry); /* holds the name, is in no list */
		if (entry == NULL)
			break;
		entry->name = inv_fmt(inv, "%s/%s", dir, e->d_name);
		inv_key(inv, SPACE_ENTRY, dev, e->d_ino, entry);
	}
	closedir(d);
}

const char *inv_linked_name(struct inv *inv, const char *path, const struct stat *st)
{
	size_t len = strlen(path), n = strlen(DELETED);
	const char *slash = strrchr(path, '/');
	struct stat dir, now;
	if (st->st_nlink == 0 || slash == NULL || slash[1] != '#' || len <= n ||
		strcmp(path + len - n, DELETED) != 0)
		return path;
	const char *parent = inv_text(inv, path, (size_t)(slash - path));
	int fd = fd_open(AT_FDCWD, *parent != '\0' ? parent : "/", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || fstat(fd, &dir) < 0 || inv_known(inv, SPACE_READ, dir.st_dev, dir.st_ino)) {
		fd_close(fd);
	} else {
		inv_key(inv, SPACE_READ, dir.st_dev, dir.st_ino, NULL);
		read_names(inv, fd, parent, st->st_dev);
	}
	const struct inv_object *entry = inv_find(inv, SPACE_ENTRY, st->st_dev, st->st_ino);
	if (entry != NULL && fstatat(AT_FDCWD, entry->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		now.st_ino == st->st_ino && now.st_dev == st->st_dev)
		return entry->name;
	return path;
}
