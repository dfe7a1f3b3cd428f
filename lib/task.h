/* lib/task.h: processes as /proc shows them: who descends from whom, which groups they are in, what
 * they do with signals; and descriptors that name exactly one of them (pidfd_open(2)).
 */
#ifndef IPC_TASK_H
#define IPC_TASK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc.h"

/* From /proc/PID/stat, proc_pid_stat(5). */
struct task {
	struct proc_id id;
	pid_t parent, pgrp, session;
	char state; /* of its first thread: R S D T t Z X I */
	bool ended; /* a zombie; when only the first thread has ended, the process lives */
};
/* 0; or -1 with ESRCH (gone) or another errno (/proc is not there, or hides it). */
int task_read(pid_t pid, struct task *t);

/* From /proc/PID/status, proc_pid_status(5): a bit per signal, as lib/sig.h has them. PENDING and
 * BLOCKED are those of the whole process and of its main thread. */
struct task_signals {
	uint64_t pending, blocked, ignored, caught;
	uint64_t queued, limit; /* signals queued for its user; RLIMIT_SIGPENDING */
	unsigned uid;           /* real user */
};
int task_signals(pid_t pid, struct task_signals *s);

/* Read TEXT: "PID", or "PID:START" with field 22 of /proc/PID/stat. START 0 means any. NULL, or a
 * phrase that says what is wrong. */
const char *task_parse(const char *text, struct proc_id *id);
/* A pidfd on the process ID, O_CLOEXEC, which is not that of a later process with the same number.
 * -1 with ESRCH when ID has ended (a zombie too) or its number is another process's now, EPERM when
 * the start time cannot be read, EMFILE and the like, or errno of pidfd_open(2). As wait_pidfd(),
 * which see, where that is refused. */
int task_open(struct proc_id id);

/* All processes there are to see, in the order of their numbers, allocated: free(3) it. 0, or -1 with
 * errno; ENOSYS when /proc is not that of our pid namespace. */
int task_list(struct task **list, size_t *n);
/* Set MARK[i] for each of the N tasks of LIST (as from task_list) that descends from a marked one. */
void task_mark_descendants(const struct task *list, size_t n, bool *mark);
/* Send SIG (INFO as for sig_send()) to those of our descendants that are in our own process group, outside of it, or to all, and CONT
 * to those of them that are stopped. How many there were, or -1 with errno; *DENIED counts those that may not be
 * signalled. */
enum task_where { TASK_ALL, TASK_INSIDE, TASK_OUTSIDE };
int task_signal_descendants(
	int sig, const siginfo_t *info, enum task_where where, unsigned *denied);

#endif
