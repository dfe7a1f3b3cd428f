/* lib/futex.c: see futex.h. The word holds the owner's thread id and the kernel's two flag bits. */
#define _GNU_SOURCE
#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE NS_PER_S /* how long a missed wake-up, stop signal or dead owner can go unnoticed */
#define SPINS 100

_Static_assert(sizeof(struct futex_robust_head) == sizeof(struct robust_list_head), "kernel ABI");

/* The call that takes the C library's struct timespec: on 32 bit the plain one takes times of 32 bits. */
#ifdef SYS_futex_time64
#define CALL (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define CALL SYS_futex
#endif

static long sys_futex(
	const uint32_t *word, int op, uint32_t val, const struct timespec *ts, uint32_t bits)
{
	return syscall(CALL, word, op, val, ts, NULL, bits);
}

/* One sleep of at most a slice. 0 or -1 EINTR, ETIMEDOUT (the slice or the deadline is over). */
static int sleep_once(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct timespec ts;
	int64_t slice = wait_now() + SLICE;
	wait_abs(slice < deadline ? slice : deadline, CLOCK_MONOTONIC, &ts);
	if (sys_futex(word, FUTEX_WAIT_BITSET, expected, &ts, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EAGAIN ? 0 : -1;
}

int futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline, const struct stop *stop)
{
	sigset_t old;
	bool masked = stop != NULL && stop->mask != NULL;
	int r = 0, e;
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
		return 0;
	if (deadline == DEADLINE_NOW) {
		errno = EAGAIN;
		return -1;
	}
	if (masked)
		sigprocmask(SIG_SETMASK, stop->mask, &old);
	for (;;) {
		if (wait_stopped(stop) != 0) {
			e = EINTR;
			r = -1;
			break;
		}
		r = sleep_once(word, expected, deadline);
		e = errno;
		if (r == 0 || __atomic_load_n(word, __ATOMIC_ACQUIRE) != expected) {
			r = 0;
			break;
		}
		if (e == ETIMEDOUT && deadline != DEADLINE_NONE && wait_now() >= deadline)
			break;
		if (e != EINTR && e != ETIMEDOUT)
			break;
	}
	if (masked)
		sigprocmask(SIG_SETMASK, &old, NULL);
	errno = e;
	return r;
}

int futex_wake(const uint32_t *word, int n)
{
	return (int)sys_futex(word, FUTEX_WAKE, (uint32_t)n, NULL, 0);
}

int futex_robust_start(struct futex_robust *r)
{
	*r = (struct futex_robust){.head = {.next = &r->head, .offset = 0}};
	r->tid = (uint32_t)syscall(SYS_gettid);
	/* Refused by a filter: nothing to put back, as in a process without threads. */
	if (syscall(SYS_get_robust_list, 0, &r->old, &r->oldlen) < 0)
		r->old = NULL;
	return (int)syscall(SYS_set_robust_list, &r->head, sizeof r->head);
}

void futex_robust_end(struct futex_robust *r)
{
	int e = errno;
	if (r->head.next == NULL)
		return;
	syscall(SYS_set_robust_list, r->old, sizeof r->head);
	r->head.next = NULL;
	errno = e;
}

/* The list entry that stands for WORD: the kernel adds the list's one offset to it. */
static void *word_entry(const struct futex_robust *r, const uint32_t *word)
{
	return (void *)((uintptr_t)word - (uintptr_t)r->head.offset);
}

void futex_hold(struct futex_robust *r, uint32_t *word)
{
	r->node = &r->head;
	r->head.offset = (long)((uintptr_t)word - (uintptr_t)&r->node);
	__atomic_store_n(word, r->tid | FUTEX_WAITERS, __ATOMIC_RELEASE);
	__atomic_store_n(
		&r->head.next, (struct futex_robust_head *)(void *)&r->node, __ATOMIC_RELEASE);
}

void futex_release(struct futex_robust *r, uint32_t *word)
{
	uint32_t mine = r->tid | FUTEX_WAITERS;
	/* A look first: mostly it is ours no more, and others read what it is by now. */
	if (__atomic_load_n(word, __ATOMIC_RELAXED) == mine)
		__atomic_compare_exchange_n(
			word, &mine, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	__atomic_store_n(&r->head.next, &r->head, __ATOMIC_RELEASE);
}

bool futex_dead(uint32_t value)
{
	return (value & FUTEX_OWNER_DIED) != 0;
}

/* Take *WORD if nobody has it. 1 taken, 2 taken from the dead, 0 not; *SEEN is what stood there. */
static int try_lock(uint32_t *word, uint32_t me, uint32_t flags, uint32_t *seen)
{
	uint32_t v = __atomic_load_n(word, __ATOMIC_RELAXED);
	while ((v & FUTEX_TID_MASK) == 0) {
		uint32_t want = me | flags | (v & FUTEX_WAITERS);
		if (__atomic_compare_exchange_n(
			    word, &v, want, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return (v & FUTEX_OWNER_DIED) != 0 ? 2 : 1;
	}
	*seen = v;
	return 0;
}

static int give_up(struct futex_robust *r, int e)
{
	__atomic_store_n(&r->head.pending, NULL, __ATOMIC_RELEASE);
	errno = e;
	return -1;
}

static int taken(int how)
{
	if (how == 1)
		return 0;
	errno = EOWNERDEAD;
	return -1;
}

int futex_lock(struct futex_robust *r, uint32_t *word, int64_t deadline, const struct stop *stop)
{
	uint32_t v = 0, me = r->tid;
	int how;
	__atomic_store_n(&r->head.pending, word_entry(r, word), __ATOMIC_RELEASE);
	for (int i = 0; i < SPINS; i++) {
		if ((how = try_lock(word, me, 0, &v)) != 0)
			return taken(how);
		futex_pause();
	}
	for (bool late = false;; late = deadline != DEADLINE_NONE && wait_now() >= deadline) {
		/* Once one has slept, others may sleep too: the flag stays with the lock. */
		if ((how = try_lock(word, me, FUTEX_WAITERS, &v)) != 0)
			return taken(how);
		/* Always another owner, or somebody who writes there what he likes. */
		if (late)
			return give_up(r, deadline == DEADLINE_NOW ? EAGAIN : ETIMEDOUT);
		if ((v & FUTEX_WAITERS) == 0 &&
			!__atomic_compare_exchange_n(word, &v, v | FUTEX_WAITERS, false,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		v |= FUTEX_WAITERS;
		if (futex_wait(word, v, deadline, stop) < 0)
			return give_up(r, errno);
	}
}

void futex_unlock(struct futex_robust *r, uint32_t *word)
{
	uint32_t v = __atomic_exchange_n(word, 0, __ATOMIC_RELEASE);
	if ((v & FUTEX_WAITERS) != 0)
		futex_wake(word, 1);
	/* Last: should we die before it, the kernel wakes one for us. */
	__atomic_store_n(&r->head.pending, NULL, __ATOMIC_RELEASE);
}
