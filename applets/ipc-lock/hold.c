/* applets/ipc-lock/hold.c: acquire and release: a lock that the shell itself holds.
 *
 * Held by name, the lock belongs to a description that the shell keeps from call to call (lib/host.h); it
 * is not handed to commands, nor kept by subshells. With fd:N it belongs to a description that the shell
 * has opened itself, so that this works from a process of its own too, as flock(1) does: `exec 9>FILE`.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Kept by the host, pinned while it is held. */
struct held {
	struct kept kept;
	struct lock lock;
};

static const char type; /* its address is the type of what is kept */

static struct held *of_kept(struct kept *k)
{
	return (struct held *)(void *)((char *)k - offsetof(struct held, kept));
}

/* Not a descriptor that by now is another file's: the shell may have closed ours. */
static void end_held(struct kept *k)
{
	struct held *h = of_kept(k);
	h->lock.fd = kept_open(k) ? k->fd : -1;
	lock_close(&h->lock);
	free(h);
}

/* The word of the command line, with a number alone as a descriptor's. -1 or a status. */
static int parse(struct call *call, struct lock *l)
{
	const char *text = call->args[0].str;
	int64_t fd;
	if (text[strspn(text, "0123456789")] != '\0' || num_int(text, &fd) != NULL || fd > 1 << 20)
		return lock_parse(call, text, l);
	l->obj = (struct object){.kind = OBJECT_FD, .text = text, .name = text, .fd = (int)fd};
	l->fd = -1;
	l->at.dirfd = AT_FDCWD;
	return -1;
}

static int refused(struct call *call, struct lock *l, const char *step, int errnum)
{
	const char *text = l->obj.text;
	if (errnum == EAGAIN || errnum == ETIMEDOUT)
		return call_waited(call, errnum, "%s: %s", text, busy_text(call, l, step));
	if (l->obj.kind == OBJECT_FD && errnum == EBADF && !fd_is_open(l->obj.fd))
		return call_fail(call, ST_NOOBJ, 0, "%s: no such descriptor here", text);
	if (errnum == EBADF || errnum == EISDIR)
		return not_lockable(call, l, errnum);
	int status = step[0] == 'o' ? call_place_error(call, &l->obj, "lock", errnum) : -1;
	return status >= 0 ? status : call_waited(call, errnum, "%s %s", step, text);
}

static int acquire_fd(struct call *call, struct lock *l)
{
	/* What nearly all files allow, without asking what this one is. */
	l->fd = l->obj.fd;
	l->can = l->want;
	if (lock_take(l, DEADLINE_NOW, NULL) == 0)
		return ST_OK;
	if (errno == EAGAIN && call_says_waits(call))
		call_waits(call, "waiting for %s: %s", l->obj.text, busy_text(call, l, "lock"));
	if (lock_open(l, call_deadline(call), &call->stop) < 0)
		return refused(call, l, "open", errno);
	if (lock_take(l, call_deadline(call), &call->stop) < 0)
		return refused(call, l, "lock", errno);
	return ST_OK;
}

/* A description of its own for the lock MODEL, kept by the host. NULL with *STATUS. */
static struct held *new_held(
	struct call *call, const struct lock *model, unsigned how, int64_t deadline, int *status)
{
	struct held *h = calloc(1, sizeof *h);
	if (h == NULL) {
		*status = call_error(call, ENOMEM, "open %s", model->obj.text);
		return NULL;
	}
	h->lock = *model;
	*status = lock_open(&h->lock, deadline, &call->stop) < 0
		? refused(call, &h->lock, "open", errno)
		: 0;
	h->kept = (struct kept){.fd = h->lock.fd, .end = end_held, .quiet = true};
	if (*status == 0 &&
		!kept_add(call, &h->kept, &type, model->obj.text, how, &model->obj, "lock"))
		*status = call_fail(call, ST_LIMIT, 0, "%s: this shell holds %d objects already",
			model->obj.text, KEPT_MAX);
	if (*status != 0) {
		lock_close(&h->lock);
		free(h);
		return NULL;
	}
	h->lock.fd = h->kept.fd;
	if (h->lock.at.dirfd != AT_FDCWD)
		h->lock.at.dirfd = fd_raise(h->lock.at.dirfd, KEPT_FD);
	return h;
}

/* The one that was kept from the last time, free now, or a new one. NULL with *STATUS. */
static struct held *find(struct call *call, const struct lock *model, int64_t deadline, int *status)
{
	unsigned how = model->want | (model->shared ? 1u << 8 : 0);
	struct kept *k = kept_pinned(call, &type, model->obj.text, -1);
	if (k != NULL && kept_current(k)) {
		*status = call_fail(
			call, ST_BUSY, 0, "%s: this shell holds it already", model->obj.text);
		return NULL;
	}
	k = kept_recall(call, &type, model->obj.text, how);
	if (k == NULL)
		return new_held(call, model, how, deadline, status);
	struct held *h = of_kept(k);
	h->lock.obj = model->obj;
	if (h->lock.at.rel != h->lock.at.buf)
		h->lock.at.rel = h->lock.obj.name;
	return h;
}

/* Take it, and again when the file was removed or replaced meanwhile. */
static int acquire_name(struct call *call, const struct lock *model)
{
	int64_t deadline = call_deadline(call);
	int status;
	for (;;) {
		struct held *h = find(call, model, deadline, &status);
		if (h == NULL)
			return status;
		bool says = call_says_waits(call);
		bool had = says && lock_take(&h->lock, DEADLINE_NOW, NULL) == 0;
		if (says && !had && errno == EAGAIN)
			call_waits(call, "waiting for %s: %s", h->lock.obj.text,
				busy_text(call, &h->lock, "lock"));
		if (!had && lock_take(&h->lock, deadline, &call->stop) < 0)
			return refused(call, &h->lock, "lock", errno);
		if (!kept_current(&h->kept)) {
			lock_release(&h->lock);
			kept_drop(call, &h->kept, true);
			continue;
		}
		h->kept.pinned = true;
		h->kept.forks = call->host->into;
		if (call->host->into)
			out_fmt(&call->out, "%d\n", h->lock.fd);
		return ST_OK;
	}
}

int ipc_lock_acquire(struct call *call)
{
	struct lock l = {.want = family_mask((enum family)call->opt[HOLD_FAMILY].num),
		.shared = call->opt[HOLD_SHARED].count > 0,
		.named = call->opt[HOLD_FAMILY].count > 0,
		.exact = call->std[STD_MODE].count > 0,
		.mode = (unsigned)call->std[STD_MODE].num};
	int status = parse(call, &l);
	if (status >= 0)
		return status;
	if ((l.want & ~(LOCK_OFD | LOCK_FLOCK)) != 0 || l.want == 0)
		return call_fail(call, ST_USAGE, 0, "--family %s: a shell holds both, flock or ofd",
			call->opt[HOLD_FAMILY].str);
	if (l.obj.kind == OBJECT_FD)
		return acquire_fd(call, &l);
	if (call->host != NULL)
		return acquire_name(call, &l);
	return call_fail(call, ST_USAGE, 0,
		"%s: nobody would hold it: load the applets into bash (ipcbox --bash), or open it "
		"in the shell and name the descriptor: exec 9>FILE; ipc-lock acquire 9",
		l.obj.text);
}

static int release_fd(struct call *call, const struct lock *l)
{
	int fd = l->obj.fd;
	struct kept *k = kept_pinned(call, &type, NULL, fd);
	if ((l->want & LOCK_FLOCK) != 0 && flock(fd, LOCK_UN) < 0 && errno == EBADF)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such descriptor here", l->obj.text);
	if ((l->want & LOCK_OFD) != 0)
		lock_fcntl_free(fd, LOCK_OFD, 0, 0);
	if (k != NULL)
		kept_drop(call, k, true);
	return ST_OK;
}

int ipc_lock_release(struct call *call)
{
	struct lock l = {.want = family_mask((enum family)call->opt[HOLD_FAMILY].num)};
	int status = parse(call, &l);
	if (status >= 0)
		return status;
	if (l.obj.kind == OBJECT_FD)
		return release_fd(call, &l);
	struct kept *k = kept_pinned(call, &type, l.obj.text, -1);
	if (k == NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: this shell does not hold it", l.obj.text);
	lock_release(&of_kept(k)->lock);
	k->pinned = false;
	/* Its number was given out: no longer ours alone. */
	if (k->forks)
		kept_drop(call, k, true);
	return ST_OK;
}
