/* applets/ipc-mq/users.c: who uses a queue, as far as /proc shows it to us: the processes that have a
 * POSIX queue open, and those asleep in msgrcv(2) or msgsnd(2) on a System V queue, which has no
 * descriptors. Whoever may not be looked into is counted as hidden, not as absent.
 */
#define _GNU_SOURCE
#include "mq.h"

#include "blocked.h"
#include "fd.h"
#include "num.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scan {
	const struct queue *q;
	mq_used *fn;
	void *arg;
	bool *hidden;
	const struct stat *st;
};

static int opened(void *arg, const struct proc_fd *fd)
{
	struct scan *scan = arg;
	if (fd->pid != getpid() && !proc_stands(fd->pid, scan->st, KEPT_IDLE))
		scan->fn(scan->arg, fd->pid, "open");
	return 0;
}

/* What thread DIR/NAME of PID does with the System V queue ID while it sleeps. NULL: nothing. */
static const char *sleeping(pid_t pid, int dir, const char *name, int id, bool *hidden)
{
	char path[300];
	struct blocked b;
	snprintf(path, sizeof path, "%s/syscall", name);
	int r = blocked_in(&b, pid, dir, path);
	if (r < 0)
		*hidden = *hidden || errno == EPERM || errno == EACCES;
	if (r <= 0 || (int)b.arg[0] != id)
		return NULL;
	return b.form == BLOCKED_MSGRCV ? "receiving" : b.form == BLOCKED_MSGSND ? "sending" : NULL;
}

/* The first thread of PID that sleeps on the queue speaks for all. */
static void look_into(struct scan *scan, int proc, const char *pid)
{
	char path[300];
	uint64_t number;
	const char *what = NULL;
	snprintf(path, sizeof path, "%s/task", pid);
	int fd = fd_open(proc, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL || num_uint(pid, &number) != NULL) {
		fd_close(fd);
		return;
	}
	for (struct dirent *e; what == NULL && (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			what = sleeping((pid_t)number, fd, e->d_name, scan->q->id, scan->hidden);
	closedir(dir);
	if (what != NULL)
		scan->fn(scan->arg, (pid_t)number, what);
}

static int each_sleeper(struct scan *scan)
{
	int fd = fd_open(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			look_into(scan, fd, e->d_name);
	closedir(dir);
	return 0;
}

int mq_each_user(const struct queue *q, mq_used *fn, void *arg, bool *hidden)
{
	struct scan scan = {.q = q, .fn = fn, .arg = arg, .hidden = hidden};
	struct stat st;
	if (q->obj.kind == OBJECT_SYSV)
		return each_sleeper(&scan);
	if (fstat(q->id, &st) < 0)
		return -1;
	scan.st = &st;
	return proc_each_fd(&st, false, opened, &scan, hidden);
}
