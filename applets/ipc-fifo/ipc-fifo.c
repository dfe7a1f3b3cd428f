/* applets/ipc-fifo/ipc-fifo.c: FIFOs (named pipes) for scripts.
 *
 * It promises: opening has a time limit; a missing reader or writer is a status, never SIGPIPE and
 * never a hang that cannot be ended; records up to PIPE_BUF are whole among any writers, longer ones
 * among ours with --lock; a reader of records takes no byte of the next one; streams are spliced.
 *
 * What surprises: a FIFO has neither content nor capacity while nobody has it open. What was written
 * is lost when the last descriptor goes, and -S is an option of those who open, not of create.
 */
#include "fifo.h"

static const struct operand one[] = {
	{.name = "PATH",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "the FIFO: PATH, NAME or fd:N"},
	{0},
};
static const struct operand one_named[] = {
	{.name = "PATH", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "the FIFO: PATH or NAME"},
	{0},
};
static const struct operand many[] = {
	{.name = "PATH", .arg = ARG_OBJECT, .min = 1, .help = "the FIFOs: PATH or NAME"},
	{0},
};
static const struct operand many_open[] = {
	{.name = "PATH", .arg = ARG_OBJECT, .min = 1, .help = "the FIFOs: PATH, NAME or fd:N"},
	{0},
};
static const struct operand one_records[] = {
	{.name = "PATH",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "the FIFO: PATH, NAME or fd:N"},
	{.name = "RECORD", .arg = ARG_STR, .help = "records; none: one a line from stdin"},
	{0},
};

#define CAPACITY                                                                                 \
	{                                                                                        \
		.letter = 'S', .name = "size", .arg = ARG_SIZE, .metavar = "CAPACITY", .min = 1, \
		.max = INT32_MAX, .help = "bytes the FIFO holds while it is open"                \
	}

static const struct opt write_opts[] = {
	[WRITE_LOCK] = {.name = "lock",
		.help = "keep records longer than PIPE_BUF whole, by a lock"},
	[WRITE_CAPACITY] = CAPACITY,
};
static const struct opt read_opts[] = {
	[READ_UNTIL] = {.name = "until",
		.arg = ARG_STR,
		.metavar = "RECORD",
		.help = "end at this record, which is not printed"},
	[READ_UNLINK] = {.name = "unlink", .help = "remove the FIFO at the end, whatever ended it"},
	[READ_CAPACITY] = CAPACITY,
};
static const struct opt tee_opts[] = {
	[TEE_CAPACITY] = CAPACITY,
};

static const struct verb verbs[] = {
	{.name = "create",
		.summary = "make FIFOs",
		.usage = "[-m MODE] [OPTIONS] PATH...",
		.operands = many,
		.std = STD(MODE),
		.flags = VERB_INPROC,
		.example = "ipc-fifo create -m 0620 /run/app/in",
		.example_says = "makes a FIFO that the group may write to, whatever the umask",
		.run = fifo_create},
	{.name = "write",
		.summary = "write records, or with --raw a stream",
		.usage = "[--lock] [OPTIONS] PATH [RECORD...]",
		OPTS(write_opts),
		.operands = one_records,
		.std = STD_WAIT | STD_FRAME | STD(PROGRESS),
		.flags = VERB_INPROC,
		.example = "ipc-fifo write -w 5 /run/app/in 'reload now'",
		.example_says = "sends a line, or exits with 124 when nobody reads within 5 s",
		.run = fifo_write},
	{.name = "read",
		.summary = "print what comes out, as a stream or by records",
		.usage = "[-f] [-c N] [--until RECORD] [--unlink] [OPTIONS] PATH",
		OPTS(read_opts),
		.operands = one,
		.std = STD_WAIT | STD_FRAME | STD(COUNT) | STD(FOLLOW) | STD(PROGRESS) |
			STD(READY_FD),
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.example = "ipc-fifo read -f --until END /run/app/in",
		.example_says = "prints lines of writers that come and go, until one sends END",
		.run = fifo_read},
	{.name = "tee",
		.summary = "copy stdin to several FIFOs",
		OPTS(tee_opts),
		.operands = many_open,
		.std = STD_WAIT | STD(PROGRESS),
		.flags = VERB_INPROC,
		.example = "tar -c . | ipc-fifo tee ./to-disk ./to-sum",
		.example_says = "feeds two readers with one stream",
		.run = fifo_tee},
	{.name = "stat",
		.summary = "show mode, owner, fill, readers and writers",
		.operands = one_named,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.example = "ipc-fifo stat /run/app/in",
		.example_says = "shows among others who has it open, and how much lies in it",
		.run = fifo_stat},
	{.name = "rm",
		.summary = "remove FIFOs, and nothing that is not one",
		.operands = many,
		.flags = VERB_INPROC,
		.example = "ipc-fifo rm /run/app/in",
		.example_says = "removes it; were it a file, it would stay (65)",
		.run = fifo_rm},
};

const struct applet ipc_fifo = {
	.name = "ipc-fifo",
	.summary = "FIFOs: records and streams through named pipes",
	.kind = "fifo",
	VERBS(verbs),
};
