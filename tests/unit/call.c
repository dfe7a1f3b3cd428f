/* tests/unit/call.c: what a call acquires it gives back, last first. */
#define _GNU_SOURCE
#include "call.h"

#include "fd.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct call *start(void)
{
	static const struct applet applet = {.name = "ipc-x"};
	static const struct verb verb = {.name = "do"};
	struct call *call = calloc(1, sizeof *call);
	if (call == NULL)
		exit(70);
	call->applet = &applet;
	call->verb = &verb;
	call->err = unit_file("", 0);
	return call;
}

/* The message that was written; must have been one line. */
static void said(struct call *call, const char *want)
{
	char text[8192];
	ssize_t n = pread(call->err, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	OKF(strcmp(text, want) == 0, "said \"%s\", not \"%s\"", text, want);
	OK(ftruncate(call->err, 0) == 0 && lseek(call->err, 0, SEEK_SET) == 0);
}

static void note(void *arg, intptr_t n)
{
	char *s = arg;
	s[strlen(s)] = (char)n;
}

/* What the host lends is used first, zeroed and aligned; then it is malloc(3)'s turn. */
static void near(void)
{
	struct call *call = start();
	_Alignas(max_align_t) char lent[4 * sizeof(max_align_t)];
	memset(lent, 'x', sizeof lent);
	call->near = lent;
	call->nnear = sizeof lent;
	char *a = call_alloc(call, 1), *b = call_alloc(call, sizeof(max_align_t));
	char *c = call_alloc(call, 3 * sizeof(max_align_t)), *d = call_alloc(call, SIZE_MAX);
	OK(a == lent && *a == '\0');
	OK(b == lent + _Alignof(max_align_t) && b[0] == '\0' && b[sizeof(max_align_t) - 1] == '\0');
	OK(c != NULL && (c < lent || c >= lent + sizeof lent) && c[0] == '\0');
	OK(d == NULL && call->starved);
	OK(lent[sizeof lent - 1] == 'x');
	call_unwind(call, 0);
	close(call->err);
	free(call);
}

static void order(void)
{
	struct call *call = start();
	char log[CALL_UNDO + 10] = "";
	OK(call_undo(call, note, log, 'a') == 0);
	OK(call_undo(call, note, log, 'b') == 0);
	unsigned mark = call->nundo;
	OK(call_undo(call, note, log, 'c') == 0);
	OK(call_undo(call, note, log, 'd') == 0);
	call_unwind(call, mark);
	OKF(strcmp(log, "dc") == 0, "%s", log);
	OK(call_undo(call, note, log, 'e') == 0);
	call_keep(call, note, log, 'a');
	call_keep(call, note, log, 'x'); /* not there: nothing happens */
	call_unwind(call, 0);
	OKF(strcmp(log, "dceb") == 0, "%s", log);
	call_unwind(call, 0);
	OK(strcmp(log, "dceb") == 0);
	memset(log, 0, sizeof log);
	for (int i = 0; i < CALL_UNDO; i++)
		OK(call_undo(call, note, log, 'f') == 0);
	OK(call_undo(call, note, log, 'g') < 0 && errno == ENOBUFS && strcmp(log, "g") == 0);
	call_unwind(call, 0);
	OK(strlen(log) == CALL_UNDO + 1);
	close(call->err);
	free(call);
}

static void descriptors(void)
{
	struct call *call = start();
	int a = call_open(call, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	int b = call_open(call, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	OK(a > 2 && b > 2 && (fcntl(a, F_GETFD) & FD_CLOEXEC) != 0);
	call_close(call, a);
	OK(!fd_is_open(a) && fd_is_open(b));
	int again = call_open(
		call, AT_FDCWD, "/dev/null", O_RDONLY, 0); /* the same number, once registered */
	OK(again == a);
	OK(call_own(call, -1) == -1);
	OK(call_open(call, AT_FDCWD, "./missing/x", O_RDONLY, 0) < 0 && errno == ENOENT);
	call_unwind(call, 0);
	OK(!fd_is_open(a) && !fd_is_open(b));
	close(call->err);
	free(call);
}

static void memory(void)
{
	struct call *call = start();
	char *zero = call_alloc(call, 1000), *copy = call_strdup(call, "text");
	char *fmt = call_fmt(call, "%05000d", 7);
	OK(zero[0] == 0 && zero[999] == 0 && strcmp(copy, "text") == 0 && strlen(fmt) == 5000);
	OK(((uintptr_t)zero & 15) == 0);
	OK(call_alloc(call, SIZE_MAX / 2) == NULL);
	call_unwind(call, 0); /* the leak checker sees the rest */
	OK(call->memory == NULL);
	close(call->err);
	free(call);
}

static void messages(void)
{
	struct call *call = start();
	OK(call_fail(call, ST_DATA, 0, "%s: %d", "x", 7) == ST_DATA);
	said(call, "ipc-x do: x: 7\n");
	OK(call_error(call, ENOENT, "open x") == ST_NOOBJ);
	said(call, "ipc-x do: open x: No such file or directory\n");
	OK(call_error(call, EMFILE, "open x") == ST_LIMIT &&
		call_error(call, EACCES, "x") == ST_PERM);
	OK(ftruncate(call->err, 0) == 0 && lseek(call->err, 0, SEEK_SET) == 0);
	char *longer = call_fmt(call, "%05000d", 7),
	     *want = call_fmt(call, "ipc-x do: %s\n", longer);
	OK(call_fail(call, ST_IO, 0, "%s", longer) == ST_IO);
	said(call, want);
	call_note(call, 1, "not said");
	said(call, "");
	call->std[STD_VERBOSE].count = 1;
	call_note(call, 1, "said");
	call_note(call, 2, "not said");
	said(call, "ipc-x do: said\n");
	call->std[STD_QUIET].count = 1;
	call_warn(call, 0, "not said");
	OK(call_fail(call, ST_BUSY, 0, "not said") == ST_BUSY);
	said(call, "");
	OK(call_fail(call, ST_IO, 0, "said") == ST_IO); /* -q is no answer to a failure */
	said(call, "ipc-x do: said\n");
	call->std[STD_CONFLICT] = (struct val){.count = 1, .num = 42};
	OK(call_fail(call, ST_BUSY, 0, "x") == 42 && call_fail(call, ST_TIMEOUT, 0, "x") == 42);
	OK(call_fail(call, ST_IO, 0, "x") == ST_IO);
	call_unwind(call, 0);
	close(call->err);
	free(call);
}

static void deadlines(void)
{
	struct call *call = start();
	OK(call_deadline(call) == DEADLINE_NONE);
	call->std[STD_TIMEOUT] = (struct val){.count = 1, .num = 0};
	OK(call_deadline(call) == DEADLINE_NOW && call_waited(call, EAGAIN, "x") == ST_TIMEOUT);
	call->std[STD_TIMEOUT].num = NS_PER_S;
	int64_t left = call_deadline(call) - wait_now();
	OK(left > 0 && left <= NS_PER_S);
	call->std[STD_TIMEOUT].num = INT64_MAX;
	OK(call_deadline(call) == DEADLINE_NONE);
	call->std[STD_TIMEOUT].num = INT64_MAX - 1;
	OK(call_deadline(call) == DEADLINE_NONE);
	call->std[STD_NONBLOCK].count = 1;
	OK(call_deadline(call) == DEADLINE_NOW && call_waited(call, EAGAIN, "x") == ST_BUSY);
	OK(call_waited(call, ETIMEDOUT, "x") == ST_TIMEOUT);
	close(call->err);
	free(call);
}

static void statuses(void)
{
	static const struct {
		int errnum, status;
	} want[] = {{ENOENT, ST_NOOBJ}, {ENXIO, ST_NOOBJ}, {EIDRM, ST_NOOBJ}, {EACCES, ST_PERM},
		{EPERM, ST_PERM}, {EEXIST, ST_EXISTS}, {EADDRINUSE, ST_EXISTS}, {EMFILE, ST_LIMIT},
		{ENOSPC, ST_LIMIT}, {ENOSYS, ST_LIMIT}, {EAGAIN, ST_BUSY}, {EBUSY, ST_BUSY},
		{ETIMEDOUT, ST_TIMEOUT}, {EPIPE, ST_NOPEER}, {ECONNREFUSED, ST_NOPEER},
		{EMSGSIZE, ST_DATA}, {EPROTO, ST_DATA}, {EBADMSG, ST_DATA}, {EILSEQ, ST_DATA},
		{EOWNERDEAD, ST_BROKEN}, {ENOTRECOVERABLE, ST_BROKEN}, {EINVAL, ST_USAGE},
		{EIO, ST_IO}, {EBADF, ST_IO}, {ENOTTY, ST_IO}};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		OKF(status_of(want[i].errnum) == want[i].status, "%s: %d, not %d",
			strerror(want[i].errnum), status_of(want[i].errnum), want[i].status);
	struct call *call = start();
	OK(call_stdout_error(call, EPIPE) == ST_SIGPIPE &&
		call_stdout_error(call, ENOSPC) == ST_IO);
	OK(call_stdout_error(call, ENOMEM) == ST_LIMIT);
	call->std[STD_READY_FD] = (struct val){.count = 1, .num = 999};
	OK(call_ready(call) == ST_IO);
	close(call->err);
	free(call);
}

static void pidfile(void)
{
	struct call *call = start();
	struct stat st;
	char text[40] = "", want[40];
	umask(022);
	call->std[STD_PIDFILE] = (struct val){.count = 1, .str = "pid"};
	OK(call_pidfile(call) == 0 && stat("pid", &st) == 0 && (st.st_mode & 0777) == 0644);
	int fd = open("pid", O_RDONLY | O_CLOEXEC);
	OK(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	snprintf(want, sizeof want, "%d\n", (int)getpid());
	OK(strcmp(text, want) == 0);
	call_unwind(call, 0);
	OK(access("pid", F_OK) < 0);
	call->std[STD_PIDFILE].str = "missing/pid";
	OK(call_pidfile(call) == ST_NOOBJ);
	call_unwind(call, 0);
	close(call->err);
	free(call);
}

void test_call(void)
{
	order();
	descriptors();
	memory();
	near();
	messages();
	deadlines();
	statuses();
	pidfile();
}
