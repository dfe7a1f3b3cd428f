/* step MARK STEPS CMD ARG...: run CMD, single-step it from its first open of a file whose path ends in
 * /MARK, and kill it with SIGKILL after STEPS instructions. STEPS 0: never. Prints on stderr how many
 * it made and how it ended: "N killed" or "N STATUS". What CMD starts is not stepped. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does the string at ADDR in PID end in /MARK? */
static int names(pid_t pid, unsigned long addr, const char *mark)
{
	char buf[4096] = "";
	size_t room = 4096 - addr % 4096; /* no page further: it may not be there */
	struct iovec to = {buf, room - 1}, from = {(void *)addr, room - 1};
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) <= 0)
		return 0;
	size_t len = strlen(buf), want = strlen(mark);
	return len >= want && strcmp(buf + len - want, mark) == 0 &&
		(len == want || buf[len - want - 1] == '/');
}

/* As far as the entry of the open of MARK. */
static void skip(pid_t pid, int *st, const char *mark)
{
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD);
	for (;;) {
		struct __ptrace_syscall_info info;
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
			return;
		waitpid(pid, st, 0);
		if (WIFEXITED(*st) || WIFSIGNALED(*st))
			return;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0 ||
			info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (info.entry.nr == SYS_openat && names(pid, info.entry.args[1], mark))
			return;
#ifdef SYS_open
		if (info.entry.nr == SYS_open && names(pid, info.entry.args[0], mark))
			return;
#endif
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	long steps = atol(argv[2]), n = 0;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 2);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	int st;
	waitpid(pid, &st, 0);
	skip(pid, &st, argv[1]);
	while ((steps == 0 || n < steps) && !WIFEXITED(st) && !WIFSIGNALED(st)) {
		int sig = n == 0 || (WSTOPSIG(st) & 0x7f) == SIGTRAP ? 0 : WSTOPSIG(st);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(long)sig) < 0)
			break;
		waitpid(pid, &st, 0);
		n++;
	}
	if (WIFEXITED(st))
		return fprintf(stderr, "%ld %d\n", n, WEXITSTATUS(st)), 0;
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	return fprintf(stderr, "%ld killed\n", n), 0;
}
