/* lib/futex.h: sleeping on a word of shared memory, and a lock that its owner's death gives back.
 *
 * The lock is ours and not pthread's, since a pthread mutex has another layout in every libc. It rests
 * on the kernel's robust futexes (set_robust_list(2), Documentation/locking/robust-futex-ABI): while
 * a lock is wanted or held, list_op_pending points to it, so that the kernel marks it
 * FUTEX_OWNER_DIED and wakes a waiter when the owner ends in any way, SIGKILL included. One lock at
 * a time per process: that is all that is needed, and it keeps pointers out of shared memory.
 */
#ifndef IPC_FUTEX_H
#define IPC_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "wait.h"

/* Sleep while *WORD is EXPECTED, until futex_wake, DEADLINE (CLOCK_MONOTONIC), or a stop signal.
 * 0 when woken or when *WORD differs (spurious returns happen: look again); -1 with errno ETIMEDOUT,
 * EAGAIN (DEADLINE_NOW), EINTR. A stop signal that comes just before the sleep is noticed within a
 * second. Works across processes (not FUTEX_PRIVATE). futex(2). */
int futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline, const struct stop *stop);
/* Wake at most N sleepers; how many were woken, or -1. */
int futex_wake(const uint32_t *word, int n);

/* A number that is loaded or stored as a whole. Some 32-bit machines align an ordinary one to 4 bytes only. */
typedef uint64_t __attribute__((aligned(8))) atomic_u64;
/* A function that reads what others change under a lock that it does not take, and afterwards makes
 * sure that nothing has changed meanwhile: the thread sanitizer cannot know that. */
#define FUTEX_UNLOCKED_LOOK __attribute__((no_sanitize("thread")))

/* For loops that look again and again: let the processor know, and its other thread work. */
static inline void futex_pause(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("yield");
#endif
}

/* A registration with the kernel, one per process while locks are in use. */
struct futex_robust {
	struct futex_robust_head {
		struct futex_robust_head *next; /* robust_list_head.list */
		long offset;
		void *volatile pending;
	} head;
	uint32_t tid;                   /* ours: asked once */
	struct futex_robust_head *node; /* the one list entry: its next pointer */
	void *old;                      /* what was registered before: libc's */
	unsigned long oldlen;
};
/* Register with the kernel; R must stay where it is until futex_robust_end. 0 or -1. */
int futex_robust_start(struct futex_robust *r);
void futex_robust_end(struct futex_robust *r);

/* Take the lock in *WORD (0: free). 0; -1 with errno EOWNERDEAD: taken, but the last owner died
 * holding it, so what it guards must be repaired; else ETIMEDOUT, EAGAIN, EINTR: not taken.
 * An owner that no longer exists although the kernel did not say so (the file was copied while it was
 * locked) is not noticed here: see shared_void_lock. */
int futex_lock(struct futex_robust *r, uint32_t *word, int64_t deadline, const struct stop *stop);
void futex_unlock(struct futex_robust *r, uint32_t *word);

/* Announce in *WORD that we live: our thread id and FUTEX_WAITERS stand there until futex_release. When
 * we end before that, the kernel puts FUTEX_OWNER_DIED there and wakes one that sleeps on it. One
 * such word at a time, beside the lock. */
void futex_hold(struct futex_robust *r, uint32_t *word);
void futex_release(struct futex_robust *r, uint32_t *word);
/* Does the value of such a word say that its owner died? */
bool futex_dead(uint32_t value);

#endif
