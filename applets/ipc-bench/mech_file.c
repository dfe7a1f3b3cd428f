/* applets/ipc-bench/mech_file.c: messages through a file under a record lock, fcntl(2). A lock tells
 * nobody that a message has come, so who waits looks again and again, offering the processor in between. */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define NSLOTS 16

/* The file: this, and NSLOTS messages. */
struct counts {
	uint64_t put, taken;
};

static int file_one(struct chan *c)
{
	const char *tmp = getenv("TMPDIR");
	tmp = tmp != NULL && *tmp != '\0' ? tmp : "/tmp";
	struct counts none = {0};
	c->file = fd_open(AT_FDCWD, tmp, O_RDWR | O_TMPFILE, 0600);
	if (c->file < 0) { /* a file system without unnamed files */
		char *name = call_fmt(c->b->call, "%s/ipc-bench.XXXXXX", tmp);
		c->file = name == NULL ? -1 : mkostemp(name, O_CLOEXEC);
		if (c->file >= 0)
			unlink(name);
	}
	if (c->file < 0 || fd_pwrite(c->file, &none, sizeof none, 0) < 0)
		return bench_step(c->b, "make a file in $TMPDIR");
	return 0;
}

static int file_open(struct bench *b, struct chan *to, struct chan *back)
{
	(void)b;
	return file_one(to) < 0 ? -1 : file_one(back);
}

static int set_lock(struct chan *c, short type)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET};
	while (fcntl(c->file, F_SETLKW, &fl) < 0)
		if (errno != EINTR)
			return bench_step(c->b, "lock the file");
	return 0;
}

/* Take the lock and read the counts. */
static int enter(struct chan *c, struct counts *n)
{
	if (set_lock(c, F_WRLCK) < 0)
		return -1;
	ssize_t got = fd_pread(c->file, n, sizeof *n, 0);
	if (got >= 0 && (size_t)got < sizeof *n)
		errno = EBADMSG;
	return got < 0 || (size_t)got < sizeof *n ? bench_step(c->b, "read the file") : 0;
}

static int again(struct chan *c)
{
	if (set_lock(c, F_UNLCK) < 0)
		return -1;
	sched_yield();
	return 0;
}

static off_t slot(const struct chan *c, uint64_t n)
{
	return (off_t)(sizeof(struct counts) + n % NSLOTS * c->b->size);
}

static int file_send(struct chan *c, const unsigned char *msg, size_t size)
{
	struct counts n;
	for (;;) {
		if (enter(c, &n) < 0)
			return -1;
		if (n.put - n.taken < NSLOTS)
			break;
		if (again(c) < 0)
			return -1;
	}
	int bad = fd_pwrite(c->file, msg, size, slot(c, n.put));
	n.put++;
	if (bad < 0 || fd_pwrite(c->file, &n, sizeof n, 0) < 0)
		return bench_step(c->b, "write to the file");
	return set_lock(c, F_UNLCK);
}

static int file_recv(struct chan *c, unsigned char *msg, size_t size)
{
	struct counts n;
	for (;;) {
		if (enter(c, &n) < 0)
			return -1;
		if (n.put != n.taken)
			break;
		if (again(c) < 0)
			return -1;
	}
	if (fd_pread(c->file, msg, size, slot(c, n.taken)) < 0)
		return bench_step(c->b, "read the file");
	n.taken++;
	if (fd_pwrite(c->file, &n, sizeof n, 0) < 0)
		return bench_step(c->b, "write to the file");
	return set_lock(c, F_UNLCK);
}

const struct mech mech_file = {.name = "file",
	.label = "file and lock",
	.what = "a file under a record lock, looked at again and again",
	.applet = "ipc-lock",
	.good = "any program can read it afterwards",
	.flags = M_QUEUE | M_POLLS,
	.open = file_open,
	.send = file_send,
	.recv = file_recv};
