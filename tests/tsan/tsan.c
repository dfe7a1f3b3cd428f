/* tests/tsan/tsan.c: the code that shares memory, its own verbs, in many threads of one process, under the thread
 * sanitizer: tsan [ROUNDS]. Run in an empty directory; tests/tsan/run does it.
 *
 * Each thread runs verbs as a host does, on the same rings, events, barriers, semaphores and words, which
 * tests/tsan/plain.c maps at one place. What the sanitizer reports is an access that nothing orders. Beside
 * that each play keeps plain variables which only the object it is about keeps apart (a counter under a
 * semaphore, a value written before a set and read after the wait), so that an object which no longer orders
 * what is done around it is reported too. Prints a line per play; status 1 when a result is wrong, and the
 * sanitizer's own when it has reported anything.
 */
#define _GNU_SOURCE
#include "tsan.h"

#include "args.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned rounds = 1000;
int messages = 2;
static unsigned calls, failures;

void wrong(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("wrong: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

int memory(const char *text)
{
	int fd = memfd_create("tsan", MFD_CLOEXEC);
	if (fd < 0 || fd_write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) != 0)
		exit(70);
	return fd;
}

char *contents(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		exit(70);
	char *text = calloc(1, (size_t)st.st_size + 1);
	if (text == NULL || pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
		exit(70);
	close(fd);
	return text;
}

int run_on(int in, int out, const char *const *words)
{
	static __thread struct call call;
	char *const *argv = (char *const *)(uintptr_t)(words + 1);
	bool alias = false;
	memset(&call, 0, offsetof(struct call, out) + offsetof(struct out, buf));
	call.in = in;
	call.out.fd = out;
	call.err = messages;
	call.applet = args_applet(words[0], &alias);
	int status = args_choose(&call, &argv);
	if (status < 0)
		status = args_parse(&call, argv);
	if (status < 0)
		status = call.verb->run(&call);
	int flushed = call_flush(&call);
	call_unwind(&call, 0);
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return flushed != 0 && status == 0 ? flushed : status;
}

int run(const char *const *words)
{
	static int null = -1; /* made by main's first call, before there are threads */
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return run_on(null, null, words);
}

void must(const char *const *words)
{
	int status = run(words);
	if (status != 0)
		wrong("%s %s: status %d", words[0], words[1], status);
}

long long value(const char *const *words)
{
	int out = memory(""), status = run_on(out, out, words);
	char *text = contents(out);
	if (status != 0)
		wrong("%s %s: status %d", words[0], words[1], status);
	long long n = strtoll(text, NULL, 10);
	free(text);
	return n;
}

void hold(struct held *h, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		exit(70);
	h->size = (size_t)st.st_size;
	h->base = mmap(NULL, h->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
}

void let_go(struct held *h)
{
	munmap(h->base, h->size);
}

const char *number(long long n, char *buf)
{
	snprintf(buf, NUMBER, "%lld", n);
	return buf;
}

static void *start(void *arg)
{
	struct actor *a = arg;
	a->play(a->n);
	return NULL;
}

void act(struct actor *a, unsigned n, void (*play)(unsigned n))
{
	*a = (struct actor){.play = play, .n = n};
	if (pthread_create(&a->thread, NULL, start, a) != 0)
		exit(70);
}

void join(struct actor *a)
{
	pthread_join(a->thread, NULL);
}

void together(unsigned n, void (*play)(unsigned n))
{
	struct actor actors[8];
	for (unsigned i = 0; i < n; i++)
		act(&actors[i], i, play);
	for (unsigned i = 0; i < n; i++)
		join(&actors[i]);
}

static void play(const char *name, void (*fn)(void))
{
	unsigned before = calls;
	fn();
	printf("%s: %u calls\n", name, calls - before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char dir[4096];
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (rounds == 0 || getcwd(dir, sizeof dir) == NULL) {
		fputs("usage: tsan [ROUNDS]\n", stderr);
		return 64;
	}
	setenv("IPC_DIR", dir, 1);
	signal(SIGPIPE, SIG_IGN); // NOLINT: as main.c does
	must(WORDS("ipc-ring", "create", "-S", "64", "./first"));
	must(WORDS("ipc-ring", "rm", "./first"));
	play("ring", play_ring);
	play("ring, the oldest dropped", play_drop);
	play("event", play_event);
	play("event, automatic", play_auto);
	play("barrier", play_barrier);
	play("barrier, broken", play_break);
	play("semaphore", play_sem);
	play("shared words", play_words);
	play("made and removed", play_churn);
	printf("%u calls, %u wrong results\n", calls, failures);
	return failures > 0;
}
