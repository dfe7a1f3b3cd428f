/* applets/ipc-fifo/read.c: the verb read, as a stream.
 *
 * What surprises: end of file comes when the last writer closes. To follow, the read end is then
 * opened again before the old one is closed: a fresh one sleeps until somebody writes, so that
 * nothing spins, no writer meets a FIFO without a reader, and no right to write is needed.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "copy.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void undo_fifo(void *fifo, intptr_t n)
{
	(void)n;
	(void)fifo_unlink(fifo);
}

int fifo_reopen(struct call *call, struct fifo *f)
{
	int fd = fifo_again(f);
	if (fd < 0)
		return call_error(call, errno, "open %s again", f->name);
	call_close(call, f->fd);
	f->fd = call_own(call, fd);
	return f->fd < 0 ? call_error(call, errno, "open %s again", f->name) : ST_OK;
}

/* How long copy_stream may see nothing. */
static int64_t patience(const struct call *call)
{
	if (call->std[STD_NONBLOCK].count > 0)
		return 0;
	return call->std[STD_TIMEOUT].count > 0 ? call->std[STD_TIMEOUT].num : DEADLINE_NONE;
}

int fifo_silent(struct call *call, const struct fifo *f, int e, bool moved)
{
	if (e == EAGAIN && moved && call->std[STD_NONBLOCK].count > 0)
		return ST_OK;
	if (e == ETIMEDOUT || e == EAGAIN || e == EINTR)
		return call_waited(
			call, e, "nothing%s came through %s", moved ? " more" : "", f->name);
	return call_error(call, e, "read %s", f->name);
}

static int copy_failed(struct call *call, const struct fifo *f, const struct copy *copy, int e)
{
	if (e == EINTR && call_stopped(call) != 0)
		return call_waited(call, e, "read %s", f->name);
	if (!copy->out_failed)
		return fifo_silent(call, f, e, copy->done > 0);
	if (e == ETIMEDOUT || e == EAGAIN)
		return call_waited(call, e, "stdout takes no more");
	return call_stdout_error(call, e);
}

static int stream(struct call *call, struct fifo *f)
{
	struct progress bar;
	struct copy copy = {.in = f->fd,
		.out = call->out.fd,
		.max = UINT64_MAX,
		.progress = &bar,
		.as_is = call->opt[READ_CAPACITY].count > 0,
		.idle = patience(call),
		.stop = &call->stop};
	bool follow = call->std[STD_FOLLOW].count > 0;
	progress_start(&bar, call->err, call->std[STD_PROGRESS].count > 0, 0);
	int status = ST_OK;
	do {
		if (call_says_waits(call) &&
			wait_fd(f->fd, POLLIN, DEADLINE_NOW, &call->stop) < 0 && errno == EAGAIN)
			call_waits(call, "waiting for a writer of %s", f->name);
		/* Before a writer has come copy_stream would take the silence for the end. */
		if (wait_fd(f->fd, POLLIN, call_deadline(call), &call->stop) < 0)
			status = fifo_silent(call, f, errno, copy.done > 0);
		else if (copy_stream(&copy) < 0)
			status = copy_failed(call, f, &copy, errno);
		else if ((follow || copy.done == 0) && fifo_removed(f))
			status = call_fail(call, ST_NOOBJ, 0, "%s: was removed", f->name);
		else if (follow)
			status = fifo_reopen(call, f);
		copy.in = f->fd;
	} while (follow && status == ST_OK);
	progress_end(&bar);
	return status;
}

static bool wants_records(const struct call *call)
{
	return call->std[STD_COUNT].count > 0 || call->opt[READ_UNTIL].count > 0 ||
		call->std[STD_LINES].count > 0 || call->std[STD_NULL].count > 0 ||
		call->std[STD_RECORD_SIZE].count > 0;
}

static int check(struct call *call)
{
	if (call->std[STD_RAW].count > 0 && wants_records(call))
		return call_fail(call, ST_USAGE, 0, "--raw has no records for --count or --until");
	if (call->std[STD_FOLLOW].count > 0 && call->std[STD_NONBLOCK].count > 0)
		return call_fail(call, ST_USAGE, 0, "--follow and --nonblock exclude each other");
	return ST_OK;
}

int fifo_read(struct call *call)
{
	struct fifo *f = call_alloc(call, sizeof *f);
	int status = check(call);
	bool unlinks = call->opt[READ_UNLINK].count > 0;
	if (f == NULL)
		return call_error(call, ENOMEM, "read");
	if (status == ST_OK)
		status = fifo_find(call, call->args[0].str, !unlinks, false, f);
	if (status == ST_OK)
		status = fifo_open_read(call, f);
	if (status != ST_OK)
		return status;
	if (unlinks)
		call_undo(call, undo_fifo, f, 0);
	status = fifo_capacity(call, f, &call->opt[READ_CAPACITY]);
	if (status == ST_OK)
		status = call_ready(call);
	if (status != ST_OK)
		return status;
	return wants_records(call) ? fifo_records(call, f) : stream(call, f);
}
