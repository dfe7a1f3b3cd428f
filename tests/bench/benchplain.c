/* benchplain pipe|stream|mq SIZE MS: the limit for ipc-bench: what a plain program measures. Prints the
 * median round trip in ns and the messages a second of a stream, each measured for MS milliseconds, with
 * each process on a processor of its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 1000000
static char buf[1 << 20];
static long samples[MOST];
static size_t size;
static mqd_t queue[2];
static int fd[2][2]; /* way, end: 0 reads */

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void get(int way)
{
	size_t have = 0;
	while (have < size) {
		ssize_t n = read(fd[way][0], buf + have, size - have);
		if (n <= 0)
			exit(1);
		have += (size_t)n;
	}
}

static void put(int way)
{
	if (write(fd[way][1], buf, size) != (ssize_t)size)
		exit(1);
}

static void mq_get(int way)
{
	if (mq_receive(queue[way], buf, size, NULL) < 0)
		exit(1);
}

static void mq_put(int way)
{
	if (mq_send(queue[way], buf, size, 0) < 0)
		exit(1);
}

static void open_mq(int way)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = (long)size};
	char name[64];
	snprintf(name, sizeof name, "/benchplain.%ld.%d", (long)getpid(), way);
	queue[way] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (queue[way] == (mqd_t)-1)
		exit(1);
	mq_unlink(name);
}

static void open_all(const char *kind)
{
	if (strcmp(kind, "mq") == 0) {
		open_mq(0);
		open_mq(1);
	} else if (strcmp(kind, "pipe") == 0) {
		if (pipe(fd[0]) < 0 || pipe(fd[1]) < 0)
			exit(1);
	} else {
		int s[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
			exit(1);
		fd[0][1] = fd[1][0] = s[0];
		fd[0][0] = fd[1][1] = s[1];
	}
}

static void pin(int nth)
{
	static cpu_set_t all; /* before the first pin */
	cpu_set_t one;
	CPU_ZERO(&one);
	if (CPU_COUNT(&all) == 0)
		sched_getaffinity(0, sizeof all, &all);
	nth %= CPU_COUNT(&all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && nth-- == 0)
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof one, &one);
}

static pid_t start(void)
{
	pin(0);
	pid_t pid = fork();
	if (pid == 0)
		pin(1);
	return pid;
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	size = (size_t)atol(argv[2]);
	long span = atol(argv[3]) * 1000000L;
	int mq = strcmp(argv[1], "mq") == 0;
	void (*in)(int) = mq ? mq_get : get, (*out)(int) = mq ? mq_put : put;

	open_all(argv[1]);
	pid_t pid = start();
	if (pid == 0)
		for (;;) {
			in(0);
			out(1);
		}
	size_t n = 0;
	long began = now(), last = began;
	while (n < MOST && last - began < span) {
		out(0);
		in(1);
		long t = now();
		samples[n++] = t - last;
		last = t;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	qsort(samples, n, sizeof *samples, by_value);
	long median = samples[n / 2];

	/* A stream; the median of windows of 10 ms, since the machine may have other things to do. */
	pid = start();
	if (pid == 0)
		for (;;)
			in(0);
	began = now();
	n = 0;
	do {
		long sent = 0, from = now();
		do {
			for (int i = 0; i < 64; i++)
				out(0);
			sent += 64;
			last = now();
		} while (last - from < 10000000L);
		samples[n++] = sent * 1000000000L / (last - from);
	} while (last - began < span);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	qsort(samples, n, sizeof *samples, by_value);
	printf("%ld %ld\n", median, samples[n / 2]);
	return 0;
}
