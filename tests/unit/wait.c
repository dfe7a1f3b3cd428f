/* tests/unit/wait.c: deadlines at their ends, and children that do not end in time; signals to groups. */
#define _GNU_SOURCE
#include "wait.h"

#include "sig.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void instants(void)
{
	struct timespec ts, now;
	OK(wait_until(-1) == DEADLINE_NOW && wait_until(INT64_MAX) == DEADLINE_NONE);
	OK(wait_until(INT64_MAX - 1) == DEADLINE_NONE);
	OK(wait_left(DEADLINE_NONE, &ts) == NULL && wait_left(1, &ts) == &ts && ts.tv_nsec == 0);
	OK(wait_abs(DEADLINE_NONE, CLOCK_REALTIME, &ts) == NULL);
	OK(wait_abs(DEADLINE_NOW, CLOCK_REALTIME, &ts) == &ts && ts.tv_sec == 0);
	OK(wait_abs(5 * NS_PER_S, CLOCK_MONOTONIC, &ts) == &ts && ts.tv_sec == 5);
	clock_gettime(CLOCK_REALTIME, &now);
	OK(wait_abs(wait_until(100 * NS_PER_S), CLOCK_REALTIME, &ts) == &ts);
	OK(ts.tv_sec >= now.tv_sec + 99 && ts.tv_sec <= now.tv_sec + 160);
	/* Further than a clock that began in 1970 can say. */
	OK(wait_abs(INT64_MAX - 1, CLOCK_REALTIME, &ts) == NULL);
	OK(wait_expired(DEADLINE_NOW) == EAGAIN && wait_expired(7) == ETIMEDOUT);
	OK(wait_status(0x300) == 3 && wait_status(9) == 137);
}

static pid_t sleeper(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, &none, NULL);
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	return pid;
}

static void children(void)
{
	struct wait_signals w;
	struct wait_kid kids[2];
	int st;
	wait_hold(&w);
	pid_t pid = sleeper();
	kids[0] = (struct wait_kid){.pid = pid, .group = true};
	/* Sent to us, passed on to it. */
	OK(kill(getpid(), SIGUSR1) == 0);
	OK(wait_children(&w, kids, 1, DEADLINE_NONE) == 0 && WTERMSIG(kids[0].wstatus) == SIGUSR1);
	kids[0] = (struct wait_kid){.pid = sleeper()};
	kids[1] = (struct wait_kid){.pid = sleeper(), .group = true};
	OK(wait_children(&w, kids, 2, DEADLINE_NOW) < 0 && errno == EAGAIN);
	OK(wait_children(&w, kids, 2, wait_until(NS_PER_MS)) < 0 && errno == ETIMEDOUT);
	OK(kill(getpid(), SIGUSR2) == 0);
	OK(wait_children(&w, kids, 2, DEADLINE_NONE) >= 0);
	OK(wait_children(&w, kids, 2, DEADLINE_NONE) >= 0);
	OK(kids[0].ended && kids[1].ended && WTERMSIG(kids[0].wstatus) == SIGUSR2);
	OK(wait_children(&w, kids, 2, DEADLINE_NONE) < 0 && errno == ECHILD);
	/* Another child of ours that is none of these. */
	pid = sleeper();
	OK(wait_children(&w, kids, 2, DEADLINE_NONE) < 0 && errno == ECHILD);
	OK(kill(pid, SIGKILL) == 0 && waitpid(pid, &st, 0) == pid);
	wait_release(&w);
}

static void groups(void)
{
	int st;
	pid_t pid = sleeper();
	siginfo_t info;
	sig_info(&info, SIGTERM, 7);
	/* A group whose leader is not at hand: as kill(2) does it, or not at all. */
	OK(sig_send_group(-1, pid, 0, NULL) == 0);
	OK(sig_send_group(-1, pid, SIGTERM, &info) < 0 && errno == EOPNOTSUPP);
	OK(sig_send_group(-1, 1, 0, NULL) < 0 && errno == EOPNOTSUPP);
	OK(sig_send_group(-1, pid, SIGTERM, NULL) == 0);
	OK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
	OK(sig_change(99, 0, NULL) < 0 && errno == EINVAL);
}

void test_wait(void)
{
	instants();
	children();
	groups();
}
