/* tests/tsan/rings.c: rings in threads: writers and readers, one that looks, drops, and names that come and go. */
#define _GNU_SOURCE
#include "tsan.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING "./ring"
#define WRITERS 3
#define READERS 3

static bool over; /* atomic: nothing more to look at */
static char *got[READERS];

/* Records "WRITER NUMBER": the first writer's one a call, the others' all from stdin. */
static void write_ring(unsigned n, const char *full)
{
	char *text = calloc(rounds, NUMBER * 2), *end = text;
	char record[NUMBER * 2];
	if (text == NULL)
		exit(70);
	for (unsigned i = 0; i < rounds; i++) {
		snprintf(record, sizeof record, "%u %u", n, i);
		if (n == 0)
			must(WORDS("ipc-ring", "put", full, RING, record));
		else
			end += sprintf(end, "%s\n", record);
	}
	int in = n == 0 ? -1 : memory(text);
	if (n != 0) {
		int status = run_on(in, -1, WORDS("ipc-ring", "put", full, RING));
		if (status != 0)
			wrong("put: status %d", status);
		free(contents(in));
	}
	free(text);
}

static void writer(unsigned n)
{
	write_ring(n, "--full=block");
}

static void dropper(unsigned n)
{
	write_ring(n, "--full=drop-oldest");
}

/* The first takes what is there, the second one by one, the third one a call. */
static void reader(unsigned n)
{
	static const char *const ways[READERS][8] = {{"ipc-ring", "get", "-f", RING},
		{"ipc-ring", "get", "-f", "--batch", "1", RING}, {"ipc-ring", "get", "-q", RING}};
	int out = memory(""), status;
	do
		status = run_on(out, out, ways[n]);
	while (n == 2 && status == 0);
	if (status != (n == 2 ? 69 : 0))
		wrong("get: status %d", status);
	got[n] = contents(out);
}

static void watcher(unsigned n)
{
	(void)n;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
		must(WORDS("ipc-ring", "stat", "-J", RING));
}

/* The records of each writer in order; how many. */
static unsigned long check(const char *text, bool whole, unsigned long *left)
{
	long last[WRITERS] = {-1, -1, -1};
	unsigned long n = 0;
	unsigned w;
	long i;
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1, n++) {
		if (sscanf(line, "%u %ld\n", &w, &i) != 2 || w >= WRITERS || i <= last[w]) {
			wrong("a record that was not put, or twice, or late: %.20s", line);
			break;
		}
		last[w] = i;
	}
	if (whole)
		*left += n;
	return n;
}

static void both(unsigned readers, void (*write)(unsigned n), bool whole)
{
	struct actor r[READERS], w;
	unsigned long all = 0;
	over = false;
	messages = memory(""); /* the last reader says that it is closed */
	must(WORDS("ipc-ring", "create", "-S", "256", RING));
	for (unsigned i = 0; i < readers; i++)
		act(&r[i], i, reader);
	act(&w, 0, watcher);
	together(WRITERS, write);
	must(WORDS("ipc-ring", "close", RING));
	for (unsigned i = 0; i < readers; i++)
		join(&r[i]);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	join(&w);
	for (unsigned i = 0; i < readers; i++) {
		check(got[i], whole, &all);
		free(got[i]);
	}
	if (whole && all != (unsigned long)WRITERS * rounds)
		wrong("%lu records of %u", all, WRITERS * rounds);
	must(WORDS("ipc-ring", "rm", RING));
	close(messages);
	messages = 2;
}

void play_ring(void)
{
	both(READERS, writer, true);
}

void play_drop(void)
{
	both(2, dropper, false);
}

/* Names that come and go under those that use them. */
static void churn(unsigned n)
{
	static const char *const calls[][8] = {
		{"ipc-ring", "put", "-q", "--create", "--full=drop-oldest", "./r", "x"},
		{"ipc-ring", "get", "-q", "-n", "--create", "./r"}, {"ipc-ring", "rm", "./r"},
		{"ipc-event", "set", "./e"}, {"ipc-event", "wait", "-q", "-n", "./e"},
		{"ipc-event", "rm", "./e"}, {"ipc-barrier", "wait", "-q", "-n", "-c", "1", "./b"},
		{"ipc-barrier", "rm", "./b"}};
	for (unsigned i = 0; i < rounds; i++) {
		int status = run(calls[(i * 3 + n) % (sizeof calls / sizeof *calls)]);
		if (status != 0 && status != 66 && status != 75)
			wrong("%s: status %d",
				calls[(i * 3 + n) % (sizeof calls / sizeof *calls)][0], status);
	}
}

void play_churn(void)
{
	messages = memory(""); /* what was there a moment ago */
	together(4, churn);
	(void)run(WORDS("ipc-ring", "rm", "./r"));
	(void)run(WORDS("ipc-event", "rm", "./e"));
	(void)run(WORDS("ipc-barrier", "rm", "./b"));
	close(messages);
	messages = 2;
}
