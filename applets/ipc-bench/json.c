/* applets/ipc-bench/json.c: all numbers for programs, one object. Times are seconds, rates per second. */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>

/* A number with a fraction: out.h has one such shape, for less than 9e9. */
static void put_fraction(struct json *j, const char *key, double v)
{
	json_seconds(j, key, (int64_t)((v < 9e9 ? v : 9e9) * 1e9));
}

static void put_result(
	struct json *j, const struct bench *b, const struct result *r, enum pattern p, size_t size)
{
	json_open(j, pattern_name(p), '{');
	if (r->done && p == REQUEST) {
		json_seconds(j, "p50", (int64_t)r->p50);
		json_seconds(j, "p90", (int64_t)r->p90);
		json_seconds(j, "p99", (int64_t)r->p99);
		json_seconds(j, "max", (int64_t)r->max);
		json_uint(j, "samples", r->samples);
	} else if (r->done) {
		put_fraction(j, "messages", r->rate);
		json_uint(j, "bytes", (uint64_t)(r->rate * (double)size + 0.5));
		if (p >= BROADCAST)
			json_uint(j, "receivers", b->workers);
	}
	if (r->done) {
		json_uint(j, "batches", r->batches);
		put_fraction(j, "spread", r->spread);
		json_bool(j, "noisy", r->spread > NOISY);
	}
	json_str(j, "error", r->done ? NULL : r->why);
	json_close(j, '}');
}

static void put_advice(struct json *j, const struct bench *b, unsigned s, enum pattern p)
{
	struct advice a;
	advice_for(b, s, p, &a);
	json_open(j, NULL, '{');
	json_str(j, "pattern", pattern_name(p));
	json_uint(j, "size", b->sizes[s]);
	json_str(j, "mechanism", a.mech != NULL ? a.mech->name : NULL);
	json_str(j, "applet", a.mech != NULL ? a.mech->applet : NULL);
	json_str(j, "reason", a.text);
	json_close(j, '}');
}

void report_json(const struct bench *b)
{
	struct json j;
	unsigned all, noisy = noisy_results(b, &all);
	json_start(&j, &b->call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "machine", machine_text(b));
	json_str(&j, "processors", b->one_cpu ? "one" : b->pin ? "pinned" : "free");
	json_uint(&j, "measurements", all);
	json_uint(&j, "noisy", noisy);
	json_open(&j, "results", '[');
	for (unsigned s = 0; s < b->nsizes; s++)
		for (unsigned m = 0; m < b->nmechs; m++) {
			json_open(&j, NULL, '{');
			json_str(&j, "mechanism", b->mechs[m]->name);
			json_uint(&j, "size", b->sizes[s]);
			for (enum pattern p = 0; p < NPATTERNS; p++)
				if (b->wanted[p])
					put_result(&j, b, bench_result(b, s, m, p), p, b->sizes[s]);
			json_close(&j, '}');
		}
	json_close(&j, ']');
	json_open(&j, "recommended", '[');
	for (enum pattern p = 0; p < NPATTERNS; p++)
		for (unsigned s = 0; s < b->nsizes; s++)
			if (b->wanted[p] && (!b->given || p == b->chief))
				put_advice(&j, b, s, p);
	json_close(&j, ']');
	json_close(&j, '}');
}
