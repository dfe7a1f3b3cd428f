/* tests/bench/numbered.c: numbered N CMD [ARG...]: start CMD N times, one after the other, with vfork(2) and
 * execve(2), with each % in an ARG replaced by the number of the turn. Ends at the first that fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MOST 32
#define ARG_LONGEST 512

static void number(char *to, const char *from, long turn)
{
	const char *percent = strchr(from, '%');
	if (percent == NULL)
		snprintf(to, ARG_LONGEST, "%s", from);
	else
		snprintf(to, ARG_LONGEST, "%.*s%ld%s", (int)(percent - from), from, turn,
			percent + 1);
}

int main(int argc, char **argv)
{
	static char text[ARGS_MOST][ARG_LONGEST];
	char *args[ARGS_MOST + 1] = {NULL};
	if (argc < 3 || argc - 2 > ARGS_MOST) {
		fputs("usage: numbered N CMD [ARG...]\n", stderr);
		return 64;
	}
	long n = strtol(argv[1], NULL, 10);
	for (long turn = 0; turn < n; turn++) {
		int status;
		for (int i = 2; i < argc; i++) {
			number(text[i - 2], argv[i], turn);
			args[i - 2] = text[i - 2];
		}
		pid_t pid = vfork();
		if (pid == 0) {
			execvp(args[0], args);
			_exit(127);
		}
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (pid < 0 || status != 0)
			return 1;
	}
	return 0;
}
