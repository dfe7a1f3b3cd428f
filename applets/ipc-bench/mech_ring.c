/* applets/ipc-bench/mech_ring.c: a bounded buffer of records in shared memory, for any number of writers
 * and readers, under one robust futex lock: what ipc-ring(1) does, without its file. */
#define _GNU_SOURCE
#include "bench.h"

#include "wait.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LEAST (256u << 10) /* bytes of records */

/* Waiters of one kind: the futex moves whenever one of them may go on. */
struct bell {
	uint32_t seq, waiters;
};

struct ring {
	uint32_t lock;
	struct bell items, room;
	uint64_t head, tail; /* bytes put, bytes taken */
	size_t cap;
	_Alignas(64) unsigned char data[];
};

static int ring_one(struct chan *c)
{
	size_t cap = 4 * (c->b->size + sizeof(uint64_t));
	cap = cap < LEAST ? LEAST : cap;
	c->size = sizeof(struct ring) + cap;
	c->mem = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->mem == MAP_FAILED) {
		c->mem = NULL;
		return bench_step(c->b, "map shared memory");
	}
	((struct ring *)c->mem)->cap = cap;
	return 0;
}

static int ring_open(struct bench *b, struct chan *to, struct chan *back)
{
	(void)b;
	return ring_one(to) < 0 ? -1 : ring_one(back);
}

static int ring_join(struct chan *c)
{
	if (c->b->robust.head.next != NULL)
		return 0;
	return futex_robust_start(&c->b->robust) < 0 ? bench_step(c->b, "register robust locks")
						     : 0;
}

static int lock(struct chan *c, struct ring *r)
{
	return futex_lock(&c->b->robust, &r->lock, DEADLINE_NONE, NULL) < 0
		? bench_step(c->b, "lock the ring")
		: 0;
}

/* With the lock held: give it up until BELL rings. */
static int wait_bell(struct chan *c, struct ring *r, struct bell *bell)
{
	bell->waiters++;
	uint32_t seq = bell->seq;
	futex_unlock(&c->b->robust, &r->lock);
	int bad = futex_wait(&bell->seq, seq, DEADLINE_NONE, NULL);
	if (bad < 0)
		return bench_step(c->b, "futex wait");
	if (lock(c, r) < 0)
		return -1;
	bell->waiters--;
	return 0;
}

/* Give up the lock, and wake one that waits at BELL. */
static void leave(struct chan *c, struct ring *r, struct bell *bell)
{
	bool wake = bell->waiters > 0;
	if (wake)
		__atomic_add_fetch(&bell->seq, 1, __ATOMIC_RELEASE);
	futex_unlock(&c->b->robust, &r->lock);
	if (wake)
		futex_wake(&bell->seq, 1);
}

static void copy_in(struct ring *r, const void *from, size_t size)
{
	size_t at = (size_t)(r->head % r->cap), first = r->cap - at < size ? r->cap - at : size;
	memcpy(r->data + at, from, first);
	memcpy(r->data, (const unsigned char *)from + first, size - first);
	r->head += size;
}

static void copy_out(struct ring *r, void *to, size_t size)
{
	size_t at = (size_t)(r->tail % r->cap), first = r->cap - at < size ? r->cap - at : size;
	memcpy(to, r->data + at, first);
	memcpy((unsigned char *)to + first, r->data, size - first);
	r->tail += size;
}

static int ring_send(struct chan *c, const unsigned char *msg, size_t size)
{
	struct ring *r = c->mem;
	uint64_t len = size;
	if (lock(c, r) < 0)
		return -1;
	while (r->cap - (r->head - r->tail) < size + sizeof len)
		if (wait_bell(c, r, &r->room) < 0)
			return -1;
	copy_in(r, &len, sizeof len);
	copy_in(r, msg, size);
	leave(c, r, &r->items);
	return 0;
}

static int ring_recv(struct chan *c, unsigned char *msg, size_t size)
{
	struct ring *r = c->mem;
	uint64_t len;
	if (lock(c, r) < 0)
		return -1;
	while (r->head == r->tail)
		if (wait_bell(c, r, &r->items) < 0)
			return -1;
	copy_out(r, &len, sizeof len);
	if (len != size) {
		errno = EBADMSG;
		return bench_step(c->b, "read the ring");
	}
	copy_out(r, msg, size);
	leave(c, r, &r->room);
	return 0;
}

const struct mech mech_ring = {.name = "ring",
	.label = "ring",
	.what = "a bounded buffer in shared memory, as ipc-ring has it",
	.applet = "ipc-ring",
	.good = "whole records for many writers and readers, and few system calls while it flows",
	.flags = M_QUEUE,
	.open = ring_open,
	.join = ring_join,
	.send = ring_send,
	.recv = ring_recv};
