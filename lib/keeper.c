/* lib/keeper.c: see keeper.h. What runs in the keeper shares our memory and our thread pointer: it
 * calls no function of the C library, writes only to its own stack, and is not instrumented. */
#define _GNU_SOURCE
#include "keeper.h"

#include "spawn.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

#define MOST_FDS (1 << 20) /* looked at where neither close_range(2) nor /proc is there */

/* What getdents64(2) gives. */
struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

struct task {
	struct keeper *k;
	int pidfd;    /* -1: refused */
	pid_t parent; /* without a pidfd: whom we wait for */
};

/* Close the descriptors from FROM to TO by the list in /proc, or one by one. */
static PLAIN void close_each(long from, long to)
{
	_Alignas(8) char buf[512] = {0};
	struct rlimit limit = {0};
	long dir = raw(SYS_openat, AT_FDCWD, (long)"/proc/self/fd", O_RDONLY | O_DIRECTORY, 0), n;
	if (dir < 0 && raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit) == 0) {
		long most = limit.rlim_cur < MOST_FDS ? (long)limit.rlim_cur : MOST_FDS;
		for (long fd = from; fd <= to && fd < most; fd++)
			raw(SYS_close, fd, 0, 0, 0);
	}
	while (dir >= 0 && (n = raw(SYS_getdents64, dir, (long)buf, sizeof buf, 0)) > 0)
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(buf + at);
			long fd = e->name[0] == '.' ? -1 : 0;
			for (const char *p = e->name; fd >= 0 && *p != '\0'; p++)
				fd = fd * 10 + (*p - '0');
			if (fd >= from && fd <= to && fd != dir)
				raw(SYS_close, fd, 0, 0, 0);
			at += e->len;
		}
	if (dir >= 0)
		raw(SYS_close, dir, 0, 0, 0);
}

static PLAIN void close_range_or_each(long from, long to)
{
	if (raw(SYS_close_range, from, to, 0, 0) < 0)
		close_each(from, to);
}

/* It becomes a keeper: no signals, no terminal, no descriptors but its own. */
static PLAIN void settle(const struct task *t)
{
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
		if (t->pidfd >= from && (keep_next < 0 || t->pidfd < keep_next))
			keep_next = t->pidfd;
		if (keep_next < 0)
			break;
		if (keep_next > from)
			close_range_or_each(from, keep_next - 1);
		from = keep_next + 1;
	}
	close_range_or_each(from, INT_MAX);
}

/* The keeper's whole life. */
static PLAIN void keep(void *arg)
{
	struct task *t = arg;
	struct pollfd p = {.fd = t->pidfd, .events = POLLIN};
	settle(t);
	/* Without a pidfd we are the child of whom we wait for; poll(2) skips a negative number. */
	if (p.fd < 0)
		raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	while ((p.fd >= 0 || raw(SYS_getppid, 0, 0, 0, 0) == t->parent) &&
		raw(SYS_ppoll, (long)&p, 1, 0, 0) == -EINTR)
		;
	for (;;)
		raw(SYS_exit, 0, 0, 0, 0);
}

/* The hook in the command's process, before exec. CLONE_PARENT: the keeper becomes our child, and
 * the command finds no child that it has not made. Where pidfd_open(2) is refused the keeper is the
 * command's child, sends no signal when it ends, and is killed when the command ends. */
static PLAIN int start(void *arg)
{
	struct keeper *k = arg;
	/* Kept in K, not in this frame: we may be in exec while the keeper still reads it. */
	struct task *t = (struct task *)(void *)k->stack;
	t->parent = (pid_t)raw(SYS_getpid, 0, 0, 0, 0);
	long r = raw(SYS_pidfd_open, t->parent, 0, 0, 0);
	bool refused = r == -ENOSYS || r == -EPERM;
	if (r < 0 && !refused)
		return (int)-r;
	t->k = k;
	t->pidfd = refused ? -1 : (int)r;
	long flags = refused ? 0 : CLONE_PARENT;
#ifdef SHARES_MEMORY
	r = clone_onto(CLONE_VM | flags, k->stack + sizeof k->stack, keep, t);
#else
	r = syscall(SYS_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);
	if (r == 0)
		keep(t);
	r = r < 0 ? -errno : r;
#endif
	if (r < 0)
		return (int)-r;
	/* Refused: it ends before we can know its number to be still its own. */
	k->pid = refused ? 0 : (pid_t)r;
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
	struct task t = {.k = &k, .pidfd = pidfd};
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
	if (r == 0) {
		settle(&t);
		while (wait_fd(pidfd, WAIT_END, DEADLINE_NONE, NULL) < 0 && errno == EINTR)
			;
		_exit(0);
	}
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
