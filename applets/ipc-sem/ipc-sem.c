/* ipc-sem: at most N at once, in three kinds of semaphore.
 *
 * A bare word or a file is a file of slots: N kernel locks. SIGKILL of whoever holds one, at any instant,
 * gives it back. run holds slots for a command; wait (also: acquire) for another process, usually the shell
 * that calls it, by a keeper that ends with that process; post gives back what the same process holds. A
 * shell that has loaded us holds its slots itself (shell.c).
 * posix:/NAME and sysv:KEY are the semaphores of C programs, which count and know no owner.
 *
 * What surprises: a slot must be held by somebody, so post cannot raise a semaphore of slots above N (set
 * can). A posix: semaphore is not given back when its holder is killed. In a subshell the calling shell
 * is the subshell: --owner $$ names the script itself.
 */
#define _GNU_SOURCE
#include "sem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TAKE                          \
	[OPT_TAKE] = {.name = "take", \
		.arg = ARG_INT,       \
		.metavar = "K",       \
		.min = 1,             \
		.max = SLOTS_MAX,     \
		.help = "take or give K at once, all or none (default 1)"}
#define OWNER                           \
	[OPT_OWNER] = {.name = "owner", \
		.arg = ARG_PID,         \
		.metavar = "PID",       \
		.help = "hold slots for this process (default: our parent)"}
#define INDEX                           \
	[OPT_INDEX] = {.name = "index", \
		.arg = ARG_UINT,        \
		.metavar = "I",         \
		.max = 31999,           \
		.help = "sysv: which semaphore of the set (default 0)"}

static const struct opt create_opts[] = {INDEX,
	[OPT_VALUE] = {.name = "value",
		.arg = ARG_UINT,
		.metavar = "N",
		.max = PSEM_VALUE_MAX,
		.help = "how many slots, or the initial value (default 1)"},
	[OPT_EXCL] = {.letter = 'x', .name = "exclusive", .help = "fail (73) when it exists"}};
static const struct opt take_opts[] = {TAKE, OWNER, INDEX};
static const struct opt plain_opts[] = {INDEX};
static const struct opt run_opts[] = {TAKE, INDEX,
	[OPT_JOBS] = {.letter = 'j',
		.arg = ARG_INT,
		.metavar = "N",
		.min = 1,
		.max = SLOTS_MAX,
		.help = "make it with N, and have N slots from now on"}};

static const struct operand one_sem[] = {{.name = "SEM",
						 .arg = ARG_OBJECT,
						 .min = 1,
						 .max = 1,
						 .help = "a word, a file, posix:/NAME or sysv:KEY"},
	{0}};
static const struct operand set_operands[] = {
	{.name = "SEM", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "as for create"},
	{.name = "N",
		.arg = ARG_UINT,
		.min = 1,
		.max = 1,
		.hi = PSEM_VALUE_MAX,
		.help = "how many slots, or the value"},
	{0}};
static const struct operand sems[] = {
	{.name = "SEM", .arg = ARG_OBJECT, .min = 1, .help = "as for create"}, {0}};

static int run_create(struct call *call);
static int run_wait(struct call *call);
static int run_try(struct call *call);
static int run_post(struct call *call);
static int run_get(struct call *call);
static int run_set(struct call *call);
static int run_zero(struct call *call);
static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "run",
		.summary = "run CMD while it holds a slot; at most N at once",
		OPTS(run_opts),
		.operands = one_sem,
		.std = STD_WAIT | STD(MODE),
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_NEEDS_COMMAND,
		.example = "ipc-sem run -j4 convert -- gzip -9 big.log",
		.example_says = "never more than four such commands at once, whoever starts them",
		.run = sem_run},
	{.name = "wait",
		.summary = "take a slot for the calling shell (posix:, sysv: take 1 away)",
		OPTS(take_opts),
		.operands = one_sem,
		.std = STD_WAIT | STD(MODE),
		.flags = VERB_INPROC |
			VERB_SILENT, /* slots for an --owner: elsewhere, a keeper is started */
		.run = run_wait},
	{.name = "acquire",
		.summary = "another name for wait",
		OPTS(take_opts),
		.operands = one_sem,
		.std = STD_WAIT | STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT | VERB_HIDDEN,
		.run = run_wait},
	{.name = "try",
		.summary = "as wait, but do not wait: 1 when there is none",
		OPTS(take_opts),
		.operands = one_sem,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT,
		.run = run_try},
	{.name = "post",
		.summary = "give a slot of the calling shell back (posix:, sysv: add 1)",
		OPTS(take_opts),
		.operands = one_sem,
		.flags = VERB_INPROC | VERB_SILENT,
		.run = run_post},
	{.name = "create",
		.summary = "make a semaphore",
		OPTS(create_opts),
		.operands = one_sem,
		.std = STD(MODE),
		.flags = VERB_INPROC, /* makes a file */
		.run = run_create},
	{.name = "get",
		.summary = "print the value: how many are free",
		OPTS(plain_opts),
		.operands = one_sem,
		.flags = VERB_INPROC | VERB_SMALL, /* reads */
		.run = run_get},
	{.name = "set",
		.summary = "change how many slots there are, or the value",
		OPTS(plain_opts),
		.operands = set_operands,
		.flags = VERB_INPROC, /* one short lock */
		.run = run_set},
	{.name = "zero",
		.summary = "wait until none is free",
		OPTS(plain_opts),
		.operands = one_sem,
		.std = STD_WAIT,
		.flags = VERB_INPROC, /* waits in lib/wait */
		.run = run_zero},
	{.name = "stat",
		.summary = "show value, holders and waiters",
		OPTS(plain_opts),
		.operands = one_sem,
		.std = STD(JSON),
		.flags = VERB_INPROC, /* reads */
		.run = sem_stat},
	{.name = "ls",
		.summary = "list semaphores: those in $IPC_DIR, POSIX, System V",
		.std = STD(JSON),
		.flags = VERB_INPROC, /* reads */
		.run = sem_ls},
	{.name = "rm",
		.summary = "remove semaphores; who waits for slots gets 66",
		.operands = sems,
		.flags = VERB_INPROC, /* unlinks */
		.run = run_rm},
};

const struct applet ipc_sem = {.name = "ipc-sem",
	.summary = "semaphores: at most N at once, crash-safe; POSIX and System V too",
	.kind = "sem",
	VERBS(verbs)};

static unsigned taken(const struct call *call)
{
	return call->opt[OPT_TAKE].count > 0 ? (unsigned)call->opt[OPT_TAKE].num : 1;
}

/* By default the calling shell: our parent, or our own process, into which it has loaded us. */
static pid_t owner(const struct call *call)
{
	if (call->opt[OPT_OWNER].count > 0)
		return (pid_t)call->opt[OPT_OWNER].num;
	return call->host != NULL ? getpid() : getppid();
}

/* Does the shell that we are in hold its slots itself? */
static bool in_shell(const struct call *call)
{
	return call->host != NULL &&
		(call->opt[OPT_OWNER].count == 0 || call->opt[OPT_OWNER].num == getpid());
}

static int no_owner(struct sem *s)
{
	if (s->kind == SEM_SLOTS || s->call->opt[OPT_OWNER].count == 0)
		return 0;
	return call_fail(s->call, ST_USAGE, 0,
		"%s: a %s semaphore has no owners; a word or a file (slots) has", s->text,
		s->kind == SEM_POSIX ? "POSIX" : "System V");
}

/* A slot for another process is held by a keeper, which is a child: of a shell that runs us in its process it
 * would be one that it does not know. */
static bool elsewhere(const struct call *call)
{
	struct object obj;
	return call->host != NULL && !in_shell(call) &&
		object_parse(&obj, call->args[0].str) == NULL &&
		(obj.kind == OBJECT_WORD || obj.kind == OBJECT_FILE);
}

static int take(struct call *call, int64_t deadline)
{
	int status, r;
	unsigned k = taken(call);
	if (elsewhere(call))
		return ST_ELSEWHERE;
	struct sem *s = sem_open_word(call, call->args[0].str, SEM_CREATE_SLOTS, 1, NULL, &status);
	if (s == NULL || (status = no_owner(s)) != 0)
		return status;
	if (s->kind == SEM_SLOTS)
		return in_shell(call) ? shell_take(s, k, deadline)
				      : guard_take(s, k, owner(call), deadline);
	if (s->kind == SEM_SYSV && deadline == DEADLINE_NOW)
		sysv_settle(s);
	r = s->kind == SEM_POSIX ? psem_wait(&s->posix, k, deadline, &call->stop)
				 : sysv_op(s, -(int)k, false, deadline);
	return r < 0 ? sem_waited(s, k, errno) : ST_OK;
}

static int run_wait(struct call *call)
{
	return take(call, call_deadline(call));
}

static int run_try(struct call *call)
{
	unsigned quiet = call->std[STD_QUIET].count;
	call->std[STD_QUIET].count++; /* "no" is an answer, not a message */
	int status = take(call, DEADLINE_NOW);
	call->std[STD_QUIET].count = quiet;
	return status == ST_BUSY ? ST_NO : status;
}

static int run_post(struct call *call)
{
	int status, r;
	unsigned k = taken(call);
	bool own = in_shell(call) && call->opt[OPT_INDEX].count == 0;
	/* What it holds by this word is known without a look at the file. */
	if (own && (status = shell_post(call, NULL, k)) >= 0)
		return status;
	struct sem *s = sem_open_word(call, call->args[0].str, 0, 0, NULL, &status);
	if (s == NULL || (status = no_owner(s)) != 0)
		return status;
	if (s->kind == SEM_SLOTS && own && (status = shell_post(call, s, k)) >= 0)
		return status;
	if (s->kind == SEM_SLOTS)
		return guard_post(s, k, owner(call));
	if (s->kind == SEM_SYSV)
		sysv_settle(s);
	r = s->kind == SEM_POSIX ? psem_post(&s->posix, k)
				 : sysv_op(s, (int)k, false, DEADLINE_NOW);
	if (r < 0 && errno == ERANGE)
		errno = EOVERFLOW;
	return r < 0 ? sem_waited(s, k, errno) : ST_OK;
}

/* How many are free; -1 with errno. */
static int value(struct sem *s)
{
	if (s->kind == SEM_POSIX)
		return (int)psem_value(&s->posix);
	if (s->kind == SEM_SYSV) {
		sysv_settle(s);
		return sysv_value(s);
	}
	int count = slots_count(s);
	return count < 0 ? -1 : (unsigned)count < s->n ? (int)s->n - count : 0;
}

static int run_create(struct call *call)
{
	int status;
	bool made, given = call->opt[OPT_VALUE].count > 0;
	unsigned n = given ? (unsigned)call->opt[OPT_VALUE].num : 1;
	unsigned flags = SEM_CREATE | (call->opt[OPT_EXCL].count > 0 ? SEM_EXCL : 0);
	struct sem *s = sem_open_word(call, call->args[0].str, flags, n, &made, &status);
	if (s == NULL)
		return status;
	if (made && s->kind == SEM_SYSV && s->obj.sysv == SYSV_PRIVATE)
		out_fmt(&call->out, "sysv:id=%d\n", s->id);
	if (!made && given && s->kind == SEM_SLOTS && s->n != n)
		return call_fail(call, ST_EXISTS, 0,
			"%s: exists with %u slots, not %u; ipc-sem set changes that", s->text, s->n,
			n);
	return ST_OK;
}

static int run_get(struct call *call)
{
	int status;
	struct sem *s = sem_open_word(call, call->args[0].str, SEM_READ, 0, NULL, &status);
	if (s == NULL)
		return status;
	int v = value(s);
	if (v < 0)
		return sem_waited(s, 1, errno);
	out_fmt(&call->out, "%d\n", v);
	return ST_OK;
}

static int run_set(struct call *call)
{
	int status, r = 0;
	unsigned n = (unsigned)call->args[1].num;
	struct sem *s = sem_open_word(call, call->args[0].str, 0, 0, NULL, &status);
	if (s == NULL)
		return status;
	if (s->kind == SEM_SLOTS && n > SLOTS_MAX)
		return call_fail(call, ST_LIMIT, 0, "%s: at most %d slots", s->text, SLOTS_MAX);
	if (s->kind == SEM_SLOTS)
		r = slots_resize(s, n);
	else if (s->kind == SEM_SYSV)
		r = n > INT16_MAX ? (errno = EOVERFLOW, -1) : sysv_set(s, n);
	else
		psem_set(&s->posix, n);
	if (r < 0 && errno == ERANGE)
		errno = EOVERFLOW;
	return r < 0 ? sem_waited(s, n, errno) : ST_OK;
}

static int run_zero(struct call *call)
{
	int status, r;
	int64_t deadline = call_deadline(call);
	struct sem *s = sem_open_word(call, call->args[0].str, SEM_READ, 0, NULL, &status);
	if (s == NULL)
		return status;
	if (s->kind == SEM_POSIX)
		r = psem_zero(&s->posix, deadline, &call->stop);
	else
		r = s->kind == SEM_SYSV ? sysv_op(s, 0, false, deadline) : slots_zero(s, deadline);
	return r < 0 ? sem_waited(s, 1, errno) : ST_OK;
}

static int remove_one(struct call *call, const char *word)
{
	struct stat st;
	int status, r;
	struct sem *s = sem_open_word(call, word, SEM_READ | SEM_NAME, 0, NULL, &status);
	if (s == NULL)
		return status;
	if (s->kind == SEM_POSIX)
		r = unlink(s->posix.path);
	else if (s->kind == SEM_SYSV)
		r = sysv_remove(s);
	else
		r = fstat(s->fd, &st) < 0 ? -1 : object_unlink(s->at.dirfd, s->at.rel, &st, 0);
	if (r < 0)
		status = call_error(call, errno, "remove %s", word);
	sem_shut(s);
	sem_forget(call, word);
	return status;
}

static int run_rm(struct call *call)
{
	return call_each(call, remove_one);
}
