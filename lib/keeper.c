/* lib/keeper.c: see keeper.h. What runs in the keeper shares our memory and our thread pointer: it
 * calls no function of the C library, writes only to its own stack, and is not instrumented. */
#define _GNU_SOURCE
#include "keeper.h"

#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PLAIN __attribute__((no_sanitize("address", "undefined")))

#if defined __x86_64__
#define SHARES_MEMORY
static inline __attribute__((always_inline)) long raw(long n, long a, long b, long c, long d)
{
	long r;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
}

/* clone(2) onto TOP; the child calls FN(ARG), which never returns. */
static long clone_onto(long flags, void *top, void (*fn)(void *), void *arg)
{
	long r;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register void *r12 __asm__("r12") = arg;
	register void (*r13)(void *) __asm__("r13") = fn;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%%r13\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(r)
			 : "a"((long)SYS_clone), "D"(flags), "S"(top), "d"(0L), "r"(r10), "r"(r8),
			 "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory", "cc");
	return r;
}
#elif defined __aarch64__
#define SHARES_MEMORY
static inline __attribute__((always_inline)) long raw(long n, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory", "cc");
	return x0;
}

static long clone_onto(long flags, void *top, void (*fn)(void *), void *arg)
{
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = flags;
	register void *x1 __asm__("x1") = top;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = 0;
	register void *x19 __asm__("x19") = arg;
	register void (*x20)(void *) __asm__("x20") = fn;
	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x19\n\t"
			 "blr x20\n\t"
			 "brk 1\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
			 : "memory", "cc");
	return x0;
}
#else
/* Elsewhere the keeper is an ordinary fork with memory of its own. */
static inline long raw(long n, long a, long b, long c, long d)
{
	long r = syscall(n, a, b, c, d);
	return r < 0 ? -errno : r;
}
#endif

struct task {
	struct keeper *k;
	int pidfd;
};

/* The keeper's whole life. */
static PLAIN void keep(void *arg)
{
	struct task *t = arg;
	struct pollfd p = {.fd = t->pidfd, .events = POLLIN};
	uint64_t all = ~UINT64_C(0); /* the C library's own signals too */
	unsigned n = t->k->nfds;
	long from = 0;
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all);
	raw(SYS_setsid, 0, 0, 0, 0);
	raw(SYS_prctl, PR_SET_NAME, (long)KEEPER_NAME, 0, 0);
	for (;;) {
		long keep_next = -1;
		for (unsigned i = 0; i < n; i++)
			if (t->k->fds[i] >= from && (keep_next < 0 || t->k->fds[i] < keep_next))
				keep_next = t->k->fds[i];
		if (p.fd >= from && (keep_next < 0 || p.fd < keep_next))
			keep_next = p.fd;
		if (keep_next < 0)
			break;
		if (keep_next > from)
			raw(SYS_close_range, from, keep_next - 1, 0, 0);
		from = keep_next + 1;
	}
	raw(SYS_close_range, from, (long)~0u, 0, 0);
	while (raw(SYS_ppoll, (long)&p, 1, 0, 0) == -EINTR)
		;
	for (;;)
		raw(SYS_exit, 0, 0, 0, 0);
}

/* The hook in the command's process, before exec. CLONE_PARENT: the keeper becomes our child, and
 * the command finds no child that it has not made. */
static PLAIN int start(void *arg)
{
	struct keeper *k = arg;
	/* Kept in K, not in this frame: we may be in exec while the keeper still reads it. */
	struct task *t = (struct task *)(void *)k->stack;
	long r = raw(SYS_pidfd_open, raw(SYS_getpid, 0, 0, 0, 0), 0, 0, 0);
	if (r < 0)
		return (int)-r;
	t->k = k;
	t->pidfd = (int)r;
#ifdef SHARES_MEMORY
	r = clone_onto(CLONE_VM | CLONE_PARENT, k->stack + sizeof k->stack, keep, t);
#else
	r = syscall(SYS_clone, (long)(CLONE_PARENT | SIGCHLD), 0L, 0L, 0L, 0L);
	if (r == 0)
		keep(t);
	r = r < 0 ? -errno : r;
#endif
	if (r < 0)
		return (int)-r;
	k->pid = (pid_t)r;
	return 0;
}

int keeper_with(struct keeper *k, struct spawn *s, const int *fds, size_t nfds)
{
	k->pid = 0;
	if (nfds > KEEPER_MAX) {
		errno = EINVAL;
		return -1;
	}
	k->nfds = (unsigned)nfds;
	for (size_t i = 0; i < nfds; i++)
		k->fds[i] = fds[i];
	s->hook = start;
	s->hook_arg = k;
	return 0;
}

int keeper_detach(int pidfd, const int *fds, size_t nfds, pid_t *pid)
{
	struct keeper k = {.nfds = (unsigned)nfds};
	struct task t = {&k, pidfd};
	int up[2];
	char c;
	if (nfds > KEEPER_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; i < nfds; i++)
		k.fds[i] = fds[i];
	if (pipe2(up, O_CLOEXEC) < 0)
		return -1;
	/* A plain fork(2), without what the C library does around it. */
	long r = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (r == 0)
		keep(&t);
	int e = errno;
	close(up[1]);
	/* It closes its end when it has given up all descriptors but those. */
	while (r > 0 && read(up[0], &c, 1) < 0 && errno == EINTR)
		;
	close(up[0]);
	errno = e;
	*pid = (pid_t)r;
	return r < 0 ? -1 : 0;
}

void keeper_end(struct keeper *k)
{
	int e = errno, st;
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		while (waitpid(k->pid, &st, 0) < 0 && errno == EINTR)
			;
	}
	k->pid = 0;
	errno = e;
}
