/* applets/ipc-bench/play.c: what the players of a measurement do: the driver sends and keeps the time, the
 * receivers answer until they are killed.
 *
 * A batch lasts some milliseconds and gives one value (the median round trip, or the rate). Batches are
 * repeated, after a warm-up that is thrown away, until the confidence interval of their mean is narrow or
 * the time is up; twice the time when it is wide.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_SAMPLES 4096
#define LEAST_BATCHES 5
#define MOST_MESSAGES (1u << 24)

struct driver {
	struct bench *b;
	int64_t batch_ns; /* how long a batch shall last */
	uint32_t n;       /* rates: messages in a batch */
	struct hist hist;
	struct series series;
	uint32_t sample[BATCH_SAMPLES];
};

int bench_step(struct bench *b, const char *step)
{
	int none = 0, err = errno != 0 ? errno : EIO;
	if (__atomic_compare_exchange_n(
		    &b->ctl->err, &none, err, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		b->ctl->step = step;
	errno = err;
	return -1;
}

/* ---- both */

/* The processor of this player, of those we may use; with one_cpu the same for all. */
static int pin_cpu(const struct bench *b)
{
	cpu_set_t all, mine;
	unsigned want = b->one_cpu ? 0 : b->me, seen = 0;
	if (!b->pin && !b->one_cpu)
		return 0;
	if (sched_getaffinity(0, sizeof all, &all) < 0)
		return -1;
	want %= (unsigned)CPU_COUNT(&all);
	CPU_ZERO(&mine);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && seen++ == want)
			CPU_SET(cpu, &mine);
	return sched_setaffinity(0, sizeof mine, &mine);
}

/* Take part in all channels, and wait until every other player does. */
static int join(struct bench *b)
{
	struct control *ctl = b->ctl;
	uint32_t n;
	if (pin_cpu(b) < 0)
		return bench_step(b, "choose a processor");
	ctl->pid[b->me] = getpid();
	for (unsigned i = 0; b->mech->join != NULL && i < b->nchans; i++)
		if (b->mech->join(&b->to[i]) < 0 || b->mech->join(&b->back[i]) < 0)
			return -1;
	__atomic_add_fetch(&ctl->ready, 1, __ATOMIC_ACQ_REL);
	futex_wake(&ctl->ready, PLAYERS);
	while ((n = __atomic_load_n(&ctl->ready, __ATOMIC_ACQUIRE)) <= b->receivers)
		if (futex_wait(&ctl->ready, n, DEADLINE_NONE, NULL) < 0)
			return bench_step(b, "wait for the others");
	return 0;
}

/* ---- receivers */

static int echo(struct bench *b)
{
	const struct mech *m = b->mech;
	for (;;)
		if (m->recv(&b->to[0], b->msg, b->size) < 0 ||
			m->send(&b->back[0], b->msg, b->size) < 0)
			return 1;
}

static int serve(struct bench *b)
{
	while (b->mech->serve(b) == 0)
		;
	return 1;
}

/* All of a batch, then one word back. The first message brings the news how many there are. */
static int swallow(struct bench *b)
{
	const struct mech *m = b->mech;
	struct chan *to = &b->to[b->me - 1], *back = &b->back[b->me - 1];
	for (;;) {
		if (m->recv(to, b->msg, b->size) < 0)
			return 1;
		uint32_t n = __atomic_load_n(&b->ctl->batch, __ATOMIC_ACQUIRE);
		for (uint32_t i = 1; i < n; i++)
			if (m->recv(to, b->msg, b->size) < 0)
				return 1;
		if (m->send(back, b->msg, b->size) < 0)
			return 1;
	}
}

/* One of many at the same channel; who takes the last message of a batch answers. */
static int share(struct bench *b)
{
	const struct mech *m = b->mech;
	for (;;) {
		if (m->recv(&b->to[0], b->msg, b->size) < 0)
			return 1;
		uint32_t n = __atomic_add_fetch(&b->ctl->taken, 1, __ATOMIC_ACQ_REL);
		if (n == __atomic_load_n(&b->ctl->batch, __ATOMIC_ACQUIRE) &&
			m->send(&b->back[0], b->msg, b->size) < 0)
			return 1;
	}
}

int play_receiver(void *arg)
{
	struct bench *b = arg;
	if (join(b) < 0)
		return 1;
	if (b->mech->serve != NULL)
		return serve(b);
	return b->pattern == REQUEST ? echo(b) : b->pattern == QUEUE ? share(b) : swallow(b);
}

/* ---- the driver */

static int round_trip(struct bench *b)
{
	const struct mech *m = b->mech;
	if (m->call != NULL)
		return m->call(b);
	return m->send(&b->to[0], b->msg, b->size) < 0 ? -1 : m->recv(&b->back[0], b->msg, b->size);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Round trips, each timed; one look at the clock between two of them. */
static int batch_request(struct driver *d, double *value)
{
	int64_t began = wait_now(), last = began;
	unsigned n = 0;
	do {
		if (round_trip(d->b) < 0)
			return -1;
		int64_t now = wait_now();
		d->sample[n++] = now - last < UINT32_MAX ? (uint32_t)(now - last) : UINT32_MAX;
		last = now;
	} while (n < BATCH_SAMPLES && last - began < d->batch_ns);
	for (unsigned i = 0; i < n; i++)
		hist_add(&d->hist, d->sample[i]);
	qsort(d->sample, n, sizeof *d->sample, by_value);
	unsigned middle = n / 2;
	*value = d->sample[middle];
	return 0;
}

/* Send d->n messages and wait until they have arrived. */
static int deliver(struct driver *d)
{
	struct bench *b = d->b;
	const struct mech *m = b->mech;
	for (uint32_t i = 0; i < d->n && m->call != NULL; i++)
		if (m->call(b) < 0)
			return -1;
	if (m->call != NULL)
		return 0;
	__atomic_store_n(&b->ctl->taken, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&b->ctl->batch, d->n, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < d->n; i++)
		for (unsigned k = 0; k < b->nchans; k++)
			if (m->send(&b->to[k], b->msg, b->size) < 0)
				return -1;
	for (unsigned k = 0; k < b->nchans; k++)
		if (m->recv(&b->back[k], b->msg, b->size) < 0)
			return -1;
	return 0;
}

static int batch_rate(struct driver *d, double *value)
{
	int64_t began = wait_now();
	if (deliver(d) < 0)
		return -1;
	int64_t took = wait_now() - began;
	unsigned copies = d->b->pattern == BROADCAST ? d->b->nchans : 1;
	*value = (double)d->n * copies * 1e9 / (double)(took > 0 ? took : 1);
	/* Towards the length wanted, while it is far from it: in the warm-up, above all. */
	if (took < d->batch_ns / 2 && d->n < MOST_MESSAGES)
		d->n *= 2;
	else if (took > 2 * d->batch_ns && d->n > 1)
		d->n /= 2;
	return 0;
}

static int one_batch(struct driver *d, double *value)
{
	return d->b->pattern == REQUEST ? batch_request(d, value) : batch_rate(d, value);
}

static bool enough(const struct driver *d, int64_t began, int64_t now)
{
	int64_t budget = d->b->budget, took = now - began;
	double spread = series_spread(&d->series);
	if (d->series.n >= MAX_BATCHES || took >= 2 * budget)
		return true;
	if (d->series.n < LEAST_BATCHES)
		return false;
	return took >= budget ? spread <= NOISY : spread <= NARROW && took >= budget / 4;
}

static int warm_up(struct driver *d)
{
	int64_t until = wait_now() + d->b->budget / 8;
	double value;
	do {
		if (one_batch(d, &value) < 0)
			return -1;
	} while (wait_now() < until);
	memset(&d->hist, 0, sizeof d->hist);
	return 0;
}

static void conclude(const struct driver *d, struct result *r)
{
	r->batches = d->series.n;
	r->spread = series_spread(&d->series);
	if (d->b->pattern == REQUEST) {
		r->samples = d->hist.count;
		r->p50 = hist_at(&d->hist, 0.50);
		r->p90 = hist_at(&d->hist, 0.90);
		r->p99 = hist_at(&d->hist, 0.99);
		r->max = d->hist.max;
	} else {
		r->rate = series_median(&d->series);
	}
	r->done = true;
}

static int drive(struct driver *d)
{
	if (warm_up(d) < 0)
		return 1;
	int64_t began = wait_now();
	do {
		if (one_batch(d, &d->series.v[d->series.n]) < 0)
			return 1;
		d->series.n++;
	} while (!enough(d, began, wait_now()));
	conclude(d, &d->b->ctl->result);
	__atomic_store_n(&d->b->ctl->over, 1, __ATOMIC_RELEASE);
	return 0;
}

int play_driver(void *arg)
{
	struct bench *b = arg;
	struct driver *d = calloc(1, sizeof *d);
	if (d == NULL) {
		bench_step(b, "start");
		return 1;
	}
	d->b = b;
	d->n = 1;
	d->batch_ns = b->budget / 16;
	d->batch_ns = d->batch_ns > 10 * NS_PER_MS ? 10 * NS_PER_MS : d->batch_ns;
	d->batch_ns = d->batch_ns < NS_PER_MS / 4 ? NS_PER_MS / 4 : d->batch_ns;
	int status = join(b) < 0 ? 1 : drive(d);
	free(d);
	return status;
}
