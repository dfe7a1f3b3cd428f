/* lib/wait.h: deadlines, waiting, interruption, and waiting for children.
 *
 * A wait ends in one of four ways: what was waited for, the deadline (ETIMEDOUT, or EAGAIN when the
 * deadline is DEADLINE_NOW), a stop signal (EINTR), or an error. Nothing here polls, and nothing
 * leaves a mask, handler or timer behind.
 */
#ifndef IPC_WAIT_H
#define IPC_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* How a host interrupts a verb. For VERB_GRACEFUL verbs the process host blocks HUP, INT and TERM
 * outside of waits; .mask is the signal mask to wait with, .signal says which one came (0: none). */
struct stop {
	int (*signal)(void *arg);
	void *arg;
	/* NULL: the current one; the host does not block the signals then, and one that comes in the instant
	 * before a sleep that cannot let it through is noticed a second later. */
	const sigset_t *mask;
	/* The host's handler shall start TIMER (5 ms and every 5 ms) when a stop signal comes, until it
	 * is told another one or NULL. It closes the gap between letting signals through and
	 * entering a system call that cannot do that itself; see wait_timer_start. May be NULL. */
	void (*rouse)(void *arg, const timer_t *timer);
};

#define DEADLINE_NONE INT64_MAX
#define DEADLINE_NOW 0
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t wait_now(void);
/* The instant NS nanoseconds from now; 0 gives DEADLINE_NOW, overflow DEADLINE_NONE. */
int64_t wait_until(int64_t ns);
/* What is left as a timespec for ppoll(2) and friends; NULL for DEADLINE_NONE. *TS is written. */
struct timespec *wait_left(int64_t deadline, struct timespec *ts);
/* The same as an absolute time of CLOCK (CLOCK_REALTIME for mq_timedsend(3), CLOCK_MONOTONIC). */
struct timespec *wait_abs(int64_t deadline, clockid_t clock, struct timespec *ts);
/* The errno for a deadline that has passed: EAGAIN for DEADLINE_NOW, else ETIMEDOUT. */
int wait_expired(int64_t deadline);
/* 0 or the stop signal that came. STOP may be NULL. */
int wait_stopped(const struct stop *stop);

/* ppoll(2) on N descriptors until DEADLINE. Returns how many are ready, or -1 with errno ETIMEDOUT,
 * EAGAIN, EINTR (a stop signal came; other signals restart the wait), or ppoll's own. */
int wait_poll(struct pollfd *fds, nfds_t n, int64_t deadline, const struct stop *stop);
/* wait_poll on one descriptor for EVENTS; returns revents or -1. */
int wait_fd(int fd, short events, int64_t deadline, const struct stop *stop);

/* For system calls that block without a timeout of their own (flock(2), F_OFD_SETLKW, open(2) of a
 * FIFO, msgrcv(2)): from the deadline on, a signal without effect makes them return EINTR, again
 * every few ms so that no instant can miss it. The loop then asks wait_timer_due():
 *
 *	struct wait_timer t;
 *	if (wait_timer_start(&t, deadline, stop) < 0) ...
 *	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR && !wait_timer_due(&t))
 *		;
 *	wait_timer_stop(&t);     // keeps errno: ETIMEDOUT or EINTR when due
 *
 * DEADLINE_NOW must not come here: use the call's own non-blocking form. With a STOP that blocks
 * signals, they are let through while the timer runs; one that comes before the call has begun to
 * block starts the timer, so that it is not missed either. */
struct wait_timer {
	timer_t id;
	bool armed, masked;
	int64_t deadline;
	const struct stop *stop;
	struct sigaction old;
	sigset_t oldmask;
};
int wait_timer_start(struct wait_timer *t, int64_t deadline, const struct stop *stop);
/* True with errno ETIMEDOUT or EINTR when the deadline has passed or a stop signal has come. */
bool wait_timer_due(const struct wait_timer *t);
void wait_timer_stop(struct wait_timer *t);

/* pidfd_open(2), O_CLOEXEC; -1 with errno. Where that is refused (ENOSYS, EPERM: old container profiles) it is the
 * process's directory in /proc: it names the same one process for pidfd_send_signal(2), and wait_poll() waits for
 * the end of either when it is asked for WAIT_END. */
int wait_pidfd(pid_t pid);
/* Is FD of wait_pidfd() such a directory? */
bool wait_pidfd_refused(int fd);
/* Has the process of FD ended? A zombie has. */
bool wait_pidfd_ended(int fd);
/* The events to wait for on a descriptor of wait_pidfd(). A pidfd is never writable, a directory always is: there
 * the process is looked at every few ms, since nothing tells of its end. */
#define WAIT_END (POLLIN | POLLWRNORM)

/* Block the signals a supervisor handles (CHLD HUP INT QUIT TERM USR1 USR2 ALRM WINCH CONT) so that
 * wait_children can take them in order; call before spawn(). SIGCHLD is set to its default for that
 * time, since an inherited SIG_IGN would throw the status away. wait_release puts all back. */
struct wait_signals {
	sigset_t set, old;
	struct sigaction oldchld;
};
void wait_hold(struct wait_signals *w);
void wait_release(struct wait_signals *w);
struct rusage;
/* wait4(2) with WNOHANG and FLAGS, USAGE may be NULL: a child that has ended, 0 when none has, -1 with ECHILD. Never
 * EINTR: a SIGCHLD that was taken already would not come again. */
pid_t wait_ended(pid_t pid, int *wstatus, int flags, struct rusage *usage);
/* One of several children. The caller sets .pid, and .group when it leads a process group. */
struct wait_kid {
	pid_t pid;
	bool group;           /* signals go to the whole of its group */
	bool ended;           /* the members below are set then */
	int wstatus;          /* as from waitpid(2) */
	int64_t at;           /* wait_now() when it was reaped */
	int64_t user, system; /* CPU time of it and its children, ns (getrusage(2)) */
};
/* Wait until one more of the N children KIDS ends, passing on to all that run the signals that were sent to us
 * by kill(2); those from the keyboard have reached them already. Whatever else has ended is reaped too (exec(2) may have brought children along). Returns the
 * index of the one that ended; -1 with ETIMEDOUT at DEADLINE, ECHILD when none is left. */
ssize_t wait_children(struct wait_signals *w, struct wait_kid *kids, size_t n, int64_t deadline);
/* Send SIG to those of KIDS that run; kill(2)'s errors are not looked at. */
void wait_kill(const struct wait_kid *kids, size_t n, int sig);
/* The exit status a shell gives for WSTATUS: the code, or 128 + signal. */
int wait_status(int wstatus);

#endif
