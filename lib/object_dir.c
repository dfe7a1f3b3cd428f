/* lib/object_dir.c: the directories in which bare words live (object.h).
 *
 * What surprises: $XDG_RUNTIME_DIR is not used, since cron, sudo and a detached tmux do not have it, or
 * lose it at logout, and all who mean the same word must meet in the same directory. A spool promises
 * to survive a power cut, so its words lie in the user's home. What version 0.1 made elsewhere is
 * still found.
 */
#define _GNU_SOURCE
#include "object.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum place { PLACE_GIVEN, PLACE_TMP, PLACE_STATE, PLACE_RUNTIME, PLACE_NONE };

static const char *variable(const char *name, bool absolute)
{
	const char *value = getenv(name);
	return value != NULL && (absolute ? *value == '/' : *value != '\0') ? value : NULL;
}

static bool is_spool(const char *kind)
{
	return strcmp(kind, "spool") == 0;
}

/* The I-th place for KIND: where it is made, then where version 0.1 made it. */
static enum place place_of(const char *kind, unsigned i)
{
	static const enum place spools[] = {PLACE_STATE, PLACE_RUNTIME, PLACE_TMP, PLACE_NONE};
	static const enum place others[] = {PLACE_TMP, PLACE_RUNTIME, PLACE_NONE, PLACE_NONE};
	if (variable("IPC_DIR", false) != NULL)
		return i == 0 ? PLACE_GIVEN : PLACE_NONE;
	return is_spool(kind) ? spools[i] : others[i];
}

__attribute__((format(printf, 2, 3))) static const char *format(
	char buf[OBJECT_DIR_MAX], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf, OBJECT_DIR_MAX, fmt, ap);
	va_end(ap);
	if (n >= 0 && n < OBJECT_DIR_MAX)
		return buf;
	errno = ENAMETOOLONG;
	return NULL;
}

static const char *state_path(char buf[OBJECT_DIR_MAX])
{
	const char *state = variable("XDG_STATE_HOME", true), *home = variable("HOME", true);
	if (state != NULL)
		return format(buf, "%s/ipc", state);
	if (home != NULL)
		return format(buf, "%s/.local/state/ipc", home);
	errno = EDESTADDRREQ;
	return NULL;
}

static const char *place_path(enum place place, char buf[OBJECT_DIR_MAX])
{
	const char *dir;
	switch (place) {
	case PLACE_GIVEN: return format(buf, "%s", variable("IPC_DIR", false));
	case PLACE_TMP: return format(buf, "/tmp/ipc-%u", (unsigned)geteuid());
	case PLACE_STATE: return state_path(buf);
	case PLACE_RUNTIME:
		dir = variable("XDG_RUNTIME_DIR", true);
		if (dir != NULL)
			return format(buf, "%s/ipc", dir);
		break;
	case PLACE_NONE: break;
	}
	errno = ENOENT;
	return NULL;
}

const char *object_dir_path(const char *kind, char buf[OBJECT_DIR_MAX])
{
	return place_path(place_of(kind, 0), buf);
}

/* Whose it is, and who else can write there. A directory that $IPC_DIR names may be root's, or one
 * for all as /tmp is. */
static bool is_ours(int fd, enum place place)
{
	bool given = place == PLACE_GIVEN;
	struct stat st;
	if (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && !(given && st.st_uid == 0)))
		return false;
	return (st.st_mode & (given ? S_IWOTH : S_IWOTH | S_IWGRP)) == 0 ||
		(given && (st.st_mode & S_ISVTX) != 0);
}

/* In /tmp a link was made by somebody else; the way to somebody's home is his own affair. */
static int open_place(enum place place, const char *path)
{
	bool shared = place == PLACE_TMP || place == PLACE_RUNTIME;
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | (shared ? O_NOFOLLOW : 0), 0);
	struct stat st;
	if (fd < 0 && shared && (errno == ENOTDIR || errno == ELOOP)) {
		int e = errno;
		bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
		errno = link ? EPERM : e;
	}
	if (fd < 0 || is_ours(fd, place))
		return fd;
	fd_close(fd);
	errno = EPERM;
	return -1;
}

/* Make PATH and what is missing above it, each below a directory that is ours: with somebody
 * else's $HOME, as sudo may leave it, nothing is made there. 0 or -1. */
static int make_state(char *path)
{
	char *slash = strrchr(path, '/');
	struct stat st;
	if (slash == NULL || slash == path)
		return mkdir(path, 0700);
	*slash = '\0';
	int r = stat(path, &st);
	if (r < 0 && errno == ENOENT)
		r = make_state(path) < 0 ? -1 : stat(path, &st);
	*slash = '/';
	if (r == 0 && st.st_uid != geteuid()) {
		errno = EPERM;
		return -1;
	}
	return r < 0 || (mkdir(path, 0700) < 0 && errno != EEXIST) ? -1 : 0;
}

static int make_place(enum place place, const char *path)
{
	char copy[OBJECT_DIR_MAX];
	if (place == PLACE_STATE)
		return make_state(strcpy(copy, path));
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

static int open_nth(const char *kind, unsigned i, bool create)
{
	char buf[OBJECT_DIR_MAX];
	enum place place = place_of(kind, i);
	const char *path = place_path(place, buf);
	int fd = path != NULL ? open_place(place, path) : -1;
	if (fd >= 0 || path == NULL || errno != ENOENT || !create)
		return fd;
	return make_place(place, path) < 0 ? -1 : open_place(place, path);
}

int object_dir(const char *kind, bool create)
{
	return open_nth(kind, 0, create);
}

/* The place in which NAME of KIND is, when that is not the first one: its number and descriptor.
 * FIRST is the descriptor of the first place, or -1. 0: none. */
static unsigned old_place(const char *kind, const char *name, int first, int *fd)
{
	struct stat st;
	if (place_of(kind, 1) == PLACE_NONE ||
		(first >= 0 && fstatat(first, name, &st, AT_SYMLINK_NOFOLLOW) == 0))
		return 0;
	for (unsigned i = 1; place_of(kind, i) != PLACE_NONE; i++) {
		*fd = open_nth(kind, i, false);
		if (*fd >= 0 && fstatat(*fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return i;
		fd_close(*fd);
	}
	return 0;
}

int object_at(const struct object *obj, const char *kind, bool create_dir, struct object_at *at)
{
	*at = (struct object_at){.dirfd = AT_FDCWD, .rel = obj->name};
	if (obj->kind == OBJECT_FILE || obj->kind == OBJECT_UNIX)
		return 0;
	if (obj->kind != OBJECT_WORD) {
		errno = EINVAL;
		return -1;
	}
	snprintf(at->buf, sizeof at->buf, "%s.%s", obj->name, kind);
	at->rel = at->buf;
	int first = object_dir(kind, create_dir), e = errno, fd;
	if (first < 0 && e != ENOENT && e != EDESTADDRREQ)
		return -1;
	at->old = old_place(kind, at->buf, first, &fd) != 0;
	if (!at->old) {
		at->dirfd = first >= 0 ? first : AT_FDCWD;
		errno = e;
		return first < 0 ? -1 : 0;
	}
	fd_close(first);
	at->dirfd = fd;
	return 0;
}

const char *object_path(const struct object *obj, const char *kind, char *buf, size_t size)
{
	char dir[OBJECT_DIR_MAX], name[OBJECT_WORD_MAX + 56];
	const char *path = "";
	if (obj->kind == OBJECT_WORD) {
		snprintf(name, sizeof name, "%s.%s", obj->name, kind);
		int first = place_of(kind, 1) != PLACE_NONE ? object_dir(kind, false) : -1, fd = -1;
		unsigned i = old_place(kind, name, first, &fd);
		if (i > 0)
			fd_close(fd);
		fd_close(first);
		path = place_path(place_of(kind, i), dir);
		if (path == NULL)
			return NULL;
	}
	int n = obj->kind == OBJECT_WORD ? snprintf(buf, size, "%s/%s", path, name)
					 : snprintf(buf, size, "%s", obj->name);
	if (n >= 0 && (size_t)n < size)
		return buf;
	errno = ENAMETOOLONG;
	return NULL;
}

/* The I-th place of all. */
static enum place nth_place(unsigned i)
{
	static const enum place all[] = {PLACE_TMP, PLACE_STATE, PLACE_RUNTIME, PLACE_NONE};
	if (variable("IPC_DIR", false) != NULL)
		return i == 0 ? PLACE_GIVEN : PLACE_NONE;
	return all[i];
}

int object_each_dir(int (*fn)(void *arg, const char *path), void *arg)
{
	char buf[OBJECT_DIR_MAX];
	int r = 0;
	for (unsigned i = 0; r == 0 && nth_place(i) != PLACE_NONE; i++)
		if (place_path(nth_place(i), buf) != NULL)
			r = fn(arg, buf);
	return r;
}

struct each {
	const char *kind;
	int (*fn)(void *arg, const char *name, const char *kind);
	void *arg;
};

static int read_dir(struct each *each, DIR *dir)
{
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		char *dot = strrchr(e->d_name, '.');
		/* What begins with a dot is "..", or a name that is still being made. */
		if (dot == NULL || e->d_name[0] == '.' ||
			(each->kind != NULL && strcmp(dot + 1, each->kind) != 0))
			continue;
		*dot = '\0';
		r = each->fn(each->arg, e->d_name, dot + 1);
	}
	return r;
}

static int read_place(struct each *each, enum place place)
{
	char path[OBJECT_DIR_MAX];
	int fd = place_path(place, path) != NULL ? open_place(place, path) : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		/* A default that is not ours holds no object of ours. */
		bool nothing = fd < 0 && (errno == ENOENT || place != PLACE_GIVEN);
		fd_close(fd);
		return nothing ? 0 : -1;
	}
	int r = read_dir(each, dir), e = errno;
	closedir(dir);
	errno = e;
	return r;
}

int object_each(const char *kind, int (*fn)(void *, const char *, const char *), void *arg)
{
	struct each each = {kind, fn, arg};
	int r = 0;
	for (unsigned i = 0; r == 0 && nth_place(i) != PLACE_NONE; i++)
		r = read_place(&each, nth_place(i));
	return r;
}
