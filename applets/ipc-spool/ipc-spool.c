/* applets/ipc-spool/ipc-spool.c: a durable queue of jobs that is a directory.
 *
 * It promises that a job whose id was printed is on disk, that it is given to one worker at a time, in order
 * of priority and arrival, and again when that worker fails or dies, until it is done or has had its
 * attempts. Nobody runs in between: the state is in file names, a lease is a kernel lock.
 *
 * What surprises: at least once is what it gives, so work that must not happen twice has to notice by
 * $IPC_MSG_ID. `take` leaves a guard process behind that holds the lease while its owner lives, and
 * `run` has a minder that kills what CMD has started when run itself is killed.
 *
 * Limits: one file a job; rename(2) must be atomic across a power cut (ext4, xfs, btrfs, f2fs: yes).
 */
#include "spool.h"

static const char *const syncs[] = {"full", "data", "none", NULL};
static const char *const outputs[] = {"pass", "keep", NULL};

static const struct opt create_opts[] = {
	[CREATE_DEPTH] = {.name = "depth",
		.arg = ARG_UINT,
		.metavar = "N",
		.max = 1000000000,
		.help = "bound of unfinished jobs; put waits (default 0: none)"},
	[CREATE_ATTEMPTS] = {.name = "max-attempts",
		.arg = ARG_UINT,
		.metavar = "N",
		.max = 1000000,
		.help = "attempts before dead/ (default 5; 0: no end)"},
	[CREATE_KEEP] = {.name = "keep",
		.arg = ARG_UINT,
		.metavar = "N",
		.max = 1000000000,
		.help = "keep the results of the newest N ids (default 10000)"},
	[CREATE_DATA] = {.name = "keep-data", .help = "keep the data of finished jobs as well"},
	[CREATE_EXCL] = {.letter = 'x', .name = "exclusive", .help = "73 when it exists already"},
};

static const struct opt put_opts[] = {
	[PUT_SYNC] = {.name = "sync",
		.arg = ARG_CHOICE,
		.metavar = "full|data|none",
		.choices = syncs,
		.help = "what is on disk before the id is out"},
	[PUT_PRIO] = {.letter = 'p',
		.name = "priority",
		.arg = ARG_UINT,
		.metavar = "PRIO",
		.max = PRIO_MAX,
		.help = "0 to 9, higher ones first (default 5)"},
	[PUT_DELAY] = {.name = "delay",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "not to be taken before DUR has passed"},
};

static const struct opt take_opts[] = {
	[TAKE_OWNER] = {.name = "owner",
		.arg = ARG_PID,
		.metavar = "PID",
		.help = "leased as long as PID lives (default: the caller)"},
};

#define END_OPTS                                                          \
	[END_STATUS] = {.name = "status",                                 \
		.arg = ARG_UINT,                                          \
		.metavar = "N",                                           \
		.max = 255,                                               \
		.help = "the job's status for wait (default 0, nack 1)"}, \
	[END_ATTEMPT] = {.name = "attempt",                               \
		.arg = ARG_UINT,                                          \
		.metavar = "N",                                           \
		.max = 1000000,                                           \
		.help = "only if it is the Nth attempt that is leased, else 76"}

static const struct opt ack_opts[] = {
	END_OPTS,
	[END_SYNC] = {.name = "sync",
		.arg = ARG_CHOICE,
		.metavar = "full|data|none",
		.choices = syncs,
		.help = "full: on disk when it returns (default none)"},
};

static const struct opt nack_opts[] = {
	END_OPTS,
	[END_DELAY] = {.name = "delay",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "until the next attempt (default 1s, doubling)"},
	[END_REASON] = {.name = "reason",
		.arg = ARG_STR,
		.metavar = "TEXT",
		.help = "why, for dead/"},
};

static const struct opt run_opts[] = {
	[RUN_JOBS] = {.letter = 'j',
		.name = "jobs",
		.arg = ARG_UINT,
		.metavar = "N",
		.min = 1,
		.max = 1024,
		.help = "N at a time (default 1)"},
	[RUN_BACKOFF] = {.name = "backoff",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "until the second attempt (default 1s), doubling"},
	[RUN_OUTPUT] = {.name = "output",
		.arg = ARG_CHOICE,
		.metavar = "pass|keep",
		.choices = outputs,
		.help = "keep: CMD's stdout is kept with the result"},
	[RUN_GRACE] = {.name = "grace",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "when stopped, TERM to CMDs after DUR (never)"},
	[RUN_SYNC] = {.name = "sync",
		.arg = ARG_CHOICE,
		.metavar = "full|data|none",
		.choices = syncs,
		.help = "full: results are on disk first (default none)"},
};

static const struct opt wait_opts[] = {
	[WAIT_OUTPUT] = {.name = "output", .help = "print the output that run --output keep kept"},
};

static const struct opt ls_opts[] = {
	[LS_ALL] = {.letter = 'a', .name = "all", .help = "finished jobs as well"},
};

static const struct opt rm_opts[] = {
	[RM_DONE] = {.name = "done", .help = "the results of finished jobs, not the spool"},
	[RM_DEAD] = {.name = "dead", .help = "the jobs in dead/, not the spool"},
	[RM_FORCE] = {.name = "force", .help = "even with unfinished jobs in it"},
};

static const struct operand dir[] = {
	{.name = "DIR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "the spool: PATH or a word"},
	{0}};
static const struct operand dir_files[] = {
	{.name = "DIR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "the spool: PATH or a word"},
	{.name = "FILE", .arg = ARG_PATH, .help = "a job's data; - is stdin, none: its records"},
	{0}};
static const struct operand dir_id[] = {
	{.name = "DIR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "the spool: PATH or a word"},
	{.name = "ID",
		.arg = ARG_UINT,
		.min = 1,
		.lo = 1,
		.hi = (int64_t)ID_MAX,
		.help = "as put and take print it"},
	{0}};
static const struct operand dir_ids[] = {
	{.name = "DIR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "the spool: PATH or a word"},
	{.name = "ID", .arg = ARG_UINT, .lo = 1, .hi = (int64_t)ID_MAX, .help = "as put prints it"},
	{0}};
/* The two hidden verbs are started by take and run, with descriptors from 3 on. */
static const struct operand guard_args[] = {
	{.name = "NAME", .arg = ARG_STR, .min = 1, .max = 1}, {0}};
static const struct operand minder_args[] = {
	{.name = "N", .arg = ARG_UINT, .min = 1, .max = 1, .lo = 1, .hi = 1024}, {0}};

static const struct verb verbs[] = {
	{.name = "create",
		.summary = "make a spool, or change its settings",
		OPTS(create_opts),
		.operands = dir,
		.std = STD(MODE),
		.flags = VERB_INPROC,
		.run = run_create,
		.example = "ipc-spool create --depth 1000 /var/spool/mailer",
		.example_says = "makes it; put waits when a thousand jobs are unfinished"},
	{.name = "put",
		.summary = "add jobs; prints an id each once they are on disk",
		OPTS(put_opts),
		.operands = dir_files,
		.std = STD_WAIT | STD_FRAME | STD(MODE),
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.run = run_put,
		.example = "ipc-spool put -p 7 /var/spool/mailer letter.eml",
		.example_says = "prints an id when the letter is safely on disk"},
	{.name = "take",
		.summary = "lease the next job; prints its id and file",
		OPTS(take_opts),
		.operands = dir,
		.std = STD_WAIT | STD(JSON) | STD(MODE),
		.flags = VERB_SPAWNS | VERB_GRACEFUL,
		.run = run_take,
		.example = "ipc-spool take -n --owner $$ /var/spool/mailer",
		.example_says = "prints ID, a tab, and the path of the data"},
	{.name = "ack",
		.summary = "a leased job is done",
		OPTS(ack_opts),
		.operands = dir_id,
		.flags = VERB_INPROC,
		.run = run_ack},
	{.name = "nack",
		.summary = "a leased job failed: again later, or dead",
		OPTS(nack_opts),
		.operands = dir_id,
		.flags = VERB_INPROC,
		.run = run_nack},
	{.name = "requeue",
		.summary = "bring a dead, delayed or kept job back",
		.operands = dir_id,
		.flags = VERB_INPROC,
		.run = run_requeue},
	{.name = "run",
		.summary = "give each job to CMD on its stdin",
		OPTS(run_opts),
		.operands = dir,
		.std = STD(TIMEOUT) | STD(NONBLOCK) | STD(CONFLICT) | STD(COUNT) | STD(FOLLOW) |
			STD(MODE) | STD(READY_FD) | STD(PIDFILE),
		.flags = VERB_SPAWNS | VERB_NEEDS_COMMAND | VERB_COMMAND | VERB_GRACEFUL,
		.run = run_run,
		.example = "ipc-spool run -f -j 4 /var/spool/mailer -- sendmail -t",
		.example_says = "sends letters, four at a time, until it is stopped"},
	{.name = "wait",
		.summary = "wait for jobs to be done; the worst status",
		OPTS(wait_opts),
		.operands = dir_ids,
		.std = STD_WAIT,
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.run = run_wait},
	{.name = "ls",
		.summary = "list the jobs in the order they would be taken",
		OPTS(ls_opts),
		.operands = dir,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = run_ls},
	{.name = "stat",
		.summary = "settings, and how many jobs are where",
		.operands = dir,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = run_stat},
	{.name = "rm",
		.summary = "remove jobs, results, or the whole spool",
		OPTS(rm_opts),
		.operands = dir_ids,
		.flags = VERB_INPROC,
		.run = run_rm},
	{.name = "guard",
		.summary = "holds the lease that take has got",
		.operands = guard_args,
		.flags = VERB_SPAWNS | VERB_HIDDEN,
		.run = run_guard},
	{.name = "minder",
		.summary = "ends what a killed run has left behind",
		.operands = minder_args,
		.flags = VERB_SPAWNS | VERB_HIDDEN,
		.run = run_minder},
};

const struct applet ipc_spool = {.name = "ipc-spool",
	.summary = "durable queue of jobs in a directory",
	.kind = "spool",
	VERBS(verbs)};
