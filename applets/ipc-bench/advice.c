/* applets/ipc-bench/advice.c: which mechanism to take, and why.
 *
 * The rule: of those that sleep while they wait, the quickest; but when a simpler one (they are listed from
 * simple to intricate) reaches four fifths of its speed, the simpler one. What polls is named, and not
 * taken.
 */
#define _GNU_SOURCE
#include "bench.h"

#include "num.h"

#include <stdio.h>
#include <string.h>

#define NEAR 0.8

double result_score(const struct result *r, enum pattern p)
{
	if (!r->done)
		return 0;
	if (p == REQUEST)
		return 1e9 / (double)(r->p50 > 0 ? r->p50 : 1);
	return r->rate;
}

static double score(const struct bench *b, unsigned size, unsigned mech, enum pattern p)
{
	return result_score(bench_result(b, size, mech, p), p);
}

/* The quickest of those that poll, or of the others; -1: none. */
static int quickest(const struct bench *b, unsigned size, enum pattern p, bool polls)
{
	int best = -1;
	for (unsigned i = 0; i < b->nmechs; i++) {
		double s = score(b, size, i, p);
		if (((b->mechs[i]->flags & M_POLLS) != 0) == polls && s > 0 &&
			(best < 0 || s > score(b, size, (unsigned)best, p)))
			best = (int)i;
	}
	return best;
}

static void add(struct advice *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct advice *a, const char *fmt, ...)
{
	va_list ap;
	size_t len = strlen(a->text);
	va_start(ap, fmt);
	vsnprintf(a->text + len, sizeof a->text - len, fmt, ap);
	va_end(ap);
}

/* "8.12 us a round trip", "1.2M messages a second". */
static void amount(char *buf, size_t size, const struct result *r, enum pattern p)
{
	char n[16];
	if (p == REQUEST) {
		show_number((double)r->p50 / 1e3, false, n);
		snprintf(buf, size, "%s us a round trip", n);
	} else {
		show_number(r->rate, true, n);
		snprintf(
			buf, size, "%s %s a second", n, p == BROADCAST ? "deliveries" : "messages");
	}
}

/* The simplest that comes near BEST. */
static unsigned simplest(const struct bench *b, unsigned size, enum pattern p, unsigned best)
{
	for (unsigned i = 0; i < b->nmechs; i++)
		if ((b->mechs[i]->flags & M_POLLS) == 0 &&
			score(b, size, i, p) >= NEAR * score(b, size, best, p))
			return i;
	return best;
}

/* Are they too uncertain to tell one from the other? */
static bool within_noise(
	const struct bench *b, unsigned size, enum pattern p, unsigned a, unsigned c)
{
	double spread = bench_result(b, size, a, p)->spread + bench_result(b, size, c, p)->spread;
	return spread > NOISY;
}

void advice_for(const struct bench *b, unsigned size, enum pattern p, struct advice *a)
{
	char text[64];
	*a = (struct advice){0};
	int best = quickest(b, size, p, false), poller = quickest(b, size, p, true);
	if (best < 0) {
		add(a, "nothing that was measured can be recommended");
		return;
	}
	unsigned pick = simplest(b, size, p, (unsigned)best);
	a->mech = b->mechs[pick];
	amount(text, sizeof text, bench_result(b, size, pick, p), p);
	add(a, "%s (%s): %s", a->mech->label, a->mech->applet, text);
	if (pick != (unsigned)best) {
		amount(text, sizeof text, bench_result(b, size, (unsigned)best, p), p);
		add(a, ", near the quickest, %s, with %s, and simpler", b->mechs[best]->label,
			text);
	} else {
		add(a, ", the quickest that sleeps while it waits");
	}
	add(a, "; %s", a->mech->good);
	if (poller >= 0 && score(b, size, (unsigned)poller, p) > score(b, size, pick, p)) {
		amount(text, sizeof text, bench_result(b, size, (unsigned)poller, p), p);
		add(a, "; %s has %s, but burns a processor while it waits", b->mechs[poller]->label,
			text);
	}
	if (within_noise(b, size, p, pick, (unsigned)best))
		add(a, "; the numbers are noisy, so take this with care");
}

unsigned noisy_results(const struct bench *b, unsigned *all)
{
	unsigned noisy = 0;
	*all = 0;
	for (unsigned i = 0; i < b->nsizes * b->nmechs * NPATTERNS; i++) {
		*all += b->results[i].done;
		noisy += b->results[i].done && b->results[i].spread > NOISY;
	}
	return noisy;
}
