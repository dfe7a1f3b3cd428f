/* short -- CMD ARG...: run CMD so that every read and write it makes moves one byte at most, as the kernel
 * may at any time. Done with ptrace(2): the count is cut at the entry of the call. Descriptors that keep
 * records (datagrams, message queues, pipes in packet mode) are left alone: there a short read would lose
 * what the kernel never loses. CMD's children are not followed. Ends as CMD does. x86-64 only. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether FD of PID is a regular file or a pipe: what may be cut anywhere. */
static int stream(pid_t pid, unsigned long fd)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/fd/%lu", (int)pid, fd);
	return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode));
}

static void cut(pid_t pid)
{
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	unsigned long call = regs.orig_rax;
	if (call != SYS_read && call != SYS_write && call != SYS_pread64 && call != SYS_pwrite64)
		return;
	if (regs.rdx > 1 && stream(pid, regs.rdi)) {
		regs.rdx = 1;
		ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	int st, entry = 1;
	waitpid(pid, &st, 0);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (int sig = 0;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig) < 0)
			return 2;
		waitpid(pid, &st, 0);
		if (WIFEXITED(st))
			return WEXITSTATUS(st);
		if (WIFSIGNALED(st))
			return 128 + WTERMSIG(st);
		sig = 0;
		if (WSTOPSIG(st) == (SIGTRAP | 0x80)) {
			if (entry)
				cut(pid);
			entry = !entry;
		} else if (WSTOPSIG(st) != SIGTRAP) {
			sig = WSTOPSIG(st);
		}
	}
}
