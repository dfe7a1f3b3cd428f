/* lib/mapped.c: see mapped.h. */
#include "mapped.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void undo_mapped(void *arg, intptr_t n)
{
	struct mapped *m = arg;
	(void)n;
	if (m->ends)
		m->shared.base = NULL;
	shared_close(&m->shared, 0);
	object_at_close(&m->at);
	if (m->own)
		free(m);
}

static struct mapped *of_kept(struct kept *k)
{
	return (struct mapped *)(void *)((char *)k - offsetof(struct mapped, kept));
}

static void end_kept(struct kept *k)
{
	struct mapped *m = of_kept(k);
	m->shared.fd = k->fd;
	undo_mapped(m, 0);
}

static void rest_kept(struct kept *k)
{
	struct mapped *m = of_kept(k);
	if (m->waits)
		(void)lseek(k->fd, KEPT_IDLE, SEEK_SET);
	m->waits = false;
	shared_pause(&m->shared);
}

void mapped_waits(struct mapped *m)
{
	if (m->is_kept && !m->waits)
		m->waits = lseek(m->kept.fd, 0, SEEK_SET) == 0;
}

static const char *article(const char *noun)
{
	return strchr("aeiou", *noun) != NULL ? "an" : "a";
}

static int open_failed(struct call *call, const struct mapped_type *type, const char *word,
	int flags, size_t size, const char *lacks)
{
	if (lacks != NULL)
		return call_fail(call, ST_LIMIT, errno,
			"%s: cannot tell whether it is of this boot: read %s", word, lacks);
	switch (errno) {
	case ENOENT:
		return call_fail(call, ST_NOOBJ, 0, "%s: no such %s%s", word, type->kind,
			(flags & SHARED_CREATE) != 0 ? " (its directory is missing)" : "");
	case EEXIST: return call_fail(call, ST_EXISTS, 0, "%s: exists", word);
	case EBADMSG:
		return call_fail(call, ST_DATA, 0, "%s: not %s %s file, or damaged", word,
			article(type->kind), type->kind);
	case EPROTONOSUPPORT:
		return call_fail(call, ST_DATA, 0,
			"%s: made by another version or machine; rm(1) frees the name", word);
	case EISDIR:
	case ENOTSUP: return call_fail(call, ST_DATA, 0, "%s: not a regular file", word);
	case EOVERFLOW:
		return call_fail(call, ST_LIMIT, 0,
			"%s: does not fit into the address space of a %zu-bit program", word,
			sizeof(void *) * CHAR_BIT);
	case ENOSPC:
	case EDQUOT: return call_error(call, errno, "create %s (%zu bytes)", word, size);
	default: return call_error(call, errno, "open %s", word);
	}
}

/* M for WORD, as far as it goes without opening the file. 0 or a status. */
static int name_it(struct call *call, struct mapped *m, const char *word,
	const struct mapped_type *type, bool create, size_t size)
{
	const char *why = object_parse(&m->obj, word);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
	if (object_at(&m->obj, type->kind, create, &m->at) == 0) {
		call_place_old(call, &m->obj, type->kind, m->at.old);
		return 0;
	}
	if (errno == EINVAL)
		return call_fail(call, ST_USAGE, 0, "%s: %s %s is a bare word or a file", word,
			article(type->kind), type->kind);
	if (errno == ENOENT && !create)
		return open_failed(call, type, word, 0, size, NULL);
	int e = errno, status = call_place_error(call, &m->obj, type->kind, e);
	return status >= 0 ? status : call_error(call, e, "open the directory of %s", word);
}

/* The one that the host has kept. */
static struct mapped *find_kept(
	struct call *call, const char *word, const struct mapped_type *type, int flags)
{
	struct kept *k = (flags & SHARED_EXCL) == 0
		? kept_find(call, type, word, (unsigned)flags & SHARED_RDONLY)
		: NULL;
	if (k == NULL)
		return NULL;
	struct mapped *m = of_kept(k);
	(void)object_parse(&m->obj, word); /* the same text as when it was opened, elsewhere */
	if (m->at.rel != m->at.buf)
		m->at.rel = m->obj.name;
	m->shared.created = m->shared.rebooted = false;
	if (shared_resume(&m->shared) == 0)
		return m;
	kept_drop(call, k, true);
	return NULL;
}

/* Offer M to the host; else it is the call's. */
static int settle(struct call *call, struct mapped *m, const struct mapped_type *type, unsigned how)
{
	m->kept = (struct kept){
		.fd = m->shared.fd, .end = end_kept, .rest = rest_kept, .quiet = true};
	m->is_kept = kept_add(call, &m->kept, type, m->obj.text, how, &m->obj, type->kind);
	if (m->is_kept) {
		m->shared.fd = m->kept.fd;
		(void)lseek(m->kept.fd, KEPT_IDLE, SEEK_SET);
		if (m->at.dirfd != AT_FDCWD)
			m->at.dirfd = fd_raise(m->at.dirfd, KEPT_FD);
		return 0;
	}
	return call_undo(call, undo_mapped, m, 0);
}

int mapped_open(struct call *call, struct mapped **mp, const char *word,
	const struct mapped_type *type, int flags, size_t size, void *arg)
{
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	struct mapped *m = *mp = find_kept(call, word, type, flags);
	if (m != NULL)
		return 0;
	/* A host may keep it for longer than the call. */
	bool own = call->host != NULL;
	m = *mp = own ? calloc(1, sizeof *m) : call_alloc(call, sizeof *m);
	if (m == NULL)
		return call_error(call, ENOMEM, "open %s", word);
	m->own = own;
	m->ends = call->ends && !own;
	m->at.dirfd = AT_FDCWD;
	m->shared.fd = -1;
	if (size == 0)
		size = type->size;
	int status = name_it(call, m, word, type, (flags & SHARED_CREATE) != 0, size);
	if (status == 0 &&
		shared_open(&m->shared, m->at.dirfd, m->at.rel, &type->file, flags, size, mode,
			type->init, arg) < 0)
		status = open_failed(call, type, word, flags, size, m->shared.lacks);
	if (status != 0) {
		object_at_close(&m->at);
		if (own)
			free(m);
		return status;
	}
	if (settle(call, m, type, (unsigned)flags & SHARED_RDONLY) < 0)
		return call_error(call, errno, "open %s", word);
	return 0;
}

void mapped_close(struct call *call, struct mapped *m)
{
	if (m->is_kept) {
		kept_drop(call, &m->kept, true);
		return;
	}
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

#define STEP NS_PER_S            /* then it is asked whether the holder can be one */
#define PATIENCE (10 * NS_PER_S) /* nobody holds the lock for more than a few microseconds */

int64_t mapped_last(const struct call *call)
{
	bool bounded = call->std[STD_NONBLOCK].count > 0 || call->std[STD_TIMEOUT].count > 0;
	return bounded ? wait_until(PATIENCE) : DEADLINE_NONE;
}

/* How the wait for one lock goes. */
struct patience {
	int64_t deadline, until;
	pid_t last;
};

/* It was not to be had for a STEP. 0: go on; or a status. */
static int look_at_holder(struct call *call, struct mapped *m, struct patience *p)
{
	uint32_t seen = shared_lock_word(&m->shared);
	pid_t holder = shared_holder(seen);
	if (holder != p->last && p->last != 0) /* it goes from hand to hand, only past us */
		p->until = wait_now() + PATIENCE;
	p->last = holder;
	if (holder == 0)
		return 0;
	if (shared_holder_gone(&m->shared, seen)) {
		shared_void_lock(&m->shared, seen);
		return 0;
	}
	return wait_now() < p->until
		? 0
		: call_fail(call, ST_BUSY, 0,
			  "%s: process %ld has held its lock for 10 s: is it stopped?", m->obj.text,
			  (long)holder);
}

int mapped_lock(struct call *call, struct mapped *m, int64_t deadline, int *status)
{
	struct patience p = {.deadline = deadline};
	/* Free as a rule: then no clock is asked. */
	for (int64_t step = DEADLINE_NOW;; step = wait_now() + STEP) {
		if (shared_lock(&m->shared, step < p.deadline ? step : p.deadline, &call->stop) ==
			0)
			return 0;
		if (errno == EOWNERDEAD) {
			__atomic_add_fetch(&m->shared.head->repairs, 1, __ATOMIC_RELAXED);
			return 1;
		}
		if (errno == EAGAIN) {
			p.until = wait_now() + PATIENCE;
			p.deadline = deadline == DEADLINE_NOW ? wait_now() + STEP : deadline;
			continue;
		}
		if (errno != ETIMEDOUT || (p.deadline != DEADLINE_NONE && wait_now() >= p.deadline))
			break;
		if ((*status = look_at_holder(call, m, &p)) != 0)
			return -1;
	}
	if (deadline == DEADLINE_NOW && errno == ETIMEDOUT)
		errno = EAGAIN;
	*status = call_waited(call, errno, "lock %s", m->obj.text);
	return -1;
}

int mapped_done(struct call *call, struct mapped *m, int status)
{
	struct stat st;
	if (shared_intact(&m->shared))
		return status;
	bool cut = fstat(m->shared.fd, &st) == 0 && st.st_size < (off_t)m->shared.size;
	return call_fail(call, ST_DATA, 0, "%s: the file was %s while in use", m->obj.text,
		cut ? "cut short" : "damaged");
}
