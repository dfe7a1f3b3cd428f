/* ipc-ring: a bounded buffer of records in mapped memory, for processes that know only its name.
 *
 * Any number of writers and readers; records are whole and in order; writers wait when it is full,
 * readers when it is empty. A process killed anywhere in it leaves it usable: all that changes stands
 * in one of two copies, and one store says which of them is valid.
 *
 * What surprises: no repair is ever needed, so there is no code for it. A reader takes what is there
 * (up to 64 KiB, or --batch) in one go and then writes it out; what it had taken when SIGKILL met it is
 * lost with it. Work that must survive its reader belongs in ipc-spool.
 */
#include "ring.h"

#include "args.h"

#include <errno.h>
#include <limits.h>

static const char *const full_words[] = {
	[FULL_BLOCK] = "block", [FULL_FAIL] = "fail", [FULL_DROP] = "drop-oldest", NULL};

#define OPT_SIZE(text)                                                              \
	{                                                                           \
		.letter = 'S', .name = "size", .arg = ARG_SIZE, .metavar = "BYTES", \
		.min = RING_MIN, .max = RING_MAX, .help = (text)                    \
	}
#define OPT_CREATE                                                                       \
	{                                                                                \
		.name = "create", .help = "make the ring if it is missing (-S, else 1M)" \
	}

static const struct opt create_opts[] = {
	[CREATE_EXCL] = {.letter = 'x', .name = "exclusive", .help = "it must not exist yet: 73"},
	[CREATE_SIZE] = OPT_SIZE("room for records, each with 4 to 11 bytes more"),
};
static const struct opt put_opts[] = {
	[PUT_FULL] = {.name = "full",
		.arg = ARG_CHOICE,
		.metavar = "WHAT",
		.choices = full_words,
		.help = "when full: block (default), fail (75), drop-oldest"},
	[PUT_CREATE] = OPT_CREATE,
	[PUT_SIZE] = OPT_SIZE("its size, if it is made"),
};
static const struct opt get_opts[] = {
	[GET_BATCH] = {.name = "batch",
		.arg = ARG_UINT,
		.metavar = "N",
		.min = 1,
		.max = INT64_MAX,
		.help = "take at most N records at a time (default: 64 KiB of them)"},
	[GET_CREATE] = OPT_CREATE,
	[GET_SIZE] = OPT_SIZE("its size, if it is made"),
	[GET_OLD] = {.name = "old", .help = "print what is in a ring of an earlier boot"},
};

static const struct operand one_ring[] = {
	{.name = "RING", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "a bare word or a file"},
	{0}};
static const struct operand rings[] = {
	{.name = "RING", .arg = ARG_OBJECT, .min = 1, .help = "bare words or files"}, {0}};
static const struct operand put_operands[] = {
	{.name = "RING", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "a bare word or a file"},
	{.name = "RECORD", .arg = ARG_STR, .help = "without any: records from stdin, one a line"},
	{0}};

static int run_create(struct call *call);
static int run_close(struct call *call);
static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "create",
		.summary = "make a ring",
		OPTS(create_opts),
		.operands = one_ring,
		.std = STD(MODE),
		.flags = VERB_INPROC, /* short */
		.example = "ipc-ring create -S 1M log; seq 9 | ipc-ring put log",
		.example_says = "`ipc-ring get -f log` prints them, until `ipc-ring close log`",
		.run = run_create},
	{.name = "put",
		.summary = "put records into the ring; wait while it is full",
		OPTS(put_opts),
		.operands = put_operands,
		.std = STD_WAIT | STD_FRAME | STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT, /* sleeps in lib/futex */
		.run = ring_put},
	{.name = "get",
		.summary =
			"take records out of the ring, one or -c N or all; wait while it is empty",
		OPTS(get_opts),
		.operands = one_ring,
		.std = STD_WAIT | STD_FRAME | STD(COUNT) | STD(FOLLOW) | STD(MODE) | STD(READY_FD),
		.flags = VERB_INPROC | VERB_GRACEFUL | VERB_COMMAND, /* sleeps in lib/futex */
		.run = ring_get},
	{.name = "close",
		.summary = "no more puts; readers end when it is empty",
		.operands = one_ring,
		.flags = VERB_INPROC, /* one short lock */
		.run = run_close},
	{.name = "stat",
		.summary = "show size, use, counters and who has it open",
		.operands = one_ring,
		.std = STD(JSON),
		.flags = VERB_INPROC, /* reads */
		.run = ring_stat},
	{.name = "rm",
		.summary = "remove rings; who waits at one ends with 66",
		.operands = rings,
		.flags = VERB_INPROC, /* one short lock each */
		.run = run_rm},
};

const struct applet ipc_ring = {.name = "ipc-ring",
	.summary = "bounded buffers of records in mapped memory, many writers and readers",
	.kind = "ring",
	VERBS(verbs)};

static int run_create(struct call *call)
{
	struct ring r;
	bool excl = call->opt[CREATE_EXCL].count > 0;
	uint64_t size = (uint64_t)call->opt[CREATE_SIZE].num;
	if (call->opt[CREATE_SIZE].count == 0)
		return call_fail(call, ST_USAGE, 0, "-S BYTES is missing: how large a ring");
	int status = ring_open(
		call, &r, call->args[0].str, SHARED_CREATE | (excl ? SHARED_EXCL : 0), size);
	if (status != 0 || r.m->shared.created || r.cap == ((size + 7) & ~UINT64_C(7)))
		return status;
	return call_fail(call, ST_EXISTS, 0, "%s: exists with %llu bytes, not %llu", r.m->obj.text,
		(unsigned long long)r.cap, (unsigned long long)size);
}

/* Wake all that wait: there is something new to know. */
static void wake_all(struct ring *r)
{
	__atomic_add_fetch(&r->f->data_bell, 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(&r->f->space_bell, 1, __ATOMIC_RELEASE);
	futex_wake(&r->f->data_bell, INT_MAX);
	futex_wake(&r->f->space_bell, INT_MAX);
}

static int run_close(struct call *call)
{
	struct ring r;
	int status = ring_open(call, &r, call->args[0].str, 0, 0);
	if (status == 0)
		status = ring_lock(call, &r, DEADLINE_NONE);
	if (status != 0)
		return status;
	__atomic_store_n(&r.f->closed, 1, __ATOMIC_RELEASE);
	ring_unlock(&r);
	wake_all(&r);
	return mapped_done(call, r.m, ST_OK);
}

static int remove_one(struct call *call, const char *word)
{
	struct ring r;
	int status = ring_open(call, &r, word, RING_OLD, 0);
	/* Nobody waits at one of an earlier boot, and nobody gives its lock back. */
	if (status == 0 && r.m->shared.rebooted) {
		status = mapped_unlink(call, r.m);
		mapped_close(call, r.m);
		return status;
	}
	if (status == 0)
		status = ring_lock(call, &r, DEADLINE_NONE);
	if (status != 0)
		return status;
	status = mapped_unlink(call, r.m);
	if (status == 0)
		__atomic_store_n(&r.f->gone, 1, __ATOMIC_RELAXED);
	ring_unlock(&r);
	wake_all(&r);
	mapped_close(call, r.m);
	return status;
}

static int run_rm(struct call *call)
{
	return call_each(call, remove_one);
}
