/* applets/ipc-bench/report.c: the tables for people, one per size, best first, and the recommendations. */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"
#include "num.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#define WIDTH 80

const char *pattern_name(enum pattern p)
{
	static const char *const names[] = {[REQUEST] = "request",
		[STREAM] = "stream",
		[BROADCAST] = "broadcast",
		[QUEUE] = "queue"};
	return names[p];
}

void show_number(double v, bool units, char buf[16])
{
	static const char *const unit[] = {"", "k", "M", "G", "T"};
	unsigned u = 0;
	for (; units && v >= 999.5 && u < 4; u++)
		v /= 1000;
	int digits = v >= 99.95 ? 0 : v >= 9.995 ? 1 : v >= 0.9995 ? 2 : 3;
	snprintf(buf, 16, "%.*f%s", digits, v, unit[u]);
}

/* "model name : X" of the first processor; "" where the kernel tells no such thing. */
static const char *model(const struct bench *b)
{
	char *text = NULL, *name = NULL;
	size_t len;
	if (fd_slurp(AT_FDCWD, "/proc/cpuinfo", 16 << 20, &text, &len) < 0)
		return "";
	char *at = strstr(text, "model name");
	char *colon = at != NULL ? strchr(at, ':') : NULL;
	if (colon != NULL) {
		colon += strspn(colon, ": \t");
		colon[strcspn(colon, "\n")] = '\0';
		name = call_fmt(b->call, ", %s", colon);
	}
	fd_slurp_free(text);
	return name != NULL ? name : "";
}

const char *machine_text(const struct bench *b)
{
	struct utsname u;
	cpu_set_t set;
	int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	if (uname(&u) < 0)
		return "?";
	const char *text = call_fmt(b->call, "%s %s %s, %d processor%s%s", u.sysname, u.release,
		u.machine, cpus, cpus == 1 ? "" : "s", model(b));
	return text != NULL ? text : "?";
}

const char *pin_text(const struct bench *b)
{
	return b->one_cpu ? "all on one processor"
		: b->pin  ? "each on a processor of its own"
			  : "free to move between processors";
}

/* Does the terminal understand more than ASCII? */
static bool utf8(void)
{
	const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"}, *v = NULL;
	for (unsigned i = 0; i < 3 && (v == NULL || *v == '\0'); i++)
		v = getenv(names[i]);
	return v != NULL && (strcasestr(v, "utf-8") != NULL || strcasestr(v, "utf8") != NULL);
}

/* The mechanisms of SIZE, best first, those without a number behind. */
static void sorted(const struct bench *b, unsigned size, unsigned order[MAX_MECHS])
{
	for (unsigned i = 0; i < b->nmechs; i++) {
		double s = result_score(bench_result(b, size, i, b->chief), b->chief);
		unsigned at = i;
		while (at > 0 &&
			s > result_score(
				    bench_result(b, size, order[at - 1], b->chief), b->chief)) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
}

/* The place of S on a log scale, which covers a decade at least: what is nearly as quick is to look so. */
static double place(double s, double least, double most)
{
	double span = stats_log10(most) - stats_log10(least);
	return 1 - (stats_log10(most) - stats_log10(s)) / (span > 1 ? span : 1);
}

/* The slowest of a wide field gets a tenth of ROOM, the quickest all of it. */
static void put_bar(struct out *out, double part, unsigned room, bool wide)
{
	static const char *const eighths[] = {
		"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
	unsigned n = (unsigned)((0.1 + 0.9 * part) * room * 8 + 0.5);
	for (unsigned i = 0; i < n / 8; i++)
		out_str(out, wide ? "\u2588" : "#");
	if (wide)
		out_str(out, eighths[n % 8]);
	else if (n < 8)
		out_char(out, '#');
}

static void put_numbers(struct out *out, const struct bench *b, unsigned size, unsigned mech)
{
	const struct result *rtt = bench_result(b, size, mech, REQUEST);
	const struct result *row = bench_result(b, size, mech, STREAM);
	uint64_t v[] = {rtt->p50, rtt->p90, rtt->p99, rtt->max};
	char n[16];
	for (unsigned i = 0; i < 4; i++) {
		show_number((double)v[i] / 1e3, v[i] >= 100000000, n);
		out_fmt(out, " %*s", i == 3 ? 7 : 6, rtt->done ? n : "-");
	}
	show_number(row->rate, true, n);
	out_fmt(out, " %7s", row->done ? n : "-");
	show_number(row->rate * (double)b->sizes[size] / 1e6, false, n);
	out_fmt(out, " %6s", row->done ? n : "-");
	if (b->chief >= BROADCAST) {
		const struct result *more = bench_result(b, size, mech, b->chief);
		show_number(more->rate, true, n);
		out_fmt(out, " %9s", more->done ? n : "-");
	}
}

/* The widest interval of what stands in the row, in percent. */
static void put_spread(struct out *out, const struct bench *b, unsigned size, unsigned mech)
{
	double worst = 0;
	for (enum pattern p = 0; p < NPATTERNS; p++) {
		const struct result *r = bench_result(b, size, mech, p);
		worst = r->done && r->spread > worst ? r->spread : worst;
	}
	out_fmt(out, " %3.0f%%", worst * 100);
}

/* Why there is no number; the first reason of the row. */
static const char *reason(const struct bench *b, unsigned size, unsigned mech)
{
	for (enum pattern p = 0; p < NPATTERNS; p++)
		if (bench_result(b, size, mech, p)->why[0] != '\0')
			return bench_result(b, size, mech, p)->why;
	return NULL;
}

static bool measured(const struct bench *b, unsigned size, unsigned mech)
{
	for (enum pattern p = 0; p < NPATTERNS; p++)
		if (bench_result(b, size, mech, p)->done)
			return true;
	return false;
}

static void put_row(struct out *out, const struct bench *b, unsigned size, unsigned mech,
	double least, double most)
{
	double s = result_score(bench_result(b, size, mech, b->chief), b->chief);
	unsigned used = b->chief >= BROADCAST ? 69 : 59;
	out_fmt(out, "%-9s", b->mechs[mech]->name);
	if (!measured(b, size, mech)) {
		out_fmt(out, "  %s\n", reason(b, size, mech));
		return;
	}
	put_numbers(out, b, size, mech);
	put_spread(out, b, size, mech);
	out_char(out, ' ');
	if (s > 0)
		put_bar(out, place(s, least, most), WIDTH - 1 - used, utf8());
	else if (reason(b, size, mech) != NULL)
		out_str(out, "(1)");
	out_char(out, '\n');
}

static void put_table(struct out *out, const struct bench *b, unsigned size)
{
	unsigned order[MAX_MECHS];
	char text[NUM_BUF];
	double least = 0, most = 0;
	sorted(b, size, order);
	for (unsigned i = 0; i < b->nmechs; i++) {
		double s = result_score(bench_result(b, size, i, b->chief), b->chief);
		most = s > most ? s : most;
		least = s > 0 && (least <= 0 || s < least) ? s : least;
	}
	bool more = b->chief >= BROADCAST;
	snprintf(text, sizeof text, "%zu bytes", b->sizes[size]);
	out_fmt(out, "\n%-16s%-21s %14s%s\n", text, "round trip, us", "stream",
		more ? b->chief == QUEUE ? "     queue" : " broadcast" : "");
	out_fmt(out, "%-9s %6s %6s %6s %7s %7s %6s%s %4s  %s\n", "", "p50", "p90", "p99", "max",
		"msg/s", "MB/s", more ? "     msg/s" : "", "+-", more ? "" : "speed (log)");
	for (unsigned i = 0; i < b->nmechs; i++)
		put_row(out, b, size, order[i], least, most);
}

/* The reasons behind rows that have some numbers, and not the one that counts. */
static void put_notes(struct out *out, const struct bench *b)
{
	for (unsigned m = 0; m < b->nmechs; m++)
		for (unsigned s = 0; s < b->nsizes; s++) {
			const char *why = reason(b, s, m);
			if (why == NULL || !measured(b, s, m))
				continue;
			out_fmt(out, "(1) %s: %s\n", b->mechs[m]->name, why);
			break;
		}
}

/* TEXT in lines of less than WIDTH columns, two blanks in front. */
static void put_text(struct out *out, const char *text)
{
	unsigned col = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		if (col > 0 && col + 1 + len >= WIDTH) {
			out_char(out, '\n');
			col = 0;
		}
		out_str(out, col == 0 ? "  " : " ");
		out_put(out, text, len);
		col += (unsigned)len + (col == 0 ? 2 : 1);
		text += len;
		text += strspn(text, " ");
	}
	out_char(out, '\n');
}

static void put_advice(struct out *out, const struct bench *b)
{
	struct advice a;
	for (enum pattern p = 0; p < NPATTERNS; p++) {
		if (!b->wanted[p] || (b->given && p != b->chief))
			continue;
		for (unsigned s = 0; s < b->nsizes; s++) {
			advice_for(b, s, p, &a);
			out_fmt(out, "\nRecommended for %s, %zu bytes:\n", pattern_name(p),
				b->sizes[s]);
			put_text(out, a.text);
		}
	}
}

void report_table(const struct bench *b)
{
	struct out *out = &b->call->out;
	out_fmt(out, "%s\nprocesses %s", machine_text(b), pin_text(b));
	if (b->chief >= BROADCAST)
		out_fmt(out, "; %u receivers", b->workers);
	out_char(out, '\n');
	for (unsigned s = 0; s < b->nsizes; s++)
		put_table(out, b, s);
	put_notes(out, b);
	put_advice(out, b);
}
