/* ipc-shm: shared memory for scripts, together with the C programs that share it.
 *
 * It promises: bytes written and read by it are whole (readers and writers of ipc-shm exclude each other
 * by a kernel lock, so SIGKILL of one lets the next go on); words are changed atomically, without
 * a lock, as C programs do; waiting sleeps on a futex; a segment that is too short, a full tmpfs or a
 * file that is cut short is an error with a message and never SIGBUS.
 *
 * What surprises: a segment has no header, its bytes belong to those who share it; so ipc-shm cannot
 * tell that a C program is in the middle of writing, and a writer killed by SIGKILL leaves a part. Words
 * do not take the lock. A C program that changes a word need not wake waiters: they look again, at
 * first after 1 ms and then less often, every 50 ms at last.
 */
#include "shm.h"

static const char *const tests[] = {"eq", "ne", "lt", "le", "gt", "ge", "bits", NULL};

#define SHM_OPERAND                                                          \
	{                                                                    \
		.name = "SHM", .arg = ARG_OBJECT, .min = 1, .max = 1,        \
		.help = "posix:/NAME, sysv:KEY, a file, fd:N or a bare word" \
	}
#define OFF_OPERAND                                                                  \
	{                                                                            \
		.name = "OFF", .arg = ARG_UINT, .min = 1, .max = 1, .hi = INT64_MAX, \
		.help = "byte offset, a multiple of the word's size"                 \
	}
#define VALUE_OPERAND(NAME, HELP)                                                  \
	{                                                                          \
		.name = (NAME), .arg = ARG_STR, .min = 1, .max = 1, .help = (HELP) \
	}

static const struct operand one[] = {SHM_OPERAND, {0}};
static const struct operand run_operands[] = {
	{.name = "SHM",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "also memfd:NAME, sysv:private: new ones for CMD"},
	{0}};
static const struct operand many[] = {
	{.name = "SHM", .arg = ARG_OBJECT, .min = 1, .help = "the segments"}, {0}};
static const struct operand write_operands[] = {SHM_OPERAND,
	{.name = "TEXT", .arg = ARG_STR, .max = 1, .help = "the bytes; none: stdin to its end"},
	{0}};
static const struct operand get_operands[] = {SHM_OPERAND, OFF_OPERAND, {0}};
static const struct operand set_operands[] = {
	SHM_OPERAND, OFF_OPERAND, VALUE_OPERAND("VALUE", "the new value"), {0}};
static const struct operand add_operands[] = {
	SHM_OPERAND, OFF_OPERAND, VALUE_OPERAND("N", "what to add; -N takes away"), {0}};
static const struct operand cas_operands[] = {SHM_OPERAND, OFF_OPERAND,
	VALUE_OPERAND("OLD", "the value it must have"), VALUE_OPERAND("NEW", "the value it gets"),
	{0}};
static const struct operand wait_operands[] = {SHM_OPERAND, OFF_OPERAND,
	{.name = "TEST",
		.arg = ARG_CHOICE,
		.min = 1,
		.max = 1,
		.choices = tests,
		.help = "eq, ne, lt, le, gt, ge, or bits: all bits of VALUE"},
	VALUE_OPERAND("VALUE", "what the word is compared with"), {0}};

#define OPT_CREATE                                                                        \
	{                                                                                 \
		.name = "create", .help = "make it if it is missing, of -S bytes or 4096" \
	}
#define OPT_SIZE(HELP)                                                                        \
	{                                                                                     \
		.letter = 'S', .name = "size", .arg = ARG_SIZE, .metavar = "BYTES", .min = 1, \
		.max = INT64_MAX, .help = (HELP)                                              \
	}
#define OPT_OFFSET                                                                  \
	{                                                                           \
		.letter = 'o', .name = "offset", .arg = ARG_SIZE, .metavar = "OFF", \
		.max = INT64_MAX, .help = "begin at this byte; default 0"           \
	}
#define OPT_TYPE                                                                     \
	{                                                                            \
		.letter = 't', .name = "type", .arg = ARG_CHOICE, .metavar = "TYPE", \
		.choices = word_names,                                               \
		.help = "u8 u16 u32 u64 i8 i16 i32 i64 f32 f64; default i64"         \
	}

static const struct opt create_opts[] = {
	[MAKE_SIZE] = OPT_SIZE("size of the segment"),
	[CREATE_EXCL] = {.letter = 'x', .name = "exclusive", .help = "it must not exist yet: 73"},
};
static const struct opt write_opts[] = {
	[MAKE_CREATE] = OPT_CREATE,
	[MAKE_SIZE] = OPT_SIZE("size of what --create makes"),
	[COPY_OFFSET] = OPT_OFFSET,
	[COPY_STRING] = {.name = "string", .help = "end TEXT with a NUL byte, as C strings do"},
};
static const struct opt read_opts[] = {
	[COPY_OFFSET] = OPT_OFFSET,
	[COPY_LENGTH] = {.name = "length",
		.arg = ARG_SIZE,
		.metavar = "N",
		.max = INT64_MAX,
		.help = "so many bytes; default: to the end"},
	[COPY_STRING] = {.name = "string", .help = "up to the first NUL byte; adds a newline"},
};
static const struct opt get_opts[] = {[WORD_TYPE] = OPT_TYPE};
static const struct opt set_opts[] = {
	[MAKE_CREATE] = OPT_CREATE,
	[MAKE_SIZE] = OPT_SIZE("size of what --create makes"),
	[WORD_TYPE] = OPT_TYPE,
};
static const struct opt run_opts[] = {
	[MAKE_CREATE] = OPT_CREATE,
	[MAKE_SIZE] = OPT_SIZE("size of memfd:NAME, sysv:private, or with --create"),
};
static const struct opt resize_opts[] = {
	[MAKE_SIZE] = OPT_SIZE("the new size"),
	[RESIZE_FORCE] = {.name = "force", .help = "shrink it even while others have it mapped"},
};

static const struct verb verbs[] = {
	{.name = "create",
		.summary = "make a segment of zeros, with memory behind every byte",
		.usage = "-S BYTES [OPTIONS] SHM",
		OPTS(create_opts),
		.operands = one,
		.std = STD(MODE),
		.flags = VERB_INPROC,
		.example = "ipc-shm create -m 0660 -S 1M posix:/frames",
		.example_says = "makes what shm_open(3) programs open as /frames",
		.run = shm_create},
	{.name = "write",
		.summary = "write TEXT or stdin into a segment, whole",
		OPTS(write_opts),
		.operands = write_operands,
		.std = STD_WAIT | STD(MODE) | STD(PROGRESS),
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.run = shm_write},
	{.name = "read",
		.summary = "print bytes of a segment, never while they are written",
		OPTS(read_opts),
		.operands = one,
		.std = STD_WAIT | STD(PROGRESS),
		.flags = VERB_INPROC,
		.run = shm_read},
	{.name = "get",
		.summary = "print a word",
		OPTS(get_opts),
		.operands = get_operands,
		.flags = VERB_INPROC | VERB_SMALL,
		.run = shm_get},
	{.name = "set",
		.summary = "set a word",
		OPTS(set_opts),
		.operands = set_operands,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT,
		.run = shm_set},
	{.name = "add",
		.summary = "add to a word and print its new value",
		OPTS(set_opts),
		.operands = add_operands,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SMALL,
		.example = "n=$(ipc-shm add --create counter 0 1)",
		.example_says = "counts, whoever else does so at the same time",
		.run = shm_add},
	{.name = "cas",
		.summary = "give a word a new value if it has the old one; print what it had",
		OPTS(set_opts),
		.operands = cas_operands,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SMALL,
		.run = shm_cas},
	{.name = "swap",
		.summary = "set a word and print its old value",
		OPTS(set_opts),
		.operands = set_operands,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SMALL,
		.run = shm_swap},
	{.name = "wait",
		.summary = "wait until a word passes a test; print its value",
		OPTS(set_opts),
		.operands = wait_operands,
		.std = STD_WAIT | STD(MODE) | STD(READY_FD),
		.flags = VERB_INPROC | VERB_SMALL,
		.example = "ipc-shm wait -t u32 -w 5 posix:/state 16 ge 3",
		.example_says = "goes on when the 32-bit word at byte 16 is 3 or more",
		.run = shm_wait},
	{.name = "resize",
		.summary = "make a segment larger or, while nobody has it mapped, smaller",
		.usage = "-S BYTES [OPTIONS] SHM",
		OPTS(resize_opts),
		.operands = one,
		.std = STD_WAIT,
		.flags = VERB_INPROC,
		.run = shm_resize},
	{.name = "run",
		.summary = "run CMD with a segment as path and descriptor",
		OPTS(run_opts),
		.operands = run_operands,
		.std = STD(MODE),
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_NEEDS_COMMAND,
		.example = "ipc-shm run -S 1M memfd:work -- sh -c 'worker \"$IPC_SHM_PATH\"'",
		.example_says = "shared memory without a name, gone with its last user",
		.run = shm_run},
	{.name = "stat",
		.summary = "show size, mode, owner, and who has it mapped or open",
		.operands = one,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = shm_stat},
	{.name = "ls",
		.summary = "list the POSIX, System V and named segments",
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = shm_ls},
	{.name = "rm",
		.summary = "remove segments; those who have them mapped keep them",
		.operands = many,
		.flags = VERB_INPROC,
		.run = shm_rm},
};

const struct applet ipc_shm = {
	.name = "ipc-shm",
	.summary = "shared memory: bytes, atomic words, waiting for a value",
	.kind = "shm",
	VERBS(verbs),
};
