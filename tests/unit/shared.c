/* tests/unit/shared.c: the lock of mapped files: taken, taken from the dead, declared void. */
#define _GNU_SOURCE
#include "shared.h"

#include "unit.h"

#include <errno.h>
#include <linux/futex.h>
#include <unistd.h>

#define NOBODY 0x3ffffff0u /* beyond any pid */

static void voids(struct shared *s)
{
	uint32_t mine = (uint32_t)getpid();
	/* Nobody, then somebody: between the look and the step the lock may have gone on. */
	s->head->lock = 0;
	uint32_t seen = shared_lock_word(s);
	OK(shared_holder(seen) == 0);
	shared_void_lock(s, seen);
	OK(s->head->lock == 0);
	s->head->lock = mine | FUTEX_WAITERS;
	shared_void_lock(s, seen);
	OK(s->head->lock == (mine | FUTEX_WAITERS));
	shared_void_lock(s, NOBODY | FUTEX_WAITERS);
	OK(s->head->lock == (mine | FUTEX_WAITERS));
	OK(shared_lock(s, DEADLINE_NOW, NULL) < 0 && errno == EAGAIN);
	/* That very holder. */
	s->head->lock = NOBODY | FUTEX_WAITERS;
	seen = shared_lock_word(s);
	OK(shared_holder(seen) == (pid_t)NOBODY);
	shared_void_lock(s, seen);
	OK(s->head->lock == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
	OK(shared_holder(shared_lock_word(s)) == 0);
	OK(shared_lock(s, DEADLINE_NOW, NULL) < 0 && errno == EOWNERDEAD);
	OK(shared_holder(shared_lock_word(s)) == (pid_t)mine);
	shared_unlock(s);
	OK(s->head->lock == 0);
	OK(shared_lock(s, DEADLINE_NOW, NULL) == 0);
	shared_unlock(s);
}

void test_shared(void)
{
	static struct shared_head head;
	struct shared s = {.fd = -1, .head = &head};
	OK(shared_resume(&s) == 0);
	voids(&s);
	shared_pause(&s);
}
