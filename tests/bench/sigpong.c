/* tests/bench/sigpong.c: sigpong N CMD [ARG...]: start CMD with its stdout on a pipe, wait for its first
 * line, then N times send it SIGRTMIN by sigqueue(3) and read the line that it answers with; end it.
 * "sigpong recv" is such a CMD: the limit, a bare sigwaitinfo(2) and a line in one write(2). */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RTMIN 34 /* the system's; musl calls another one so, and masks this */

static int receive(void)
{
	unsigned long set = 1UL << (RTMIN - 1);
	siginfo_t info;
	char line[100];
	if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof set) < 0)
		return 1;
	if (write(1, "\n", 1) != 1)
		return 1;
	for (;;) {
		long sig = syscall(SYS_rt_sigtimedwait, &set, &info, NULL, sizeof set);
		int n = snprintf(line, sizeof line, "%ld pid=%d uid=%u value=%d\n", sig,
			(int)info.si_pid, info.si_uid, info.si_value.sival_int);
		if (sig > 0 && write(1, line, (size_t)n) != n)
			return 1;
	}
}

static int ask(int fd)
{
	char line[200];
	ssize_t n;
	do
		n = read(fd, line, sizeof line);
	while (n > 0 && line[n - 1] != '\n');
	return n > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	int p[2];
	if (argc == 2 && strcmp(argv[1], "recv") == 0)
		return receive();
	if (argc < 3 || pipe(p) < 0)
		return 64;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(p[1], 1);
		close(p[0]);
		close(p[1]);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	close(p[1]);
	int bad = ask(p[0]);
	for (long n = strtol(argv[1], NULL, 10); n > 0 && bad == 0; n--)
		bad = sigqueue(pid, RTMIN, (union sigval){.sival_int = (int)n}) < 0 ||
			ask(p[0]) < 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad != 0;
}
