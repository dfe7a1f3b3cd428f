/* applets/ipc-pipe: commands joined by unnamed pipes or socket pairs, and a meter for streams.
 *
 * Promises: `run` is never between the commands: what they write goes straight to the reader through
 * the kernel. It waits for all of them, knows how each one ended, and leaves no zombie.
 *
 * What surprises: with -d the two commands are joined by two pipes, so that a filter that closes its
 * stdout gives the other one its end of file. One socket pair (-t) cannot say that by close(2), since
 * stdin and stdout are then the same socket: it takes shutdown(2). See split.c for "--", supervise.c
 * for what happens when a command ends.
 *
 * Limits: the commands stay in our process group, as in a shell, so that ^C reaches them; what they
 * leave in the background is not waited for.
 */
#include "pipe.h"

static const char *const types[] = {[TYPE_STREAM] = "stream", [TYPE_SEQPACKET] = "seqpacket", NULL};
static const char *const rules[] = {
	[RULE_FIRST] = "first", [RULE_LAST] = "last", [RULE_WORST] = "worst", NULL};

static const struct opt run_opts[] = {
	[RUN_DUPLEX] = {.letter = 'd',
		.name = "duplex",
		.help = "join two commands both ways, with nothing in between"},
	[RUN_TYPE] = {.letter = 't',
		.name = "type",
		.arg = ARG_CHOICE,
		.metavar = "TYPE",
		.choices = types,
		.help = "socket pairs in place of pipes: stream or seqpacket"},
	[RUN_STATUS] = {.name = "status",
		.arg = ARG_CHOICE,
		.metavar = "WHICH",
		.choices = rules,
		.help = "exit as the first, the last (default) or the worst"},
	[RUN_GRACE] = {.name = "grace",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "those left over get TERM after DUR, then KILL"},
	[RUN_SEP] = {.name = "sep",
		.arg = ARG_STR,
		.metavar = "STR",
		.help = "the word between commands, in place of --"},
	[RUN_REPORT] = {.name = "report-fd",
		.arg = ARG_FD,
		.metavar = "N",
		.help = "report to descriptor N, not to stderr"},
};

static const struct operand run_operands[] = {
	{.name = "CMD", .arg = ARG_COMMAND, .min = 1, .max = 0}, {0}};

static const struct opt meter_opts[] = {
	[METER_SIZE] = {.letter = 'S',
		.name = "size",
		.arg = ARG_SIZE,
		.metavar = "EXPECTED",
		.max = INT64_MAX,
		.help = "bytes to expect, for the bar and the time left"},
};

static const struct verb verbs[] = {
	{.name = "run",
		.summary = "run commands joined by pipes and give the status of one of them",
		.usage = "[OPTIONS] CMD [ARG...] -- CMD [ARG...] [-- CMD [ARG...]]...",
		OPTS(run_opts),
		.operands = run_operands,
		.std = STD(JSON),
		.flags = VERB_SPAWNS | VERB_RAW,
		.example = "ipc-pipe run --status worst zcat log.gz -- grep -c error",
		.example_says = "counts, and fails when zcat does, whatever grep finds",
		.run = pipe_run},
	{.name = "meter",
		.summary = "pass stdin to stdout and show bytes, rate and time left on stderr",
		.usage = "[OPTIONS]",
		OPTS(meter_opts),
		.std = STD(JSON),
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.example = "ipc-pipe meter -S 4G <disk.img | gzip >disk.img.gz",
		.example_says = "compresses, with a bar and the time left",
		.run = pipe_meter},
};

const struct applet ipc_pipe = {
	.name = "ipc-pipe",
	.summary = "join commands by pipes or socket pairs, both ways too; meter",
	VERBS(verbs),
};
