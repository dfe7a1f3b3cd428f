/* lib/psem32.h: the part of psem.c for glibc's semaphores on 32-bit machines. */
#ifndef IPC_PSEM32_H
#define IPC_PSEM32_H

/* struct new_sem of 32 bit: twice the value, and 1 when there may be sleepers. */
struct psem_map {
	uint32_t value;
	int32_t shared, pad; /* 128: futexes are shared */
	uint32_t sleepers;
};
#define ASLEEP 1u

static uint32_t *value_word(const struct psem *s)
{
	return &s->map->value;
}

static uint32_t load(const struct psem *s)
{
	return __atomic_load_n(&s->map->value, __ATOMIC_SEQ_CST);
}

/* The word from *V to TO; else *V is what it is now. */
static bool change(struct psem *s, uint32_t *v, uint32_t to)
{
	return __atomic_compare_exchange_n(
		&s->map->value, v, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void init(struct psem_map *m, unsigned value)
{
	m->value = value << 1;
	m->shared = 128;
}

unsigned psem_value(const struct psem *s)
{
	return load(s) >> 1;
}

unsigned psem_waiters(const struct psem *s)
{
	return __atomic_load_n(&s->map->sleepers, __ATOMIC_ACQUIRE);
}

static int wait_counted(struct psem *s, unsigned k, int64_t deadline, const struct stop *stop)
{
	for (uint32_t v = load(s);;) {
		if (v >> 1 >= k) {
			if (change(s, &v, v - (k << 1)))
				return 0;
		} else if ((v & ASLEEP) != 0 || change(s, &v, v | ASLEEP)) {
			v |= ASLEEP;
			if (futex_wait(&s->map->value, v, deadline, stop) < 0)
				return -1;
			v = load(s);
			/* A wake-up that is too little for us may be enough for another. */
			if (v >> 1 > 0 && v >> 1 < k)
				futex_wake(&s->map->value, 1);
		}
	}
}

int psem_wait(struct psem *s, unsigned k, int64_t deadline, const struct stop *stop)
{
	for (uint32_t v = load(s); v >> 1 >= k;)
		if (change(s, &v, v - (k << 1)))
			return 0;
	if (deadline == DEADLINE_NOW) {
		errno = EAGAIN;
		return -1;
	}
	/* While we are counted, no other sleeper takes ASLEEP back. */
	__atomic_fetch_add(&s->map->sleepers, 1, __ATOMIC_SEQ_CST);
	int r = wait_counted(s, k, deadline, stop), e = errno;
	__atomic_fetch_sub(&s->map->sleepers, 1, __ATOMIC_SEQ_CST);
	errno = e;
	return r;
}

int psem_post(struct psem *s, unsigned k)
{
	uint32_t v = load(s);
	do {
		if (k > PSEM_VALUE_MAX - (v >> 1)) {
			errno = EOVERFLOW;
			return -1;
		}
	} while (!change(s, &v, v + (k << 1)));
	if ((v & ASLEEP) != 0)
		futex_wake(&s->map->value, (int)k);
	return 0;
}

void psem_set(struct psem *s, unsigned n)
{
	uint32_t v = load(s);
	while (!change(s, &v, n << 1 | (v & ASLEEP)))
		;
	futex_wake(&s->map->value, INT_MAX);
}

#endif
