/* tests/tsan/tsan.h: verbs in threads. */
#ifndef IPC_TSAN_H
#define IPC_TSAN_H

#include <pthread.h>
#include <stddef.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NUMBER 24

extern unsigned rounds;
extern int messages; /* where the verbs' go */

/* Something that must hold does not. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A file in memory that holds TEXT; all that is in one, to be freed: FD is closed. */
int memory(const char *text);
char *contents(int fd);
/* Run a verb with stdin IN and stdout OUT, or nothing there: its status. */
int run_on(int in, int out, const char *const *words);
int run(const char *const *words);
/* Run one that must succeed; and print a number. */
void must(const char *const *words);
long long value(const char *const *words);
/* Have PATH mapped, so that it keeps its place when nobody else has it mapped. */
struct held {
	void *base;
	size_t size;
};
void hold(struct held *h, const char *path);
void let_go(struct held *h);
/* N as text in BUF of NUMBER bytes. */
const char *number(long long n, char *buf);

/* A thread that plays. */
struct actor {
	pthread_t thread;
	void (*play)(unsigned n);
	unsigned n;
};
void act(struct actor *a, unsigned n, void (*play)(unsigned n));
void join(struct actor *a);
/* N of them, 0 to N-1; at most 8. */
void together(unsigned n, void (*play)(unsigned n));

void play_ring(void);
void play_drop(void);
void play_event(void);
void play_auto(void);
void play_barrier(void);
void play_break(void);
void play_sem(void);
void play_words(void);
void play_churn(void);

#endif
