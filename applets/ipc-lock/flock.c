/* applets/ipc-lock/flock.c: flock(1) of util-linux: its options, messages and statuses.
 *
 * Only flock(2) is taken, or with --fcntl only the OFD lock: that is what other users of flock(1)
 * take, and a CMD that locks the same file the other way must not wait for us. CMD inherits the
 * descriptor, and so do its children, as they do there. Differences, all on purpose: a TERM, INT or
 * HUP sent to us reaches CMD and we wait for it; with -o the lock is not lost when we are killed
 * while CMD runs.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "lease.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct request {
	const char *name; /* of the file; NULL: an inherited descriptor */
	int fd;
	int op;     /* LOCK_SH, LOCK_EX, LOCK_UN */
	bool fcntl; /* an OFD lock of the range, in place of flock(2) */
	int64_t start, len;
	int64_t deadline;
	char *const *command;
};

static bool given(const struct call *call, int opt)
{
	return call->opt[opt].count > 0;
}

static int busy(struct call *call, int errnum)
{
	call_note(call, 1,
		errnum == EAGAIN ? "failed to get lock" : "timeout while waiting to get lock");
	return call->std[STD_CONFLICT].count > 0 ? (int)call->std[STD_CONFLICT].num : 1;
}

/* SECS as flock(1) reads them: by strtod(3), "5." and "1e1" too. -1, or a status. */
static int read_timeout(struct call *call, int opt, int64_t *ns)
{
	const char *text = call->opt[opt].str;
	char *end;
	if (!given(call, opt))
		return -1;
	errno = 0;
	double secs = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0)
		return call_fail(call, ST_USAGE, 0, "invalid timeout value: '%s'", text);
	if (!(secs >= 0 && secs < 9e18))
		return call_fail(call, ST_LIMIT, EINVAL, "cannot set up timer");
	*ns = secs < 9e9 ? (int64_t)(secs * 1e9) : INT64_MAX;
	return -1;
}

/* --fcntl and what implies it. -1, or a status. */
static int read_range(struct call *call, struct request *r)
{
	const char *why = NULL;
	r->fcntl =
		given(call, FLOCK_FCNTL) || given(call, FLOCK_START) || given(call, FLOCK_LENGTH);
	if (given(call, FLOCK_START) &&
		(why = num_size(call->opt[FLOCK_START].str, &r->start)) != NULL)
		return call_fail(call, ST_USAGE, 0, "invalid as start offset: '%s': %s",
			call->opt[FLOCK_START].str, why);
	if (given(call, FLOCK_LENGTH) &&
		(why = num_size(call->opt[FLOCK_LENGTH].str, &r->len)) != NULL)
		return call_fail(call, ST_USAGE, 0, "invalid as length of lock range: '%s': %s",
			call->opt[FLOCK_LENGTH].str, why);
	return -1;
}

/* CMD: the words from FIRST on, or what a shell makes of STRING. -1, or a status. */
static int read_command(struct call *call, struct request *r, unsigned first, const char *string)
{
	char **argv = call_alloc(call, (call->nargs + 4) * sizeof *argv);
	const char *shell = getenv("SHELL");
	if (argv == NULL)
		return call_fail(call, ST_LIMIT, ENOMEM, "read arguments");
	r->command = argv;
	if (string != NULL) {
		*argv++ = (char *)(uintptr_t)(shell != NULL && *shell != '\0' ? shell : "/bin/sh");
		*argv++ = (char *)(uintptr_t) "-c";
		*argv = (char *)(uintptr_t)string;
		return -1;
	}
	for (unsigned i = first; i < call->nargs; i++)
		*argv++ = (char *)(uintptr_t)call->args[i].str;
	return -1;
}

/* --fd N: the command is all words, or -c's. */
static int read_fd(struct call *call, struct request *r)
{
	bool string = given(call, FLOCK_COMMAND);
	r->fd = (int)call->opt[FLOCK_FD].num;
	if (string && call->nargs > 0)
		return call_fail(call, ST_USAGE, 0, "-c requires exactly one command argument");
	if (!string && call->nargs == 0)
		return call_fail(call, ST_USAGE, 0, "missing command");
	return read_command(call, r, 0, string ? call->opt[FLOCK_COMMAND].str : NULL);
}

static int read_number(struct call *call, struct request *r)
{
	const char *name = call->args[0].str;
	size_t blanks = strspn(name, " "), digits = strspn(name + blanks, "0123456789");
	int64_t fd;
	if (digits == 0 || name[blanks + digits] != '\0' || num_int(name + blanks, &fd) != NULL ||
		fd > INT32_MAX)
		return call_fail(call, ST_USAGE, 0, "bad file descriptor: '%s'", name);
	r->fd = (int)fd;
	return -1;
}

static int read_words(struct call *call, struct request *r)
{
	if (given(call, FLOCK_FD))
		return read_fd(call, r);
	if (given(call, FLOCK_COMMAND))
		return call_fail(
			call, ST_USAGE, 0, "missing file descriptor, file or directory before -c");
	if (call->nargs == 1)
		return read_number(call, r);
	r->name = call->args[0].str;
	const char *first = call->args[1].str;
	bool string = strcmp(first, "-c") == 0 || strcmp(first, "--command") == 0;
	if (string && call->nargs != 3)
		return call_fail(
			call, ST_USAGE, 0, "%s requires exactly one command argument", first);
	return read_command(call, r, 1, string ? call->args[2].str : NULL);
}

/* Without need of a writer, for reading: a watcher of the file sees none. */
static int open_file(struct call *call, struct request *r)
{
	int access = r->fcntl && r->op == LOCK_EX ? O_WRONLY : O_RDONLY;
	r->fd = lease_open(AT_FDCWD, r->name, access | O_CREAT, 0666, r->deadline, &call->stop);
	if (r->fd < 0 && errno == EISDIR)
		r->fd = fd_open(AT_FDCWD, r->name, O_RDONLY, 0);
	if (r->fd >= 0)
		return -1;
	int e = errno;
	if (e == EAGAIN || e == ETIMEDOUT)
		return busy(call, e);
	int status = e == ENOMEM || e == EMFILE || e == ENFILE ? ST_LIMIT
		: e == EROFS || e == ENOSPC                    ? ST_EXISTS
							       : ST_NOOBJ;
	return call_fail(call, status, e, "cannot open lock file %s", r->name);
}

static int take(const struct call *call, const struct request *r)
{
	if (!r->fcntl && r->op == LOCK_UN)
		return flock(r->fd, LOCK_UN);
	if (!r->fcntl)
		return lock_flock(r->fd, r->op == LOCK_SH, r->deadline, &call->stop);
	if (r->op == LOCK_UN) {
		lock_fcntl_free(r->fd, LOCK_OFD, r->start, r->len);
		return fcntl(r->fd, F_GETFD) < 0 ? -1 : 0;
	}
	return lock_fcntl(
		r->fd, LOCK_OFD, r->op == LOCK_SH, r->start, r->len, r->deadline, &call->stop);
}

/* Where flock(2) is made of fcntl locks (NFS) it needs a file open for writing. */
static int take_writable(struct call *call, struct request *r)
{
	if (take(call, r) == 0)
		return 0;
	if ((errno != EBADF && errno != EIO) || r->name == NULL || r->fcntl)
		return -1;
	int fd = fd_open(AT_FDCWD, r->name, O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	fd_close(r->fd);
	r->fd = fd;
	return take(call, r);
}

static int lock_it(struct call *call, struct request *r)
{
	bool verbose = call->std[STD_VERBOSE].count > 0;
	int64_t began = verbose ? wait_now() : 0;
	if (take_writable(call, r) == 0) {
		int64_t us = verbose ? (wait_now() - began) / 1000 : 0;
		if (verbose)
			out_fmt(&call->out, "flock: getting lock took %lld.%06lld seconds\n",
				(long long)(us / 1000000), (long long)(us % 1000000));
		return -1;
	}
	if (errno == EAGAIN || errno == ETIMEDOUT)
		return busy(call, errno);
	int status = errno == ENOLCK || errno == ENOMEM ? ST_LIMIT : ST_DATA;
	if (r->name != NULL)
		return call_fail(call, status, errno, "%s", r->name);
	return call_fail(call, status, errno, "%d", r->fd);
}

static int cannot(struct call *call, const char *argv0, int errnum, int execed)
{
	return call_fail(call, !execed || errnum == ENOMEM ? ST_LIMIT : ST_NOPEER, errnum,
		execed ? "failed to execute %s" : "fork failed: %s", argv0);
}

static void end_close(void *arg)
{
	struct request *r = arg;
	if (r->fcntl)
		lock_fcntl_free(r->fd, LOCK_OFD, r->start, r->len);
	else
		lock_flock_free(r->fd);
}

static int run_command(struct call *call, struct request *r)
{
	bool keep = given(call, FLOCK_CLOSE);
	struct command cmd = {.spawn = {.argv = r->command},
		.failed = cannot,
		.like_flock = true,
		.locks = &r->fd};
	if (call->std[STD_VERBOSE].count > 0)
		out_fmt(&call->out, "flock: executing %s\n", r->command[0]);
	int status = call_flush(call);
	if (status != 0)
		return status;
	fcntl(r->fd, F_SETFD, keep ? FD_CLOEXEC : 0);
	if (given(call, FLOCK_NO_FORK))
		return command_exec(call, &cmd);
	if (keep && r->op != LOCK_UN) {
		cmd.nlocks = 1;
		cmd.ended = end_close;
		cmd.arg = r;
	}
	return command_run(call, &cmd);
}

int ipc_lock_flock(struct call *call)
{
	struct request r = {.fd = -1, .deadline = DEADLINE_NONE};
	int64_t ns = -1;
	int status;
	if (given(call, FLOCK_VERSION)) {
		out_str(&call->out, "flock from ipcbox " IPCBOX_VERSION "\n");
		return ST_OK;
	}
	/* In a shell only its own descriptors are locked in its own process. */
	if (call->host != NULL && (call->nargs > 1 || given(call, FLOCK_FD)))
		return ST_ELSEWHERE;
	if (call->nargs == 0 && !given(call, FLOCK_FD) && !given(call, FLOCK_COMMAND))
		return call_fail(call, ST_USAGE, 0, "not enough arguments; see flock --help");
	if ((status = read_timeout(call, FLOCK_TIMEOUT, &ns)) >= 0 ||
		(status = read_timeout(call, FLOCK_WAIT, &ns)) >= 0)
		return status;
	if (given(call, FLOCK_NO_FORK) && given(call, FLOCK_CLOSE))
		return call_fail(
			call, ST_USAGE, 0, "the --no-fork and --close options are incompatible");
	if ((status = read_range(call, &r)) >= 0 || (status = read_words(call, &r)) >= 0)
		return status;
	if (ns >= 0)
		r.deadline = wait_until(ns);
	if (given(call, FLOCK_NONBLOCK) || given(call, FLOCK_NB))
		r.deadline = DEADLINE_NOW;
	r.op = given(call, FLOCK_UNLOCK) ? LOCK_UN
		: given(call, FLOCK_SHARED) && !given(call, FLOCK_EXCLUSIVE) &&
			!given(call, FLOCK_E)
		? LOCK_SH
		: LOCK_EX;
	if (r.name != NULL && (status = open_file(call, &r)) >= 0)
		return status;
	status = lock_it(call, &r);
	if (status < 0)
		status = r.command != NULL ? run_command(call, &r) : ST_OK;
	if (r.name != NULL)
		fd_close(r.fd);
	return status;
}
