/* applets/ipc-bench/mech_shared.c: slots in shared memory for one writer and one reader, and four ways of
 * waiting for the other: futex, spinning, eventfd, signal.
 *
 * A message is copied into a slot and out of it again, as a system call would. Who has to wait says so in
 * a flag, looks again, and sleeps; the other one wakes him only when the flag stands. So a stream costs no
 * system call while neither side has to wait.
 */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"
#include "wait.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_SLOTS 64
#define MEMORY (1u << 20) /* as many slots as fit */
#define YIELD 4096        /* spins after which the processor is offered to others */

/* What one side tells the other; a cache line each. */
struct end {
	_Alignas(64) uint32_t count; /* slots filled (writer), slots emptied (reader) */
	uint32_t sleeps;             /* futex: this side waits */
};

struct slots {
	struct end writer, reader;
	uint32_t n; /* a power of two */
	_Alignas(64) unsigned char data[];
};

/* The mapping of C for messages of b->size. */
static int slots_one(struct chan *c)
{
	uint32_t n = 2;
	while (n < MOST_SLOTS && 2 * n * c->b->size <= MEMORY)
		n *= 2;
	c->size = sizeof(struct slots) + n * c->b->size;
	c->mem = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->mem == MAP_FAILED) {
		c->mem = NULL;
		return bench_step(c->b, "map shared memory");
	}
	((struct slots *)c->mem)->n = n;
	return 0;
}

static int slots_open(struct bench *b, struct chan *to, struct chan *back)
{
	(void)b;
	return slots_one(to) < 0 ? -1 : slots_one(back);
}

/* One side sleeps until the other rouses it. WRITER: which side does so. */
struct slots_way {
	int (*nap)(struct chan *c, struct end *mine, bool writer);
	void (*rouse)(struct chan *c, struct end *other, bool writer);
};

/* Wait until OTHER's count is not SEEN any more. */
static inline int await(
	struct chan *c, struct end *mine, struct end *other, uint32_t seen, bool writer)
{
	while (__atomic_load_n(&other->count, __ATOMIC_ACQUIRE) == seen) {
		__atomic_store_n(&mine->sleeps, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&other->count, __ATOMIC_SEQ_CST) == seen &&
			c->b->mech->way->nap(c, mine, writer) < 0)
			return -1;
	}
	return 0;
}

static inline void rouse(struct chan *c, struct end *other, bool writer)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&other->sleeps, __ATOMIC_RELAXED) != 0 &&
		__atomic_exchange_n(&other->sleeps, 0, __ATOMIC_SEQ_CST) != 0)
		c->b->mech->way->rouse(c, other, writer);
}

static int slots_send(struct chan *c, const unsigned char *msg, size_t size)
{
	struct slots *s = c->mem;
	uint32_t at = s->writer.count;
	if (await(c, &s->writer, &s->reader, at - s->n, true) < 0)
		return -1;
	memcpy(s->data + (at & (s->n - 1)) * c->b->size, msg, size);
	__atomic_store_n(&s->writer.count, at + 1, __ATOMIC_RELEASE);
	rouse(c, &s->reader, true);
	return 0;
}

static int slots_recv(struct chan *c, unsigned char *msg, size_t size)
{
	struct slots *s = c->mem;
	uint32_t at = s->reader.count;
	if (await(c, &s->reader, &s->writer, at, false) < 0)
		return -1;
	memcpy(msg, s->data + (at & (s->n - 1)) * c->b->size, size);
	__atomic_store_n(&s->reader.count, at + 1, __ATOMIC_RELEASE);
	rouse(c, &s->writer, false);
	return 0;
}

/* ---- futex */

static int futex_nap(struct chan *c, struct end *mine, bool writer)
{
	(void)writer;
	if (futex_wait(&mine->sleeps, 1, DEADLINE_NONE, NULL) < 0)
		return bench_step(c->b, "futex wait");
	return 0;
}

static void futex_rouse(struct chan *c, struct end *other, bool writer)
{
	(void)c;
	(void)writer;
	futex_wake(&other->sleeps, 1);
}

const struct mech mech_futex = {.name = "futex",
	.label = "shared memory, futex",
	.what = "slots in shared memory, waiting by futex(2)",
	.applet = "ipc-shm",
	.good = "no system call at all while neither side has to wait",
	.open = slots_open,
	.send = slots_send,
	.recv = slots_recv,
	.way = &(const struct slots_way){futex_nap, futex_rouse}};

/* ---- spinning */

static int spin_open(struct bench *b, struct chan *to, struct chan *back)
{
	cpu_set_t set;
	bool one =
		b->one_cpu || (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < 2);
	if (!one)
		return slots_open(b, to, back);
	snprintf(b->why, sizeof b->why, "spinning needs two processors");
	errno = EINVAL;
	return -1;
}

/* Nobody sleeps, so nobody is to be woken. */
static inline void spin(const uint32_t *word, uint32_t seen)
{
	for (unsigned i = 1; __atomic_load_n(word, __ATOMIC_ACQUIRE) == seen; i++) {
		if (i % YIELD == 0)
			sched_yield();
		else
			futex_pause();
	}
}

static int spin_send(struct chan *c, const unsigned char *msg, size_t size)
{
	struct slots *s = c->mem;
	uint32_t at = s->writer.count;
	spin(&s->reader.count, at - s->n);
	memcpy(s->data + (at & (s->n - 1)) * c->b->size, msg, size);
	__atomic_store_n(&s->writer.count, at + 1, __ATOMIC_RELEASE);
	return 0;
}

static int spin_recv(struct chan *c, unsigned char *msg, size_t size)
{
	struct slots *s = c->mem;
	uint32_t at = s->reader.count;
	spin(&s->writer.count, at);
	memcpy(msg, s->data + (at & (s->n - 1)) * c->b->size, size);
	__atomic_store_n(&s->reader.count, at + 1, __ATOMIC_RELEASE);
	return 0;
}

const struct mech mech_spin = {.name = "spin",
	.label = "shared memory, spinning",
	.what = "slots in shared memory, looking again and again",
	.applet = NULL,
	.good = "nothing is quicker",
	.flags = M_POLLS,
	.open = spin_open,
	.send = spin_send,
	.recv = spin_recv};

/* ---- eventfd: .in wakes the reader, .out the writer */

static int eventfd_open(struct bench *b, struct chan *to, struct chan *back)
{
	struct chan *both[] = {to, back};
	if (slots_open(b, to, back) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		both[i]->in = eventfd(0, EFD_CLOEXEC);
		both[i]->out = eventfd(0, EFD_CLOEXEC);
		if (both[i]->in < 0 || both[i]->out < 0)
			return bench_step(b, "make an eventfd");
	}
	return 0;
}

static int eventfd_nap(struct chan *c, struct end *mine, bool writer)
{
	uint64_t n;
	(void)mine;
	return fd_read(writer ? c->out : c->in, &n, sizeof n) < 0
		? bench_step(c->b, "read from an eventfd")
		: 0;
}

static void eventfd_rouse(struct chan *c, struct end *other, bool writer)
{
	uint64_t one = 1;
	(void)other;
	(void)fd_write(writer ? c->in : c->out, &one, sizeof one);
}

const struct mech mech_eventfd = {.name = "eventfd",
	.label = "shared memory, eventfd",
	.what = "slots in shared memory, waiting at an eventfd(2)",
	.applet = "ipc-event",
	.good = "waking goes through a descriptor, which poll(2) can wait for beside others",
	.open = eventfd_open,
	.send = slots_send,
	.recv = slots_recv,
	.way = &(const struct slots_way){eventfd_nap, eventfd_rouse}};

/* ---- signal: SIGUSR1, blocked, says "look again"; it need not be counted */

static int signal_join(struct chan *c)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? bench_step(c->b, "block SIGUSR1") : 0;
}

static int signal_nap(struct chan *c, struct end *mine, bool writer)
{
	sigset_t set;
	(void)writer;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (__atomic_load_n(&mine->sleeps, __ATOMIC_SEQ_CST) != 0)
		if (sigwaitinfo(&set, NULL) < 0 && errno != EINTR)
			return bench_step(c->b, "wait for SIGUSR1");
	return 0;
}

static void signal_rouse(struct chan *c, struct end *other, bool writer)
{
	(void)other;
	kill(c->b->ctl->pid[writer ? c->to : c->from], SIGUSR1);
}

const struct mech mech_signal = {.name = "signal",
	.label = "shared memory, signal",
	.what = "slots in shared memory, waiting for SIGUSR1",
	.applet = "ipc-signal",
	.good = "a process can be woken by its id alone",
	.open = slots_open,
	.join = signal_join,
	.send = slots_send,
	.recv = slots_recv,
	.way = &(const struct slots_way){signal_nap, signal_rouse}};
