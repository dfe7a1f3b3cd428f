/* applets/ipc-spool/run.h: a runner and its slots, for run.c and slot.c. */
#ifndef IPC_SPOOL_RUN_H
#define IPC_SPOOL_RUN_H

#include "spool.h"

#define TAIL 4096

struct slot {
	pid_t pid; /* 0: free */
	int pidfd, lease;
	int err[2]; /* CMD's stderr; -1 until first used */
	struct job job;
	struct draft out; /* --output keep */
	char tail[TAIL];
	size_t tail_len;
};

struct runner {
	struct spool sp;
	struct slot *slots;
	volatile pid_t *groups; /* of each slot's CMD; 0: free. The minder reads it */
	pid_t minder;
	struct pollfd *fds; /* the hint, then pidfd and stderr of each slot */
	size_t n, busy;
	bool follow, keep_output, drop_output, stopping, asked;
	bool failed; /* some attempt failed */
	int sig;     /* the stop signal that was heeded last */
	int fatal;   /* why no more jobs are started, though nobody stopped us */
	int hint;
	bool armed; /* the hint tells of cur/ as well */
	struct rest rest;
	int64_t backoff, grace, kill_at;
	int64_t looked, due; /* when job_recover was last called, and what it said */
	uint64_t left;       /* jobs until -c is reached */
	enum sync sync;
};

/* Start the job that LEASE is of in slot S. 0, or the status that a failure (ours, not the job's) gives; the
 * job is back then. */
int slot_start(struct runner *r, struct slot *s, int lease);
/* Pass on what CMD has written to its stderr. */
void slot_stderr(struct runner *r, struct slot *s);
/* CMD has ended: note it with the job. */
void slot_settle(struct runner *r, struct slot *s, int wstatus);
/* The lease and all else of the last job is given up. */
void slot_free(struct runner *r, struct slot *s);

/* Start the process that kills CMD's children when we are killed. 0 or a status. */
int minder_start(struct runner *r);

#endif
