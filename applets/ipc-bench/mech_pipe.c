/* applets/ipc-bench/mech_pipe.c: pipes and FIFOs. A message is a write(2) of all of it, and read(2) until
 * all of it is there. */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One reader at a time gets all of a message only when the kernel moves it as one. */
static int check_queue(struct bench *b)
{
	if (b->pattern != QUEUE || b->size <= PIPE_BUF)
		return 0;
	snprintf(b->why, sizeof b->why, "over PIPE_BUF (%d) readers would mix records", PIPE_BUF);
	errno = EMSGSIZE;
	return -1;
}

static int pipe_one(struct chan *c)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return bench_step(c->b, "make a pipe");
	c->in = fds[0];
	c->out = fds[1];
	return 0;
}

static int pipe_open(struct bench *b, struct chan *to, struct chan *back)
{
	return check_queue(b) < 0 || pipe_one(to) < 0 ? -1 : pipe_one(back);
}

static int pipe_send(struct chan *c, const unsigned char *msg, size_t size)
{
	return fd_write(c->out, msg, size) < 0 ? bench_step(c->b, "write") : 0;
}

static int pipe_recv(struct chan *c, unsigned char *msg, size_t size)
{
	ssize_t n = fd_read(c->in, msg, size);
	if (n >= 0 && (size_t)n < size)
		errno = EPIPE;
	return n < 0 || (size_t)n < size ? bench_step(c->b, "read") : 0;
}

const struct mech mech_pipe = {.name = "pipe",
	.label = "pipe",
	.what = "pipe(2) between relatives",
	.applet = "ipc-pipe",
	.good = "it needs no name and no set-up, and is gone with its processes",
	.flags = M_QUEUE,
	.open = pipe_open,
	.send = pipe_send,
	.recv = pipe_recv};

/* Both ends of a FIFO, which loses its name at once. */
static int fifo_at(struct chan *c, int dir)
{
	static const char name[] = "fifo";
	if (mkfifoat(dir, name, 0600) < 0)
		return bench_step(c->b, "make a FIFO");
	c->in = fd_open(dir, name, O_RDONLY | O_NONBLOCK, 0);
	c->out = c->in < 0 ? -1 : fd_open(dir, name, O_WRONLY, 0);
	int err = c->out < 0 ? errno : 0;
	unlinkat(dir, name, 0);
	errno = err;
	if (err != 0 || fd_nonblock(c->in, false) < 0)
		return bench_step(c->b, "open a FIFO");
	return 0;
}

static int fifo_open(struct bench *b, struct chan *to, struct chan *back)
{
	const char *tmp = getenv("TMPDIR");
	if (check_queue(b) < 0)
		return -1;
	char *path = call_fmt(
		b->call, "%s/ipc-bench.XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (path == NULL || mkdtemp(path) == NULL)
		return bench_step(b, "make a directory in $TMPDIR for the FIFO");
	int dir = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	int r = dir < 0 ? bench_step(b, "open the FIFO's directory") : fifo_at(to, dir);
	if (r == 0)
		r = fifo_at(back, dir);
	int err = errno;
	fd_close(dir);
	rmdir(path);
	errno = err;
	return r;
}

const struct mech mech_fifo = {.name = "fifo",
	.label = "FIFO",
	.what = "a pipe with a name, fifo(7)",
	.applet = "ipc-fifo",
	.good = "unrelated processes meet at a file name, whose mode says who may",
	.flags = M_QUEUE,
	.open = fifo_open,
	.send = pipe_send,
	.recv = pipe_recv};
