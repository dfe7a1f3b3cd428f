/* applets/ipc-bench/progress.c: how far it is, on stderr: one line drawn over itself on a terminal; with -P
 * a line every few seconds where nothing can be drawn over. */
#define _GNU_SOURCE
#include "bench.h"

#include "fd.h"
#include "num.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TTY_EVERY (200 * NS_PER_MS)
#define LINE_EVERY (2 * NS_PER_S)
#define WIDTH 20

void bench_progress_start(struct bench *b)
{
	const struct call *call = b->call;
	b->tty = isatty(call->err);
	b->draw = call->std[STD_QUIET].count == 0 && (b->tty || call->std[STD_PROGRESS].count > 0);
	b->started = wait_now();
	b->drawn = b->tty ? 0 : b->started;
}

int64_t bench_progress_due(const struct bench *b)
{
	return b->draw ? b->drawn + (b->tty ? TTY_EVERY : LINE_EVERY) : DEADLINE_NONE;
}

void bench_progress(struct bench *b)
{
	char line[160], bar[WIDTH + 1], size[NUM_BUF];
	int64_t now = wait_now();
	if (!b->draw || now < bench_progress_due(b))
		return;
	b->drawn = now;
	unsigned full = b->total > 0 ? b->finished * WIDTH / b->total : 0;
	memset(bar, '.', WIDTH);
	memset(bar, '=', full);
	bar[WIDTH] = '\0';
	double seconds = (double)(now - b->started) / 1e9;
	double left = b->finished > 0 ? seconds / b->finished * (b->total - b->finished) : 0;
	int n = snprintf(line, sizeof line, "%sipc-bench [%s] %u/%u  %s, %s bytes, %s  ETA %.0fs%s",
		b->tty ? "\r" : "", bar, b->finished, b->total, b->mech->name,
		num_show_size(b->size, size), pattern_name(b->pattern), left,
		b->tty ? "\033[K" : "\n");
	if (n > 0)
		(void)fd_write(
			b->call->err, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void bench_progress_end(struct bench *b)
{
	if (b->draw && b->tty && b->drawn != 0)
		(void)fd_write(b->call->err, "\r\033[K", 4);
	b->draw = false;
}
