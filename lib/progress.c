/* lib/progress.c: the progress bar of copy.h. A line is drawn at most ten times a second (every five
 * seconds where nothing can be drawn over), each in one write(2); the clock is only read once in a
 * few MiB, or for small pieces. */
#define _GNU_SOURCE
#include "copy.h"

#include "fd.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHECK_SHIFT 22 /* look at the clock when 4 MiB more have passed */
#define SMALL 65536    /* ... or when the pieces are smaller than this: the stream is slow */
#define TTY_EVERY (100 * NS_PER_MS)
#define LINE_EVERY (5 * NS_PER_S)
#define LINE_MAX_WIDTH 200

void progress_start(struct progress *p, int fd, bool on, uint64_t total)
{
	*p = (struct progress){.fd = on ? fd : -1, .total = total};
	if (!on)
		return;
	p->tty = isatty(fd);
	p->started = p->drawn = p->since = wait_now();
}

/* Bytes for people: three digits and a unit ("1.23G"). */
static void human(double n, char buf[16])
{
	static const char units[] = "BKMGTPE";
	size_t u = 0;
	while (n >= 999.5 && u + 1 < sizeof units - 1) {
		n /= 1024;
		u++;
	}
	int digits = u == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
	snprintf(buf, 16, "%.*f%c", digits, n, units[u]);
}

static void span(double seconds, char buf[24])
{
	unsigned long s = seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 999999999;
	if (s < 100)
		snprintf(buf, 24, "%lus", s);
	else if (s < 6000)
		snprintf(buf, 24, "%lum%02lus", s / 60, s % 60);
	else
		snprintf(buf, 24, "%luh%02lum", s / 3600, s / 60 % 60);
}

static size_t width_of(const struct progress *p)
{
	struct winsize ws;
	if (!p->tty || ioctl(p->fd, TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
		return 80;
	return ws.ws_col < LINE_MAX_WIDTH ? ws.ws_col : LINE_MAX_WIDTH;
}

/* "[=====>    ]" of WIDTH characters in all. */
static void bar(char *s, size_t width, double part)
{
	size_t inner = width - 2, full = (size_t)(part * (double)inner);
	s[0] = '[';
	memset(s + 1, ' ', inner);
	memset(s + 1, '=', full);
	if (full < inner)
		s[1 + full] = '>';
	s[width - 1] = ']';
	s[width] = '\0';
}

/* Bytes a second in the last second or so: a stall shows. At the end the mean. */
static double rate_of(struct progress *p, int64_t now, bool last)
{
	int64_t all = now - p->started, part = now - p->since;
	if (!last && part >= NS_PER_S) {
		p->rate = (double)(p->done - p->passed) / ((double)part / (double)NS_PER_S);
		p->since = now;
		p->passed = p->done;
	}
	if (!last && p->since != p->started)
		return p->rate;
	return all > 0 ? (double)p->done / ((double)all / (double)NS_PER_S) : 0;
}

static void draw(struct progress *p, int64_t now, bool last)
{
	char done[16], rate[16], time[24], tail[64] = "", line[LINE_MAX_WIDTH + 8],
					   meter[LINE_MAX_WIDTH + 8] = "";
	double s = (double)(now - p->started) / (double)NS_PER_S;
	double speed = rate_of(p, now, last);
	size_t width = width_of(p);
	human((double)p->done, done);
	human(speed, rate);
	span(s, time);
	if (p->total > 0) {
		double part = (double)p->done / (double)p->total;
		part = part > 1 ? 1 : part;
		char eta[24];
		if (speed > 0 || part >= 1)
			span(part < 1 ? (double)(p->total - p->done) / speed : 0, eta);
		else
			strcpy(eta, "-");
		snprintf(tail, sizeof tail, " %3.0f%%  %s %s", part * 100, last ? "in" : "ETA",
			last ? time : eta);
		size_t room = strlen(done) + strlen(rate) + strlen(tail) + 8;
		if (width > room + 10)
			bar(meter, width - room, part);
	} else {
		snprintf(tail, sizeof tail, " %s", time);
	}
	int n = snprintf(line, sizeof line, "%s  %s/s  %s%s", done, rate, meter, tail);
	size_t len = n < 0 ? 0 : (size_t)n < width ? (size_t)n : width - 1;
	char text[sizeof line + 8];
	n = snprintf(text, sizeof text, "%s%.*s%s%s", p->tty ? "\r" : "", (int)len, line,
		p->tty ? "\033[K" : "", last || !p->tty ? "\n" : "");
	if (n > 0)
		(void)fd_write(p->fd, text, (size_t)n);
	p->drawn = now;
}

void progress_add(struct progress *p, uint64_t bytes)
{
	uint64_t before = p->done;
	p->done += bytes;
	if (p->fd < 0 || (bytes >= SMALL && before >> CHECK_SHIFT == p->done >> CHECK_SHIFT))
		return;
	int64_t now = wait_now();
	if (now - p->drawn >= (p->tty ? TTY_EVERY : LINE_EVERY))
		draw(p, now, false);
}

int64_t progress_due(const struct progress *p)
{
	if (p == NULL || p->fd < 0)
		return DEADLINE_NONE;
	return p->drawn + (p->tty ? TTY_EVERY : LINE_EVERY);
}

void progress_end(struct progress *p)
{
	if (p->fd >= 0)
		draw(p, wait_now(), true);
	p->fd = -1;
}
