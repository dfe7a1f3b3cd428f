/* ipc-signal run: CMD in a process group of its own under a supervisor that is the parent of all whom
 * CMD starts, also of those who lose theirs (PR_SET_CHILD_SUBREAPER, or as process 1). So "nothing is
 * left" is what waitpid(2) says: ECHILD.
 *
 * All signals are blocked and taken one by one; nothing here runs in a handler.
 */
#include "ipc-signal.h"

#include "fd.h"
#include "hold.h"
#include "num.h"
#include "sig.h"
#include "spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not taken: what a fault of our own raises, what cannot be, and SIGPIPE, which is ignored. */
#define NOT_PASSED                                                                         \
	(SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGBUS) | SIG_BIT(SIGFPE) |          \
		SIG_BIT(SIGSEGV) | SIG_BIT(SIGSYS) | SIG_BIT(SIGABRT) | SIG_BIT(SIGKILL) | \
		SIG_BIT(SIGSTOP) | SIG_BIT(SIGPIPE))

struct supervisor {
	struct call *call;
	uint64_t set, ignored; /* what we take; what was ignored when we started */
	pid_t cmd;
	int pidfd; /* CMD's */
	int tty;   /* 0 when stdin is our controlling terminal, else -1 */
	int wstatus;
	bool ended; /* CMD has */
	bool timed_out, killing, warned;
	int sig;            /* what asks to end */
	int64_t grace;      /* how long after asking we kill */
	int64_t kill_at;    /* DEADLINE_NONE as long as nobody was asked */
	int64_t limit;      /* -w */
	int64_t first_term; /* when we were first told to end, 0 before */
	uint8_t map[65];    /* what a signal is passed on as; 0: not at all */
};

static int parse_map(struct supervisor *s)
{
	const char *text = s->call->opt[RUN_MAP].str;
	for (int i = 1; i <= 64; i++)
		s->map[i] = (uint8_t)i;
	s->ignored = sig_ignored(~NOT_PASSED);
	if ((s->ignored & SIG_BIT(SIGTERM)) == 0)
		s->map[SIGTERM] = (uint8_t)s->sig;
	char *copy = text != NULL ? call_strdup(s->call, text) : NULL, *next;
	for (char *pair = copy; pair != NULL; pair = next) {
		int64_t from, to;
		next = strchr(pair, ',');
		if (next != NULL)
			*next++ = '\0';
		char *colon = strchr(pair, ':');
		if (colon != NULL)
			*colon++ = '\0';
		if (colon == NULL || num_signal(pair, &from) != NULL || from == 0 ||
			num_signal(colon, &to) != NULL)
			return call_fail(s->call, ST_USAGE, 0,
				"--map: %s is not FROM:TO, two signals", text);
		if ((SIG_BIT(from) & (NOT_PASSED | SIG_BIT(SIGCHLD))) != 0)
			return call_fail(
				s->call, ST_USAGE, 0, "--map: %s is not passed on at all", pair);
		s->map[from] = (uint8_t)to;
	}
	return 0;
}

/* Give the terminal to CMD's group when it is ours to give. SIGTTOU is blocked. */
static void give_terminal(struct supervisor *s)
{
	if (s->tty >= 0 && !s->ended && tcgetpgrp(s->tty) == getpgrp())
		(void)tcsetpgrp(s->tty, s->cmd);
}

static void take_terminal(struct supervisor *s)
{
	if (s->tty >= 0 && tcgetpgrp(s->tty) == s->cmd)
		(void)tcsetpgrp(s->tty, getpgrp());
}

/* CMD was stopped from the keyboard: so are we, in the way that our shell's job control expects, and
 * when we go on, CMD does. In an orphaned group nobody could continue us, the kernel does not stop
 * us then, and CMD goes on at once. */
static void stop_with_cmd(struct supervisor *s)
{
	siginfo_t info;
	if (s->tty < 0)
		return;
	kill(0, SIGTSTP);
	sig_change(SIG_UNBLOCK, SIG_BIT(SIGTSTP), NULL);
	sig_change(SIG_BLOCK, SIG_BIT(SIGTSTP), NULL);
	while (sig_take(SIG_BIT(SIGTSTP) | SIG_BIT(SIGCONT), &info, DEADLINE_NOW) > 0)
		;
	give_terminal(s);
	kill(-s->cmd, SIGCONT);
}

/* To CMD's group; when CMD has ended to each descendant. As process 1 to all there are. Without
 * /proc what is left of the group can still be reached through CMD's pidfd, though its number may
 * be another's by now. */
static void signal_all(struct supervisor *s, int sig, const siginfo_t *info)
{
	unsigned denied = 0;
	if (!s->ended) {
		if (sig_send_group(s->pidfd, s->cmd, sig, info) < 0 && errno == EOPNOTSUPP)
			(void)sig_send(s->pidfd, sig, info); /* a value: CMD alone, before 6.9 */
		return;
	}
	if (getpid() == 1) {
		kill(-1, sig);
		return;
	}
	if (task_signal_descendants(sig, &denied) >= 0)
		return;
	if (!s->warned)
		call_warn(s->call, errno, "find what %s left behind in /proc", s->call->command[0]);
	s->warned = true;
	(void)sig_send_group(s->pidfd, 0, sig, info);
}

/* Everything, in whatever group it is. Called again as long as anything is left. */
static void kill_all(struct supervisor *s)
{
	unsigned denied = 0;
	if (!s->killing)
		call_note(s->call, 1, "killing what is left");
	s->killing = true;
	s->kill_at = DEADLINE_NONE;
	if (getpid() == 1) {
		kill(-1, SIGKILL);
		return;
	}
	(void)sig_send_group(s->pidfd, s->ended ? 0 : s->cmd, SIGKILL, NULL);
	if (task_signal_descendants(SIGKILL, &denied) < 0)
		denied = 0;
	if (denied > 0 && !s->warned) {
		call_warn(s->call, EPERM, "kill %u processes that %s left behind", denied,
			s->call->command[0]);
		s->warned = true;
	}
}

/* The clock that ends with the kill starts once. */
static void start_clock(struct supervisor *s)
{
	if (s->kill_at == DEADLINE_NONE && !s->killing && s->grace != DEADLINE_NONE)
		s->kill_at = s->grace == 0 ? wait_now() : wait_until(s->grace);
}

static void ask(struct supervisor *s)
{
	signal_all(s, s->sig, NULL);
	/* Who is stopped acts on nothing but KILL; descendants have been looked at one by one. */
	if (!s->ended && s->sig != SIGKILL)
		kill(-s->cmd, SIGCONT);
	else if (getpid() == 1)
		kill(-1, SIGCONT);
	start_clock(s);
}

static void wind_up(struct supervisor *s)
{
	if (s->call->opt[RUN_ALL].count > 0 && s->kill_at == DEADLINE_NONE && !s->killing)
		return;
	call_note(s->call, 1, "%s has ended, asking what is left", s->call->command[0]);
	ask(s);
}

/* Reap all who have ended. False when nobody is left. */
static bool reap(struct supervisor *s)
{
	bool ended = s->ended;
	int st;
	pid_t pid;
	while ((pid = wait_ended(-1, &st, WUNTRACED, NULL)) > 0) {
		if (pid != s->cmd)
			continue;
		if (WIFSTOPPED(st)) {
			stop_with_cmd(s);
			continue;
		}
		s->ended = true;
		s->wstatus = st;
		take_terminal(s);
	}
	if (pid < 0 && errno == ECHILD)
		return false;
	if (s->ended && !ended)
		wind_up(s);
	if (s->killing)
		kill_all(s);
	return true;
}

/* TERM means that we are to end, unless whoever started us had it ignored: CMD gets it all the same,
 * and decides, since it has inherited that too. A second one within a second comes from whoever signals a process and
 * then its group, or from two who agree; later on it is somebody's impatience. */
static void told_to_end(struct supervisor *s)
{
	int64_t now = wait_now();
	if ((s->ignored & SIG_BIT(SIGTERM)) != 0)
		return;
	if (s->first_term != 0 && now - s->first_term >= NS_PER_S)
		kill_all(s);
	else if (s->first_term == 0)
		s->first_term = now;
	start_clock(s);
}

static void pass_on(struct supervisor *s, int sig, const siginfo_t *from)
{
	siginfo_t info;
	int to = s->map[sig];
	if (to == 0)
		return;
	if (sig == SIGCONT)
		give_terminal(s);
	if (sig == SIGTERM)
		told_to_end(s);
	if (from->si_code == SI_QUEUE)
		sig_info(&info, to, from->si_value.sival_int);
	signal_all(s, to, from->si_code == SI_QUEUE ? &info : NULL);
}

/* -w has run out, or the grace. */
static void expire(struct supervisor *s)
{
	int64_t now = wait_now();
	if (s->kill_at <= now) {
		kill_all(s);
	} else if (s->limit <= now) {
		s->limit = DEADLINE_NONE;
		s->timed_out = !s->ended;
		ask(s);
	}
}

static int supervise(struct supervisor *s)
{
	while (reap(s)) {
		siginfo_t info;
		int64_t until = s->kill_at < s->limit ? s->kill_at : s->limit;
		int sig = sig_take(s->set, &info, until);
		if (sig < 0 && errno != ETIMEDOUT && errno != EAGAIN)
			return call_fail(
				s->call, ST_INTERNAL, errno, "wait for %s", s->call->command[0]);
		if (sig < 0)
			expire(s);
		else if (sig != SIGCHLD)
			pass_on(s, sig, &info);
	}
	if (s->timed_out)
		return call_waited(s->call, ETIMEDOUT, "%s", s->call->command[0]);
	return wait_status(s->wstatus);
}

static void undo_subreaper(void *arg, intptr_t was)
{
	(void)arg;
	prctl(PR_SET_CHILD_SUBREAPER, was, 0L, 0L, 0L);
}

static void undo_chld(void *old, intptr_t n)
{
	(void)n;
	sigaction(SIGCHLD, old, NULL);
}

/* What lasts as long as the call: the mask, SIGCHLD's action (an inherited SIG_IGN would throw
 * statuses away), the part of the orphans' parent. 0 or a status. */
static int prepare(struct supervisor *s)
{
	struct call *call = s->call;
	struct sigaction *old = call_alloc(call, sizeof *old), dfl = {.sa_handler = SIG_DFL};
	int was = 0;
	s->set = ~NOT_PASSED;
	if (old == NULL || sigaction(SIGCHLD, &dfl, old) < 0 ||
		call_undo(call, undo_chld, old, 0) < 0)
		return call_fail(call, ST_EARLY, errno, "prepare for SIGCHLD");
	if (hold_for_call(call, s->set) != 0)
		return ST_EARLY;
	if (prctl(PR_GET_CHILD_SUBREAPER, &was, 0L, 0L, 0L) < 0 ||
		prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) < 0 ||
		call_undo(call, undo_subreaper, NULL, was) < 0)
		return call_fail(call, ST_EARLY, errno, "become the parent of orphans");
	return 0;
}

/* In the child, all signals blocked: the terminal is CMD's before CMD can read from it. */
static int take_foreground(void *arg)
{
	(void)arg;
	if (setpgid(0, 0) < 0)
		return errno;
	(void)tcsetpgrp(0, getpid());
	return 0;
}

int signal_run(struct call *call)
{
	struct supervisor s = {.call = call,
		.kill_at = DEADLINE_NONE,
		.pidfd = -1,
		.sig = SIGTERM,
		.grace = GRACE};
	if (call->opt[RUN_SIGNAL].count > 0)
		s.sig = (int)call->opt[RUN_SIGNAL].num;
	if (call->opt[RUN_GRACE].count > 0)
		s.grace = call->opt[RUN_GRACE].num;
	int status = parse_map(&s);
	if (status == 0)
		status = prepare(&s);
	if (status == 0)
		status = call_pidfile(call);
	if (status != 0)
		return status;
	pid_t foreground = tcgetpgrp(0);
	s.tty = foreground >= 0 ? 0 : -1;
	struct spawn spawn = {.argv = call->command, .flags = SPAWN_GROUP | SPAWN_DIE};
	if (foreground >= 0 && foreground == getpgrp())
		spawn.hook = take_foreground;
	s.limit = call_deadline(call);
	status = spawn_call(call, &spawn, &s.cmd);
	if (status != 0)
		return status;
	s.pidfd = call_own(call, wait_pidfd(s.cmd));
	return supervise(&s);
}
