/* ipc-event: wait until something has happened; nothing that happened is missed.
 *
 * An event is set or clear and counts its sets and pulses in a sequence number. A manual event stays
 * set until it is cleared and lets every waiter pass; an --auto event lets one waiter pass for each
 * set, which the waiter takes away as it goes. A pulse wakes those that wait now and leaves the state.
 *
 * What surprises: the kind is fixed by the first set, pulse or clear, so a waiter may come first and
 * need not know it. A waiter that began before a set passes even if the event was cleared again
 * meanwhile: it waits for the sequence number to move, not for a state it might sleep through. A
 * waiter takes an automatic set itself, under the lock, so one that is killed takes none with it.
 * Should a setter be killed between its store and its wake-up, waiters find out within a second.
 */
#include "event.h"

#include "args.h"
#include "crc32c.h"
#include "proc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const struct opt set_opts[] = {
	[SET_AUTO] = {.letter = 'a',
		.name = "auto",
		.help = "an event that lets one waiter pass per set"},
};

static const struct opt wait_opts[] = {
	[WAIT_AUTO] = {.letter = 'a',
		.name = "auto",
		.help = "make it an automatic event, if it is new"},
	[WAIT_SINCE] = {.name = "since",
		.arg = ARG_UINT,
		.metavar = "N",
		.max = INT64_MAX,
		.help = "until the sequence number is beyond N; print it"},
	[WAIT_LOCK] = {.name = "lock",
		.arg = ARG_OBJECT,
		.metavar = "OBJECT",
		.help = "run CMD holding this lock, wait without it"},
};

static const char *const stat_columns[] = {
	[COLUMN_SEQ] = "seq", [COLUMN_STATE] = "state", [COLUMN_KIND] = "kind", NULL};
static const struct opt stat_opts[] = {
	[STAT_COLUMN] = {.letter = 'o',
		.name = "output",
		.arg = ARG_CHOICE,
		.metavar = "COLUMN",
		.choices = stat_columns,
		.help = "print just seq, state or kind"},
};

static const struct operand one_event[] = {
	{.name = "EVENT", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "a bare word or a file"},
	{0}};
static const struct operand events[] = {
	{.name = "EVENT", .arg = ARG_OBJECT, .min = 1, .help = "bare words or files"}, {0}};

static int run_set(struct call *call);
static int run_clear(struct call *call);
static int run_pulse(struct call *call);
static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = "wait",
		.summary = "wait until the event is set, pulsed, or makes CMD succeed",
		OPTS(wait_opts),
		.operands = one_event,
		.std = STD_WAIT | STD(MODE) | STD(READY_FD),
		.flags = VERB_INPROC |
			VERB_COMMAND, /* in-process without CMD: sleeps in lib/futex */
		.example = "ipc-event wait -w 30 ready && echo go",
		.example_says = "goes on when another says `ipc-event set ready`; 124 after 30 s",
		.run = event_wait},
	{.name = "set",
		.summary = "set the event and wake who waits for it",
		OPTS(set_opts),
		.operands = one_event,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT, /* one short lock */
		.run = run_set},
	{.name = "clear",
		.summary = "clear the event",
		OPTS(set_opts),
		.operands = one_event,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT, /* one short lock */
		.run = run_clear},
	{.name = "pulse",
		.summary = "wake those who wait now (one, if automatic) and leave the state",
		OPTS(set_opts),
		.operands = one_event,
		.std = STD(MODE),
		.flags = VERB_INPROC | VERB_SILENT, /* one short lock */
		.run = run_pulse},
	{.name = "stat",
		.summary = "show state, sequence number and waiters",
		OPTS(stat_opts),
		.operands = one_event,
		.std = STD(JSON),
		.flags = VERB_INPROC, /* reads */
		.run = event_stat},
	{.name = "rm",
		.summary = "remove events; waiters are woken and get 66",
		.operands = events,
		.flags = VERB_INPROC, /* one short lock each */
		.run = run_rm},
};

const struct applet ipc_event = {.name = "ipc-event",
	.summary = "events: set, clear, pulse, and wait without missing one",
	.kind = "event",
	VERBS(verbs)};

#define VERSION 2u /* 1 had no checksum */

static uint32_t checksum(const struct event *ev)
{
	const uint32_t words[] = {ev->kind, ev->set};
	const uint64_t numbers[] = {ev->seq, ev->pulse};
	return crc32c(crc32c(0, words, sizeof words), numbers, sizeof numbers);
}

void event_sign(struct event *ev)
{
	if (ev->head.version != VERSION) /* others look at it without the lock */
		__atomic_store_n(&ev->head.version, VERSION, __ATOMIC_RELAXED);
	ev->head.check = checksum(ev);
}

static void init(void *base, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	event_sign(base);
}

static const struct mapped_type type = {.kind = "event",
	.file = {.magic = "ipcevent",
		.version = VERSION,
		.min = sizeof(struct event),
		.oldest = 1,
		.fleeting = true},
	.init = init,
	.size = sizeof(struct event)};

/* Is the state one that was written as a whole? Asked after another boot. */
static bool is_whole(const struct event *ev)
{
	return ev->head.version == 1 || ev->head.check == checksum(ev);
}

static int not_whole(struct call *call, const char *word)
{
	return call_fail(call, ST_DATA, 0,
		"%s: is of an earlier boot, and its checksum is wrong; rm(1) frees the name", word);
}

/* M was found after another boot: its state is kept, if it is whole. 0 or a status, M closed. */
static int adopt(struct call *call, struct mapped *m, const char *word)
{
	int status = 0;
	if (!is_whole(event_of(m)))
		status = not_whole(call, word);
	else if (shared_adopt(&m->shared) < 0)
		status = call_error(call, errno, "open %s", word);
	if (status != 0)
		mapped_close(call, m);
	return status;
}

int event_open(struct call *call, struct mapped **opened, const char *word, int flags)
{
	for (;;) {
		int status = mapped_open(call, opened, word, &type, flags, 0, NULL);
		if (status != 0)
			return status;
		struct mapped *m = *opened;
		if (m->shared.rebooted && (status = adopt(call, m, word)) != 0)
			return status;
		int locked = mapped_lock(call, m, call_deadline(call), &status);
		if (locked < 0)
			return status;
		struct event *ev = event_of(m);
		if (locked >
			0) /* the last owner may have died between its change and the checksum */
			event_sign(ev);
		if (event_kind_of(ev) < 0) {
			shared_unlock(&m->shared);
			return call_fail(call, ST_DATA, 0, "%s: damaged", word);
		}
		if (ev->gone == 0)
			return 0;
		bool named = shared_current(&m->shared, m->at.dirfd, m->at.rel);
		shared_unlock(&m->shared);
		if (named) /* it loses its name before it is marked */
			return call_fail(call, ST_DATA, 0, "%s: damaged", word);
		mapped_close(call, m);
		if ((flags & SHARED_CREATE) == 0)
			return call_fail(call, ST_NOOBJ, 0, "%s: no such event", word);
	}
}

/* What changes together is read until it has not changed meanwhile: every set moves the bell. */
FUTEX_UNLOCKED_LOOK static void copy_event(const struct event *ev, struct event *copy)
{
	for (unsigned tries = 0; tries < 10000; tries++) {
		uint32_t bell = __atomic_load_n(&ev->bell, __ATOMIC_ACQUIRE);
		*copy = (struct event){
			.head.repairs = __atomic_load_n(&ev->head.repairs, __ATOMIC_RELAXED),
			.kind = __atomic_load_n(&ev->kind, __ATOMIC_RELAXED),
			.set = __atomic_load_n(&ev->set, __ATOMIC_RELAXED),
			.gone = __atomic_load_n(&ev->gone, __ATOMIC_RELAXED),
			.seq = __atomic_load_n(&ev->seq, __ATOMIC_RELAXED)};
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&ev->bell, __ATOMIC_RELAXED) == bell &&
			__atomic_load_n(&ev->seq, __ATOMIC_RELAXED) == copy->seq)
			return;
	}
}

int event_look(struct call *call, struct mapped **opened, const char *word, struct event *copy)
{
	int status = mapped_open(call, opened, word, &type, SHARED_RDONLY, 0, NULL);
	if (status != 0)
		return status;
	copy_event(event_of(*opened), copy);
	static const unsigned char unknown[16];
	unsigned char now[16];
	const struct event *ev = event_of(*opened);
	if (proc_boot_bytes(now) == 0 && memcmp(now, ev->head.boot, sizeof now) != 0 &&
		memcmp(unknown, ev->head.boot, sizeof now) != 0 && !is_whole(ev))
		return not_whole(call, word);
	if (copy->kind > KIND_AUTO)
		return call_fail(call, ST_DATA, 0, "%s: damaged", word);
	if (copy->gone != 0)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such event", word);
	return 0;
}

int event_kind(struct call *call, struct mapped *m, bool is_auto, bool final)
{
	struct event *ev = event_of(m);
	if (ev->kind == KIND_OPEN && (is_auto || final))
		ev->kind = is_auto ? KIND_AUTO : KIND_MANUAL;
	event_sign(ev);
	if (!is_auto || ev->kind == KIND_AUTO)
		return 0;
	shared_unlock(&m->shared);
	return call_fail(call, ST_EXISTS, 0, "%s: exists as a manual event, not an automatic one",
		m->obj.text);
}

static void ring(struct mapped *m)
{
	struct event *ev = event_of(m);
	__atomic_add_fetch(&ev->bell, 1, __ATOMIC_RELEASE);
}

enum change { CHANGE_SET, CHANGE_CLEAR, CHANGE_PULSE };

static int change(struct call *call, enum change what)
{
	struct mapped *m;
	int status = event_open(call, &m, call->args[0].str, SHARED_CREATE);
	if (status == 0)
		status = event_kind(call, m, call->opt[SET_AUTO].count > 0, true);
	if (status != 0)
		return status;
	struct event *ev = event_of(m);
	bool one = ev->kind == KIND_AUTO;
	if (what == CHANGE_CLEAR) {
		ev->set = 0;
		ev->pulse = 0;
	} else {
		ev->seq++;
		if (what == CHANGE_SET)
			ev->set = 1;
		else if (one)
			ev->pulse = ev->seq;
		ring(m);
	}
	event_sign(ev);
	shared_unlock(&m->shared);
	if (what != CHANGE_CLEAR)
		futex_wake(&ev->bell, one ? 1 : INT_MAX);
	return mapped_done(call, m, ST_OK);
}

static int run_set(struct call *call)
{
	return change(call, CHANGE_SET);
}

static int run_clear(struct call *call)
{
	return change(call, CHANGE_CLEAR);
}

static int run_pulse(struct call *call)
{
	return change(call, CHANGE_PULSE);
}

static int remove_one(struct call *call, const char *word)
{
	struct mapped *m;
	int status = event_open(call, &m, word, 0);
	if (status != 0)
		return status;
	struct event *ev = event_of(m);
	status = mapped_unlink(call, m);
	if (status == 0) {
		ev->gone = 1;
		ring(m);
	}
	shared_unlock(&m->shared);
	futex_wake(&ev->bell, INT_MAX);
	mapped_close(call, m);
	return status;
}

static int run_rm(struct call *call)
{
	return call_each(call, remove_one);
}
