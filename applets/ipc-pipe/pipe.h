/* applets/ipc-pipe/pipe.h: what the files of ipc-pipe share. */
#ifndef IPC_PIPE_H
#define IPC_PIPE_H

#include "call.h"

enum pipe_run_opt { RUN_DUPLEX, RUN_TYPE, RUN_STATUS, RUN_GRACE, RUN_SEP, RUN_REPORT, RUN_OPTS };
enum pipe_type { TYPE_STREAM, TYPE_SEQPACKET };
enum pipe_rule { RULE_FIRST, RULE_LAST, RULE_WORST };
enum pipe_meter_opt { METER_SIZE, METER_OPTS };

/* One command of a run. Its process is the wait_kid of the same index. */
struct side {
	char **argv;
	int64_t started; /* wait_now() */
	int64_t due;     /* when it will be stopped, DEADLINE_NONE: not so far */
	int sent;        /* the signal --grace sent last: 0, SIGTERM, SIGKILL */
};

struct run {
	struct side *sides;
	struct wait_kid *kids;
	size_t n, started;
	bool duplex;
	int64_t grace;
	struct wait_signals held;
};

/* Split call->args at --sep into run->sides. 0, or the status to end with. */
int pipe_split(struct call *call, struct run *run);
/* Start all commands, joined. 0, or the status to end with; then what was started is still there. */
int pipe_start(struct call *call, struct run *run);
/* Before the start: --report-fd must be open, and the commands do not get it. 0 or a status. */
int pipe_report_check(struct call *call);
/* The lines that -v and -J ask for, on --report-fd or stderr. 0 or a status. */
int pipe_report(struct call *call, const struct run *run);

int pipe_run(struct call *call);
int pipe_meter(struct call *call);

#endif
