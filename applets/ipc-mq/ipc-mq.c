/* applets/ipc-mq/ipc-mq.c: message queues of both kinds, from the shell.
 *
 * Promises: a message is sent whole or not at all, received once or left in the queue; every wait ends
 * by message, by -w, by -n or by a signal, System V queues included, and none of them polls. A limit
 * that stops us is named, with its value and with what would fit.
 *
 * What surprises: recv takes a message out before it has written it, so a reader that is killed takes
 * with it what it had in hand. -w counts for each message. The kernel cannot show a message of a POSIX
 * queue without taking it, so peek is for System V queues alone.
 */
#define _GNU_SOURCE
#include "mq.h"

#include "num.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define OPT_CREATE                                                                              \
	{                                                                                       \
		.name = "create", .help = "make the queue when it is missing (-m, --depth, -S)" \
	}
#define OPT_DEPTH                                                                             \
	{                                                                                     \
		.name = "depth", .arg = ARG_UINT, .metavar = "N", .min = 1, .max = INT32_MAX, \
		.help = "room for N messages"                                                 \
	}
#define OPT_SIZE                                                                                \
	{                                                                                       \
		.letter = 'S', .name = "size", .arg = ARG_SIZE, .metavar = "MSGSIZE", .min = 1, \
		.max = INT32_MAX, .help = "of at most MSGSIZE bytes each"                       \
	}
#define OPT_TYPE                                                                  \
	{                                                                         \
		.letter = 'T', .name = "type", .arg = ARG_STR, .metavar = "TYPE", \
		.help = "only type N, or '<=N': the lowest up to N (System V)"    \
	}
#define OPT_EXCEPT                                                             \
	{                                                                      \
		.name = "except", .help = "any type but that of -T (System V)" \
	}
#define OPT_FORMAT                                                                   \
	{                                                                            \
		.name = "format", .arg = ARG_STR, .metavar = "FMT",                  \
		.help = "write FMT: %m text %p priority %t type %i number %l length" \
	}

static const struct opt create_opts[] = {
	[MQ_EXCLUSIVE] = {.letter = 'x',
		.name = "exclusive",
		.help = "fail with 73 when it exists"},
	[MQ_DEPTH] = OPT_DEPTH,
	[MQ_SIZE] = OPT_SIZE,
};
static const struct opt send_opts[] = {
	[MQ_CREATE] = OPT_CREATE,
	[MQ_DEPTH] = OPT_DEPTH,
	[MQ_SIZE] = OPT_SIZE,
	[MQ_PRIORITY] = {.letter = 'p',
		.name = "priority",
		.arg = ARG_UINT,
		.metavar = "PRIO",
		.min = 0,
		.max = 32767,
		.help = "0 (default) to 32767, highest first (POSIX)"},
	[MQ_TYPE] = {.letter = 'T',
		.name = "type",
		.arg = ARG_UINT,
		.metavar = "TYPE",
		.min = 1,
		.max = LONG_MAX,
		.help = "the type, default 1 (System V)"},
};
static const struct opt recv_opts[] = {
	[MQ_CREATE] = OPT_CREATE,
	[MQ_DEPTH] = OPT_DEPTH,
	[MQ_SIZE] = OPT_SIZE,
	[MQ_TYPE] = OPT_TYPE,
	[MQ_EXCEPT] = OPT_EXCEPT,
	[MQ_ALL] = {.letter = 'a', .name = "all", .help = "what is there now; none is no error"},
	[MQ_FORMAT] = OPT_FORMAT,
};
static const struct opt peek_opts[] = {
	[MQ_TYPE] = OPT_TYPE,
	[MQ_EXCEPT] = OPT_EXCEPT,
	[MQ_ALL] = {.letter = 'a', .name = "all", .help = "every message; none is no error"},
	[MQ_FORMAT] = OPT_FORMAT,
};
static const struct opt wait_opts[] = {
	[MQ_TYPE] = OPT_TYPE,
	[MQ_EXCEPT] = OPT_EXCEPT,
};

#define QUEUE                                                                          \
	{                                                                              \
		.name = "QUEUE", .arg = ARG_OBJECT, .min = 1, .max = 1,                \
		.help = "/NAME, posix:/NAME, NAME; sysv:0xKEY, sysv:PATH#C, sysv:id=N" \
	}
static const struct operand one_queue[] = {QUEUE, {0}};
static const struct operand queue_and_messages[] = {QUEUE,
	{.name = "MSG", .arg = ARG_STR, .help = "a message; without any, records from stdin"}, {0}};
static const struct operand queues[] = {{.name = "QUEUE", .arg = ARG_OBJECT, .min = 1}, {0}};

static int run_create(struct call *call);
static int run_wait(struct call *call);
static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "create",
		.summary = "make a queue",
		.usage = "[-x] [-m MODE] [--depth N] [-S MSGSIZE] QUEUE",
		OPTS(create_opts),
		.operands = one_queue,
		.std = STD(MODE),
		.flags = VERB_INPROC,
		.run = run_create,
		.example = "ipc-mq create --depth 5 -S 256 /jobs",
		.example_says = "makes a POSIX queue for five messages of up to 256 bytes"},
	{.name = "send",
		.summary = "send messages",
		.usage = "[-p PRIO | -T TYPE] [-n | -w DUR] [OPTIONS] QUEUE [MSG...]",
		OPTS(send_opts),
		.operands = queue_and_messages,
		.std = STD_WAIT | STD_FRAME | STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT,
		.run = mq_run_send,
		.example = "ipc-mq send -p 9 -w 5 /jobs 'rotate logs'",
		.example_says =
			"sends with priority 9, or exits with 124 when it stays full for 5 s"},
	{.name = "recv",
		.summary = "take messages out, to stdout or to CMD",
		.usage = "[-c N | -f | -a] [-T TYPE] [OPTIONS] QUEUE [-- CMD [ARG...]]",
		OPTS(recv_opts),
		.operands = one_queue,
		.std = STD_WAIT | STD_FRAME | STD(MODE) | STD(COUNT) | STD(FOLLOW) | STD(JSON) |
			STD(READY_FD),
		.flags = VERB_INPROC | VERB_COMMAND | VERB_GRACEFUL,
		.run = mq_run_recv,
		.example = "ipc-mq recv -f /jobs -- sh -c 'read -r job && echo \"doing $job\"'",
		.example_says = "runs the command for each message, the message on its stdin"},
	{.name = "peek",
		.summary = "show messages and leave them there (System V)",
		.usage = "[-c N | -a] [-T TYPE] [OPTIONS] QUEUE",
		OPTS(peek_opts),
		.operands = one_queue,
		.std = STD_FRAME | STD(COUNT) | STD(JSON) | STD(CONFLICT),
		.flags = VERB_INPROC,
		.run = mq_run_peek},
	{.name = "wait",
		.summary = "wait until a message is there, leaving it there",
		.usage = "[-T TYPE] [-n | -w DUR] [OPTIONS] QUEUE",
		OPTS(wait_opts),
		.operands = one_queue,
		.std = STD_WAIT | STD(READY_FD),
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.run = run_wait},
	{.name = "stat",
		.summary = "show how full a queue is, its limits and its users",
		.usage = "[-J] QUEUE",
		.operands = one_queue,
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = mq_run_stat},
	{.name = "ls",
		.summary = "list the queues",
		.usage = "[-J]",
		.std = STD(JSON),
		.flags = VERB_INPROC,
		.run = mq_run_ls},
	{.name = "rm",
		.summary = "remove queues",
		.usage = "QUEUE...",
		.operands = queues,
		.flags = VERB_INPROC,
		.run = run_rm},
};

const struct applet ipc_mq = {
	.name = "ipc-mq", .summary = "message queues, POSIX and System V", VERBS(verbs)};

static void undo_queue(void *arg, intptr_t n)
{
	struct queue *q = arg;
	(void)n;
	free(q->buf);
}

static const char no_memory[] = "no memory";

/* A POSIX name as people write it: "/jobs" is a path to object_parse, "jobs" an object of $IPC_DIR. */
static const char *parse(struct call *call, struct object *obj, const char *text)
{
	const char *why = object_parse(obj, text);
	bool word = why == NULL && obj->kind == OBJECT_WORD;
	bool path = obj->kind == OBJECT_FILE && text[0] == '/';
	if (word || path) {
		char *name = call_fmt(call, "posix:%s%s", word ? "/" : "", text);
		why = name != NULL ? object_parse(obj, name) : no_memory;
		obj->text = text;
	}
	if (why != NULL)
		return why;
	return obj->kind == OBJECT_POSIX || obj->kind == OBJECT_SYSV
		? NULL
		: "not a message queue (/NAME, posix:/NAME, NAME or sysv:...)";
}

struct queue *mq_queue(struct call *call, const char *text, int *status)
{
	struct queue *q = call_alloc(call, sizeof *q);
	if (q == NULL || call_undo(call, undo_queue, q, 0) < 0) {
		*status = call_error(call, ENOMEM, "%s", text);
		return NULL;
	}
	*q = (struct queue){.call = call, .name = text, .id = -1};
	const char *why = parse(call, &q->obj, text);
	if (why != NULL) {
		*status = call_fail(
			call, why == no_memory ? ST_LIMIT : ST_USAGE, 0, "%s: %s", text, why);
		return NULL;
	}
	q->be = q->obj.kind == OBJECT_SYSV ? &mq_sysv : &mq_posix;
	return q;
}

int mq_reserve(struct queue *q, size_t n)
{
	if (n <= q->cap)
		return 0;
	char *more = realloc(q->buf, n);
	if (more == NULL)
		return -1;
	q->buf = more;
	q->cap = n;
	return 0;
}

/* What create, or --create, shall make. 0 or a status. */
static int wanted(struct call *call, struct wanted *want)
{
	bool has_mode = call->std[STD_MODE].count > 0;
	*want = (struct wanted){
		.exclusive = call->opt[MQ_EXCLUSIVE].count > 0,
		.has_mode = has_mode,
		.mode = has_mode ? (unsigned)call->std[STD_MODE].num : 0600,
		.depth = call->opt[MQ_DEPTH].num,
		.size = call->opt[MQ_SIZE].num,
	};
	if (want->mode > 0777)
		return call_fail(call, ST_USAGE, 0, "-m/--mode: %s: a queue has no bits above 777",
			call->std[STD_MODE].str);
	return 0;
}

int mq_choose(struct queue *q)
{
	const struct val *type = &q->call->opt[MQ_TYPE];
	struct choice c = {.except = q->call->opt[MQ_EXCEPT].count > 0};
	if (type->count == 0 && !c.except)
		return 0;
	if (q->obj.kind != OBJECT_SYSV)
		return call_fail(q->call, ST_USAGE, 0,
			"%s: only messages of System V queues have types", q->name);
	if (type->count == 0)
		return call_fail(q->call, ST_USAGE, 0, "--except needs -T TYPE");
	c.lowest = strncmp(type->str, "<=", 2) == 0;
	const char *why = num_int(type->str + (c.lowest ? 2 : 0), &c.type);
	if (why == NULL &&
		(c.type < 0 || c.type > LONG_MAX || (c.type == 0 && (c.lowest || c.except))))
		why = "out of range";
	if (why != NULL)
		return call_fail(
			q->call, ST_USAGE, 0, "-T/--type: %s: %s (N or '<=N')", type->str, why);
	if (c.lowest && c.except)
		return call_fail(q->call, ST_USAGE, 0, "-T '<=N' and --except exclude each other");
	q->choice = c;
	return 0;
}

struct queue *mq_open_queue(struct call *call, enum access access, int *status)
{
	struct wanted want;
	struct queue *q = mq_queue(call, call->args[0].str, status);
	if (q == NULL)
		return NULL;
	if (q->obj.kind == OBJECT_SYSV && q->obj.sysv == SYSV_PRIVATE) {
		*status = call_fail(call, ST_USAGE, 0,
			"%s always means a new queue; use the sysv:id=N that create prints",
			q->name);
		return NULL;
	}
	bool create = call->opt[MQ_CREATE].count > 0;
	if (!create &&
		call->opt[MQ_DEPTH].count + call->opt[MQ_SIZE].count + call->std[STD_MODE].count >
			0) {
		*status = call_fail(call, ST_USAGE, 0, "-m, --depth and -S go with --create");
		return NULL;
	}
	if (create) {
		*status = wanted(call, &want);
		if (*status == 0)
			*status = q->be->create(q, &want);
		if (*status != 0)
			return NULL;
	}
	q->blocking = access == MQ_WRITE && call->stop.signal == NULL &&
		call_deadline(call) == DEADLINE_NONE;
	*status = q->be->open(q, access);
	return *status == 0 ? q : NULL;
}

bool mq_reader_gone(const struct call *call)
{
	struct pollfd p = {.fd = call->out.fd};
	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0;
}

const char *mq_fill(struct queue *q)
{
	struct info in;
	char *text = NULL;
	if (q->be->info(q, &in) == 0 && in.counted)
		text = in.depth > 0
			? call_fmt(q->call, "%llu of %llu messages",
				  (unsigned long long)in.messages, (unsigned long long)in.depth)
			: call_fmt(q->call, "%llu of %llu bytes", (unsigned long long)in.bytes,
				  (unsigned long long)in.capacity);
	return text != NULL ? text : "no room";
}

const char *mq_before(struct call *call, uint64_t n, const char *done)
{
	char *text = n > 0 ? call_fmt(call, "; %llu %s before", (unsigned long long)n, done) : NULL;
	return text != NULL ? text : "";
}

static int run_create(struct call *call)
{
	struct wanted want;
	int status = wanted(call, &want);
	if (status != 0)
		return status;
	struct queue *q = mq_queue(call, call->args[0].str, &status);
	if (q == NULL)
		return status;
	status = q->be->create(q, &want);
	if (status == 0 && q->obj.kind == OBJECT_SYSV && q->obj.sysv == SYSV_PRIVATE)
		out_fmt(&call->out, "sysv:id=%d\n", q->id);
	return status;
}

static int run_wait(struct call *call)
{
	int status;
	struct queue *q = mq_open_queue(call, MQ_READ, &status);
	if (q == NULL || (status = mq_choose(q)) != 0 || (status = call_ready(call)) != 0)
		return status;
	if (q->be->wait(q, call_deadline(call)) == 0)
		return ST_OK;
	if (errno == ENOSYS || errno == EMSGSIZE)
		return mq_not_shown(q, errno);
	return call_waited(call, errno, "%s: wait for a message", q->name);
}

static int remove_one(struct call *call, const char *word)
{
	int status = 0;
	struct queue *q = mq_queue(call, word, &status);
	if (q == NULL)
		return status;
	status = q->be->remove(q);
	call_keep(call, undo_queue, q, 0); /* there may be more of them than undo slots */
	free(q->buf);
	return status;
}

static int run_rm(struct call *call)
{
	return call_each(call, remove_one);
}
