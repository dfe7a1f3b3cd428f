/* lib/object.c: see object.h. */
#define _GNU_SOURCE
#include "object.h"

#include "fd.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *parse_sysv(struct object *obj, const char *s)
{
	int64_t n;
	obj->kind = OBJECT_SYSV;
	if (strcmp(s, "private") == 0) {
		obj->sysv = SYSV_PRIVATE;
		return NULL;
	}
	if (strncmp(s, "id=", 3) == 0) {
		if (num_int(s + 3, &n) != NULL || n < 0 || n > INT32_MAX)
			return "not a System V id";
		obj->sysv = SYSV_ID;
		obj->key = (int32_t)n;
		return NULL;
	}
	const char *hash = strrchr(s, '#');
	if (hash != NULL) {
		if (hash == s || hash[1] == '\0' || hash[2] != '\0')
			return "not PATH#C with one character C (ftok(3))";
		obj->sysv = SYSV_FTOK;
		obj->key = (unsigned char)hash[1];
		return NULL;
	}
	if (num_int(s, &n) != NULL || n < INT32_MIN || n > UINT32_MAX)
		return "not a System V key (0x..., a number, id=N, private or PATH#C)";
	if (n == 0)
		return "key 0 always makes a new object; say sysv:private";
	obj->sysv = SYSV_KEY;
	obj->key = (int32_t)(uint32_t)n;
	return NULL;
}

static const char *parse_posix(struct object *obj, const char *s)
{
	obj->kind = OBJECT_POSIX;
	if (s[0] != '/' || s[1] == '\0' || strchr(s + 1, '/') != NULL)
		return "not a POSIX name (one leading slash, no other)";
	if (strlen(s) > 255)
		return "name longer than 255 bytes";
	return NULL;
}

static const char *parse_word(struct object *obj, const char *s)
{
	obj->kind = OBJECT_WORD;
	if (*s == '\0')
		return "the empty string names no object";
	if (*s == '.' || *s == '-')
		return "a bare word does not begin with '.' or '-'; files are written ./NAME";
	if (strlen(s) > OBJECT_WORD_MAX)
		return "name longer than 200 bytes";
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return "control character in name";
	return NULL;
}

static const char *parse_prefixed(struct object *obj, const char *s)
{
	static const struct {
		const char *prefix;
		enum object_kind kind;
	} prefixes[] = {{"file:", OBJECT_FILE}, {"unix:", OBJECT_UNIX},
		{"abstract:", OBJECT_ABSTRACT}, {"tcp:", OBJECT_TCP}, {"udp:", OBJECT_UDP},
		{"vsock:", OBJECT_VSOCK}};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		size_t len = strlen(prefixes[i].prefix);
		if (strncmp(s, prefixes[i].prefix, len) != 0)
			continue;
		obj->kind = prefixes[i].kind;
		obj->name = s + len;
		return s[len] != '\0' ? NULL : "nothing behind the prefix";
	}
	return s;
}

const char *object_parse(struct object *obj, const char *text)
{
	int64_t n;
	*obj = (struct object){.text = text, .name = text, .fd = -1};
	if (text[0] == '@') {
		obj->kind = OBJECT_ABSTRACT;
		obj->name = text + 1;
		return text[1] != '\0' ? NULL : "nothing behind the @";
	}
	if (strncmp(text, "posix:", 6) == 0) {
		obj->name = text + 6;
		return parse_posix(obj, obj->name);
	}
	if (strncmp(text, "sysv:", 5) == 0) {
		obj->name = text + 5;
		return parse_sysv(obj, obj->name);
	}
	if (strncmp(text, "fd:", 3) == 0) {
		obj->kind = OBJECT_FD;
		if (num_int(text + 3, &n) != NULL || n < 0 || n > 1 << 20)
			return "not a descriptor number";
		obj->fd = (int)n;
		return NULL;
	}
	const char *why = parse_prefixed(obj, text);
	if (why != text)
		return why;
	if (strchr(text, '/') != NULL) {
		obj->kind = OBJECT_FILE;
		return NULL;
	}
	return parse_word(obj, text);
}

/* $IPC_DIR or its default. *GIVEN tells which. */
static const char *dir_path(char buf[64], bool *given)
{
	const char *path = getenv("IPC_DIR");
	*given = path != NULL && *path != '\0';
	if (*given)
		return path;
	path = getenv("XDG_RUNTIME_DIR");
	if (path != NULL && *path == '/' && strlen(path) < 56)
		snprintf(buf, 64, "%s/ipc", path);
	else
		snprintf(buf, 64, "/tmp/ipc-%u", (unsigned)geteuid());
	return buf;
}

const char *object_dir_path(char buf[64])
{
	bool given;
	return dir_path(buf, &given);
}

/* A default that is a link was made by somebody else. */
static void not_ours(const char *dir)
{
	struct stat st;
	int e = errno;
	bool is_link = (e == ENOTDIR || e == ELOOP) && lstat(dir, &st) == 0 && S_ISLNK(st.st_mode);
	errno = is_link ? EPERM : e;
}

int object_dir(bool create, char buf[64], const char **path)
{
	bool given;
	struct stat st;
	const char *dir = dir_path(buf, &given);
	if (path != NULL)
		*path = dir;
	int fd = fd_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | (given ? 0 : O_NOFOLLOW), 0);
	if (fd < 0 && errno == ENOENT && create) {
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -1;
		fd = fd_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | (given ? 0 : O_NOFOLLOW), 0);
	}
	if (fd < 0 && !given)
		not_ours(dir);
	if (fd < 0)
		return -1;
	bool ours = fstat(fd, &st) == 0 && (st.st_uid == geteuid() || (given && st.st_uid == 0)) &&
		((st.st_mode & (given ? S_IWOTH : S_IWOTH | S_IWGRP)) == 0 ||
			(given && (st.st_mode & S_ISVTX) != 0));
	if (ours)
		return fd;
	fd_close(fd);
	errno = EPERM;
	return -1;
}

int object_at(const struct object *obj, const char *kind, bool create_dir, struct object_at *at)
{
	char buf[64];
	at->dirfd = AT_FDCWD;
	at->rel = obj->name;
	if (obj->kind == OBJECT_FILE || obj->kind == OBJECT_UNIX)
		return 0;
	if (obj->kind != OBJECT_WORD) {
		errno = EINVAL;
		return -1;
	}
	at->dirfd = object_dir(create_dir, buf, NULL);
	if (at->dirfd < 0)
		return -1;
	snprintf(at->buf, sizeof at->buf, "%s.%s", obj->name, kind);
	at->rel = at->buf;
	return 0;
}

void object_at_close(struct object_at *at)
{
	if (at->dirfd != AT_FDCWD)
		fd_close(at->dirfd);
	at->dirfd = AT_FDCWD;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int unlink_same(int dirfd, const char *name, const struct stat *st, int flags)
{
	struct stat now;
	if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	bool same = same_file(&now, st) ||
		(S_ISLNK(now.st_mode) && fstatat(dirfd, name, &now, 0) == 0 && same_file(&now, st));
	if (same)
		return unlinkat(dirfd, name, flags);
	errno = ENOENT;
	return -1;
}

int object_unlink(int dirfd, const char *path, const struct stat *st, int flags)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (slash == NULL || slash[1] == '\0')
		return unlink_same(dirfd, path, st, flags);
	size_t len = (size_t)(slash - path) + 1;
	if (len >= sizeof dir) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, path, len);
	dir[len] = '\0';
	int fd = fd_open(dirfd, dir, O_PATH | O_DIRECTORY, 0);
	int r = fd < 0 ? -1 : unlink_same(fd, slash + 1, st, flags);
	fd_close(fd);
	return r;
}

const char *object_path(const struct object *obj, const char *kind, char *buf, size_t size)
{
	char dirbuf[64];
	bool given;
	int n = obj->kind == OBJECT_WORD
		? snprintf(buf, size, "%s/%s.%s", dir_path(dirbuf, &given), obj->name, kind)
		: snprintf(buf, size, "%s", obj->name);
	if (n < 0 || (size_t)n >= size) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return buf;
}

int object_each(const char *kind, int (*fn)(void *, const char *, const char *), void *arg)
{
	char buf[64];
	int fd = object_dir(false, buf, NULL);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		char *dot = strrchr(e->d_name, '.');
		/* What begins with a dot is "..", or a name that is still being made. */
		if (dot == NULL || e->d_name[0] == '.' ||
			(kind != NULL && strcmp(dot + 1, kind) != 0))
			continue;
		*dot = '\0';
		r = fn(arg, e->d_name, dot + 1);
	}
	int saved = errno;
	closedir(dir);
	errno = saved;
	return r;
}
