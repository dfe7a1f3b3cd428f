/* applets/ipc-bench/mech_mq.c: the kernel's message queues, POSIX and System V.
 *
 * A POSIX queue loses its name as soon as it is open. A System V queue has none to lose and would outlive
 * us: a guard process removes it when we are killed.
 */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"
#include "num.h"
#include "spawn.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t sysctl_of(const char *path, int64_t fallback)
{
	char *text;
	size_t len;
	int64_t n = fallback;
	if (fd_slurp(AT_FDCWD, path, 4096, &text, &len) < 0)
		return fallback;
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (num_int(text, &n) != NULL)
		n = fallback;
	fd_slurp_free(text);
	return n;
}

/* What a user may have in queues is shared by all that we make, and by those that are there already:
 * an eighth is left. */
static long depth_for(const struct bench *b)
{
	struct rlimit limit;
	int64_t most = sysctl_of("/proc/sys/fs/mqueue/msg_max", 10);
	if (getrlimit(RLIMIT_MSGQUEUE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		int64_t share = (int64_t)(limit.rlim_cur / 8 * 7) /
			(b->pattern == BROADCAST ? 2 * b->receivers : 2);
		int64_t fits = share / ((int64_t)b->size + 128);
		most = fits < most ? fits : most;
	}
	return most < 1 ? 1 : (long)most;
}

static int mq_one(struct chan *c, unsigned n)
{
	struct mq_attr attr = {.mq_maxmsg = depth_for(c->b), .mq_msgsize = (long)c->b->size};
	char *name = call_fmt(c->b->call, "ipc-bench.%ld.%u", (long)getpid(), n);
	if (name == NULL)
		return bench_step(c->b, "make a name");
	c->in = (int)syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (c->in >= 0) {
		syscall(SYS_mq_unlink, name);
		return 0;
	}
	int err = errno;
	if (err == EINVAL)
		snprintf(c->b->why, sizeof c->b->why, "longer than fs.mqueue.msgsize_max (%lld)",
			(long long)sysctl_of("/proc/sys/fs/mqueue/msgsize_max", 8192));
	else if (err == EMFILE)
		snprintf(c->b->why, sizeof c->b->why,
			"no room: see ulimit -q (message queues), ulimit -n (descriptors)");
	errno = err;
	return bench_step(c->b, "make a queue");
}

static int mq_open_both(struct bench *b, struct chan *to, struct chan *back)
{
	(void)b;
	return mq_one(to, 0) < 0 ? -1 : mq_one(back, 1);
}

static int mq_send_one(struct chan *c, const unsigned char *msg, size_t size)
{
	while (syscall(SYS_mq_timedsend, c->in, msg, size, 0, NULL) < 0)
		if (errno != EINTR)
			return bench_step(c->b, "mq_send");
	return 0;
}

static int mq_recv_one(struct chan *c, unsigned char *msg, size_t size)
{
	while (syscall(SYS_mq_timedreceive, c->in, msg, size, NULL, NULL) < 0)
		if (errno != EINTR)
			return bench_step(c->b, "mq_receive");
	return 0;
}

const struct mech mech_mq = {.name = "mq",
	.label = "POSIX queue",
	.what = "POSIX message queue, mq_overview(7)",
	.applet = "ipc-mq",
	.good = "records with priorities that the kernel keeps while nobody is there",
	.flags = M_QUEUE,
	.open = mq_open_both,
	.send = mq_send_one,
	.recv = mq_recv_one};

/* In a session of its own: no key and no group signal reaches it. */
static int guard(void *arg)
{
	const struct chan *c = arg;
	while (wait_fd(c->in, WAIT_END, DEADLINE_NONE, NULL) < 0 && errno == EINTR)
		;
	msgctl(c->id, IPC_RMID, NULL);
	return 0;
}

static int sysv_one(struct chan *c)
{
	int64_t most = sysctl_of("/proc/sys/kernel/msgmax", 8192);
	int64_t room = sysctl_of("/proc/sys/kernel/msgmnb", 16384);
	if ((int64_t)c->b->size > (most < room ? most : room)) {
		snprintf(c->b->why, sizeof c->b->why, "longer than %s (%lld)",
			most < room ? "kernel.msgmax" : "kernel.msgmnb",
			(long long)(most < room ? most : room));
		errno = EINVAL;
		return -1;
	}
	c->in = wait_pidfd(getpid());
	if (c->in < 0)
		return bench_step(c->b, "open a pidfd");
	c->id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	if (c->id < 0)
		return bench_step(c->b, "make a queue (kernel.msgmni limits how many)");
	errno = spawn_fork(guard, c, SPAWN_SESSION, &c->guard);
	return errno != 0 ? bench_step(c->b, "start a process") : 0;
}

static int sysv_open(struct bench *b, struct chan *to, struct chan *back)
{
	(void)b;
	return sysv_one(to) < 0 ? -1 : sysv_one(back);
}

/* struct msgbuf begins with its type, for which there is room in front of our message. */
static int sysv_send(struct chan *c, const unsigned char *msg, size_t size)
{
	long *m = (long *)(void *)(c->b->msg - sizeof(long));
	(void)msg;
	*m = 1;
	while (msgsnd(c->id, m, size, 0) < 0)
		if (errno != EINTR)
			return bench_step(c->b, "msgsnd");
	return 0;
}

static int sysv_recv(struct chan *c, unsigned char *msg, size_t size)
{
	while (msgrcv(c->id, msg - sizeof(long), size, 0, 0) < 0)
		if (errno != EINTR)
			return bench_step(c->b, "msgrcv");
	return 0;
}

const struct mech mech_sysv = {.name = "sysv",
	.label = "System V queue",
	.what = "System V message queue, sysvipc(7)",
	.applet = "ipc-mq",
	.good = "records with types to choose from, kept by the kernel while nobody is there",
	.flags = M_QUEUE,
	.open = sysv_open,
	.send = sysv_send,
	.recv = sysv_recv};
