/* lib/call.h: one invocation of one verb.
 *
 * The host (main.c, the bash host, the contract test) fills a struct call, runs the verb and then
 * unwinds: every descriptor, mapping, file and block of memory that the verb registered is given
 * back, last first, on success and failure alike. So a verb may return from anywhere:
 *
 *	int fd = call_open(call, AT_FDCWD, path, O_RDONLY, 0);
 *	if (fd < 0)
 *		return call_error(call, errno, "open %s", path);
 *
 * No function here exits or uses stdio.
 */
#ifndef IPC_CALL_H
#define IPC_CALL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applet.h"
#include "host.h"
#include "out.h"
#include "status.h"
#include "wait.h"

struct val {
	unsigned count;  /* how often it was given */
	int64_t num;     /* numbers, sizes, ns, modes, signals, choice index; see enum arg */
	const char *str; /* the text as given */
};

struct undo {
	void (*fn)(void *arg, intptr_t n);
	void *arg;
	intptr_t n;
};

#define CALL_FEW 6
#define CALL_UNDO \
	64 /* more than any verb needs; servers keep their clients' descriptors themselves */

struct call {
	const struct applet *applet;
	const struct verb *verb;
	bool alias; /* called by the applet's other name: messages begin with that */
	struct val std[STD_N];
	struct val opt[OPTS_MAX]; /* by the applet's own enum */
	struct val *args;         /* the operands, typed as the record says */
	unsigned nargs;
	struct val few
		[CALL_FEW]; /* .args when they fit: a process that never calls malloc(3) starts quicker */
	char *const *command; /* NULL-terminated argv after "--", or NULL */
	struct stop stop;     /* how waiting is interrupted; from the host */
	struct host *host;    /* one that lives longer than this call (host.h), or NULL */
	bool waits;           /* it was said what it waits for */
	bool refused;         /* it was said that pidfd_open(2) is: once is enough */
	bool told;            /* that stdout cannot be written to: once is enough */
	bool ends;    /* the process ends with this call: signals that were blocked may stay so */
	bool starved; /* memory was refused: what is printed may lack something, and is not let out */
	int in, err;  /* descriptors to read data from and write messages to */
	void *memory; /* list of call_alloc blocks */
	char *near;   /* memory that the host lends to call_alloc, aligned as by malloc(3) */
	size_t nnear; /* bytes of it that are left */
	unsigned nundo;
	/* From here on a host need not clear but out.err and out.len. */
	struct undo undo[CALL_UNDO];
	struct out out; /* stdout; flushed by the host */
};

/* Write one message "ipc-x verb: TEXT[: strerror]\n" in one write(2) and return STATUS, so that
 * `return call_fail(...)` is the idiom. ERRNUM 0 leaves strerror off. For ST_BUSY and ST_TIMEOUT
 * the status of -E is returned instead, when given, and -q keeps the message back. */
int call_fail(struct call *call, int status, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* call_fail with the status that status_of(ERRNUM) gives. */
int call_error(struct call *call, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A warning: as call_fail without a status; -q keeps it back. */
void call_warn(struct call *call, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Said only with -v given LEVEL times or more. */
void call_note(struct call *call, unsigned level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Will a wait of this call be said (-v, and it does wait)? Then a verb may try first without waiting. */
bool call_says_waits(const struct call *call);
/* Say, once in this call and before it sleeps, what it waits for. Only with -v. */
void call_waits(struct call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ERRNUM, or ETIMEDOUT in place of EAGAIN unless -n was given: -w 0 does not wait either, but is a timeout. */
int call_expired(const struct call *call, int errnum);
/* The end of an unsuccessful wait: ST_TIMEOUT (ERRNUM ETIMEDOUT), ST_BUSY (EAGAIN), 128+N when a
 * stop signal came (EINTR), else call_error. The text names object and step. */
int call_waited(struct call *call, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Register FN(ARG, N) to run when the call ends. Returns 0, or -1 ENOBUFS with the undo run at
 * once (never reached by a correct verb). */
int call_undo(struct call *call, void (*fn)(void *, intptr_t), void *arg, intptr_t n);
/* Take back the newest registration of FN with ARG and N without running it: ownership has passed on. */
void call_keep(struct call *call, void (*fn)(void *, intptr_t), void *arg, intptr_t n);
/* Undo down to MARK (a former call->nundo), last first. The host calls it with 0. */
void call_unwind(struct call *call, unsigned mark);

/* Zeroed memory that lives as long as the call; NULL with ENOMEM. */
void *call_alloc(struct call *call, size_t size);
char *call_strdup(struct call *call, const char *s);
/* A formatted string that lives as long as the call, of any length; NULL with ENOMEM. */
char *call_fmt(struct call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* openat(2) with O_CLOEXEC | O_NOCTTY, closed when the call ends. -1 with errno. */
int call_open(struct call *call, int dirfd, const char *path, int flags, unsigned mode);
/* Take charge of FD: closed when the call ends. Returns FD (a negative one unchanged). */
int call_own(struct call *call, int fd);
/* wait_pidfd(PID), owned. With -v says once that pidfd_open(2) is refused. */
int call_pidfd(struct call *call, pid_t pid);
/* Says it of FD, of wait_pidfd(). */
void call_note_pidfd(struct call *call, int fd);
/* FD stays open when the call ends. */
void call_disown(struct call *call, int fd);
/* Close FD now and forget it. */
void call_close(struct call *call, int fd);

/* FN for each operand, though an earlier one failed: the gravest of its statuses. */
int call_each(struct call *call, int (*fn)(struct call *call, const char *word));

/* The deadline that -w and -n set: DEADLINE_NONE, DEADLINE_NOW, or an instant. */
int64_t call_deadline(const struct call *call);
/* Does the caller take a batch: what is there, once there is something (no -c, no -f, into an array)? */
bool call_batch(const struct call *call);
/* 0 or the stop signal that arrived. */
int call_stopped(const struct call *call);
/* Flush stdout. 0; or the status to return: ST_IO with a message (ST_LIMIT when memory was refused, since what
 * was to be printed may not be whole), or ST_SIGPIPE silently. */
int call_flush(struct call *call);
/* The status for ERRNUM met while writing to stdout, as call_flush would give. */
int call_stdout_error(struct call *call, int errnum);
/* Tell whoever waits that we are ready: newline to --ready-fd (closed then, unless it belongs to a shell that goes
 * on), READY=1 to $NOTIFY_SOCKET (sd_notify(3)). 0 or a status. */
int call_ready(struct call *call);
/* Write --pidfile when given (created 0644, whole by rename(2)), removed when the call ends. */
int call_pidfile(struct call *call);
/* Both, for a verb that serves: who reads that it is ready finds the pidfile. 0 or a status. */
int call_serving(struct call *call);
/* The same; --ready-fd gets ADDRESS, where we serve, before its newline. */
int call_serving_at(struct call *call, const char *address);

#endif
