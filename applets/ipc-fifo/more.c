/* applets/ipc-fifo/more.c: sleeping until something is written to a FIFO that has something in it.
 *
 * poll(2) does not sleep then, and an edge-triggered epoll(7) misses the part of a long write that
 * fills the FIFO before its writer sleeps. What the kernel reports each time is SIGIO (O_ASYNC,
 * fcntl(2)), taken here with a signalfd(2): the signal stays blocked and no handler is needed. It
 * is blocked until the call ends, when what is left of it is thrown away.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void undo_more(void *arg, intptr_t n)
{
	struct fifo_more *m = arg;
	struct signalfd_siginfo info;
	(void)n;
	fifo_more_end(m);
	while (read(m->signals, &info, sizeof info) > 0)
		;
	fd_close(m->signals);
	sigprocmask(SIG_SETMASK, &m->old, NULL);
}

/* Block SIGIO, also while wait_poll lets the stop signals through. 0 or -1. */
static int start(struct fifo_more *m, struct call *call)
{
	sigset_t io;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, &m->old);
	m->signals = signalfd(-1, &io, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signals < 0) {
		sigprocmask(SIG_SETMASK, &m->old, NULL);
		return -1;
	}
	m->stop = call->stop;
	if (call->stop.mask != NULL) {
		m->mask = *call->stop.mask;
		sigaddset(&m->mask, SIGIO);
		m->stop.mask = &m->mask;
	}
	m->started = true;
	call_undo(call, undo_more, m, 0);
	return 0;
}

int fifo_more_start(struct fifo_more *m, struct call *call, int fd)
{
	if (!m->started && start(m, call) < 0)
		return -1;
	int flags = fcntl(fd, F_GETFL);
	m->fd = fd;
	fcntl(fd, F_SETOWN, getpid());
	return fcntl(fd, F_SETFL, flags | O_ASYNC);
}

int fifo_more_wait(struct fifo_more *m, int64_t deadline)
{
	struct signalfd_siginfo info;
	if (wait_fd(m->signals, POLLIN, deadline, &m->stop) < 0)
		return -1;
	return read(m->signals, &info, sizeof info) < 0 && errno != EAGAIN ? -1 : 0;
}

void fifo_more_end(struct fifo_more *m)
{
	int flags = m->fd >= 0 ? fcntl(m->fd, F_GETFL) : -1;
	if (flags >= 0)
		(void)fcntl(m->fd, F_SETFL, flags & ~O_ASYNC);
	m->fd = -1;
}
