/* tests/tsan/others.c: events, barriers, semaphores and shared words in threads. */
#define _GNU_SOURCE
#include "tsan.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define EVENT "./event"
#define PARTIES 4

static bool over;               /* atomic */
static unsigned plain[PARTIES]; /* what only the object in question keeps apart */

static void watch(const char *applet, const char *object)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		must(WORDS(applet, "stat", "-J", object));
		must(WORDS(applet, "stat", object));
	}
}

/* PLAY in N threads, while another looks at the object. */
static void watched(unsigned n, void (*play)(unsigned n), void (*look)(unsigned n))
{
	struct actor a;
	over = false;
	act(&a, 0, look);
	together(n, play);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	join(&a);
}

/* ---- events: one that sets, pulses and clears, three that follow its sequence number */

static void watch_event(unsigned n)
{
	(void)n;
	watch("ipc-event", EVENT);
}

static void event(unsigned n)
{
	static const char *const changes[] = {"set", "clear", "pulse", "set", "pulse"};
	char since[NUMBER];
	if (n == 0) {
		for (unsigned i = 0; i < rounds * 2; i++)
			must(WORDS("ipc-event", changes[i % 5], EVENT));
		must(WORDS("ipc-event", "set", EVENT));
		return;
	}
	for (long long at = 0, last = rounds * 2 * 4 / 5 + 1; at < last;) {
		long long seq =
			value(WORDS("ipc-event", "wait", "--since", number(at, since), EVENT));
		if (seq <= at || seq > last) {
			wrong("sequence number %lld after %lld", seq, at);
			return;
		}
		at = seq;
	}
}

void play_event(void)
{
	must(WORDS("ipc-event", "clear", EVENT));
	rounds = (rounds + 4) / 5 * 5;
	watched(4, event, watch_event);
	must(WORDS("ipc-event", "rm", EVENT));
}

/* To and fro: what is written before the set is there after the wait. */
static void partner(unsigned n)
{
	static const char *const bells[] = {"./ping", "./pong"};
	for (unsigned i = 0; i < rounds; i++) {
		if (n == 1)
			must(WORDS("ipc-event", "wait", "--auto", bells[0]));
		if (plain[0] != i * 2 + n)
			wrong("%u at turn %u", plain[0], i * 2 + n);
		plain[0]++;
		must(WORDS("ipc-event", "set", "--auto", bells[n]));
		if (n == 0)
			must(WORDS("ipc-event", "wait", "--auto", bells[1]));
	}
}

void play_auto(void)
{
	struct held ping, pong;
	plain[0] = 0;
	must(WORDS("ipc-event", "clear", "--auto", "./ping"));
	must(WORDS("ipc-event", "clear", "--auto", "./pong"));
	hold(&ping, "./ping");
	hold(&pong, "./pong");
	together(2, partner);
	let_go(&ping);
	let_go(&pong);
	must(WORDS("ipc-event", "rm", "./ping", "./pong"));
}

/* ---- barriers: what each wrote before it came, all read behind it */

static void watch_barrier(unsigned n)
{
	(void)n;
	watch("ipc-barrier", "./barrier");
}

static void party(unsigned n)
{
	for (unsigned i = 1; i <= rounds / 4; i++) {
		plain[n] = i;
		must(WORDS("ipc-barrier", "wait", "-c", "4", "./barrier"));
		for (unsigned k = 0; k < PARTIES; k++)
			if (plain[k] != i)
				wrong("party %u is at %u, not %u", k, plain[k], i);
		must(WORDS("ipc-barrier", "wait", "-c", "4", "./barrier"));
	}
}

void play_barrier(void)
{
	struct held h;
	(void)run(WORDS("ipc-barrier", "wait", "-q", "-n", "-c", "4", "./barrier"));
	hold(&h, "./barrier");
	watched(PARTIES, party, watch_barrier);
	let_go(&h);
	must(WORDS("ipc-barrier", "rm", "./barrier"));
}

/* Parties that lose patience, and one that breaks it. */
static void breaker(unsigned n)
{
	for (unsigned i = 0; i < rounds / 4; i++) {
		int status = n == 0 ? run(WORDS("ipc-barrier", "break", "./barrier"))
				    : run(WORDS("ipc-barrier", "wait", "-q", "-w",
					      n == 1 ? "1ms" : "20ms", "-c", "3", "./barrier"));
		if (status != 0 && status != 76 && status != 124)
			wrong("barrier: status %d", status);
	}
}

void play_break(void)
{
	messages = memory(""); /* who is told that it is broken says so */
	(void)run(WORDS("ipc-barrier", "wait", "-q", "-n", "-c", "3", "./barrier"));
	watched(PARTIES, breaker, watch_barrier);
	must(WORDS("ipc-barrier", "rm", "./barrier"));
	close(messages);
	messages = 2;
}

/* ---- a semaphore as a lock */

static char sem[40];

static void holder(unsigned n)
{
	for (unsigned i = 0; i < rounds; i++) {
		must(WORDS("ipc-sem", "wait", sem));
		plain[0]++;
		must(WORDS("ipc-sem", "post", sem));
		if (n == 0)
			must(WORDS("ipc-sem", "get", sem));
	}
}

void play_sem(void)
{
	struct held h;
	plain[0] = 0;
	snprintf(sem, sizeof sem, "posix:/ipcbox-tsan-%ld", (long)getpid());
	must(WORDS("ipc-sem", "create", "--value", "1", sem));
	char sem_file[60];
	snprintf(sem_file, sizeof sem_file, "/dev/shm/sem.ipcbox-tsan-%ld", (long)getpid());
	hold(&h, sem_file);
	together(4, holder);
	let_go(&h);
	if (plain[0] != rounds * 4)
		wrong("%u rounds under the semaphore, not %u", plain[0], rounds * 4);
	must(WORDS("ipc-sem", "rm", sem));
}

/* ---- words: a sum, a lock made of one, and waiting for one */

static void words(unsigned n)
{
	char turn[NUMBER];
	for (unsigned i = 0; i < rounds; i++) {
		must(WORDS("ipc-shm", "add", "--type", n % 2 != 0 ? "u32" : "i32", "./words", "0",
			"1"));
		while (run(WORDS("ipc-shm", "cas", "--type", "u8", "./words", "8", "0", "1")) != 0)
			must(WORDS("ipc-shm", "wait", "--type", "u8", "./words", "8", "eq", "0"));
		plain[0]++;
		must(WORDS("ipc-shm", "set", "--type", "u8", "./words", "8", "0"));
	}
	for (unsigned i = 0; n < 2 && i < rounds; i++) {
		must(WORDS("ipc-shm", "wait", "./words", "16", "ge", number(i * 2 + n, turn)));
		plain[1]++;
		must(WORDS("ipc-shm", "add", "./words", "16", "1"));
	}
}

void play_words(void)
{
	struct held h;
	plain[0] = plain[1] = 0;
	must(WORDS("ipc-shm", "create", "-S", "4096", "./words"));
	hold(&h, "./words");
	together(4, words);
	if (value(WORDS("ipc-shm", "get", "--type", "u32", "./words", "0")) != rounds * 4)
		wrong("the sum is not %u", rounds * 4);
	if (plain[0] != rounds * 4 || plain[1] != rounds * 2)
		wrong("%u under the lock, %u turns", plain[0], plain[1]);
	let_go(&h);
	must(WORDS("ipc-shm", "rm", "./words"));
}
