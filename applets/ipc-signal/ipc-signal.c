/* ipc-signal: signals that reach the right process, are not lost, and end what they should end.
 *
 * It promises that a number which the kernel has given to another process is never signalled (all
 * goes through pidfds, PID:START names a process for good), that `wait` misses nothing from the
 * moment it is ready, and that behind `stop` and `run` nothing is left running.
 *
 * What surprises: RTMIN is the system's 34 whatever libc we are linked with, and all sets of signals
 * are the kernel's (lib/sig.h). `stop --tree` sees a tree from outside, in /proc, and can lose a
 * daemon that cut all ties before; `run` is the parent of all, and cannot.
 */
#include "ipc-signal.h"

int signal_send(struct call *call);
int signal_wait(struct call *call);
int signal_stop(struct call *call);
int signal_run(struct call *call);
int signal_hold(struct call *call);
int signal_release(struct call *call);
int signal_ls(struct call *call);

static const struct opt send_opts[] = {
	[SEND_VALUE] = {.name = "value",
		.arg = ARG_INT,
		.metavar = "N",
		.min = INT32_MIN,
		.max = INT32_MAX,
		.help = "send N with it, as sigqueue(3) does"},
	[SEND_GROUP] = {.name = "group", .help = "to the process group that PID is in"},
	[SEND_HANDLED] = {.name = "handled", .help = "only to those that catch or block it"},
};
static const struct opt wait_opts[] = {
	[WAIT_FORMAT] = {.name = "format",
		.arg = ARG_STR,
		.metavar = "FMT",
		.help = "%n name, %s number, %p pid, %u uid, %v value, %c code"},
};
static const struct opt stop_opts[] = {
	[STOP_SIGNAL] = {.name = "signal",
		.arg = ARG_SIGNAL,
		.metavar = "SIG",
		.help = "ask with SIG (default TERM; 0 only waits)"},
	[STOP_GRACE] = {.name = "grace",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "kill after DUR (default 10s; inf: never)"},
	[STOP_GROUP] = {.name = "group",
		.group = 1,
		.help = "all of the process group that PID is in"},
	[STOP_TREE] = {.name = "tree", .group = 1, .help = "PID and all its descendants"},
};
static const struct opt run_opts[] = {
	[RUN_SIGNAL] = {.name = "signal",
		.arg = ARG_SIGNAL,
		.metavar = "SIG",
		.min = 1,
		.max = 64,
		.help = "what asks to end, in place of TERM (default TERM)"},
	[RUN_GRACE] = {.name = "grace",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "kill DUR after asking (default 10s; inf: never)"},
	[RUN_MAP] = {.name = "map",
		.arg = ARG_LIST,
		.metavar = "FROM:TO",
		.help = "pass FROM on as TO (0: not at all)"},
	[RUN_ALL] = {.name = "all",
		.help = "what CMD leaves behind may go on until it ends by itself"},
	[RUN_FOREGROUND] = {.name = "foreground",
		.help = "CMD may use the terminal: it always may"},
};
static const struct opt ls_opts[] = {
	[LS_ID] = {.name = "id", .help = "print PID:START and nothing else"},
};

static const struct operand send_operands[] = {
	{.name = "SIGNAL",
		.arg = ARG_SIGNAL,
		.min = 1,
		.max = 1,
		.help = "name with or without SIG, RTMIN+n, or number; 0 only tests"},
	{.name = "PID", .arg = ARG_STR, .min = 1, .help = "process id, or PID:START (see ls)"},
	{0},
};
static const struct operand wait_operands[] = {
	{.name = "SIGNAL",
		.arg = ARG_SIGNAL,
		.min = 1,
		.help = "name with or without SIG, RTMIN+n, or number"},
	{0},
};
static const struct operand stop_operands[] = {
	{.name = "PID", .arg = ARG_STR, .min = 1, .help = "process id, or PID:START (see ls)"},
	{0},
};
static const struct operand release_operands[] = {
	{.name = "SIGNAL", .arg = ARG_SIGNAL, .help = "as for hold; none: all that are held"},
	{0},
};
static const struct operand ls_operands[] = {
	{.name = "PID", .arg = ARG_STR, .min = 0, .help = "process id, or PID:START"},
	{0},
};

static const struct verb verbs[] = {
	{.name = "send",
		.summary = "send a signal to processes, never to a later owner of the number",
		.usage = "[--value N] [--group] [--handled] [-J] SIGNAL PID...",
		OPTS(send_opts),
		.operands = send_operands,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.example = "ipc-signal send --value 7 RTMIN+1 $pid",
		.example_says = "queues signal 35 with the value 7",
		.run = signal_send},
	{.name = "wait",
		.summary = "wait for signals, and print each with its sender and value",
		.usage = "[-w DUR|-n] [-E N] [-c N|-f] [-J|--format FMT] [--ready-fd N] SIGNAL...",
		OPTS(wait_opts),
		.operands = wait_operands,
		.std = STD_WAIT | STD(COUNT) | STD(FOLLOW) | STD(JSON) | STD(READY_FD),
		.flags = VERB_INPROC,
		.example = "ipc-signal wait -f USR1 RTMIN+1 | while read -r name rest; do :; done",
		.example_says = "a line for each signal, as it comes",
		.run = signal_wait},
	{.name = "stop",
		.summary = "ask processes to end, wait for all, kill the stubborn, report each",
		.usage =
			"[--signal SIG] [--grace DUR] [--group|--tree] [-w DUR] [-E N] [-J] PID...",
		OPTS(stop_opts),
		.operands = stop_operands,
		.std = STD(TIMEOUT) | STD(CONFLICT) | STD(JSON),
		.flags = VERB_INPROC,
		.example = "ipc-signal stop --tree --grace 30 $pid",
		.example_says = "ends PID and all that it started within thirty seconds",
		.run = signal_stop},
	{.name = "run",
		.summary = "run CMD, pass signals on, and leave nothing of it behind",
		.usage =
			"[--signal SIG] [--grace DUR] [--map FROM:TO] [--all] [--foreground] [-w DUR] [-E N] "
			"[--pidfile FILE] -- CMD [ARG...]",
		OPTS(run_opts),
		.std = STD(TIMEOUT) | STD(CONFLICT) | STD(PIDFILE),
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_NEEDS_COMMAND,
		.example = "ipc-signal run --grace 30 -- sh -c 'worker & worker & wait'",
		.example_says = "TERM ends both workers; run returns when they are gone",
		.run = signal_run},
	{.name = "hold",
		.summary = "keep signals for later waits: only in bash itself",
		.usage = "SIGNAL...",
		.operands = wait_operands,
		.flags = VERB_INPROC | VERB_SILENT,
		.example = "ipc-signal hold USR1; while ipc-signal wait USR1; do :; done",
		.example_says =
			"as builtins: none is lost, and none kills the shell, between two waits",
		.run = signal_hold},
	{.name = "release",
		.summary = "let through what hold has kept",
		.usage = "[SIGNAL...]",
		.operands = release_operands,
		.flags = VERB_INPROC | VERB_SILENT,
		.run = signal_release},
	{.name = "ls",
		.summary = "show what processes do with signals",
		.usage = "[--id] [-J] [PID...]",
		OPTS(ls_opts),
		.operands = ls_operands,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.example = "id=$(ipc-signal ls --id $!)",
		.example_says = "a name for the last background job that no later process can have",
		.run = signal_ls},
};

const struct applet ipc_signal = {
	.name = "ipc-signal",
	.summary = "send, wait for, and stop with signals",
	VERBS(verbs),
};
