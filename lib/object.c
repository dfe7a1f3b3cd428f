/* lib/object.c: see object.h. */
#define _GNU_SOURCE
#include "object.h"

#include "fd.h"
#include "num.h"

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
