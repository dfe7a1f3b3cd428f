/* ipc-ring: the operations on the mapped file.
 *
 * Nothing read from the file is trusted: the state is copied, checked, and used from the copy; the
 * capacity is what the file's size says. The data of records may be anything; their lengths are checked.
 */
#define _GNU_SOURCE
#include "ring.h"

#include "proc.h"

#include "num.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

_Static_assert(offsetof(struct ring_file, data) == 512, "the file format");

#define SPIN_MAX 4096 /* looks at the state: some 50 microseconds */
#define SPIN_MIN 64

static void init(void *base, size_t size, void *arg)
{
	(void)base;
	(void)size;
	(void)arg;
}

static const struct mapped_type type = {.kind = "ring",
	.file = {.magic = "ipcring",
		.version = 1,
		.min = offsetof(struct ring_file, data) + RING_MIN,
		.fleeting = true},
	.init = init};

bool ring_is_old(const struct ring *r)
{
	unsigned char now[16];
	static const unsigned char unknown[16];
	const unsigned char *boot = r->f->head.boot;
	return proc_boot_bytes(now) == 0 && memcmp(boot, now, sizeof now) != 0 &&
		memcmp(boot, unknown, sizeof now) != 0;
}

/* Spinning is for two processors; on one it keeps the other side from running. */
static unsigned spin_start(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1 ? SPIN_MIN : 0;
}

int ring_open(struct call *call, struct ring *r, const char *word, int flags, uint64_t size)
{
	bool old = (flags & RING_OLD) != 0;
	*r = (struct ring){.spin = spin_start()};
	flags &= ~RING_OLD;
	size = (size < RING_MIN ? RING_MIN : size + 7) & ~UINT64_C(7);
	int status = mapped_open(call, &r->m, word, &type, flags,
		num_to_size((int64_t)(offsetof(struct ring_file, data) + size)), NULL);
	if (status != 0)
		return status;
	r->f = (struct ring_file *)(void *)r->m->shared.base;
	r->cap = (r->m->shared.size - offsetof(struct ring_file, data)) & ~UINT64_C(7);
	if (!r->m->shared.rebooted || old)
		return 0;
	mapped_close(call, r->m); /* a host must not keep it and believe it the next time */
	return call_fail(call, ST_DATA, 0,
		"%s: is of an earlier boot; ipc-ring get --old prints what is in it, ipc-ring rm "
		"frees the name",
		word);
}

static bool sane(const struct ring *r)
{
	const struct ring_state *s = &r->s;
	return s->tail >= s->head && s->tail - s->head <= r->cap && ((s->tail | s->head) & 7) == 0;
}

int ring_lock(struct call *call, struct ring *r, int64_t deadline)
{
	int status;
	if (mapped_lock(call, r->m, deadline, &status) < 0)
		return status;
	/* Nothing to repair after a holder's death: what it had not published is not there. */
	r->locked = true;
	r->turn = __atomic_load_n(&r->f->active, __ATOMIC_RELAXED) & 1;
	r->s = r->f->state[r->turn];
	__asm__ volatile("" : "+m"(r->s)); /* from here on the copy, never the file's */
	if (!sane(r))
		status = call_fail(call, ST_DATA, 0, "%s: damaged", r->m->obj.text);
	else if (r->f->gone != 0)
		status = call_fail(call, ST_NOOBJ, 0, "%s: was removed", r->m->obj.text);
	else
		return 0;
	ring_unlock(r);
	return status;
}

/* Copy the state without the lock: a writer uses the other copy next, so what did not change while it
 * was read is whole. */
static void load_state(struct ring_state *to, const struct ring_state *from)
{
	to->tail = __atomic_load_n(&from->tail, __ATOMIC_RELAXED);
	to->head = __atomic_load_n(&from->head, __ATOMIC_RELAXED);
	to->puts = __atomic_load_n(&from->puts, __ATOMIC_RELAXED);
	to->gets = __atomic_load_n(&from->gets, __ATOMIC_RELAXED);
	to->drops = __atomic_load_n(&from->drops, __ATOMIC_RELAXED);
}

static bool snapshot(struct ring *r)
{
	struct ring_state again = {0};
	for (unsigned tries = 0; tries < 10000; tries++) {
		r->turn = __atomic_load_n(&r->f->active, __ATOMIC_ACQUIRE) & 1;
		r->s = (struct ring_state){0};
		load_state(&r->s, &r->f->state[r->turn]);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		load_state(&again, &r->f->state[r->turn]);
		if ((__atomic_load_n(&r->f->active, __ATOMIC_RELAXED) & 1) == r->turn &&
			memcmp(&r->s, &again, sizeof again) == 0 && sane(r))
			return true;
	}
	return false;
}

int ring_look(struct call *call, struct ring *r, const char *word)
{
	int status = ring_open(call, r, word, SHARED_RDONLY, 0);
	if (status != 0)
		return status;
	if (!snapshot(r))
		return call_fail(call, ST_DATA, 0, "%s: damaged", r->m->obj.text);
	if (__atomic_load_n(&r->f->gone, __ATOMIC_RELAXED) != 0)
		return call_fail(call, ST_NOOBJ, 0, "%s: was removed", r->m->obj.text);
	return 0;
}

void ring_unlock(struct ring *r)
{
	r->locked = false;
	shared_unlock(&r->m->shared);
}

void ring_publish(struct ring *r)
{
	r->turn ^= 1;
	struct ring_state *to = &r->f->state[r->turn];
	/* Who looks without the lock may read it in this moment. */
	__atomic_store_n(&to->tail, r->s.tail, __ATOMIC_RELAXED);
	__atomic_store_n(&to->head, r->s.head, __ATOMIC_RELAXED);
	__atomic_store_n(&to->puts, r->s.puts, __ATOMIC_RELAXED);
	__atomic_store_n(&to->gets, r->s.gets, __ATOMIC_RELAXED);
	__atomic_store_n(&to->drops, r->s.drops, __ATOMIC_RELAXED);
	__atomic_store_n(&r->f->active, r->turn, __ATOMIC_RELEASE);
}

/* memcpy(3) in words, for the small records that most are: musl's costs more to start than they do to
 * copy. Both sides have room up to the next multiple of 8. */
static void copy_words(unsigned char *to, const unsigned char *from, size_t len)
{
	if (len > 512) {
		memcpy(to, from, len);
		return;
	}
	for (size_t i = 0; i < len; i += 8) {
		uint64_t w;
		__builtin_memcpy(&w, from + i, 8);
		__builtin_memcpy(to + i, &w, 8);
	}
}

/* Exactly LEN bytes: for records at the end of a buffer that is not ours to read beyond. */
static void copy_exact(unsigned char *to, const unsigned char *from, size_t len)
{
	size_t words = len & ~(size_t)7;
	copy_words(to, from, words);
	for (size_t i = words; i < len; i++)
		to[i] = from[i];
}

void ring_append(struct ring *r, const void *rec, size_t len)
{
	uint64_t at = r->s.tail % r->cap;
	uint32_t n = (uint32_t)len;
	const unsigned char *p = rec;
	__builtin_memcpy(r->f->data + at, &n, sizeof n);
	at += RING_HEADER;
	size_t first = len;
	if (len > r->cap - at)
		first = (size_t)(r->cap - at);
	copy_exact(r->f->data + at, p, first);
	copy_exact(r->f->data, p + first, len - first);
	r->s.tail += ring_need(len);
	r->s.puts++;
}

int64_t ring_next(const struct ring *r)
{
	uint32_t n;
	uint64_t used = r->s.tail - r->s.head;
	if (used == 0)
		return -1;
	__builtin_memcpy(&n, r->f->data + r->s.head % r->cap, sizeof n);
	return ring_need(n) <= used ? (int64_t)n : -2;
}

void ring_take(struct ring *r, void *to, size_t len)
{
	uint64_t at = r->s.head % r->cap + RING_HEADER;
	unsigned char *p = to;
	size_t first = len;
	if (len > r->cap - at)
		first = (size_t)(r->cap - at);
	if (first == len && at + ((len + 7) & ~(size_t)7) <= r->cap) {
		copy_words(p, r->f->data + at, len);
	} else {
		copy_exact(p, r->f->data + at, first);
		copy_exact(p + first, r->f->data, len - first);
	}
	r->s.head += ring_need(len);
}

static uint32_t *bell_of(struct ring *r, enum ring_what what)
{
	return what == RING_DATA ? &r->f->data_bell : &r->f->space_bell;
}

static uint32_t *sleep_of(struct ring *r, enum ring_what what)
{
	return what == RING_DATA ? &r->f->data_sleep : &r->f->space_sleep;
}

/* Readers are woken one by one, each passes it on when more is left; writers all, since one that still
 * has no room for its record could not pass it on to one that has. */
void ring_wake(struct ring *r, enum ring_what what)
{
	uint32_t *idle = what == RING_DATA ? &r->data_idle : &r->space_idle;
	uint32_t asleep = __atomic_load_n(sleep_of(r, what), __ATOMIC_ACQUIRE);
	if (asleep == *idle)
		return;
	__atomic_add_fetch(bell_of(r, what), 1, __ATOMIC_RELEASE);
	if (futex_wake(bell_of(r, what), what == RING_DATA ? 1 : INT_MAX) <= 0 ||
		what == RING_SPACE)
		*idle = asleep;
}

/* Look for a while whether the state changes, as long as that has paid lately. */
static bool spin(struct ring *r)
{
	for (unsigned i = 0; i < r->spin; i++) {
		if ((__atomic_load_n(&r->f->active, __ATOMIC_ACQUIRE) & 1) != r->turn) {
			r->spin = r->spin < SPIN_MAX / 2 ? r->spin * 2 : SPIN_MAX;
			return true;
		}
		futex_pause();
	}
	r->spin = r->spin > SPIN_MIN * 2 ? r->spin / 2 : r->spin;
	return false;
}

/* Has the state changed since SEEN was read? What the caller waits for may be there then. */
static bool moved(const struct ring *r, const struct ring_state *seen, bool closed)
{
	return r->s.tail != seen->tail || r->s.head != seen->head || (r->f->closed != 0) != closed;
}

int ring_wait(struct call *call, struct ring *r, enum ring_what what, int64_t deadline)
{
	const char *word = r->m->obj.text, *why = what == RING_DATA ? "empty" : "full";
	struct ring_state seen = r->s;
	bool closed = r->f->closed != 0;
	if (deadline == DEADLINE_NOW) {
		ring_unlock(r);
		return call_waited(call, EAGAIN, "%s: %s", word, why);
	}
	/* Here too: others may take all that comes for as long as we only look. */
	if (deadline != DEADLINE_NONE && wait_now() >= deadline) {
		ring_unlock(r);
		return call_waited(call, ETIMEDOUT, "%s: %s", word, why);
	}
	if (r->spin > 0) {
		ring_unlock(r);
		bool came = spin(r);
		int status = ring_lock(call, r, deadline);
		if (status != 0 || came || moved(r, &seen, closed))
			return status;
	}
	uint32_t bell = __atomic_load_n(bell_of(r, what), __ATOMIC_ACQUIRE);
	__atomic_add_fetch(sleep_of(r, what), 1, __ATOMIC_RELEASE);
	ring_unlock(r);
	mapped_waits(r->m);
	call_waits(call, "waiting for %s in %s", what == RING_DATA ? "a record" : "room", word);
	if (shared_wait(&r->m->shared, bell_of(r, what), bell, deadline, &call->stop) < 0)
		return errno == EBADMSG /* mapped_done says so */
			? ST_DATA
			: call_waited(call, errno, "%s: %s", word, why);
	return ring_lock(call, r, deadline);
}
