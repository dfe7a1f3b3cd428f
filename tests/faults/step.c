/* step STRIDE FILE BEFORE -- CMD ARG...: run CMD one instruction at a time and kill it with SIGKILL after
 * every STRIDEth; FILE starts each time as a copy of BEFORE. After each kill the ring in FILE must work,
 * and hold what it held before, or what it holds after a CMD that was not killed. Prints how many runs
 * there were, and how many were bad.
 *
 * Counting begins where CMD registers its robust futexes after it has opened FILE, just before it first
 * locks: what a dynamic loader and a C library do before that is not counted. */
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

static void copy(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_TRUNC);
	ssize_t n = read(in, buf, sizeof buf);
	if (n < 0 || out < 0 || write(out, buf, (size_t)n) != n)
		exit(2);
	close(in);
	close(out);
}

/* Whether the string at ADDR in PID is FILE. */
static int names(pid_t pid, unsigned long addr, const char *file)
{
	char buf[256] = "";
	size_t len = strlen(file) + 1;
	struct iovec to = {buf, len}, from = {(void *)addr, len};
	return len <= sizeof buf && process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)len &&
		memcmp(buf, file, len) == 0;
}

/* As far as the first set_robust_list(2) behind the openat(2) of FILE. */
static void skip(pid_t pid, int *st, const char *file)
{
	int opened = 0;
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
		if (info.entry.nr == SYS_openat && names(pid, info.entry.args[1], file))
			opened = 1;
#ifdef SYS_open
		if (info.entry.nr == SYS_open && names(pid, info.entry.args[0], file))
			opened = 1;
#endif
		if (opened && info.entry.nr == SYS_set_robust_list)
			return;
	}
}

/* Run ARGV for at most STEPS instructions, then kill it. How many it made; *ENDED when it was through. */
static long run(char **argv, const char *file, long steps, int *ended)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		dup2(null, 2);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], argv);
		_exit(127);
	}
	int st;
	long n = 0;
	*ended = 0;
	waitpid(pid, &st, 0);
	skip(pid, &st, file);
	while (n < steps && !WIFEXITED(st) && !WIFSIGNALED(st)) {
		int sig = n == 0 || (WSTOPSIG(st) & 0x7f) == SIGTRAP ? 0 : WSTOPSIG(st);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(long)sig) < 0)
			break;
		waitpid(pid, &st, 0);
		n++;
	}
	*ended = WIFEXITED(st);
	if (!WIFEXITED(st) && !WIFSIGNALED(st)) {
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
	}
	return n;
}

/* What is in the ring, taken out: put a last record through first, to see that it works. */
static void drain(const char *cmd, const char *file, char *buf, size_t size)
{
	char line[1024];
	snprintf(line, sizeof line,
		"'%s' put -w 10 '%s' end && '%s' close '%s' && '%s' get -f -w 10 '%s'", cmd, file,
		cmd, file, cmd, file);
	FILE *f = popen(line, "r"); // NOLINT(cert-env33-c): the names are ours
	size_t n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	if (pclose(f) != 0)
		strcpy(buf, "failed");
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	long stride = atol(argv[1]);
	char *file = argv[2], *before = argv[3], **cmd = argv + 5;
	char old[1024], new[1024], now[1024];
	int ended, bad = 0, runs = 0, olds = 0;
	copy(before, file);
	drain(cmd[0], file, old, sizeof old);
	copy(before, file);
	long total = run(cmd, file, 100000000, &ended);
	if (!ended)
		return 2;
	drain(cmd[0], file, new, sizeof new);
	for (long at = 1 + total % stride; at < total; at += stride) {
		copy(before, file);
		run(cmd, file, at, &ended);
		drain(cmd[0], file, now, sizeof now);
		runs++;
		olds += strcmp(now, old) == 0;
		if (strcmp(now, old) != 0 && strcmp(now, new) != 0) {
			bad++;
			printf("killed after %ld of %ld instructions: %s\n", at, total, now);
		}
	}
	printf("%ld instructions, %d kills, %d as before, %d as after, bad %d\n", total, runs, olds,
		runs - olds - bad, bad);
	return bad != 0;
}
