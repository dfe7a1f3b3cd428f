/* lib/mapped.c: see mapped.h. */
#include "mapped.h"

#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void undo_mapped(void *arg, intptr_t n)
{
	struct mapped *m = arg;
	(void)n;
	shared_close(&m->shared, 0);
	object_at_close(&m->at);
}

static int open_failed(
	struct call *call, const struct mapped_type *type, const char *word, int flags, size_t size)
{
	switch (errno) {
	case ENOENT:
		return call_fail(call, ST_NOOBJ, 0, "%s: no such %s%s", word, type->kind,
			(flags & SHARED_CREATE) != 0 ? " (its directory is missing)" : "");
	case EEXIST: return call_fail(call, ST_EXISTS, 0, "%s: exists", word);
	case EBADMSG:
		return call_fail(
			call, ST_DATA, 0, "%s: not a %s file, or damaged", word, type->kind);
	case EPROTONOSUPPORT:
		return call_fail(call, ST_DATA, 0, "%s: made by another version or machine", word);
	case EISDIR:
	case ENOTSUP: return call_fail(call, ST_DATA, 0, "%s: not a regular file", word);
	case ENOSPC:
	case EDQUOT: return call_error(call, errno, "create %s (%zu bytes)", word, size);
	default: return call_error(call, errno, "open %s", word);
	}
}

int mapped_open(struct call *call, struct mapped **mp, const char *word,
	const struct mapped_type *type, int flags, size_t size, void *arg)
{
	bool create = (flags & SHARED_CREATE) != 0;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	struct mapped *m = *mp = call_alloc(call, sizeof *m);
	if (m == NULL)
		return call_error(call, ENOMEM, "open %s", word);
	*m = (struct mapped){.at.dirfd = AT_FDCWD, .shared.fd = -1};
	const char *why = object_parse(&m->obj, word);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
	if (object_at(&m->obj, type->kind, create, &m->at) < 0) {
		if (errno == EINVAL)
			return call_fail(call, ST_USAGE, 0, "%s: a %s is a bare word or a file",
				word, type->kind);
		if (errno == ENOENT)
			return open_failed(call, type, word, flags, size);
		return call_error(call, errno, "open the directory of %s", word);
	}
	if (size == 0)
		size = type->size;
	if (shared_open(&m->shared, m->at.dirfd, m->at.rel, &type->file, flags, size, mode,
		    type->init, arg) < 0) {
		int status = open_failed(call, type, word, flags, size);
		object_at_close(&m->at);
		return status;
	}
	if (call_undo(call, undo_mapped, m, 0) < 0)
		return call_error(call, errno, "open %s", word);
	return 0;
}

void mapped_close(struct call *call, struct mapped *m)
{
	call_keep(call, undo_mapped, m, 0);
	undo_mapped(m, 0);
}

int mapped_unlink(struct call *call, struct mapped *m)
{
	struct stat st;
	if ((fstat(m->shared.fd, &st) < 0 || object_unlink(m->at.dirfd, m->at.rel, &st, 0) < 0) &&
		errno != ENOENT)
		return call_error(call, errno, "remove %s", m->obj.text);
	return 0;
}

#define STEP (2 * NS_PER_S)      /* then it is asked whether the holder can be one */
#define PATIENCE (10 * NS_PER_S) /* nobody holds the lock for more than a few microseconds */

static int is_pid(void *arg, const struct proc_fd *fd)
{
	return fd->pid == *(const pid_t *)arg;
}

/* The process that the lock names may be none that has the file open: then the file is damaged or
 * was copied while locked, and nobody will ever unlock it. */
static bool impossible_holder(const struct mapped *m, pid_t holder)
{
	struct stat st;
	bool hidden = false;
	return fstat(m->shared.fd, &st) == 0 &&
		proc_each_fd(&st, false, is_pid, &holder, &hidden) == 0 && !hidden;
}

int mapped_lock(struct call *call, struct mapped *m, int64_t deadline, int *status)
{
	int64_t until = wait_now() + PATIENCE;
	if (deadline == DEADLINE_NOW)
		deadline = DEADLINE_NONE;
	for (;;) {
		int64_t step = wait_now() + STEP;
		if (shared_lock(&m->shared, step < deadline ? step : deadline, &call->stop) == 0)
			return 0;
		if (errno == EOWNERDEAD) {
			m->shared.head->repairs++;
			return 1;
		}
		if (errno != ETIMEDOUT || (deadline != DEADLINE_NONE && wait_now() >= deadline))
			break;
		pid_t holder = (pid_t)(m->shared.head->lock & 0x3fffffff);
		if (impossible_holder(m, holder)) {
			shared_void_lock(&m->shared);
		} else if (wait_now() >= until) {
			*status = call_fail(call, ST_BUSY, 0,
				"%s: process %ld has held its lock for 10 s: is it stopped?",
				m->obj.text, (long)holder);
			return -1;
		}
	}
	*status = call_waited(call, errno, "lock %s", m->obj.text);
	return -1;
}

int mapped_done(struct call *call, struct mapped *m, int status)
{
	if (shared_intact(&m->shared))
		return status;
	return call_fail(call, ST_DATA, 0, "%s: the file was cut short while in use", m->obj.text);
}
