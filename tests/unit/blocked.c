/* tests/unit/blocked.c: lines of proc_pid_syscall(5), with the calls that only 32-bit machines have. */
#define _GNU_SOURCE
#include "blocked.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK (sizeof(long) == 8 ? 0x7ffc00001000ULL : 0xffc01000ULL)
#define OTHER_STACK (sizeof(long) == 8 ? 0xffc01000ULL : 0x7ffc00001000ULL)

/* What is seen in the line of call NR with arguments A0 to A2 of a thread whose stack is at STACK. */
static int line(struct blocked *b, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t stack)
{
	FILE *f = fopen("syscall", "we");
	OK(f != NULL);
	if (f == NULL)
		return -1;
	fprintf(f, "%ld 0x%llx 0x%llx 0x%llx 0x0 0x0 0x0 0x%llx 0x1000\n", nr,
		(unsigned long long)a0, (unsigned long long)a1, (unsigned long long)a2,
		(unsigned long long)stack);
	OK(fclose(f) == 0);
	*b = (struct blocked){.form = (enum blocked_form)99};
	return blocked_in(b, getpid(), AT_FDCWD, "syscall");
}

static void words(void)
{
	struct blocked b;
	OK(line(&b, SYS_read, 5, 0, 0, STACK) == 1 && b.form == BLOCKED_FD && b.arg[0] == 5);
	OK(line(&b, SYS_read, 5, 0, 0, OTHER_STACK) == 0);
	OK(line(&b, SYS_getpid, 5, 0, 0, STACK) == 0);
	int fd = open("syscall", O_WRONLY | O_TRUNC | O_CLOEXEC);
	OK(write(fd, "running\n", 8) == 8 && close(fd) == 0);
	OK(blocked_in(&b, getpid(), AT_FDCWD, "syscall") == 0);
	OK(unlink("syscall") == 0);
	OK(blocked_in(&b, getpid(), AT_FDCWD, "syscall") < 0 && errno == ENOENT);
}

static void locks(void)
{
	struct blocked b;
#ifdef SYS_fcntl64
	long nr = SYS_fcntl64;
#else
	long nr = SYS_fcntl;
#endif
	OK(line(&b, nr, 5, F_SETLKW, 0, STACK) == 1 && b.form == BLOCKED_POSIX && b.arg[0] == 5);
	OK(line(&b, nr, 5, 38, 0, STACK) == 1 && b.form == BLOCKED_OFD);
	OK(line(&b, nr, 5, F_GETFL, 0, STACK) == 0);
}

/* ipc(2), whose first argument says which call, with a version above its 16 bits. */
static void inside_ipc(void)
{
#ifdef SYS_ipc
	struct blocked b;
	OK(line(&b, SYS_ipc, 1, 77, 0, STACK) == 1 && b.form == BLOCKED_SEM && b.arg[0] == 77);
	OK(line(&b, SYS_ipc, 4, 77, 0, STACK) == 1 && b.form == BLOCKED_SEM && b.arg[0] == 77);
	OK(line(&b, SYS_ipc, 11, 78, 0, STACK) == 1 && b.form == BLOCKED_MSGSND && b.arg[0] == 78);
	OK(line(&b, SYS_ipc, 0x1000c, 79, 0, STACK) == 1 && b.form == BLOCKED_MSGRCV &&
		b.arg[0] == 79);
	OK(line(&b, SYS_ipc, 0, 1, 0, STACK) == 0 && line(&b, SYS_ipc, 21, 1, 0, STACK) == 0 &&
		line(&b, SYS_ipc, 9999, 1, 0, STACK) == 0);
#endif
}

/* socketcall(2), whose arguments are in the memory of the process: here ours. */
static void inside_socketcall(void)
{
#ifdef SYS_socketcall
	struct blocked b;
	unsigned long args[] = {9, 1, 2};
	uint64_t at = (uintptr_t)args;
	OK(line(&b, SYS_socketcall, 5, at, 0, STACK) == 1 && b.form == BLOCKED_FD &&
		b.arg[0] == 9 && strcmp(b.name, "accept") == 0);
	OK(line(&b, SYS_socketcall, 10, at, 0, STACK) == 1 && strcmp(b.name, "recv") == 0);
	OK(line(&b, SYS_socketcall, 16, at, 0, STACK) == 1 && strcmp(b.name, "send") == 0);
	OK(line(&b, SYS_socketcall, 1, at, 0, STACK) == 0);
	OK(line(&b, SYS_socketcall, 5, 1, 0, STACK) == 0);
#endif
}

void test_blocked(void)
{
	words();
	locks();
	inside_ipc();
	inside_socketcall();
}
