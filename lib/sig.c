/* lib/sig.c: see sig.h. */
#define _GNU_SOURCE
#include "sig.h"

#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define SIGNAL_PROCESS_GROUP 4 /* PIDFD_SIGNAL_PROCESS_GROUP of linux/pidfd.h, Linux 6.9 */

/* The kernel's sigset_t is an array of longs, low signals first, whatever the byte order. */
#define LONG_BITS (8 * sizeof(unsigned long))
struct kernel_set {
	unsigned long word[64 / LONG_BITS];
};

static struct kernel_set to_kernel(uint64_t set)
{
	struct kernel_set k;
	for (size_t i = 0; i < 64 / LONG_BITS; i++)
		k.word[i] = (unsigned long)(set >> (i * LONG_BITS));
	return k;
}

static uint64_t from_kernel(const struct kernel_set *k)
{
	uint64_t set = 0;
	for (size_t i = 0; i < 64 / LONG_BITS; i++)
		set |= (uint64_t)k->word[i] << (i * LONG_BITS);
	return set;
}

int sig_change(int how, uint64_t set, uint64_t *old)
{
	struct kernel_set k = to_kernel(set), was = {{0}};
	long r = syscall(SYS_rt_sigprocmask, how, &k, &was, sizeof k);
	if (old != NULL)
		*old = from_kernel(&was);
	return (int)r;
}

static int timedwait(const struct kernel_set *k, siginfo_t *info, const struct timespec *left)
{
#ifdef SYS_rt_sigtimedwait_time64
	if (sizeof left->tv_sec > sizeof(long)) {
		int64_t ts[2] = {0};
		if (left != NULL) {
			ts[0] = left->tv_sec;
			ts[1] = left->tv_nsec;
		}
		return (int)syscall(
			SYS_rt_sigtimedwait_time64, k, info, left != NULL ? ts : NULL, sizeof *k);
	}
#endif
	return (int)syscall(SYS_rt_sigtimedwait, k, info, left, sizeof *k);
}

int sig_take(uint64_t set, siginfo_t *info, int64_t deadline)
{
	struct kernel_set k = to_kernel(set);
	for (;;) {
		struct timespec ts;
		int sig = timedwait(&k, info, wait_left(deadline, &ts));
		if (sig >= 0)
			return sig;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			errno = wait_expired(deadline);
		return -1;
	}
}

int sig_fd(uint64_t set)
{
	struct kernel_set k = to_kernel(set);
	return (int)syscall(SYS_signalfd4, -1, &k, sizeof k, O_CLOEXEC); /* SFD_CLOEXEC */
}

uint64_t sig_ignored(uint64_t set)
{
	uint64_t ignored = 0;
	for (int sig = 1; sig <= 64; sig++) {
		/* struct sigaction as the kernel has it: the handler comes first. */
		struct {
			void (*handler)(int);
			unsigned long rest[7];
		} act;
		if ((set & SIG_BIT(sig)) == 0)
			continue;
		if (syscall(SYS_rt_sigaction, sig, NULL, &act, sizeof(struct kernel_set)) == 0 &&
			act.handler == SIG_IGN)
			ignored |= SIG_BIT(sig);
	}
	return ignored;
}

void sig_info(siginfo_t *info, int sig, int value)
{
	memset(info, 0, sizeof *info);
	info->si_signo = sig;
	info->si_code = SI_QUEUE;
	info->si_pid = getpid();
	info->si_uid = getuid();
	info->si_value.sival_int = value;
}

int sig_send(int pidfd, int sig, const siginfo_t *info)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, info, 0);
}

int sig_send_child(pid_t pid, int sig, const siginfo_t *info)
{
	return info == NULL ? kill(pid, sig) : (int)syscall(SYS_rt_sigqueueinfo, pid, sig, info);
}

int sig_send_group(int pidfd, pid_t pgrp, int sig, const siginfo_t *info)
{
	if (pidfd >= 0) {
		long r = syscall(SYS_pidfd_send_signal, pidfd, sig, info, SIGNAL_PROCESS_GROUP);
		if (r == 0 || errno != EINVAL)
			return (int)r;
	}
	if (info == NULL && pgrp > 1) /* -1 would be everybody, -0 our own group */
		return kill(-pgrp, sig);
	errno = EOPNOTSUPP;
	return -1;
}
