/* tests/bench/repeat.c: repeat [-o FILE] N CMD [ARG...]: start CMD N times, one after the other, with
 * vfork(2) and execve(2), and wait for each: what starting it costs, without a shell's fork. With -o
 * the wall time of it all, in nanoseconds, is written to FILE. It ends with CMD's last status. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int once(char **argv)
{
	int status;
	pid_t pid = vfork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		return 125;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *file = NULL;
	if (argc > 2 && strcmp(argv[1], "-o") == 0) {
		file = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 3) {
		fputs("usage: repeat [-o FILE] N CMD [ARG...]\n", stderr);
		return 64;
	}
	int status = 0;
	long long start = now();
	for (long n = strtol(argv[1], NULL, 10); n > 0; n--)
		status = once(argv + 2);
	long long took = now() - start;
	if (file != NULL) {
		FILE *f = fopen(file, "we");
		if (f == NULL || fprintf(f, "%lld\n", took) < 0 || fclose(f) != 0) {
			perror(file);
			return 74;
		}
	}
	return status;
}
