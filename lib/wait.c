/* lib/wait.c: see wait.h. */
#define _GNU_SOURCE
#include "wait.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t wait_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t wait_until(int64_t ns)
{
	int64_t at;
	if (ns <= 0)
		return DEADLINE_NOW;
	if (ns == DEADLINE_NONE || __builtin_add_overflow(wait_now(), ns, &at))
		return DEADLINE_NONE;
	return at;
}

static struct timespec *as_timespec(int64_t ns, struct timespec *ts)
{
	ts->tv_sec = ns / NS_PER_S;
	ts->tv_nsec = (long)(ns % NS_PER_S);
	return ts;
}

struct timespec *wait_left(int64_t deadline, struct timespec *ts)
{
	*ts = (struct timespec){0};
	if (deadline == DEADLINE_NONE)
		return NULL;
	int64_t left = deadline == DEADLINE_NOW ? 0 : deadline - wait_now();
	return as_timespec(left > 0 ? left : 0, ts);
}

struct timespec *wait_abs(int64_t deadline, clockid_t clock, struct timespec *ts)
{
	int64_t at;
	*ts = (struct timespec){0};
	if (deadline == DEADLINE_NONE)
		return NULL;
	if (clock == CLOCK_MONOTONIC || deadline == DEADLINE_NOW)
		return as_timespec(deadline, ts);
	if (__builtin_add_overflow(clock_ns(clock), deadline - wait_now(), &at))
		return NULL;
	return as_timespec(at > 0 ? at : 0, ts);
}

int wait_expired(int64_t deadline)
{
	return deadline == DEADLINE_NOW ? EAGAIN : ETIMEDOUT;
}

int wait_stopped(const struct stop *stop)
{
	return stop != NULL && stop->signal != NULL ? stop->signal(stop->arg) : 0;
}

/* A host that does not block the signals outside of waits: one that comes between the look for it and the
 * sleep must not be slept through. */
static bool unheld(const struct stop *stop)
{
	return stop != NULL && stop->signal != NULL && stop->mask == NULL;
}

static int poll_unheld(
	struct pollfd *fds, nfds_t n, const struct timespec *ts, const struct stop *stop)
{
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	/* What is ready counts more than a signal. */
	bool came = wait_stopped(stop) != 0;
	int r = ppoll(fds, n, came ? &(struct timespec){0} : ts, &old), e = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = r == 0 && came ? EINTR : e;
	return r == 0 && came ? -1 : r;
}

static int poll_ready(struct pollfd *fds, nfds_t n, int64_t deadline, const struct stop *stop)
{
	for (;;) {
		struct timespec ts, *left = wait_left(deadline, &ts);
		int r = deadline != DEADLINE_NOW && unheld(stop)
			? poll_unheld(fds, n, left, stop)
			: ppoll(fds, n, left, stop != NULL ? stop->mask : NULL);
		if (r > 0)
			return r;
		if (wait_stopped(stop) != 0) {
			errno = EINTR;
			return -1;
		}
		if (r == 0) {
			errno = wait_expired(deadline);
			return -1;
		}
		if (errno != EINTR)
			return -1;
	}
}

/* Directories in place of pidfds are ready at once: leave those of processes that live out of FDS (~fd), so that
 * one may sleep on the rest. How many are really ready; *LEFT: how many were left out. */
static int leave_out_living(struct pollfd *fds, nfds_t n, int ready, nfds_t *left)
{
	*left = 0;
	for (nfds_t i = 0; i < n && ready > 0; i++) {
		if ((fds[i].revents & POLLWRNORM) == 0 || (fds[i].events & WAIT_END) != WAIT_END ||
			wait_pidfd_ended(fds[i].fd))
			continue;
		fds[i].fd = ~fds[i].fd;
		fds[i].revents = 0;
		ready--;
		++*left;
	}
	return ready;
}

static void put_back(struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].fd < -1 && (fds[i].events & WAIT_END) == WAIT_END)
			fds[i].fd = ~fds[i].fd;
}

#define LOOK (10 * NS_PER_MS)

int wait_poll(struct pollfd *fds, nfds_t n, int64_t deadline, const struct stop *stop)
{
	for (;;) {
		nfds_t left;
		int r = poll_ready(fds, n, deadline, stop);
		if (r <= 0)
			return r;
		r = leave_out_living(fds, n, r, &left);
		if (left == 0)
			return r;
		int64_t look = deadline == DEADLINE_NOW ? DEADLINE_NOW : wait_until(LOOK);
		if (r == 0)
			r = poll_ready(fds, n, look < deadline ? look : deadline, stop);
		put_back(fds, n);
		if (r > 0 || look == DEADLINE_NOW || look >= deadline ||
			(errno != ETIMEDOUT && errno != EAGAIN))
			return r;
	}
}

int wait_fd(int fd, short events, int64_t deadline, const struct stop *stop)
{
	struct pollfd p = {.fd = fd, .events = events};
	return wait_poll(&p, 1, deadline, stop) < 0 ? -1 : p.revents;
}

/* SIGURG is ignored by default: one that is still on its way when the old action is back does
 * no harm. */
static void no_op(int sig)
{
	(void)sig;
}

/* Without a mask that lets signals through at the right instant, it is looked for them once a second. */
static void arm(const struct wait_timer *t)
{
	struct itimerspec its = {.it_interval = {0, 5 * NS_PER_MS}};
	int64_t at = unheld(t->stop) ? wait_now() + NS_PER_S : DEADLINE_NONE;
	if (wait_abs(at < t->deadline ? at : t->deadline, CLOCK_MONOTONIC, &its.it_value) != NULL)
		timer_settime(t->id, TIMER_ABSTIME, &its, NULL);
}

int wait_timer_start(struct wait_timer *t, int64_t deadline, const struct stop *stop)
{
	*t = (struct wait_timer){.deadline = deadline, .stop = stop};
	bool stops = stop != NULL && stop->mask != NULL;
	if (deadline == DEADLINE_NONE && !stops && !unheld(stop))
		return 0;
	struct sigaction act = {.sa_handler = no_op};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
	sigset_t mask;
	if (timer_create(CLOCK_MONOTONIC, &ev, &t->id) < 0)
		return -1;
	sigaction(SIGURG, &act, &t->old);
	t->armed = true;
	sigprocmask(SIG_SETMASK, NULL, &t->oldmask);
	if (stops && stop->rouse != NULL)
		stop->rouse(stop->arg, &t->id);
	arm(t);
	mask = stops ? *stop->mask : t->oldmask;
	sigdelset(&mask, SIGURG);
	t->masked = true;
	return sigprocmask(SIG_SETMASK, &mask, NULL);
}

bool wait_timer_due(const struct wait_timer *t)
{
	if (wait_stopped(t->stop) != 0) {
		errno = EINTR;
		return true;
	}
	if (t->deadline != DEADLINE_NONE && wait_now() >= t->deadline) {
		errno = ETIMEDOUT;
		return true;
	}
	if (t->armed && unheld(t->stop))
		arm(t);
	return false;
}

void wait_timer_stop(struct wait_timer *t)
{
	int e = errno;
	if (t->masked)
		sigprocmask(SIG_SETMASK, &t->oldmask, NULL);
	if (t->armed && t->stop != NULL && t->stop->rouse != NULL)
		t->stop->rouse(t->stop->arg, NULL);
	if (t->armed) {
		timer_delete(t->id);
		sigaction(SIGURG, &t->old, NULL);
	}
	t->armed = t->masked = false;
	errno = e;
}

void wait_hold(struct wait_signals *w)
{
	static const int held[] = {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
		SIGALRM, SIGWINCH, SIGCONT};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigemptyset(&w->set);
	for (size_t i = 0; i < sizeof held / sizeof *held; i++)
		sigaddset(&w->set, held[i]);
	sigprocmask(SIG_BLOCK, &w->set, &w->old);
	sigaction(SIGCHLD, &dfl, &w->oldchld);
}

void wait_release(struct wait_signals *w)
{
	int e = errno;
	sigaction(SIGCHLD, &w->oldchld, NULL);
	sigprocmask(SIG_SETMASK, &w->old, NULL);
	errno = e;
}

pid_t wait_ended(pid_t pid, int *wstatus, int flags, struct rusage *usage)
{
	pid_t got;
	while ((got = wait4(pid, wstatus, WNOHANG | flags, usage)) < 0 && errno == EINTR)
		;
	return got;
}

static int64_t timeval_ns(struct timeval tv)
{
	return (int64_t)tv.tv_sec * NS_PER_S + (int64_t)tv.tv_usec * 1000;
}

/* Reap whatever has ended until it is one of KIDS: its index, or -1 with ECHILD or EAGAIN. */
static ssize_t reaped_kid(struct wait_kid *kids, size_t n)
{
	struct rusage usage;
	pid_t got;
	int st;
	while ((got = wait_ended(-1, &st, 0, &usage)) > 0)
		for (size_t i = 0; i < n; i++) {
			if (kids[i].pid != got || kids[i].ended)
				continue;
			kids[i].ended = true;
			kids[i].wstatus = st;
			kids[i].at = wait_now();
			kids[i].user = timeval_ns(usage.ru_utime);
			kids[i].system = timeval_ns(usage.ru_stime);
			return (ssize_t)i;
		}
	if (got == 0)
		errno = EAGAIN;
	return -1;
}

static bool all_ended(const struct wait_kid *kids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!kids[i].ended)
			return false;
	return true;
}

void wait_kill(const struct wait_kid *kids, size_t n, int sig)
{
	for (size_t i = 0; i < n; i++)
		if (!kids[i].ended && kids[i].pid > 0)
			kill(kids[i].group ? -kids[i].pid : kids[i].pid, sig);
}

ssize_t wait_children(struct wait_signals *w, struct wait_kid *kids, size_t n, int64_t deadline)
{
	for (;;) {
		ssize_t i = reaped_kid(kids, n);
		if (i >= 0)
			return i;
		if (errno == ECHILD || all_ended(kids, n)) {
			errno = ECHILD;
			return -1;
		}
		struct timespec ts;
		siginfo_t info;
		int sig = sigtimedwait(&w->set, &info, wait_left(deadline, &ts));
		if (sig < 0 && errno == EAGAIN) {
			errno = wait_expired(deadline);
			return -1;
		}
		/* si_code > 0 is the kernel's: the keyboard's ^C went to the whole group already. */
		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0)
			wait_kill(kids, n, sig);
	}
}

int wait_status(int wstatus)
{
	return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}
