/* lib/spawn.h: the one place that starts a process.
 *
 * CMD is an argv, searched in PATH as execvp(3) does (a script without #! runs under /bin/sh). It
 * starts with SIGPIPE at its default, an empty signal mask, and only the descriptors it is meant to
 * have: ours are O_CLOEXEC, .fds says what is handed on.
 */
#ifndef IPC_SPAWN_H
#define IPC_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct call;

struct spawn_fd {
	int from, to; /* FROM is duplicated onto TO; FROM -1 closes TO. Any number, any order,
		       * overlaps allowed; each TO once */
};

#define SPAWN_GROUP 1   /* its own process group */
#define SPAWN_SESSION 2 /* its own session */
#define SPAWN_DIE 4     /* SIGKILL when the spawning thread dies (PR_SET_PDEATHSIG) */

struct spawn {
	char *const *argv;
	const char *const *env; /* NAME=VALUE to set, NAME to unset, NULL at the end; may be NULL */
	const struct spawn_fd *fds;
	size_t nfds;
	unsigned flags;
	pid_t group; /* the process group to join, of our session; 0: that of .flags, or ours */
	/* Run in the child before anything else is done there: in our memory, with every signal
	 * blocked, free to make system calls and to write where HOOK_ARG points. An errno keeps CMD
	 * from being started. May be NULL; spawn_exec has no child and no use for it. */
	int (*hook)(void *arg);
	void *hook_arg;
};

/* Start it. 0 and *PID; or an errno: when *EXECED is set execve(2) was what failed. vfork(2)
 * semantics: the child runs alone until it has exec'ed, so the cost does not grow with our memory. */
int spawn(const struct spawn *s, pid_t *pid, int *execed);
/* Replace this process by CMD: returns only an errno, and *EXECED as above. */
int spawn_exec(const struct spawn *s, int *execed);

/* For work that takes a process of its own but no program: a child, in a copy of our memory, that runs
 * FN(ARG) and ends with what it returned, nothing unwound. Signals have their default actions there; the
 * mask is ours as it stands, so that stop signals which a graceful verb blocks do not end the child before
 * its parent. FLAGS as above. 0 and *PID, or an errno. fork(2). */
int spawn_fork(int (*fn)(void *arg), void *arg, unsigned flags, pid_t *pid);

/* Spawn for a verb: a failure is reported with CMD's name and gives 127 (not found), 126 (cannot be
 * executed) or 125 (fork failed). 0 when it runs. */
int spawn_call(struct call *call, const struct spawn *s, pid_t *pid);
/* The report of such a failure: ERRNUM and EXECED as spawn() gave them. */
int spawn_failed(struct call *call, const char *argv0, int errnum, int execed);

/* The end of a child PID just spawned that nobody can watch: SIGKILL for it, and for the group that it leads, and
 * its status taken, so that neither it nor a zombie is left. */
void spawn_kill(pid_t pid);
/* Wait for a child PID that has ended, or is about to. */
void spawn_reap(pid_t pid);

/* Before something is taken that only CMD can handle: is there an executable NAME? 0, or 127 or 126
 * with a message. No promise (it may be gone a moment later), but it catches a mistyped name. */
int spawn_check(struct call *call, const char *name);

#endif
