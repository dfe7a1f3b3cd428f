/* ipc-barrier wait: take a slot, then sleep until the generation has ended. */
#include "barrier.h"

#include "proc.h"
#include "spawn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who came last time and is not here: the best that can be said of who is missing. Appended to TEXT. */
static void name_missing(struct barrier *b, uint32_t gen, uint32_t here, char *text, size_t size)
{
	size_t len = strlen(text);
	unsigned named = 0;
	for (uint32_t i = 0; gen > 0 && i < b->parties && named < 4; i++) {
		struct party *p = barrier_party(b, gen - 1, i);
		bool came = p->owner == 0;
		for (uint32_t k = 0; k < here && !came; k++) {
			const struct party *q = barrier_party(b, gen, k);
			came = q->owner == p->owner && q->start == p->start;
		}
		if (came || !proc_alive((struct proc_id){p->owner, p->start}))
			continue;
		int n = snprintf(text + len, size - len, "%s%d %.*s",
			named++ == 0 ? "; last time there was also " : ", ", p->owner,
			(int)sizeof p->command, p->command);
		len += (size_t)n; /* four such fit */
	}
}

/* Break the generation GEN, unless it has ended meanwhile. WHY gets who is here and who is not. 1 when
 * it was us that broke it, 0 when it had ended, else -1 and *STATUS. */
static int break_it(
	struct call *call, struct mapped *m, uint32_t gen, char *why, size_t size, int *status)
{
	struct barrier *b = barrier_of(m);
	if (mapped_lock(call, m, DEADLINE_NONE, status) < 0)
		return -1;
	if (b->gen != gen) {
		shared_unlock(&m->shared);
		return 0;
	}
	uint32_t here = b->arrived <= b->parties ? b->arrived : 0;
	int64_t dead = barrier_dead(b);
	if (dead >= 0) {
		const struct party *p = barrier_party(b, gen, (uint32_t)dead);
		snprintf(why, size, "party %d (%.*s) died", p->owner, (int)sizeof p->command,
			p->command);
	} else {
		snprintf(why, size, "%u of %u came", here, b->parties);
		name_missing(b, gen, here, why, size);
	}
	barrier_end(m, true);
	return 1;
}

/* Sleep until generation GEN has ended or a party has died. 0 ended; -1 with errno EOWNERDEAD or as
 * futex_wait. SLOT is ours. */
static int sleep_out(
	struct call *call, struct mapped *m, uint32_t gen, uint32_t slot, int64_t deadline)
{
	struct barrier *b = barrier_of(m);
	for (;;) {
		uint32_t arrived = __atomic_load_n(&b->arrived, __ATOMIC_ACQUIRE);
		uint32_t last = arrived > 0 && arrived <= b->parties ? arrived - 1 : 0;
		const uint32_t *word = &barrier_party(b, gen, slot > 0 ? slot - 1 : last)->word;
		uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->gen, __ATOMIC_ACQUIRE) != gen || !shared_intact(&m->shared))
			return 0;
		if (futex_dead(value)) {
			errno = EOWNERDEAD;
			return -1;
		}
		int64_t look = wait_now() + NS_PER_S;
		if (futex_wait(word, value, look < deadline ? look : deadline, &call->stop) == 0)
			continue;
		if (errno != ETIMEDOUT || (deadline != DEADLINE_NONE && wait_now() >= deadline))
			return -1;
	}
}

/* Take the next slot. Under the lock. */
static uint32_t arrive(const struct call *call, struct mapped *m)
{
	struct barrier *b = barrier_of(m);
	uint32_t slot = b->arrived;
	struct party *p = barrier_party(b, b->gen, slot);
	memset(p->command, 0, sizeof p->command);
	p->pid = getpid();
	/* The shell, be it around us or our parent. */
	p->owner = call->host != NULL && !call->ends ? getpid() : getppid();
	p->start = proc_start(p->owner);
	proc_command(p->owner, p->command, sizeof p->command);
	futex_hold(&m->shared.robust, &p->word);
	__atomic_store_n(&b->arrived, slot + 1, __ATOMIC_RELEASE);
	return slot;
}

static int ended(struct call *call, struct mapped *m, uint32_t gen)
{
	struct barrier *b = barrier_of(m);
	if (!shared_intact(&m->shared))
		return ST_DATA; /* mapped_done says so */
	if (!barrier_was_broken(b, gen))
		return ST_OK;
	return call_fail(call, ST_BROKEN, 0,
		"%s: broken: another party timed out, died, failed or broke it", m->obj.text);
}

/* The last one to come, which has CMD to run first. Under the lock, which is not held while it says --ready-fd and
 * runs CMD. */
static int lead(struct call *call, struct mapped *m, uint32_t gen)
{
	struct barrier *b = barrier_of(m);
	char object[4200];
	const char *env[] = {object, NULL};
	snprintf(object, sizeof object, "IPC_OBJECT=%s", m->obj.text);
	b->leading = 1;
	shared_unlock(&m->shared);
	/* Should we be killed, the others are told 76: then CMD must not go on behind their backs. */
	struct spawn s = {.argv = call->command, .env = env, .flags = SPAWN_DIE};
	int status = call_ready(call), locked;
	if (status == 0)
		status = spawn_run(call, &s);
	if (mapped_lock(call, m, DEADLINE_NONE, &locked) < 0)
		return locked;
	if (b->gen != gen) { /* broken meanwhile */
		shared_unlock(&m->shared);
		return ended(call, m, gen);
	}
	barrier_end(m, status != 0);
	return status;
}

/* The wait did not end well: break the generation for all, unless it has ended in the meantime. */
static int gave_up(struct call *call, struct mapped *m, uint32_t gen, int err)
{
	char why[512];
	int status = 0;
	if (!shared_intact(&m->shared)) /* nothing there to be broken */
		return ended(call, m, gen);
	int broke = break_it(call, m, gen, why, sizeof why, &status);
	if (broke < 0)
		return status;
	if (broke == 0)
		return ended(call, m, gen);
	if (err == EOWNERDEAD)
		return call_fail(call, ST_BROKEN, 0, "%s: broken: %s", m->obj.text, why);
	return call_waited(call, err, "wait at %s (%s)", m->obj.text, why);
}

/* Not the last one to come: says --ready-fd and sleeps. Under the lock, which is given back before. */
static int follow(
	struct call *call, struct mapped *m, uint32_t gen, uint32_t slot, int64_t deadline)
{
	struct barrier *b = barrier_of(m);
	char why[512];
	int locked;
	shared_unlock(&m->shared);
	mapped_waits(m);
	/* The first party watches the last one: tell it that there is a new last one. */
	if (slot > 0)
		futex_wake(&barrier_party(b, gen, slot - 1)->word, 1);
	int status = call_ready(call);
	if (status != 0) {
		(void)break_it(call, m, gen, why, sizeof why, &locked);
		return status;
	}
	return sleep_out(call, m, gen, slot, deadline) < 0 ? gave_up(call, m, gen, errno)
							   : ended(call, m, gen);
}

static int run(struct call *call, struct mapped *m, int64_t deadline)
{
	struct barrier *b = barrier_of(m);
	if (barrier_dead(b) >= 0) { /* one died before anybody slept on its word */
		barrier_end(m, true);
		int status;
		if (mapped_lock(call, m, DEADLINE_NONE, &status) < 0)
			return status;
	}
	if (b->arrived ==
		b->parties) { /* full, the leader still at work: the next generation is ours */
		uint32_t gen = b->gen;
		shared_unlock(&m->shared);
		if (sleep_out(call, m, gen, 0, deadline) < 0 && errno != EOWNERDEAD)
			return call_waited(call, errno, "wait at %s", m->obj.text);
		return -1;
	}
	if (deadline == DEADLINE_NOW && b->arrived + 1 < b->parties) {
		uint32_t here = b->arrived;
		shared_unlock(&m->shared);
		return call_waited(
			call, EAGAIN, "wait at %s (%u of %u came)", m->obj.text, here, b->parties);
	}
	uint32_t gen = b->gen, slot = arrive(call, m);
	int status;
	if (slot + 1 < b->parties) {
		status = follow(call, m, gen, slot, deadline);
	} else if (call->command != NULL) {
		status = lead(call, m, gen);
	} else { /* all have come: that nobody can undo, whatever becomes of us */
		barrier_end(m, false);
		status = call_ready(call);
	}
	futex_release(&m->shared.robust, &barrier_party(b, gen, slot)->word);
	return mapped_done(call, m, status);
}

int barrier_wait(struct call *call)
{
	struct mapped *m;
	int64_t deadline = call_deadline(call);
	int64_t parties = call->std[STD_COUNT].num;
	if (call->std[STD_COUNT].count == 0)
		return call_fail(call, ST_USAGE, 0, "-c N is missing: how many parties");
	if (parties > BARRIER_MAX)
		return call_fail(call, ST_USAGE, 0, "-c %lld: more than %d parties",
			(long long)parties, BARRIER_MAX);
	for (;;) {
		int status = barrier_open(call, &m, call->args[0].str, (uint32_t)parties);
		if (status != 0)
			return status;
		status = run(call, m, deadline);
		if (status >= 0)
			return status;
		mapped_close(call, m);
	}
}
