/* lib/apart.c: see apart.h. Whether the memory is shared is known only after the child has run, and
 * what the child does must not be done twice. So the pipe is always there, and is read only when it
 * is needed. */
#define _GNU_SOURCE
#include "apart.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

struct work {
	int (*fn)(void *arg);
	void *arg;
	int report;
	volatile int result;
	volatile bool shared; /* the child has written into our memory */
};

/* A function of its own, so that nothing of apart() lives in the frame that both run in. */
static __attribute__((noinline)) pid_t fork_work(struct work *w)
{
	pid_t pid = vfork();
	if (pid != 0)
		return pid;
	w->shared = true;
	w->result = w->fn(w->arg);
	int result = w->result;
	if (result != 0)
		(void)!write(w->report, &result, sizeof result);
	_exit(result != 0 ? 127 : 0);
}

/* What the child of PID wrote to FD; the end of the file comes when it execs or ends. */
static int reported(int fd, pid_t pid)
{
	int result = 0;
	/* No pipe could be made, so that nothing of what the child does is known. */
	if (fd < 0) {
		kill(pid, SIGKILL);
		return ENOSYS;
	}
	return fd_read(fd, &result, sizeof result) == (ssize_t)sizeof result ? result : 0;
}

int apart(int (*fn)(void *arg), void *arg, int top, pid_t *pid)
{
	struct work w = {.fn = fn, .arg = arg, .report = -1};
	int ends[2] = {-1, -1};
	if (pipe2(ends, O_CLOEXEC) == 0)
		w.report = fd_raise(ends[1], top + 1);
	*pid = fork_work(&w);
	int err = errno;
	fd_close(w.report);
	int result = *pid < 0 ? -1 : w.shared ? w.result : reported(ends[0], *pid);
	fd_close(ends[0]);
	errno = err;
	return result;
}
