/* applets/ipc-bench/stats.c: percentiles without keeping every sample, and how sure we are of a number. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Values below 256 have a slot each; above, each power of two has 128. */
static unsigned slot_of(uint64_t v)
{
	if (v < 256)
		return (unsigned)v;
	unsigned top = 63 - (unsigned)__builtin_clzll(v);
	unsigned slot = 256 + (top - 8) * 128 + (unsigned)(v >> (top - 7) & 127);
	return slot < HIST_SLOTS ? slot : HIST_SLOTS - 1;
}

static uint64_t value_of(unsigned slot)
{
	if (slot < 256)
		return slot;
	unsigned shift = (slot - 256) / 128 + 1;
	uint64_t low = (uint64_t)(128 + (slot - 256) % 128) << shift;
	return low + (UINT64_C(1) << shift) / 2;
}

void hist_add(struct hist *h, uint64_t value)
{
	h->n[slot_of(value)]++;
	h->count++;
	h->max = value > h->max ? value : h->max;
}

uint64_t hist_at(const struct hist *h, double part)
{
	uint64_t want = (uint64_t)(part * (double)h->count), seen = 0;
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		seen += h->n[i];
		if (seen > want) {
			uint64_t v = value_of(i);
			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

double series_median(const struct series *s)
{
	double v[MAX_BATCHES];
	if (s->n == 0)
		return 0;
	memcpy(v, s->v, s->n * sizeof *v);
	qsort(v, s->n, sizeof *v, by_value);
	return s->n % 2 != 0 ? v[s->n / 2] : (v[s->n / 2 - 1] + v[s->n / 2]) / 2;
}

/* Newton's, so that no maths library is needed. */
static double root(double x)
{
	double r = x > 1 ? x : 1;
	for (int i = 0; i < 200 && x > 0; i++) {
		double next = (r + x / r) / 2;
		if (next >= r)
			break;
		r = next;
	}
	return x > 0 ? r : 0;
}

double series_spread(const struct series *s)
{
	double sum = 0, squares = 0;
	if (s->n < 3)
		return 1;
	for (unsigned i = 0; i < s->n; i++)
		sum += s->v[i];
	double mean = sum / s->n;
	for (unsigned i = 0; i < s->n; i++)
		squares += (s->v[i] - mean) * (s->v[i] - mean);
	/* Student's t for 95 %, near enough (4.3 at 2 degrees of freedom is taken as 3.5). */
	double t = 1.96 + 3.0 / (s->n - 1);
	return mean > 0 ? t * root(squares / (s->n - 1) / s->n) / mean : 1;
}

double stats_log10(double x)
{
	int n = 0;
	if (x <= 0)
		return -12;
	for (; x >= 10; n++)
		x /= 10;
	for (; x < 1; n--)
		x *= 10;
	/* ln x = 2 artanh((x-1)/(x+1)) */
	double q = (x - 1) / (x + 1), term = q, sum = 0;
	for (int k = 1; k < 100; k += 2) {
		sum += term / k;
		term *= q * q;
	}
	return n + 2 * sum / 2.302585092994046;
}
