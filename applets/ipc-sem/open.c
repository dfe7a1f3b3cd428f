/* applets/ipc-sem/open.c: open the semaphore that a word names, of whichever kind, and say what went wrong. */
#define _GNU_SOURCE
#include "proc.h"
#include "sem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void undo_sem(void *arg, intptr_t n)
{
	struct sem *s = arg;
	(void)n;
	if (s->kind == SEM_SLOTS)
		slots_close(s);
	else if (s->kind == SEM_POSIX && !s->kept)
		psem_close(&s->posix);
}

/* A POSIX semaphore that a shell keeps open. */
struct kept_sem {
	struct kept kept;
	struct psem posix;
};
static const char kept_type; /* its address is the type */

static void end_kept(struct kept *k)
{
	struct kept_sem *ks = (struct kept_sem *)(void *)k;
	psem_close(&ks->posix);
	free(ks);
}

void sem_forget(struct call *call, const char *word)
{
	kept_forget(call, &kept_type, word);
}

static bool find_kept(struct sem *s)
{
	struct kept *k = kept_find(s->call, &kept_type, s->text, 0);
	if (k == NULL)
		return false;
	s->posix = ((struct kept_sem *)(void *)k)->posix;
	return s->kept = true;
}

/* Let a host that lives on have it; all memory stays mapped, so the descriptor is there to say whether the
 * name still means it. */
static void offer(struct sem *s)
{
	struct object file = {.kind = OBJECT_FILE, .name = s->posix.path};
	struct kept_sem *ks = s->call->host != NULL ? malloc(sizeof *ks) : NULL;
	if (ks == NULL)
		return;
	ks->kept = (struct kept){.fd = s->posix.fd, .end = end_kept, .fixed = true, .forks = true};
	s->kept = kept_add(s->call, &ks->kept, &kept_type, s->text, 0, &file, NULL);
	if (!s->kept) {
		free(ks);
		return;
	}
	s->posix.fd = ks->kept.fd;
	(void)lseek(s->posix.fd, KEPT_IDLE, SEEK_SET);
	ks->posix = s->posix;
}

void sem_shut(struct sem *s)
{
	call_keep(s->call, undo_sem, s, 0);
	undo_sem(s, 0);
}

static int open_failed(struct sem *s, int errnum, unsigned flags)
{
	struct call *call = s->call;
	int status = (flags & SEM_CREATE) != 0 || errnum == EPERM
		? call_place_error(call, &s->obj, "sem", errnum)
		: -1;
	if (status >= 0)
		return status;
	switch (errnum) {
	case ENOENT:
		return call_fail(call, ST_NOOBJ, 0, "%s: no such semaphore%s", s->text,
			(flags & SEM_CREATE) != 0 ? " (its directory is missing)" : "");
	case EEXIST: return call_fail(call, ST_EXISTS, 0, "%s: exists", s->text);
	case EBADMSG:
		return call_fail(call, ST_DATA, 0, "%s: not a semaphore, or damaged", s->text);
	case ELOOP:
		return call_fail(call, ST_DATA, 0, "%s: a symbolic link, no semaphore", s->text);
	case EISDIR: return call_fail(call, ST_DATA, 0, "%s: a directory", s->text);
	case ENOSYS:
		return call_fail(call, ST_LIMIT, 0,
			"%s: the layout of POSIX semaphores is not known on this system", s->text);
	default: return call_error(call, errnum, "open %s", s->text);
	}
}

static int open_posix(struct sem *s, unsigned flags, unsigned value, bool *made)
{
	struct call *call = s->call;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	for (;;) {
		*made = false;
		if ((flags & SEM_EXCL) == 0) {
			if (find_kept(s))
				return 0;
			if (psem_open(&s->posix, s->obj.name) == 0) {
				offer(s);
				return 0;
			}
			if (errno != ENOENT || (flags & SEM_CREATE) == 0)
				return -1;
			psem_close(&s->posix);
		}
		if (psem_create(&s->posix, s->obj.name, mode, value) == 0) {
			*made = true;
			return 0;
		}
		if (errno != EEXIST || (flags & SEM_EXCL) != 0)
			return -1;
		psem_close(&s->posix);
	}
}

static int open_kind(struct sem *s, unsigned flags, unsigned value, bool *made)
{
	struct call *call = s->call;
	int r;
	if ((flags & SEM_CREATE_SLOTS) != 0)
		flags |= s->obj.kind == OBJECT_WORD || s->obj.kind == OBJECT_FILE ? SEM_CREATE : 0;
	switch (s->obj.kind) {
	case OBJECT_POSIX:
		s->kind = SEM_POSIX;
		r = open_posix(s, flags, value, made);
		if (r < 0 && (errno == EINVAL || errno == ENAMETOOLONG))
			return call_fail(
				call, ST_USAGE, errno, "%s: not a name for a semaphore", s->text);
		break;
	case OBJECT_SYSV: s->kind = SEM_SYSV; return sysv_open(s, flags, value, made);
	case OBJECT_WORD:
	case OBJECT_FILE:
		if ((flags & SEM_CREATE) != 0 && value > SLOTS_MAX)
			return call_fail(
				call, ST_LIMIT, 0, "%s: at most %d slots", s->text, SLOTS_MAX);
		r = slots_open(s, flags, value, made);
		break;
	default:
		return call_fail(call, ST_USAGE, 0,
			"%s: a semaphore is a word, a file, posix:/NAME or sysv:KEY", s->text);
	}
	return r < 0 ? open_failed(s, errno, flags) : 0;
}

struct sem *sem_open_word(struct call *call, const char *word, unsigned flags, unsigned value,
	bool *made, int *status)
{
	struct object obj;
	const char *why = object_parse(&obj, word);
	/* The list of slots that we hold is as large as all the rest, and more: only who takes slots needs it. */
	bool counts = (flags & SEM_READ) != 0 ||
		(why == NULL && (obj.kind == OBJECT_POSIX || obj.kind == OBJECT_SYSV));
	struct sem *s = call_alloc(call, counts ? offsetof(struct sem, slot) : sizeof *s);
	bool unused;
	if (s == NULL) {
		*status = call_error(call, ENOMEM, "open %s", word);
		return NULL;
	}
	s->call = call; /* the rest is zero; no need to touch all pages of slots */
	s->text = word;
	s->fd = s->hold = s->ino = s->posix.fd = -1;
	s->at.dirfd = AT_FDCWD;
	s->obj = obj;
	if (why != NULL) {
		*status = call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
		return NULL;
	}
	call_undo(call, undo_sem, s, 0);
	*status = open_kind(s, flags, value, made != NULL ? made : &unused);
	if (*status == 0 && s->kind != SEM_SYSV && call->opt[OPT_INDEX].count > 0)
		*status = call_fail(call, ST_USAGE, 0, "%s: --index is for sysv:", word);
	if (*status == 0)
		return s;
	sem_shut(s);
	return NULL;
}

/* "process 1 (CMD)", or "process 1 (CMD), stopped" */
static const char *name_holder(struct call *call, const struct claim *c)
{
	pid_t pid = c->owner > 0 ? c->owner : c->pid;
	const char *text = call_fmt(call, "process %ld%s%s%s%s", (long)pid,
		*c->command != 0 ? " (" : "", c->command, *c->command != 0 ? ")" : "",
		proc_stopped(pid) ? ", stopped" : "");
	return text != NULL ? text : "a process";
}

/* " (held by process 1 (CMD), ...)": those of slots that are taken and claimed; or nothing. */
static const char *name_holders(struct sem *s)
{
	struct call *call = s->call;
	const char *text = "";
	struct claim c;
	unsigned named = 0, more = 0;
	for (unsigned i = 0; s->kind == SEM_SLOTS && i < s->top && text != NULL; i++) {
		if (slots_taken(s, i) <= 0 || !slots_claimed(s, i, &c))
			continue;
		if (named++ < 3)
			text = call_fmt(call, "%s%s%s", text, named == 1 ? " (held by " : ", ",
				name_holder(call, &c));
		else
			more++;
	}
	if (text != NULL && more > 0)
		text = call_fmt(call, "%s, and %u more", text, more);
	return text == NULL || *text == '\0' ? "" : call_fmt(call, "%s)", text);
}

void sem_says_waits(struct sem *s)
{
	if (call_says_waits(s->call))
		call_waits(s->call, "waiting for %s%s", s->text, name_holders(s));
}

int sem_waited(struct sem *s, unsigned k, int errnum)
{
	struct call *call = s->call;
	switch (errnum) {
	case ENOENT:
	case EIDRM: return call_fail(call, ST_NOOBJ, 0, "%s: was removed", s->text);
	case ERANGE:
		if (s->kind == SEM_SLOTS && s->n == 0)
			return call_fail(call, ST_LIMIT, 0, "%s: has no slots; ipc-sem set %s N",
				s->text, s->text);
		return call_fail(call, ST_LIMIT, 0, "%s: %u wanted, %s", s->text, k,
			s->kind == SEM_SLOTS ? "but there are fewer slots"
					     : "a semaphore goes up to its maximum");
	case EOVERFLOW:
		return call_fail(call, ST_LIMIT, 0, "%s: its value would be too large", s->text);
	case EDEADLK:
		return call_fail(call, ST_BUSY, 0,
			"%s: somebody has held its gate for 10 s: is a process stopped?", s->text);
	case EBADMSG: return open_failed(s, errnum, 0);
	case EAGAIN:
	case ETIMEDOUT: {
		const char *who = call->std[STD_QUIET].count > 0 ? "" : name_holders(s);
		return call_waited(call, errnum, "wait for %s%s", s->text, who != NULL ? who : "");
	}
	default: return call_waited(call, errnum, "wait for %s", s->text);
	}
}
