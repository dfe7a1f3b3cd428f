/* applets/ipc-spool/minder.c: what ends the CMDs of a runner that was killed.
 *
 * The kernel kills CMD itself with the runner (PR_SET_PDEATHSIG), but not CMD's children: a script's `sleep` would go
 * on, and by its stdin keep the job leased. So a process watches the runner by pidfd, and when it is gone kills the
 * process groups that stand in memory which both have mapped. It costs one process for a run, and no system call
 * for a job.
 */
#define _GNU_SOURCE
#include "run.h"

#include "fd.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MINDER_RUNNER = 3, MINDER_GROUPS };

static size_t size_of(size_t n)
{
	return n * sizeof(pid_t);
}

static void unmap(void *p, intptr_t n)
{
	munmap(p, size_of((size_t)n));
}

int minder_start(struct runner *r)
{
	struct call *call = r->sp.call;
	char count[24];
	int self = call_pidfd(call, getpid());
	int null = call_open(call, AT_FDCWD, "/dev/null", O_RDWR, 0);
	int mem = call_own(call, fd_nameless("ipc-spool groups"));
	if (self < 0 || null < 0 || mem < 0 || fd_truncate(mem, (off_t)size_of(r->n)) < 0)
		return call_fail(call, ST_EARLY, errno, "start the minder");
	void *p = mmap(NULL, size_of(r->n), PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	if (p == MAP_FAILED || call_undo(call, unmap, p, (intptr_t)r->n) < 0)
		return call_fail(call, ST_EARLY, errno, "start the minder");
	r->groups = p;
	snprintf(count, sizeof count, "%zu", r->n);
	char *argv[] = {(char *)(uintptr_t) "/proc/self/exe", (char *)(uintptr_t) "ipc-spool",
		(char *)(uintptr_t) "minder", count, NULL};
	const struct spawn_fd fds[] = {
		{null, 0}, {null, 1}, {null, 2}, {self, MINDER_RUNNER}, {mem, MINDER_GROUPS}};
	const struct spawn spawn = {
		.argv = argv, .fds = fds, .nfds = sizeof fds / sizeof *fds, .flags = SPAWN_SESSION};
	int status = spawn_call(call, &spawn, &r->minder);
	call_close(call, mem);
	call_close(call, null);
	call_close(call, self);
	return status;
}

int run_minder(struct call *call)
{
	size_t n = (size_t)call->args[0].num;
	struct stat st;
	fd_close_from(MINDER_GROUPS + 1);
	if (fstat(MINDER_GROUPS, &st) < 0 || (uint64_t)st.st_size < size_of(n))
		return call_fail(call, ST_USAGE, 0, "only run starts a minder");
	const volatile pid_t *groups =
		mmap(NULL, size_of(n), PROT_READ, MAP_SHARED, MINDER_GROUPS, 0);
	if (groups == MAP_FAILED)
		return call_error(call, errno, "map");
	if (wait_fd(MINDER_RUNNER, WAIT_END, DEADLINE_NONE, &call->stop) >= 0)
		for (size_t i = 0; i < n; i++)
			if (groups[i] > 1)
				kill(-groups[i], SIGKILL);
	munmap((void *)(uintptr_t)groups, size_of(n));
	return ST_OK;
}
