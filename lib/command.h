/* lib/command.h: the one place where a verb runs CMD and waits for it.
 *
 * It promises that CMD has the terminal whenever we have it: CMD stays in our process group, is never the
 * leader of one, and the terminal is never handed over. Signals that are sent to us go on to CMD; those
 * of the keyboard have reached it already. A verb that ends with its CMD ends as CMD did: killed by
 * signal N, it returns ST_DEATH + N, and the host dies of N too. So a shell that got ^C with us sees that
 * it is to stop.
 */
#ifndef IPC_COMMAND_H
#define IPC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "spawn.h"

struct call;

struct command {
	struct spawn spawn;
	/* Descriptors of kernel locks that a keeper holds as long as CMD runs (lib/keeper.h); then .spawn has
	 * no hook of its own. At most KEEPER_MAX. */
	const int *locks;
	unsigned nlocks;
	/* Every descendant counts: signals go to all of them, and the end is that of the last. */
	bool tree;
	/* The first HUP, INT or TERM does not reach CMD. It is pending again when CMD has ended, for the
	 * verb's own wait (VERB_GRACEFUL). */
	bool patient;
	/* Killed by a signal that did not come to us: 128+N, as flock(1) does. */
	bool like_flock;
	/* The functions may be NULL. */
	void (*started)(
		void *arg, pid_t keeper); /* CMD runs; KEEPER 0: none was needed, or possible */
	/* Give back what CMD used, whether it ended or could not be started; signals are still held. */
	void (*ended)(void *arg);
	void *arg;
	/* CMD could not be started (EXECED: by execve(2)): report it and give the status. NULL: the
	 * usual 127, 126 and 125. */
	int (*failed)(struct call *call, const char *argv0, int errnum, int execed);
};

/* Run CMD to its end. Its status, ST_DEATH + N when signal N killed it, or a status of ours. */
int command_run(struct call *call, struct command *cmd);
/* Replace this process by CMD. Returns only when that failed: the status, reported. */
int command_exec(struct call *call, const struct command *cmd);

/* The status for WSTATUS (waitpid(2)) of the CMD that a verb ends with: its code, or ST_DEATH + N. */
int command_status(int wstatus);
/* STATUS for a verb that goes on, or a caller outside of this process: 128+N in place of ST_DEATH + N. */
int command_code(int status);
/* From now on, until the call ends, we are the parent of all orphans below us. 0, or a status. */
int command_subreaper(struct call *call);

#endif
