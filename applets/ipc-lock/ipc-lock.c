/* ipc-lock: run a command under a lock, ask who holds it, and flock(1).
 *
 * What it promises: the lock lives exactly as long as CMD. No descriptor of it is in CMD, so a
 * background child that CMD leaves behind holds nothing; and a keeper (lib/keeper.h) shares it, so
 * that it is not lost either when this supervisor is killed by SIGKILL while CMD runs on. Both
 * families that programs lock files with are taken (lib/lock.h). Nothing is ever written into the
 * file: it may be somebody's data; who has it since when, and the fencing token, stand in an
 * extended attribute.
 *
 * What surprises: as CMD ends the locks are released before we do, so that the next command line
 * of the script finds them free. TERM and the like are passed on to CMD, whose status is returned.
 *
 * Limits: at most 60 objects; POSIX locks and --exec have no keeper and need none or cannot have one.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const char *const families[] = {"both", "flock", "ofd", "posix", "dotlock", NULL};

static const struct opt run_opts[] = {
	[RUN_SHARED] = {.letter = 's',
		.name = "shared",
		.group = 1,
		.help = "a shared (read) lock"},
	[RUN_EXCLUSIVE] = {.letter = 'x',
		.name = "exclusive",
		.group = 1,
		.help = "an exclusive (write) lock (default)"},
	[RUN_FAMILY] = {.name = "family",
		.arg = ARG_CHOICE,
		.metavar = "FAMILY",
		.choices = families,
		.help = "both (default), flock, ofd, posix or dotlock"},
	[RUN_RANGE] = {.name = "range",
		.arg = ARG_STR,
		.metavar = "START:LEN",
		.help = "only these bytes (ofd, posix); LEN 0: to the end"},
	[RUN_TREE] = {.name = "tree", .group = 2, .help = "hold it until all descendants ended"},
	[RUN_EXEC] = {.name = "exec", .group = 2, .help = "become CMD, which holds the lock"},
	[RUN_SHARE_FD] = {.name = "share-fd",
		.group = 2,
		.help = "CMD and its children hold it too"},
	[RUN_REMOVE] = {.name = "remove", .help = "remove the file before releasing the lock"},
};

static const struct opt test_opts[] = {
	[TEST_SHARED] = {.letter = 's',
		.name = "shared",
		.help = "would a shared lock have to wait?"},
	[TEST_FAMILY] = {.name = "family",
		.arg = ARG_CHOICE,
		.metavar = "FAMILY",
		.choices = families,
		.help = "both (default), flock, ofd, posix or dotlock"},
	[TEST_RANGE] = {.name = "range",
		.arg = ARG_STR,
		.metavar = "START:LEN",
		.help = "only these bytes"},
};

static const struct opt hold_opts[] = {
	[HOLD_SHARED] = {.letter = 's',
		.name = "shared",
		.group = 1,
		.help = "a shared (read) lock"},
	[HOLD_EXCLUSIVE] = {.letter = 'x',
		.name = "exclusive",
		.group = 1,
		.help = "an exclusive (write) lock (default)"},
	[HOLD_FAMILY] = {.name = "family",
		.arg = ARG_CHOICE,
		.metavar = "FAMILY",
		.choices = families,
		.help = "both (default), flock or ofd"},
};
static const struct opt release_opts[] = {
	[HOLD_FAMILY] = {.name = "family",
		.arg = ARG_CHOICE,
		.metavar = "FAMILY",
		.choices = families,
		.help = "what of a descriptor's: both (default), flock or ofd"},
};

static const struct opt flock_opts[] = {
	[FLOCK_SHARED] = {.letter = 's', .name = "shared", .help = "get a shared lock"},
	[FLOCK_EXCLUSIVE] = {.letter = 'x',
		.name = "exclusive",
		.help = "get an exclusive lock (default)"},
	[FLOCK_E] = {.letter = 'e', .help = "the same as -x"},
	[FLOCK_UNLOCK] = {.letter = 'u', .name = "unlock", .help = "remove a lock"},
	[FLOCK_NONBLOCK] = {.letter = 'n', .name = "nonblocking", .help = "fail rather than wait"},
	[FLOCK_NB] = {.name = "nb", .help = "the same as -n"},
	[FLOCK_TIMEOUT] = {.letter = 'w',
		.name = "timeout",
		.arg = ARG_STR,
		.metavar = "SECS",
		.help = "wait for a limited time; 0: do not wait"},
	[FLOCK_WAIT] = {.name = "wait",
		.arg = ARG_STR,
		.metavar = "SECS",
		.help = "the same as -w"},
	[FLOCK_CLOSE] = {.letter = 'o',
		.name = "close",
		.help = "do not hand the lock's descriptor to CMD"},
	[FLOCK_NO_FORK] = {.letter = 'F', .name = "no-fork", .help = "become CMD"},
	[FLOCK_FCNTL] = {.name = "fcntl", .help = "an OFD lock (fcntl(2)) instead of flock(2)"},
	[FLOCK_START] = {.name = "start",
		.arg = ARG_STR,
		.metavar = "OFFSET",
		.help = "first byte to lock; implies --fcntl"},
	[FLOCK_LENGTH] = {.name = "length",
		.arg = ARG_STR,
		.metavar = "BYTES",
		.help = "how many bytes to lock, 0: to the end; implies --fcntl"},
	[FLOCK_FD] = {.name = "fd",
		.arg = ARG_FD,
		.metavar = "N",
		.help = "lock descriptor N, then run CMD"},
	[FLOCK_COMMAND] = {.letter = 'c',
		.name = "command",
		.arg = ARG_STR,
		.metavar = "STRING",
		.help = "with --fd: run STRING by a shell"},
	[FLOCK_VERSION] = {.letter = 'V', .name = "version", .help = "print the version"},
};

static const struct operand objects[] = {
	{.name = "OBJECT",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 0,
		.help = "a file, a directory, fd:N, or a word (in $IPC_DIR)"},
	{0}};
static const struct operand object[] = {
	{.name = "OBJECT",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "a file, a directory, fd:N, or a word (in $IPC_DIR)"},
	{0}};
static const struct operand flock_operands[] = {
	{.name = "FILE|DIR|FD",
		.arg = ARG_PATH,
		.min = 0,
		.max = 1,
		.help = "what to lock; a number alone is a descriptor"},
	{.name = "CMD", .arg = ARG_STR, .min = 0, .max = 0, .help = "and its arguments"}, {0}};

static const struct verb verbs[] = {
	{.name = "run",
		.summary = "run a command while holding locks",
		OPTS(run_opts),
		.operands = objects,
		.std = STD_WAIT | STD(MODE),
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_NEEDS_COMMAND,
		.example = "ipc-lock run -w 10 /run/lock/backup -- tar -cf /srv/b.tar /home",
		.example_says = "waits up to ten seconds for its turn, then runs tar alone",
		.run = ipc_lock_run},
	{.name = "test",
		.summary = "is it free (0) or held (1)?",
		OPTS(test_opts),
		.operands = object,
		.flags = VERB_INPROC,
		.example = "ipc-lock test /run/lock/backup || echo running",
		.example_says = "asks without taking it",
		.run = ipc_lock_test},
	{.name = "stat",
		.summary = "show who holds it and who waits",
		.operands = object,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.example = "ipc-lock stat /run/lock/backup",
		.example_says = "lists the holders with pid, command and time",
		.run = ipc_lock_stat},
	{.name = "acquire",
		.summary = "take it for the shell itself: in bash, or on fd:N",
		OPTS(hold_opts),
		.operands = object,
		.std = STD_WAIT | STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT | VERB_SMALL,
		.example = "exec 9>/run/lock/backup; ipc-lock acquire 9",
		.example_says = "the lock lives as long as descriptor 9 of the shell",
		.run = ipc_lock_acquire},
	{.name = "release",
		.summary = "give back what acquire took",
		OPTS(release_opts),
		.operands = object,
		.flags = VERB_INPROC | VERB_SILENT,
		.run = ipc_lock_release},
	{.name = "flock",
		.summary = "the same as flock(1)",
		OPTS(flock_opts),
		.usage = "[OPTIONS] FILE|DIR|FD|--fd N [CMD [ARG...] | -c STRING]",
		.operands = flock_operands,
		.std = STD(CONFLICT),
		.flags = VERB_INPROC | VERB_SILENT | VERB_RAW,
		.example = "flock -n /run/lock/backup -c 'tar -cf /srv/b.tar /home'",
		.example_says = "exits with 1 when it is held",
		.run = ipc_lock_flock},
};

const struct applet ipc_lock = {
	.name = "ipc-lock",
	.summary = "locks: run a command alone, never leaking, never lost",
	.kind = "lock",
	VERBS(verbs),
	.fallback = &verbs[5],
	.alias = "flock",
};

unsigned family_mask(enum family family)
{
	static const unsigned masks[] = {[FAMILY_BOTH] = LOCK_OFD | LOCK_FLOCK,
		[FAMILY_FLOCK] = LOCK_FLOCK,
		[FAMILY_OFD] = LOCK_OFD,
		[FAMILY_POSIX] = LOCK_POSIX,
		[FAMILY_DOTLOCK] = 0};
	return masks[family];
}

int lock_parse(struct call *call, const char *text, struct lock *l)
{
	const char *why = object_parse(&l->obj, text);
	l->fd = -1;
	l->at.dirfd = AT_FDCWD;
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", text, why);
	if (l->obj.kind != OBJECT_WORD && l->obj.kind != OBJECT_FILE && l->obj.kind != OBJECT_FD)
		return call_fail(call, ST_USAGE, 0,
			"%s: a lock is a file, a directory, fd:N or a word", text);
	return -1;
}

int range_parse(struct call *call, const char *text, struct lock *l)
{
	const char *colon = strchr(text, ':'), *why;
	char *start = call_strdup(call, text);
	if (start == NULL)
		return call_error(call, ENOMEM, "--range");
	if (colon == NULL)
		return call_fail(call, ST_USAGE, 0, "--range: %s: not START:LEN", text);
	start[colon - text] = '\0';
	why = num_size(start, &l->start);
	if (why == NULL && colon[1] != '\0')
		why = num_size(colon + 1, &l->len);
	if (why == NULL && l->start > INT64_MAX - l->len)
		why = "too large";
	return why == NULL ? -1 : call_fail(call, ST_USAGE, 0, "--range: %s: %s", text, why);
}
