/* lib/call.c: see call.h. */
#define _GNU_SOURCE
#include "call.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int status_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case ENODEV:
	case EIDRM: return ST_NOOBJ;
	case EACCES:
	case EPERM:
	case ELOOP: return ST_PERM;
	case EEXIST:
	case EROFS:
	case EISDIR:
	case ENOTEMPTY:
	case EADDRINUSE: return ST_EXISTS;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EDQUOT:
	case ENOLCK:
	case EFBIG:
	case EOVERFLOW:
	case EMLINK:
	case ENOSYS:
	case EOPNOTSUPP:
	case ETOOMANYREFS: return ST_LIMIT;
	case EAGAIN:
	case EBUSY: return ST_BUSY;
	case ETIMEDOUT: return ST_TIMEOUT;
	case EPIPE:
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ESRCH: return ST_NOPEER;
	case EMSGSIZE:
	case EBADMSG:
	case EPROTO:
	case EILSEQ: return ST_DATA;
	case EOWNERDEAD:
	case ENOTRECOVERABLE: return ST_BROKEN;
	case ENAMETOOLONG:
	case EINVAL: return ST_USAGE;
	default: return ST_IO;
	}
}

/* strerror(3), but in the words of this toolbox for the two ends that a wait can have, and for links. */
static const char *error_text(int errnum)
{
	return errnum == EAGAIN       ? "would block"
		: errnum == ETIMEDOUT ? "timed out"
		: errnum == ELOOP     ? "a symbolic link to nothing, or where none is followed"
				      : strerror(errnum);
}

/* TEXT, LEN bytes and a newline, in one write(2), with no control character that a name has brought along.
 * Where there is no memory its beginning must do. */
static void write_plain(int fd, const char *text, size_t len)
{
	char small[2048], *plain = len * 4 + 2 <= sizeof small ? small : malloc(len * 4 + 2);
	if (plain == NULL) {
		plain = small;
		len = (sizeof small - 2) / 4;
	}
	size_t n = out_plain(plain, text, len);
	plain[n++] = '\n';
	(void)fd_write(fd, plain, n);
	if (plain != small)
		free(plain);
}

/* "ipc-x verb: TEXT[: strerror]\n" in one write(2), of any length. */
static void message(struct call *call, int errnum, const char *fmt, va_list ap)
{
	char small[1024], *text = small;
	size_t cap = sizeof small;
	/* A host may only ask; and what we have opened ourselves on the number of a shell's closed stderr is not
	 * stderr. */
	if (call->err < 0 || (call->host != NULL && (fcntl(call->err, F_GETFD) & FD_CLOEXEC) != 0))
		return;
	const char *applet = call->applet != NULL ? call->applet->name : "ipcbox";
	const char *verb = call->verb != NULL ? call->verb->name : NULL;
	/* As a drop-in it speaks with that name: "flock: ...". */
	if (call->alias && call->applet != NULL) {
		applet = call->applet->alias;
		verb = NULL;
	}
	for (;;) {
		va_list again;
		va_copy(again, ap);
		int n = snprintf(text, cap, "%s%s%s: ", applet, verb != NULL ? " " : "",
			verb != NULL ? verb : "");
		size_t len = n > 0 ? (size_t)n : 0;
		if (len < cap) {
			n = vsnprintf(text + len, cap - len, fmt, again);
			len += n > 0 ? (size_t)n : 0;
		}
		va_end(again);
		const char *err = errnum != 0 ? error_text(errnum) : "";
		size_t need = len + strlen(err) + 4;
		if (need <= cap) {
			n = snprintf(text + len, cap - len, "%s%s", errnum != 0 ? ": " : "", err);
			write_plain(call->err, text, len + (size_t)n);
			break;
		}
		char *more = text == small ? malloc(need + 64) : NULL;
		if (more == NULL) {
			write_plain(call->err, text, strlen(text));
			break;
		}
		text = more;
		cap = need + 64;
	}
	if (text != small)
		free(text);
}

static int fail(struct call *call, int status, int errnum, const char *fmt, va_list ap)
{
	bool conflict = status == ST_BUSY || status == ST_TIMEOUT;
	if (!(conflict && call->std[STD_QUIET].count > 0))
		message(call, errnum, fmt, ap);
	if (conflict && call->std[STD_CONFLICT].count > 0)
		return (int)call->std[STD_CONFLICT].num;
	return status;
}

int call_fail(struct call *call, int status, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	status = fail(call, status, errnum, fmt, ap);
	va_end(ap);
	return status;
}

int call_error(struct call *call, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int status = fail(call, status_of(errnum), errnum, fmt, ap);
	va_end(ap);
	return status;
}

void call_warn(struct call *call, int errnum, const char *fmt, ...)
{
	if (call->std[STD_QUIET].count > 0)
		return;
	va_list ap;
	va_start(ap, fmt);
	message(call, errnum, fmt, ap);
	va_end(ap);
}

void call_note(struct call *call, unsigned level, const char *fmt, ...)
{
	if (call->std[STD_VERBOSE].count < level)
		return;
	va_list ap;
	va_start(ap, fmt);
	message(call, 0, fmt, ap);
	va_end(ap);
}

bool call_says_waits(const struct call *call)
{
	const struct val *std = call->std;
	return std[STD_VERBOSE].count > 0 && !call->waits && std[STD_NONBLOCK].count == 0 &&
		(std[STD_TIMEOUT].count == 0 || std[STD_TIMEOUT].num > 0);
}

void call_waits(struct call *call, const char *fmt, ...)
{
	va_list ap;
	if (!call_says_waits(call))
		return;
	call->waits = true;
	va_start(ap, fmt);
	message(call, 0, fmt, ap);
	va_end(ap);
}

int call_expired(const struct call *call, int errnum)
{
	bool zero = call->std[STD_TIMEOUT].count > 0 && call->std[STD_NONBLOCK].count == 0;
	return errnum == EAGAIN && zero ? ETIMEDOUT : errnum;
}

int call_waited(struct call *call, int errnum, const char *fmt, ...)
{
	va_list ap;
	if (errnum == EINTR && call_stopped(call) != 0)
		return ST_SIGNAL + call_stopped(call);
	errnum = call_expired(call, errnum);
	va_start(ap, fmt);
	int status = errnum == ETIMEDOUT ? fail(call, ST_TIMEOUT, errnum, fmt, ap)
		: errnum == EAGAIN       ? fail(call, ST_BUSY, errnum, fmt, ap)
					 : fail(call, status_of(errnum), errnum, fmt, ap);
	va_end(ap);
	return status;
}

int call_undo(struct call *call, void (*fn)(void *, intptr_t), void *arg, intptr_t n)
{
	if (call->nundo == CALL_UNDO) {
		fn(arg, n);
		errno = ENOBUFS;
		return -1;
	}
	call->undo[call->nundo++] = (struct undo){fn, arg, n};
	return 0;
}

void call_keep(struct call *call, void (*fn)(void *, intptr_t), void *arg, intptr_t n)
{
	for (unsigned i = call->nundo; i-- > 0;) {
		struct undo *u = &call->undo[i];
		if (u->fn != fn || u->arg != arg || u->n != n)
			continue;
		memmove(u, u + 1, (call->nundo - i - 1) * sizeof *u);
		call->nundo--;
		return;
	}
}

struct block {
	struct block *next;
	max_align_t data[];
};

void call_unwind(struct call *call, unsigned mark)
{
	while (call->nundo > mark) {
		struct undo u = call->undo[--call->nundo];
		u.fn(u.arg, u.n);
	}
	if (mark > 0)
		return;
	for (struct block *b = call->memory, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	call->memory = NULL;
}

/* From what the host lends; NULL when that does not do. */
static void *alloc_near(struct call *call, size_t size)
{
	size_t unit = _Alignof(max_align_t), took = (size + unit - 1) / unit * unit;
	if (call->near == NULL || size > call->nnear || took > call->nnear)
		return NULL;
	void *p = call->near;
	call->near += took;
	call->nnear -= took;
	return memset(p, 0, size);
}

void *call_alloc(struct call *call, size_t size)
{
	void *near = alloc_near(call, size);
	if (near != NULL)
		return near;
	struct block *b = size < PTRDIFF_MAX ? calloc(1, sizeof *b + size) : NULL;
	if (b == NULL) {
		call->starved = true;
		return NULL;
	}
	b->next = call->memory;
	call->memory = b;
	return b->data;
}

char *call_strdup(struct call *call, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = call_alloc(call, len);
	return copy != NULL ? memcpy(copy, s, len) : NULL;
}

char *call_fmt(struct call *call, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *text = n < 0 ? NULL : call_alloc(call, (size_t)n + 1);
	if (text == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

static void undo_close(void *arg, intptr_t fd)
{
	(void)arg;
	fd_close((int)fd);
}

int call_own(struct call *call, int fd)
{
	if (fd >= 0 && call_undo(call, undo_close, NULL, fd) < 0)
		return -1;
	return fd;
}

int call_open(struct call *call, int dirfd, const char *path, int flags, unsigned mode)
{
	return call_own(call, fd_open(dirfd, path, flags, mode));
}

void call_disown(struct call *call, int fd)
{
	call_keep(call, undo_close, NULL, fd);
}

void call_close(struct call *call, int fd)
{
	call_disown(call, fd);
	fd_close(fd);
}

int call_each(struct call *call, int (*fn)(struct call *call, const char *word))
{
	int worst = 0;
	for (unsigned i = 0; i < call->nargs; i++) {
		int status = fn(call, call->args[i].str);
		worst = status > worst ? status : worst;
	}
	return worst;
}

int64_t call_deadline(const struct call *call)
{
	if (call->std[STD_NONBLOCK].count > 0)
		return DEADLINE_NOW;
	if (call->std[STD_TIMEOUT].count > 0)
		return wait_until(call->std[STD_TIMEOUT].num);
	return DEADLINE_NONE;
}

bool call_batch(const struct call *call)
{
	return call->host != NULL && call->host->batch && call->std[STD_COUNT].count == 0 &&
		call->std[STD_FOLLOW].count == 0;
}

int call_stopped(const struct call *call)
{
	return wait_stopped(&call->stop);
}

int call_stdout_error(struct call *call, int errnum)
{
	int status = errnum == EPIPE ? ST_SIGPIPE : errnum == ENOMEM ? ST_LIMIT : ST_IO;
	if (status != ST_SIGPIPE && !call->told)
		call_fail(call, status, errnum, "write stdout");
	call->told = true;
	return status;
}

int call_flush(struct call *call)
{
	if (call->starved && call->out.len > 0 && call->out.err == 0)
		call->out.err = ENOMEM;
	if (out_flush(&call->out) == 0)
		return 0;
	return call_stdout_error(call, call->out.err);
}
