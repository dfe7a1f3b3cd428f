/* applets/ipc-fifo/tee.c: one stream into several FIFOs.
 *
 * Stdin is spliced into a pipe, tee(2) gives each FIFO's own pipe the same pages, and from there they
 * are spliced on as each reader takes them; no byte passes through user space. The next piece
 * begins when all have the last one: a slow reader holds the others back by no more than a piece.
 *
 * What surprises: pages of a file are passed on, not copies; who changes the file meanwhile changes
 * what readers see. A reader that has gone is dropped, and the status at the end says so.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "copy.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE (1 << 20)

struct branch {
	struct fifo f;
	int out;     /* write end of the FIFO; -1: dropped */
	int pipe[2]; /* what it is still to get */
	size_t left;
};

struct tee {
	struct call *call;
	unsigned n, alive;
	bool bounced; /* stdin cannot be spliced */
	int source[2];
	struct progress bar;
	struct pollfd *fds;
	struct branch *branch;
};

static void undo_tee(void *arg, intptr_t n)
{
	struct tee *t = arg;
	(void)n;
	for (unsigned i = 0; i < t->n; i++) {
		fd_close(t->branch[i].out);
		fd_close(t->branch[i].pipe[0]);
		fd_close(t->branch[i].pipe[1]);
	}
}

static void drop(struct tee *t, struct branch *b)
{
	call_warn(t->call, 0, "the reader of %s has gone: the rest was not delivered to it",
		b->f.name);
	fd_close(b->out);
	fd_close(b->pipe[0]);
	fd_close(b->pipe[1]);
	b->out = b->pipe[0] = b->pipe[1] = -1;
	b->left = 0;
	t->alive--;
}

static int open_branch(struct tee *t, struct branch *b, const char *name, int64_t deadline)
{
	struct call *call = t->call;
	int status = fifo_find(call, name, true, false, &b->f);
	if (status == ST_OK)
		status = fifo_open_write(call, &b->f, deadline);
	if (status == ST_OK)
		status = fifo_capacity(call, &b->f, &call->opt[TEE_CAPACITY]);
	if (status != ST_OK)
		return status;
	b->out = fd_dup(b->f.fd, 3);
	call_close(call, b->f.fd);
	fifo_forget(call, &b->f);
	if (b->out < 0 || pipe2(b->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return call_error(call, errno, "pipe for %s", name);
	if (call->opt[TEE_CAPACITY].count == 0)
		copy_pipe(b->out);
	return ST_OK;
}

/* All pipes of one capacity, so that what fits into the first fits into each. */
static int level(struct tee *t)
{
	int size = fd_pipe_size(t->source[1], PIECE);
	for (unsigned i = 0; i < t->n; i++) {
		int got = fd_pipe_size(t->branch[i].pipe[1], size);
		size = got < size ? got : size;
	}
	return size < 0 || fcntl(t->source[1], F_SETPIPE_SZ, size) < 0 ? -1 : 0;
}

static int setup(struct tee *t)
{
	struct call *call = t->call;
	int64_t deadline = call_deadline(call);
	for (unsigned i = 0; i < t->n; i++) {
		struct branch *b = &t->branch[i];
		b->out = b->pipe[0] = b->pipe[1] = -1;
	}
	call_undo(call, undo_tee, t, 0);
	if (pipe2(t->source, O_CLOEXEC) < 0)
		return call_error(call, errno, "pipe");
	call_own(call, t->source[0]);
	call_own(call, t->source[1]);
	for (unsigned i = 0; i < t->n; i++) {
		int status = open_branch(t, &t->branch[i], call->args[i].str, deadline);
		if (status != ST_OK)
			return status;
	}
	t->alive = t->n;
	return level(t) < 0 ? call_error(call, errno, "pipe") : ST_OK;
}

/* Wait for stdin, and meanwhile for readers that go away. 0 or -1. */
static int await_input(struct tee *t)
{
	for (;;) {
		t->fds[t->n] = (struct pollfd){.fd = t->call->in, .events = POLLIN};
		for (unsigned i = 0; i < t->n; i++)
			t->fds[i] = (struct pollfd){.fd = t->branch[i].out};
		if (wait_poll(t->fds, t->n + 1, DEADLINE_NONE, &t->call->stop) < 0)
			return -1;
		for (unsigned i = 0; i < t->n; i++)
			if ((t->fds[i].revents & POLLERR) != 0)
				drop(t, &t->branch[i]);
		if (t->fds[t->n].revents != 0 || t->alive == 0)
			return 0;
	}
}

/* A piece of stdin into the source pipe. Bytes, 0 at the end, -1. */
static ssize_t take_in(struct tee *t)
{
	char buf[16384];
	ssize_t n;
	if (!t->bounced) {
		n = splice(t->call->in, NULL, t->source[1], NULL, PIECE, SPLICE_F_MOVE);
		if (n >= 0 || !fd_other_way(errno))
			return n;
		t->bounced = true;
	}
	n = read(t->call->in, buf, sizeof buf);
	return n > 0 && fd_write(t->source[1], buf, (size_t)n) < 0 ? -1 : n;
}

/* The N bytes of the source pipe to every branch, and out of the source pipe. 0 or -1. */
static int share(struct tee *t, size_t n)
{
	unsigned todo = t->alive;
	for (unsigned i = 0; i < t->n; i++) {
		struct branch *b = &t->branch[i];
		if (b->out < 0)
			continue;
		ssize_t got;
		todo--;
		do
			got = todo > 0 ? tee(t->source[0], b->pipe[1], n, 0)
				       : splice(t->source[0], NULL, b->pipe[1], NULL, n, 0);
		while (got < 0 && errno == EINTR);
		if (got != (ssize_t)n) {
			errno = got < 0 ? errno : EIO;
			return -1;
		}
		b->left = n;
	}
	return 0;
}

/* Give branch B what its FIFO takes now. 0 or -1. */
static int push(struct tee *t, struct branch *b)
{
	while (b->left > 0) {
		ssize_t n = splice(
			b->pipe[0], NULL, b->out, NULL, b->left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			b->left -= (size_t)n;
		} else if (n < 0 && errno == EPIPE) {
			drop(t, b);
		} else if (n < 0 && errno == EAGAIN) {
			return 0;
		} else if (n == 0 || errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int drain(struct tee *t)
{
	for (;;) {
		unsigned waiting = 0;
		for (unsigned i = 0; i < t->n; i++) {
			struct branch *b = &t->branch[i];
			if (push(t, b) < 0)
				return -1;
			t->fds[i] =
				(struct pollfd){.fd = b->left > 0 ? b->out : -1, .events = POLLOUT};
			waiting += b->left > 0;
		}
		if (waiting == 0)
			return 0;
		if (wait_poll(t->fds, t->n, DEADLINE_NONE, &t->call->stop) < 0)
			return -1;
	}
}

static int run(struct tee *t)
{
	struct call *call = t->call;
	while (t->alive > 0) {
		if (await_input(t) < 0)
			return call_waited(call, errno, "wait for stdin");
		ssize_t n = t->alive > 0 ? take_in(t) : 0;
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return call_error(call, errno, "read stdin");
		if (n == 0)
			break;
		if (share(t, (size_t)n) < 0 || drain(t) < 0)
			return call_waited(call, errno, "copy");
		progress_add(&t->bar, (uint64_t)n);
	}
	for (unsigned i = 0; i < t->n; i++)
		if (t->branch[i].out >= 0 && fifo_unread(t->branch[i].out) > 0)
			drop(t, &t->branch[i]);
	if (t->alive == t->n)
		return ST_OK;
	return call_fail(
		call, ST_NOPEER, 0, "%u of %u readers did not get all", t->n - t->alive, t->n);
}

int fifo_tee(struct call *call)
{
	struct tee *t = call_alloc(call, sizeof *t);
	if (t == NULL)
		return call_error(call, ENOMEM, "tee");
	t->call = call;
	t->n = call->nargs;
	t->branch = call_alloc(call, t->n * sizeof *t->branch);
	t->fds = call_alloc(call, (t->n + 1) * sizeof *t->fds);
	if (t->branch == NULL || t->fds == NULL)
		return call_error(call, ENOMEM, "tee");
	int status = setup(t);
	if (status != ST_OK)
		return status;
	progress_start(&t->bar, call->err, call->std[STD_PROGRESS].count > 0, 0);
	status = run(t);
	progress_end(&t->bar);
	return status;
}
