/* ipc-barrier: N processes wait for each other, again and again.
 *
 * The last to come is the leader: it runs its CMD, if it has one, while the others still wait, and then
 * all go on. A party that dies while it waits, times out, or whose CMD fails as leader breaks the
 * generation for all that wait in it, with 76; those that come later make a new one.
 *
 * What surprises: nobody watches all the others. Each party's word in the file is known to the kernel
 * as its robust futex, and each party sleeps on the word of the one that came before it (the first on
 * the word of the last): so the kernel itself wakes somebody when a party dies, SIGKILL included.
 * Should a process be killed in the middle of waking others, they find out within a second.
 */
#include "barrier.h"

#include "args.h"
#include "proc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const struct operand one_barrier[] = {
	{.name = "BARRIER", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "a bare word or a file"},
	{0}};
static const struct operand barriers[] = {
	{.name = "BARRIER", .arg = ARG_OBJECT, .min = 1, .help = "bare words or files"}, {0}};

static int run_stat(struct call *call);
static int run_break(struct call *call);
static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "wait",
		.summary = "wait until N have come; the last runs CMD before all go on",
		.operands = one_barrier,
		.std = STD_WAIT | STD(COUNT) | STD(MODE) | STD(READY_FD),
		.flags = VERB_INPROC |
			VERB_COMMAND, /* in-process without CMD: sleeps in lib/futex */
		.example = "ipc-barrier wait -c 3 -w 60 built -- make install",
		.example_says = "the third to come installs, then all three go on",
		.run = barrier_wait},
	{.name = "stat",
		.summary = "show who waits",
		.operands = one_barrier,
		.std = STD(JSON),
		.flags = VERB_INPROC, /* reads */
		.run = run_stat},
	{.name = "break",
		.summary = "send those that wait away with 76",
		.operands = one_barrier,
		.flags = VERB_INPROC, /* one short lock */
		.run = run_break},
	{.name = "rm",
		.summary = "remove barriers, breaking those that are waited at",
		.operands = barriers,
		.flags = VERB_INPROC, /* one short lock each */
		.run = run_rm},
};

const struct applet ipc_barrier = {.name = "ipc-barrier",
	.summary = "barriers: N processes go on together, or break together",
	.kind = "barrier",
	VERBS(verbs)};

static size_t size_for(uint32_t parties)
{
	return sizeof(struct barrier_file) + 2 * (size_t)parties * sizeof(struct party);
}

static void init(void *base, size_t size, void *arg)
{
	struct barrier_file *b = base;
	(void)size;
	b->parties = *(const uint32_t *)arg;
}

static const struct mapped_type type = {.kind = "barrier",
	.file = {.magic = "ipcbarr", .version = 1, .min = sizeof(struct barrier_file)},
	.init = init};

static int damaged(struct call *call, const struct barrier *b)
{
	return call_fail(call, ST_DATA, 0, "%s: damaged", b->m->obj.text);
}

/* Copy how many parties there are, and check it. PARTIES, if not 0, is what the caller wants. */
static int check(struct call *call, struct barrier *b, uint32_t parties)
{
	uint32_t have = b->parties = __atomic_load_n(&b->f->parties, __ATOMIC_RELAXED);
	if (have < 1 || have > BARRIER_MAX || b->m->shared.size < size_for(have) ||
		!barrier_intact(b))
		return damaged(call, b);
	if (parties != 0 && parties != have)
		return call_fail(call, ST_DATA, 0,
			"%s: is for %u parties, not %u (ipc-barrier rm frees the name)",
			b->m->obj.text, have, parties);
	return 0;
}

int barrier_open(struct call *call, struct barrier *b, const char *word, uint32_t parties)
{
	for (;;) {
		int status = mapped_open(call, &b->m, word, &type, parties > 0 ? SHARED_CREATE : 0,
			size_for(parties), &parties);
		struct mapped *m = b->m;
		if (status != 0 || mapped_lock(call, m, call_deadline(call), &status) < 0)
			return status;
		b->f = (struct barrier_file *)(void *)m->shared.base;
		status = check(call, b, parties);
		bool gone = b->f->gone != 0;
		if (status == 0 && gone && shared_current(&m->shared, m->at.dirfd, m->at.rel))
			status = damaged(call, b); /* it loses its name first */
		if (m->shared.rebooted) /* those that waited went down with the machine */
			b->f->arrived = b->f->leading = 0;
		if (status == 0 && !gone)
			return 0;
		shared_unlock(&m->shared);
		if (status != 0)
			return status;
		mapped_close(call, m);
		if (parties == 0)
			return call_fail(call, ST_NOOBJ, 0, "%s: no such barrier", word);
	}
}

int barrier_lock(struct call *call, struct barrier *b)
{
	int status;
	if (mapped_lock(call, b->m, mapped_last(call), &status) < 0)
		return status;
	if (barrier_intact(b))
		return 0;
	shared_unlock(&b->m->shared);
	return damaged(call, b);
}

bool barrier_was_broken(const struct barrier *b, uint32_t gen)
{
	uint64_t outcome = __atomic_load_n(&b->f->outcome[gen / 64 % 16], __ATOMIC_RELAXED);
	return (outcome >> (gen % 64) & 1) != 0;
}

int64_t barrier_dead(const struct barrier *b)
{
	uint32_t n = barrier_arrived(b), gen = b->f->gen;
	for (uint32_t i = 0; i < n; i++)
		if (futex_dead(__atomic_load_n(&barrier_party(b, gen, i)->word, __ATOMIC_ACQUIRE)))
			return i;
	return -1;
}

void barrier_end(struct barrier *b, bool broken)
{
	struct barrier_file *f = b->f;
	uint32_t gen = __atomic_load_n(&f->gen, __ATOMIC_RELAXED), n = barrier_arrived(b);
	uint64_t bit = UINT64_C(1) << (gen % 64);
	atomic_u64 *outcome = &f->outcome[gen / 64 % 16];
	/* Parties of this and earlier generations look at these two without the lock. */
	__atomic_store_n(outcome, broken ? *outcome | bit : *outcome & ~bit, __ATOMIC_RELAXED);
	__atomic_store_n(&f->arrived, 0, __ATOMIC_RELAXED);
	f->broken += broken;
	f->leading = 0;
	/* From here on the generation has ended, whatever happens to us. */
	__atomic_store_n(&f->gen, gen + 1, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < n; i++)
		__atomic_store_n(&barrier_party(b, gen, i)->word, 0, __ATOMIC_RELEASE);
	shared_unlock(&b->m->shared);
	for (uint32_t i = 0; i < n; i++)
		futex_wake(&barrier_party(b, gen, i)->word, INT_MAX);
}

/* What stat shows, copied under the lock. */
struct view {
	uint32_t parties, arrived, gen, leading, broken;
	struct party *party;
};

static void stat_json(struct call *call, const char *name, const struct view *b)
{
	const struct party *party = b->party;
	struct json j;
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "object", name);
	json_uint(&j, "parties", b->parties);
	json_uint(&j, "arrived", b->arrived);
	json_uint(&j, "generation", b->gen);
	json_uint(&j, "broken", b->broken);
	json_bool(&j, "leading", b->leading != 0);
	json_open(&j, "waiters", '[');
	for (uint32_t i = 0; i < b->arrived; i++) {
		json_open(&j, NULL, '{');
		json_int(&j, "pid", party[i].owner);
		json_int(&j, "waiter", party[i].pid);
		json_bytes(&j, "command", party[i].command,
			strnlen(party[i].command, sizeof party[i].command));
		json_bool(&j, "dead", futex_dead(party[i].word));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

static void stat_table(struct call *call, const struct view *b)
{
	const struct party *party = b->party;
	struct table t;
	out_fmt(&call->out, "parties %u\narrived %u\ngeneration %u\nbroken %u\n", b->parties,
		b->arrived, b->gen, b->broken);
	if (b->arrived == 0)
		return;
	table_start(&t, 2, 1);
	table_cell(&t, "PID");
	table_cell(&t, "PARTY");
	for (uint32_t i = 0; i < b->arrived; i++) {
		table_fmt(&t, "%d%s", party[i].owner, futex_dead(party[i].word) ? " (dead)" : "");
		table_fmt(&t, "%.*s", (int)sizeof party[i].command, party[i].command);
	}
	(void)table_end(&t, &call->out);
}

/* Copy what stat shows, without the lock, until it has not changed meanwhile. */
FUTEX_UNLOCKED_LOOK static bool copy_view(struct barrier *b, struct view *v)
{
	for (unsigned tries = 0; tries < 10000; tries++) {
		v->arrived = barrier_arrived(b);
		v->gen = __atomic_load_n(&b->f->gen, __ATOMIC_ACQUIRE);
		v->leading = b->f->leading;
		v->broken = b->f->broken;
		const volatile struct party *from = barrier_party(b, v->gen, 0);
		for (uint32_t i = 0; i < v->arrived; i++)
			v->party[i] = from[i];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->f->gen, __ATOMIC_RELAXED) == v->gen &&
			barrier_arrived(b) == v->arrived && barrier_intact(b))
			return true;
	}
	return false;
}

static int run_stat(struct call *call)
{
	struct barrier b;
	int status = mapped_open(call, &b.m, call->args[0].str, &type, SHARED_RDONLY, 0, NULL);
	if (status != 0)
		return status;
	b.f = (struct barrier_file *)(void *)b.m->shared.base;
	status = check(call, &b, 0);
	if (status == 0 && b.f->gone != 0)
		status = call_fail(call, ST_NOOBJ, 0, "%s: no such barrier", b.m->obj.text);
	if (status != 0)
		return status;
	struct view v = {
		.parties = b.parties, .party = call_alloc(call, b.parties * sizeof(struct party))};
	if (v.party == NULL)
		return call_error(call, ENOMEM, "stat %s", b.m->obj.text);
	if (!copy_view(&b, &v))
		return damaged(call, &b);
	if (call->std[STD_JSON].count > 0)
		stat_json(call, b.m->obj.text, &v);
	else
		stat_table(call, &v);
	return mapped_done(call, b.m, ST_OK);
}

static int run_break(struct call *call)
{
	struct barrier b;
	int status = barrier_open(call, &b, call->args[0].str, 0);
	if (status != 0)
		return status;
	if (b.f->arrived > 0)
		barrier_end(&b, true);
	else
		shared_unlock(&b.m->shared);
	return mapped_done(call, b.m, ST_OK);
}

static int remove_one(struct call *call, const char *word)
{
	struct barrier b;
	int status = barrier_open(call, &b, word, 0);
	if (status != 0)
		return status;
	status = mapped_unlink(call, b.m);
	if (status == 0)
		b.f->gone = 1;
	if (status == 0 && b.f->arrived > 0)
		barrier_end(&b, true);
	else
		shared_unlock(&b.m->shared);
	mapped_close(call, b.m);
	return status;
}

static int run_rm(struct call *call)
{
	return call_each(call, remove_one);
}
