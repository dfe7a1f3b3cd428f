/* applets/ipc-spool/store.c: the directory: opening and making it, and its settings.
 *
 * Nothing below the spool is reached through a symbolic link: each step down is an openat(2) with
 * O_NOFOLLOW from the descriptor above.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "num.h"
#include "object.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 2     /* the newest that we know: it has checksums in names */
#define VERSION_NEW 1 /* what a spool begins with, until it needs more */
#define MAGIC "ipc-spool "
#define MAX_ATTEMPTS 5
#define KEEP 10000

/* The first eight digits of the boot's id; 0 when it cannot be read. */
static uint32_t boot_tag(void)
{
	char id[40];
	proc_boot_id(id);
	id[8] = '\0';
	return (uint32_t)strtoul(id, NULL, 16);
}

/* The path of the directory FD as the kernel knows it, in BUF. 0, or -1 with errno. */
static int fd_path(int fd, char *buf, size_t size)
{
	char self[32];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(self, buf, size - 1);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	if (buf[0] == '/')
		return 0;
	errno = ENOENT;
	return -1;
}

const char *spool_absolute(struct spool *sp)
{
	char path[PATH_MAX];
	if (sp->path[0] == '/' || fd_path(sp->root, path, sizeof path) < 0)
		return sp->path;
	const char *copy = call_strdup(sp->call, path);
	return copy != NULL ? copy : sp->path;
}

/* ---- settings ---- */

static const char *setting(struct spool *sp, const char *key, uint64_t value)
{
	if (strcmp(key, "depth") == 0)
		sp->depth = value;
	else if (strcmp(key, "max-attempts") == 0)
		sp->max_attempts = value;
	else if (strcmp(key, "keep") == 0)
		sp->keep = value;
	else if (strcmp(key, "keep-data") == 0)
		sp->keep_data = value != 0;
	/* What a later minor version adds is none of our business. */
	return NULL;
}

static int parse_format(struct spool *sp, char *text)
{
	struct call *call = sp->call;
	char *save, *line = strtok_r(text, "\n", &save);
	uint64_t n;
	if (line == NULL || strncmp(line, MAGIC, strlen(MAGIC)) != 0 ||
		num_uint(line + strlen(MAGIC), &n) != NULL)
		return call_fail(call, ST_DATA, 0,
			"%s/format: damaged: its first line is not '%s%d'", sp->path, MAGIC,
			VERSION_NEW);
	if (n < VERSION_NEW || n > VERSION)
		return call_fail(call, ST_DATA, 0,
			"%s: has format %llu, this ipc-spool knows %d; use the newer one", sp->path,
			(unsigned long long)n, VERSION);
	sp->version = (unsigned)n;
	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		char *space = strchr(line, ' ');
		if (space == NULL)
			continue;
		*space = '\0';
		if (num_uint(space + 1, &n) == NULL)
			setting(sp, line, n);
	}
	return ST_OK;
}

/* ST_OK, ST_NOOBJ without a message when there is no such file, or a reported failure. */
static int read_format(struct spool *sp)
{
	char text[4096];
	int fd = file_regular(sp->root, "format");
	if (fd < 0 && errno == ENOENT)
		return ST_NOOBJ;
	ssize_t n = fd < 0 ? -1 : fd_read(fd, text, sizeof text - 1);
	fd_close(fd);
	if (n < 0)
		return call_error(sp->call, errno, "read %s/format", sp->path);
	text[n] = '\0';
	return parse_format(sp, text);
}

/* Put the finished file NAME in tmp/ in place as "format". */
static int install_format(
	struct spool *sp, int dir, const char *name, bool replace, bool sync, bool *made)
{
	int r = replace ? renameat(dir, name, sp->root, "format")
			: linkat(dir, name, sp->root, "format", 0);
	int e = errno;
	*made = r == 0;
	if (!replace)
		unlinkat(dir, name, 0);
	errno = e;
	if (r < 0 && (e != EEXIST || replace))
		return -1;
	return sync ? fsync(sp->root) : 0;
}

static int save(struct spool *sp, bool replace, bool sync, bool *made)
{
	char text[256], name[NAME_SIZE];
	int dir = tmp_fd(sp);
	snprintf(name, sizeof name, "format.%ld", (long)getpid());
	int n = snprintf(text, sizeof text,
		MAGIC "%u\ndepth %llu\nmax-attempts %llu\nkeep %llu\nkeep-data %d\n", sp->version,
		(unsigned long long)sp->depth, (unsigned long long)sp->max_attempts,
		(unsigned long long)sp->keep, sp->keep_data);
	if (dir < 0)
		return -1;
	unlinkat(dir, name, 0);
	int fd = file_create(sp, dir, name);
	bool ok = fd >= 0 && lease_try(fd) == 1 && fd_pwrite(fd, text, (size_t)n, 0) == 0 &&
		(!sync || fsync(fd) == 0) &&
		install_format(sp, dir, name, replace, sync, made) == 0;
	if (!ok && fd >= 0) {
		int e = errno;
		unlinkat(dir, name, 0);
		errno = e;
	}
	fd_close(fd);
	return ok ? 0 : -1;
}

int spool_save(struct spool *sp)
{
	bool made;
	return save(sp, true, true, &made);
}

int spool_reload(struct spool *sp)
{
	int status = read_format(sp);
	return status == ST_NOOBJ ? spool_failed(sp, ESTALE, "read") : status;
}

/* Not synced: an older ipc-spool that sees the old number after a power cut passes over the
 * names it does not know. */
int spool_raise(struct spool *sp)
{
	bool made;
	if (sp->version >= VERSION)
		return 0;
	if (spool_reload(sp) != ST_OK) { /* which has been reported */
		errno = EBADMSG;
		return -1;
	}
	sp->version = VERSION;
	return save(sp, true, false, &made);
}

/* ---- making and opening ---- */

/* Is all that stands here ours, so that a spool may be made of it? A half-made one may, /etc may
 * not. */
static int only_ours(struct spool *sp, bool *ours)
{
	int fd = fd_open(sp->root, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	*ours = true;
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	for (struct dirent *e; *ours && (e = readdir(dir)) != NULL;) {
		bool known = e->d_name[0] == '.' || strcmp(e->d_name, "tmp") == 0 ||
			strcmp(e->d_name, "seq") == 0 || strcmp(e->d_name, "format") == 0;
		for (size_t i = 0; i < JOB_STATES && !known; i++)
			known = strcmp(e->d_name, state_name((enum state)i)) == 0;
		*ours = known;
	}
	closedir(dir);
	return 0;
}

/* The format file comes last: a directory with it is a whole spool. */
static int furnish(struct spool *sp, bool *made)
{
	bool ours;
	if (only_ours(sp, &ours) < 0)
		return call_error(sp->call, errno, "read %s", sp->path);
	if (!ours)
		return call_fail(sp->call, ST_DATA, 0,
			"%s: not a spool, and not empty: it is left alone", sp->path);
	if (parts_make(sp) < 0 || save(sp, false, true, made) < 0)
		return spool_failed(sp, errno, "make the spool");
	return read_format(sp); /* another maker's, if that one was first */
}

static int make_root(struct spool *sp, const struct object_at *at, mode_t mode)
{
	char parent[PATH_MAX];
	if (mkdirat(at->dirfd, at->rel, 0700) < 0)
		return errno == EEXIST ? 0 : -1;
	int fd = fd_open(at->dirfd, at->rel, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = fd < 0 || (mode != 0700 && fchmod(fd, mode) < 0) ? -1 : 0;
	fd_close(fd);
	if (r < 0 || (size_t)snprintf(parent, sizeof parent, "%s/..", at->rel) >= sizeof parent)
		return -1;
	/* The new directory's own entry must be on disk before anything in it can be promised. */
	fd = fd_open(at->dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && fsync(fd) < 0)
		r = -1;
	fd_close(fd);
	if (r == 0 && (mode & S_IWGRP) != 0 && (mode & (S_ISGID | S_IWOTH)) == 0)
		call_warn(sp->call, 0,
			"%s: what a member of the group puts in belongs to that one's own group; "
			"-m %o shares it",
			sp->path, mode | S_ISGID);
	return r;
}

static int open_root(struct spool *sp, const struct object *obj, bool create)
{
	struct call *call = sp->call;
	struct object_at at;
	struct stat st;
	mode_t mode =
		create && call->std[STD_MODE].count > 0 ? (mode_t)call->std[STD_MODE].num : 0700;
	if (object_at(obj, "spool", create, &at) < 0) {
		int e = errno,
		    status = e != ENOENT || create
			? call_place_error(call, obj, "spool", e)
			: call_fail(call, ST_NOOBJ, 0, "%s: no such spool", sp->path);
		return status >= 0 ? status : call_error(call, e, "open %s", sp->path);
	}
	call_place_old(call, obj, "spool", at.old);
	int flags = O_RDONLY | O_DIRECTORY | (obj->kind == OBJECT_WORD ? O_NOFOLLOW : 0);
	int fd = fd_open(at.dirfd, at.rel, flags, 0);
	if (fd < 0 && errno == ENOENT && create)
		fd = make_root(sp, &at, mode) < 0
			? -1
			: fd_open(at.dirfd, at.rel, flags | O_NOFOLLOW, 0);
	int e = errno;
	object_at_close(&at);
	sp->root = call_own(call, fd);
	if (fd < 0 && e == ENOENT && !create)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such spool", sp->path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return spool_failed(sp, fd < 0 ? e : errno, "open");
	sp->mode = st.st_mode & 07777;
	return ST_OK;
}

int spool_open(struct call *call, const char *text, bool create, struct spool *sp)
{
	bool made;
	return spool_make(call, text, create, sp, &made);
}

int spool_make(struct call *call, const char *text, bool create, struct spool *sp, bool *made)
{
	struct object obj;
	char *path = call_alloc(call, PATH_MAX);
	const char *why = object_parse(&obj, text);
	*made = false;
	*sp = (struct spool){.call = call,
		.path = path,
		.root = -1,
		.tmp = -1,
		.done_fd = -1,
		.done_newest = UINT64_MAX,
		.version = VERSION_NEW,
		.boot = boot_tag(),
		.seq = -1,
		.dirs = {-1, -1, -1, -1, -1},
		.max_attempts = MAX_ATTEMPTS,
		.keep = KEEP,
		.deadline = call_deadline(call)};
	if (why == NULL && obj.kind != OBJECT_WORD && obj.kind != OBJECT_FILE)
		why = "a spool is a directory: PATH, file:PATH or a word";
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", text, why);
	if (path == NULL || object_path(&obj, "spool", path, PATH_MAX) == NULL) {
		int e = errno, status = call_place_error(call, &obj, "spool", e);
		return status >= 0 ? status : call_error(call, e, "%s", text);
	}
	int status = open_root(sp, &obj, create);
	if (status != ST_OK)
		return status;
	/* Handed over as a descriptor, as by ipc-rm: people know it by its path. */
	if (strncmp(path, "/proc/self/fd/", 14) == 0)
		(void)fd_path(sp->root, path, PATH_MAX);
	status = read_format(sp);
	if (status == ST_NOOBJ && create)
		return furnish(sp, made);
	if (status == ST_NOOBJ)
		return call_fail(
			call, ST_DATA, 0, "%s: not a spool (it has no file 'format')", sp->path);
	return status;
}

/* The name is looked up in the directory above, as that is found from our own: the path that was
 * given may lead elsewhere by now. */
int spool_rmdir(struct spool *sp)
{
	char path[PATH_MAX];
	struct stat mine, st;
	int up = fd_open(sp->root, "..", O_PATH | O_DIRECTORY, 0);
	if (up < 0 || fstat(sp->root, &mine) < 0 || fd_path(sp->root, path, sizeof path) < 0) {
		fd_close(up);
		return -1;
	}
	const char *name = strrchr(path, '/') + 1;
	int r = fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && (st.st_ino != mine.st_ino || st.st_dev != mine.st_dev)) {
		errno = ENOENT;
		r = -1;
	}
	if (r == 0)
		r = unlinkat(up, name, AT_REMOVEDIR);
	fd_close(up);
	return r;
}
