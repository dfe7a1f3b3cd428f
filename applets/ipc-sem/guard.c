/* applets/ipc-sem/guard.c: slots held for a process that is not our child: a keeper for each, which ends
 * with its owner, and which post ends. */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"
#include "keeper.h"
#include "lock.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/* A keeper per slot; all, or none. */
static int guard_all(struct sem *s, const int *fds, unsigned k, int pidfd, pid_t owner)
{
	pid_t pids[GUARDED_MAX];
	for (unsigned i = 0; i < k; i++) {
		if (keeper_detach(pidfd, &fds[i], 1, &pids[i]) == 0) {
			if (slots_claim(s, s->slot[i], pids[i], owner) == 0)
				continue;
			kill(pids[i], SIGKILL);
		}
		int e = errno;
		while (i-- > 0)
			kill(pids[i], SIGKILL);
		errno = e;
		return -1;
	}
	return 0;
}

int guard_take(struct sem *s, unsigned k, pid_t owner, int64_t deadline)
{
	struct call *call = s->call;
	int fds[GUARDED_MAX] = {-1};
	if (k > GUARDED_MAX)
		return call_fail(
			call, ST_USAGE, 0, "--take %u: at most %d for an owner", k, GUARDED_MAX);
	int pidfd = call_pidfd(call, owner);
	if (pidfd < 0)
		return call_fail(call, errno == ESRCH ? ST_NOPEER : status_of(errno), errno,
			"owner %ld", (long)owner);
	/* Descriptions of their own: S's holds the turn and the gate, which must not outlive us. */
	for (unsigned i = 0; i < k; i++)
		if ((fds[i] = call_own(call, slots_reopen(s))) < 0)
			return call_error(call, errno, "open %s", s->text);
	if (slots_take(s, k, fds, owner, deadline) < 0)
		return sem_waited(s, k, errno);
	if (guard_all(s, fds, k, pidfd, owner) < 0)
		return call_error(call, errno, "keep a slot of %s", s->text);
	return ST_OK;
}

struct check {
	uint64_t byte;
	bool holds;
};

static int is_holder(void *arg, const struct proc_fd *fd)
{
	struct check *c = arg;
	c->holds = fd->lock == 'O' && fd->write && fd->start <= c->byte && c->byte <= fd->end;
	return c->holds;
}

/* Is PID the keeper that holds SLOT? What a claim says is not enough to kill a process for. */
static bool is_guard(const struct sem *s, pid_t pid, unsigned slot)
{
	struct check c = {.byte = (uint64_t)slots_byte(slot)};
	struct stat st;
	char path[32], *text;
	size_t len;
	snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	if (fstat(s->fd, &st) < 0 || fd_slurp(AT_FDCWD, path, 64, &text, &len) < 0)
		return false;
	bool named = strcmp(text, KEEPER_NAME "\n") == 0;
	fd_slurp_free(text);
	return named && proc_pid_fds(pid, &st, true, is_holder, &c, NULL) >= 0 && c.holds;
}

/* The guards of up to K slots that OWNER has, as pidfds, those taken last first. *OWN: how many it holds itself. */
static unsigned find(struct sem *s, unsigned k, pid_t owner, int *pidfds, unsigned *own)
{
	unsigned found = 0;
	*own = 0;
	for (unsigned i = s->top; i-- > 0 && found < k;) {
		struct claim c;
		if (slots_taken(s, i) <= 0 || !slots_claimed(s, i, &c) || c.owner != owner)
			continue;
		*own += c.pid == owner;
		if (c.pid == owner)
			continue;
		int fd = call_pidfd(s->call, c.pid);
		if (fd >= 0 && is_guard(s, c.pid, i))
			pidfds[found++] = fd;
		else if (fd >= 0)
			call_close(s->call, fd);
	}
	return found;
}

/* End them and wait until they are gone, and the slots free. */
static int end(struct sem *s, const int *pidfds, unsigned k)
{
	int64_t deadline = wait_until(10 * NS_PER_S);
	for (unsigned i = 0; i < k; i++)
		if (syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0) < 0 &&
			errno != ESRCH)
			return call_error(s->call, errno, "end the keeper of %s", s->text);
	for (unsigned i = 0; i < k; i++)
		if (wait_fd(pidfds[i], WAIT_END, deadline, &s->call->stop) < 0)
			return call_error(s->call, errno, "end the keeper of %s", s->text);
	return ST_OK;
}

int guard_post(struct sem *s, unsigned k, pid_t owner)
{
	int pidfds[GUARDED_MAX], status;
	if (k > GUARDED_MAX)
		return call_fail(
			s->call, ST_USAGE, 0, "--take %u: at most %d for an owner", k, GUARDED_MAX);
	if (slots_gate(s) < 0)
		return sem_waited(s, k, errno);
	unsigned own, found = find(s, k, owner, pidfds, &own);
	if (found == k)
		status = end(s, pidfds, k);
	else if (own > 0 && owner != getpid())
		status = call_fail(s->call, ST_NOPEER, 0,
			"%s: the %u slots of process %ld are held by itself, a shell: only it gives "
			"them back",
			s->text, own, (long)owner);
	else
		status = call_fail(s->call, ST_NOPEER, 0,
			"%s: process %ld has %u slots, not %u (--owner says whose to give back; "
			"ipc-sem set changes how many there are)",
			s->text, (long)owner, found, k);
	slots_ungate(s);
	slots_ring(s->fd);
	return status;
}
