/* ipc-barrier wait: take a slot, then sleep until the generation has ended. */
#include "barrier.h"

#include "command.h"
#include "proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who came last time and is not here: the best that can be said of who is missing. Appended to TEXT. */
static void name_missing(
	const struct barrier *b, uint32_t gen, uint32_t here, char *text, size_t size)
{
	size_t len = strlen(text);
	unsigned named = 0;
	for (uint32_t i = 0; gen > 0 && i < b->parties && named < 4; i++) {
		const struct party p = *barrier_party(b, gen - 1, i);
		bool came = p.owner <= 0;
		for (uint32_t k = 0; k < here && !came; k++) {
			const struct party *q = barrier_party(b, gen, k);
			came = q->owner == p.owner && q->start == p.start;
		}
		if (came || proc_life((struct proc_id){p.owner, p.start}) != PROC_ALIVE)
			continue;
		int n = snprintf(text + len, size - len, "%s%d %.*s",
			named++ == 0 ? "; last time there was also " : ", ", p.owner,
			(int)sizeof p.command, p.command);
		len += (size_t)n; /* four such fit */
	}
}

/* Break the generation GEN, unless it has ended meanwhile. WHY gets who is here and who is not. 1 when
 * it was us that broke it, 0 when it had ended, else -1 and *STATUS. */
static int break_it(
	struct call *call, struct barrier *b, uint32_t gen, char *why, size_t size, int *status)
{
	*status = barrier_lock(call, b);
	if (*status != 0)
		return -1;
	if (b->f->gen != gen) {
		shared_unlock(&b->m->shared);
		return 0;
	}
	uint32_t here = barrier_arrived(b);
	int64_t dead = barrier_dead(b);
	if (dead >= 0) {
		const struct party p = *barrier_party(b, gen, (uint32_t)dead);
		snprintf(why, size, "party %d (%.*s) died", p.owner, (int)sizeof p.command,
			p.command);
	} else {
		snprintf(why, size, "%u of %u came", here, b->parties);
		name_missing(b, gen, here, why, size);
	}
	barrier_end(b, true);
	return 1;
}

/* Sleep until generation GEN has ended or a party has died. 0 ended; -1 with errno EOWNERDEAD,
 * EBADMSG (the file's numbers have changed), or as futex_wait. SLOT is ours. */
static int sleep_out(
	struct call *call, const struct barrier *b, uint32_t gen, uint32_t slot, int64_t deadline)
{
	for (;;) {
		uint32_t arrived = barrier_arrived(b);
		uint32_t last = arrived > 0 ? arrived - 1 : 0;
		const uint32_t *word = &barrier_party(b, gen, slot > 0 ? slot - 1 : last)->word;
		uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->f->gen, __ATOMIC_ACQUIRE) != gen ||
			!shared_intact(&b->m->shared))
			return 0;
		if (!barrier_intact(b)) {
			errno = EBADMSG;
			return -1;
		}
		int64_t now = wait_now(), look = now + NS_PER_S;
		if (deadline != DEADLINE_NOW && now >= deadline) { /* though words change */
			errno = ETIMEDOUT;
			return -1;
		}
		if (futex_dead(value)) {
			errno = EOWNERDEAD;
			return -1;
		}
		if (futex_wait(word, value, look < deadline ? look : deadline, &call->stop) == 0)
			continue;
		if (errno != ETIMEDOUT)
			return -1;
	}
}

/* Take SLOT, the next one. Under the lock. */
static void arrive(const struct call *call, struct barrier *b, uint32_t gen, uint32_t slot)
{
	struct party *p = barrier_party(b, gen, slot);
	/* The shell, be it around us or our parent. */
	pid_t owner = call->host != NULL && !call->ends ? getpid() : getppid();
	memset(p->command, 0, sizeof p->command);
	p->pid = getpid();
	p->owner = owner;
	p->start = proc_start(owner);
	proc_command(owner, p->command, sizeof p->command);
	futex_hold(&b->m->shared.robust, &p->word);
	__atomic_store_n(&b->f->arrived, slot + 1, __ATOMIC_RELEASE);
}

static int ended(struct call *call, const struct barrier *b, uint32_t gen)
{
	if (!shared_intact(&b->m->shared))
		return ST_DATA; /* mapped_done says so */
	if (!barrier_was_broken(b, gen))
		return ST_OK;
	return call_fail(call, ST_BROKEN, 0,
		"%s: broken: another party timed out, died, failed or broke it", b->m->obj.text);
}

/* The last one to come, which has CMD to run first. Under the lock, which is not held while it says --ready-fd and
 * runs CMD. */
static int lead(struct call *call, struct barrier *b, uint32_t gen)
{
	char object[4200];
	const char *env[] = {object, NULL};
	snprintf(object, sizeof object, "IPC_OBJECT=%s", b->m->obj.text);
	b->f->leading = 1;
	shared_unlock(&b->m->shared);
	/* Should we be killed, the others are told 76: then CMD must not go on behind their backs. */
	struct command cmd = {.spawn = {.argv = call->command, .env = env, .flags = SPAWN_DIE}};
	int status = call_ready(call), locked;
	if (status == 0)
		status = command_run(call, &cmd);
	locked = barrier_lock(call, b);
	if (locked != 0)
		return locked;
	if (b->f->gen != gen) { /* broken meanwhile */
		shared_unlock(&b->m->shared);
		return ended(call, b, gen);
	}
	barrier_end(b, status != 0);
	return status;
}

/* The wait did not end well: break the generation for all, unless it has ended in the meantime. */
static int gave_up(struct call *call, struct barrier *b, uint32_t gen, int err)
{
	char why[512];
	int status = 0;
	if (!shared_intact(&b->m->shared)) /* nothing there to be broken */
		return ended(call, b, gen);
	int broke = break_it(call, b, gen, why, sizeof why, &status);
	if (broke < 0)
		return status;
	if (broke == 0)
		return ended(call, b, gen);
	if (err == EOWNERDEAD)
		return call_fail(call, ST_BROKEN, 0, "%s: broken: %s", b->m->obj.text, why);
	return call_waited(call, err, "wait at %s (%s)", b->m->obj.text, why);
}

/* Not the last one to come: says --ready-fd and sleeps. Under the lock, which is given back before. */
static int follow(
	struct call *call, struct barrier *b, uint32_t gen, uint32_t slot, int64_t deadline)
{
	char why[512];
	int locked;
	shared_unlock(&b->m->shared);
	mapped_waits(b->m);
	/* The first party watches the last one: tell it that there is a new last one. */
	if (slot > 0)
		futex_wake(&barrier_party(b, gen, slot - 1)->word, 1);
	int status = call_ready(call);
	if (status != 0) {
		(void)break_it(call, b, gen, why, sizeof why, &locked);
		return status;
	}
	call_waits(call, "waiting at %s: %u of %u came", b->m->obj.text, slot + 1, b->parties);
	return sleep_out(call, b, gen, slot, deadline) < 0 ? gave_up(call, b, gen, errno)
							   : ended(call, b, gen);
}

/* All slots are taken, and the leader is still at work: the next generation is ours. -1, or a
 * status. */
static int await_next(struct call *call, struct barrier *b, uint32_t gen, int64_t deadline)
{
	shared_unlock(&b->m->shared);
	if (sleep_out(call, b, gen, 0, deadline) < 0 && errno != EOWNERDEAD && errno != EBADMSG)
		return call_waited(call, errno, "wait at %s", b->m->obj.text);
	return -1;
}

static int run(struct call *call, struct barrier *b, int64_t deadline)
{
	int status;
	if (barrier_dead(b) >= 0) { /* one died before anybody slept on its word */
		barrier_end(b, true);
		if ((status = barrier_lock(call, b)) != 0)
			return status;
	}
	uint32_t gen = b->f->gen, slot = barrier_arrived(b);
	if (slot == b->parties)
		return await_next(call, b, gen, deadline);
	if (deadline == DEADLINE_NOW && slot + 1 < b->parties) {
		shared_unlock(&b->m->shared);
		return call_waited(call, EAGAIN, "wait at %s (%u of %u came)", b->m->obj.text, slot,
			b->parties);
	}
	arrive(call, b, gen, slot);
	if (slot + 1 < b->parties) {
		status = follow(call, b, gen, slot, deadline);
	} else if (call->command != NULL) {
		status = lead(call, b, gen);
	} else { /* all have come: that nobody can undo, whatever becomes of us */
		barrier_end(b, false);
		status = call_ready(call);
	}
	futex_release(&b->m->shared.robust, &barrier_party(b, gen, slot)->word);
	return mapped_done(call, b->m, status);
}

int barrier_wait(struct call *call)
{
	struct barrier b;
	int64_t deadline = call_deadline(call);
	int64_t parties = call->std[STD_COUNT].num;
	if (call->std[STD_COUNT].count == 0)
		return call_fail(call, ST_USAGE, 0, "-c N is missing: how many parties");
	if (parties > BARRIER_MAX)
		return call_fail(call, ST_USAGE, 0, "-c %lld: more than %d parties",
			(long long)parties, BARRIER_MAX);
	for (;;) {
		int status = barrier_open(call, &b, call->args[0].str, (uint32_t)parties);
		if (status != 0)
			return status;
		status = run(call, &b, deadline);
		if (status >= 0)
			return status;
		mapped_close(call, b.m);
	}
}
