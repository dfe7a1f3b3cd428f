/* The processes that ipc-signal stop is to end: who they are, and a descriptor on each. */
#ifndef IPC_SIGNAL_TARGETS_H
#define IPC_SIGNAL_TARGETS_H

#include "call.h"
#include "task.h"

#include <poll.h>
#include <sys/resource.h>

enum fate { RUNNING, ENDED, KILLED, GONE, DENIED };

struct target {
	struct task task;
	int pidfd; /* -1 when it has ended */
	enum fate fate;
	bool asked, killed;
	char *command; /* in the call's memory */
};

struct stopping {
	struct call *call;
	int sig;
	bool group, tree, raised;
	struct rlimit files;
	struct target *list;
	struct pollfd *poll; /* as long as list */
	size_t n, cap, running;
	uint64_t
		began_ticks; /* when asking began: as field 22 of /proc/PID/stat counts; 0 before */
	int64_t began;
	unsigned count[DENIED + 1];
	struct json json;
};

/* Tell of ID's fate, on stdout. */
void targets_report(struct stopping *s, struct proc_id id, const char *command, enum fate fate);
/* Take the process that the operand NAME (PID or PID:START) means. 0 or a status. */
int targets_add(struct stopping *s, const char *name);
/* Take all who belong to the group or tree of those that we have, until nobody new turns up. 0 or a
 * status. */
int targets_expand(struct stopping *s);
/* Undo function for the struct stopping ARG: closes and frees. */
void targets_free(void *arg, intptr_t unused);

#endif
