/* tests/security/refuse.c: refuse CALL[,CALL...] ERRNO -- CMD [ARG...]
 *
 * Runs CMD with these system calls refused by a seccomp filter, which CMD and what it starts keep: as
 * in a container whose profile does not know them. ERRNO is ENOSYS or EPERM. "ofd" stands for the locks
 * of open file descriptions, which give EINVAL. 77: no filter can be set.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name)                \
	{                         \
#name, SYS_##name \
	}
static const struct {
	const char *name;
	int number;
} calls[] = {
	CALL(close_range),
	CALL(copy_file_range),
	CALL(futex_waitv),
	CALL(get_robust_list),
	CALL(linkat),
	CALL(memfd_create),
	CALL(pidfd_open),
	CALL(pidfd_send_signal),
	CALL(renameat2),
	CALL(sendfile),
	CALL(splice),
	CALL(statx),
	CALL(tee),
};

static int number_of(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	fprintf(stderr, "refuse: unknown call %s\n", name);
	_exit(64);
}

/* On top of those that are set already: the strictest wins. */
static int refuse(int number, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* Locks of open file descriptions, as if the kernel had none: fcntl(2) with these commands. */
static int refuse_ofd(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_fcntl64
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl64, 0, 4),
#else
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4),
#endif
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 36, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 38, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int main(int argc, char **argv)
{
	if (argc < 5 || strcmp(argv[3], "--") != 0)
		return fprintf(stderr, "usage: refuse CALL,... ENOSYS|EPERM -- CMD\n"), 64;
	int err = strcmp(argv[2], "EPERM") == 0 ? EPERM : ENOSYS;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 77;
	for (char *name = strtok(argv[1], ","); name != NULL; name = strtok(NULL, ","))
		if ((strcmp(name, "ofd") == 0 ? refuse_ofd() : refuse(number_of(name), err)) < 0)
			return 77;
	execvp(argv[4], argv + 4);
	perror(argv[4]);
	return 127;
}
