/* lib/host.c: see host.h. */
#define _GNU_SOURCE
#include "host.h"

#include "call.h"
#include "fd.h"
#include "object.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void end(struct kept *k)
{
	free(k->word);
	free(k->path);
	free(k->dir);
	k->end(k);
}

static void forget(struct host *host, const struct kept *k)
{
	for (unsigned i = 0; i < KEPT_MAX; i++)
		if (host->kept[i] == k)
			host->kept[i] = NULL;
}

static void undo_kept(void *arg, intptr_t n)
{
	struct kept *k = arg;
	(void)n;
	k->busy = false;
	if (k->rest != NULL)
		k->rest(k);
	if (k->dropped)
		end(k);
}

static struct kept *use(struct call *call, struct kept *k)
{
	if (call_undo(call, undo_kept, k, 0) < 0)
		return NULL;
	k->busy = true;
	k->used = ++call->host->tick;
	return k;
}

void kept_drop(struct call *call, struct kept *k, bool now)
{
	forget(call->host, k);
	k->dropped = true;
	if (k->busy && !now)
		return;
	if (!k->busy) {
		end(k);
		return;
	}
	call_keep(call, undo_kept, k, 0);
	undo_kept(k, 0);
}

static bool same(const struct kept *k, const struct stat *st)
{
	return st->st_dev == k->st.st_dev && st->st_ino == k->st.st_ino;
}

/* A name in a directory that is never renamed: only an event that moves the inode's ctime can have given
 * the name to another one. */
static bool untouched(struct kept *k)
{
	struct timespec was = k->st.st_ctim;
	struct stat st;
	if (fstat(k->fd, &st) < 0 || !same(k, &st) || st.st_nlink == 0 ||
		(k->path != NULL &&
			(st.st_ctim.tv_sec != was.tv_sec || st.st_ctim.tv_nsec != was.tv_nsec)))
		return false;
	k->st = st;
	return true;
}

static int64_t now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* That a directory above it was renamed its own ctime does not tell: for so long that may go unnoticed. */
#define UNNOTICED INT64_C(100000000)

bool kept_current(struct kept *k)
{
	struct stat st;
	char buf[OBJECT_DIR_MAX];
	const char *dir = k->dir != NULL ? object_dir_path(k->dir_kind, buf) : NULL;
	if (k->dir != NULL && (dir == NULL || strcmp(k->dir, dir) != 0))
		return false;
	bool quick = k->fixed || (k->quiet && *k->path == '/' && now() - k->looked < UNNOTICED);
	if (quick && untouched(k))
		return true;
	if (k->path == NULL || stat(k->path, &st) < 0 || !same(k, &st))
		return false;
	k->st = st;
	k->looked = now();
	return true;
}

bool kept_open(const struct kept *k)
{
	struct stat st;
	return fstat(k->fd, &st) == 0 && same(k, &st);
}

static struct kept *newer(struct kept *a, struct kept *b)
{
	return a == NULL || b->used - a->used < 1u << 31 ? b : a;
}

struct kept *kept_recall(struct call *call, const void *type, const char *word, unsigned how)
{
	struct kept *k = NULL;
	for (unsigned i = 0; call->host != NULL && i < KEPT_MAX; i++) {
		struct kept *x = call->host->kept[i];
		if (x != NULL && x->type == type && x->how == how && !x->pinned && !x->busy &&
			strcmp(x->word, word) == 0)
			k = newer(k, x);
	}
	return k != NULL ? use(call, k) : NULL;
}

struct kept *kept_find(struct call *call, const void *type, const char *word, unsigned how)
{
	struct kept *k = kept_recall(call, type, word, how);
	if (k == NULL || kept_current(k))
		return k;
	kept_drop(call, k, true);
	return NULL;
}

struct kept *kept_pinned(struct call *call, const void *type, const char *word, int fd)
{
	struct kept *k = NULL;
	for (unsigned i = 0; call->host != NULL && i < KEPT_MAX; i++) {
		struct kept *x = call->host->kept[i];
		if (x != NULL && x->type == type && x->pinned && !x->busy &&
			(word != NULL ? strcmp(x->word, word) == 0 : x->fd == fd))
			k = newer(k, x);
	}
	return k != NULL ? use(call, k) : NULL;
}

struct kept *kept_pinned_file(struct call *call, const void *type, int fd)
{
	struct kept *k = NULL;
	struct stat st;
	if (call->host == NULL || fstat(fd, &st) < 0)
		return NULL;
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		struct kept *x = call->host->kept[i];
		if (x != NULL && x->type == type && x->pinned && !x->busy && same(x, &st))
			k = newer(k, x);
	}
	return k != NULL ? use(call, k) : NULL;
}

void kept_forget(struct call *call, const void *type, const char *word)
{
	for (unsigned i = 0; call->host != NULL && i < KEPT_MAX; i++) {
		struct kept *k = call->host->kept[i];
		if (k != NULL && k->type == type && !k->pinned && strcmp(k->word, word) == 0)
			kept_drop(call, k, false);
	}
}

/* How many may be kept: where few descriptors are allowed, most of them are the shell's. */
static unsigned places(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= KEPT_FD + 4 * KEPT_MAX)
		return KEPT_MAX;
	return (unsigned)limit.rlim_cur * KEPT_MAX / (KEPT_FD + 4 * KEPT_MAX);
}

/* A free place, or that of the one that was used longest ago. NULL: all hold something. */
static struct kept **place(struct call *call)
{
	struct host *host = call->host;
	struct kept **oldest = NULL;
	for (unsigned i = 0, n = places(); i < n; i++) {
		struct kept **k = &host->kept[i];
		if (*k == NULL)
			return k;
		if (!(*k)->busy && !(*k)->pinned &&
			(oldest == NULL || host->tick - (*k)->used > host->tick - (*oldest)->used))
			oldest = k;
	}
	if (oldest != NULL)
		end(*oldest);
	return oldest;
}

/* What says whether its name is still its own. */
static bool identify(struct kept *k, const struct object *obj, const char *kind)
{
	char path[4096], buf[OBJECT_DIR_MAX];
	struct stat st;
	const char *dir;
	if (fstat(k->fd, &k->st) < 0)
		return false;
	if (obj == NULL)
		return true;
	if (object_path(obj, kind, path, sizeof path) == NULL || (k->path = strdup(path)) == NULL)
		return false;
	if (obj->kind == OBJECT_WORD &&
		((dir = object_dir_path(kind, buf)) == NULL || (k->dir = strdup(dir)) == NULL))
		return false;
	k->dir_kind = kind;
	k->looked = now();
	return stat(k->path, &st) == 0 && same(k, &st);
}

bool kept_add(struct call *call, struct kept *k, const void *type, const char *word, unsigned how,
	const struct object *obj, const char *kind)
{
	struct kept **to = call->host != NULL ? place(call) : NULL;
	if (to == NULL)
		return false;
	*to = NULL;
	k->type = type;
	k->how = how;
	k->word = strdup(word);
	k->path = k->dir = NULL;
	if (k->word != NULL && identify(k, obj, kind) && use(call, k) != NULL) {
		k->fd = fd_raise(k->fd, KEPT_FD);
		*to = k;
		return true;
	}
	free(k->word);
	free(k->path);
	free(k->dir);
	return false;
}

bool host_give_fd(struct call *call, int fd)
{
	if (call->host == NULL || !call->host->into)
		return false;
	call_disown(call, fd);
	out_fmt(&call->out, "%d\n", fd_raise(fd, 10));
	return true;
}

void host_drop(struct host *host, bool child)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		struct kept *k = host->kept[i];
		if (k == NULL || (child && k->forks))
			continue;
		host->kept[i] = NULL;
		end(k);
	}
}

void host_distrust(struct host *host)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		struct kept *k = host->kept[i];
		if (k == NULL || !k->busy || k->pinned)
			continue;
		k->dropped = true;
		host->kept[i] = NULL;
	}
}
