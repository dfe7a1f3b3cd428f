/* ipc-door: a procedure call through a file name.
 *
 * Promises: the handler has the caller's own stdin, stdout and stderr, not copies of what flows through them; its
 * exit status is the call's; a caller that goes takes the handler's process group with it; a server that
 * goes ends the call with 69, never a hang; whatever a peer sends, the server goes on.
 *
 * What surprises: the handler runs as the server's user, in the server's directory and environment: only
 * arguments, the variables of --pass and descriptors come from the caller. It has a session of its own, so that it can
 * read a caller's terminal, but ^Z does not stop it. A call made from within a handler, directly or by way of
 * other doors, does not wait for -j, since it would wait for itself.
 */
#define _GNU_SOURCE
#include "door.h"

#define PASS(text) [D_PASS] = {.name = "pass", .arg = ARG_LIST, .metavar = "VAR,...", .help = text}

static const struct opt serve_opts[] = {
	[D_JOBS] = {.letter = 'j',
		.name = "jobs",
		.arg = ARG_INT,
		.metavar = "N",
		.min = 1,
		.max = 1000000,
		.help = "so many handlers at once, others queue (64)"},
	[D_ALLOW] = {.name = "allow",
		.arg = ARG_LIST,
		.metavar = "LIST",
		.help = "who may call besides us and root: uid:N, gid:N, any"},
	PASS("variables that callers of other users may pass, too"),
	[D_GRACE] = {.name = "grace",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "from TERM to KILL, and for the rest at the end (5)"},
};
static const struct opt call_opts[] = {
	PASS("variables that the handler shall have as we do"),
	[D_DESCRIPTORS] = {.name = "descriptors",
		.arg = ARG_LIST,
		.metavar = "N,...",
		.help = "pass these besides 0, 1 and 2, under the same numbers"},
	[D_RETRY] = {.name = "retry",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "try again for DUR while no server is there"},
};
static const struct opt stat_opts[] = {
	[D_RETRY] = {.name = "retry",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "try again for DUR while no server is there"},
};

#define DOOR_OPERAND                                                                               \
	{                                                                                          \
		.name = "DOOR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "a word, or a path" \
	}
static const struct operand one_door[] = {DOOR_OPERAND, {0}};
static const struct operand call_operands[] = {DOOR_OPERAND,
	{.name = "ARG", .arg = ARG_STR, .help = "for CMD, behind its own; options and -- too"},
	{0}};
static const struct operand doors[] = {
	{.name = "DOOR", .arg = ARG_OBJECT, .min = 1, .help = "a word, or a path"}, {0}};

int run_door_serve(struct call *call);
int run_door_call(struct call *call);
int run_door_stat(struct call *call);
int run_door_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "serve",
		.summary = "answer calls: run CMD on the descriptors of each caller",
		.std = STD(COUNT) | STD(MODE) | STD(READY_FD) | STD(PIDFILE),
		OPTS(serve_opts),
		.operands = one_door,
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_NEEDS_COMMAND | VERB_GRACEFUL,
		.example = "ipc-door serve -j 4 thumbs -- ./thumbnail.sh",
		.example_says = "four at a time; each caller's picture comes on stdin",
		.run = run_door_serve},
	{.name = "call",
		.summary = "call a door: its handler works on our stdin, stdout and stderr",
		.std = STD_WAIT,
		OPTS(call_opts),
		.operands = call_operands,
		.flags = VERB_RAW | VERB_GRACEFUL,
		.example = "ipc-door call thumbs 120x90 <a.jpg >a.png",
		.example_says = "ends with the status of thumbnail.sh 120x90",
		.run = run_door_call},
	{.name = "stat",
		.summary = "ask a door's server: who it is, how many calls",
		.std = STD(TIMEOUT) | STD(CONFLICT) | STD(JSON),
		OPTS(stat_opts),
		.operands = one_door,
		.flags = VERB_INPROC,
		.run = run_door_stat},
	{.name = "rm",
		.summary = "remove doors whose server has gone",
		.operands = doors,
		.flags = VERB_INPROC,
		.run = run_door_rm},
};

const struct applet ipc_door = {
	.name = "ipc-door",
	.summary = "procedure calls by file name: descriptors passed, status returned",
	.kind = "door",
	VERBS(verbs),
};
