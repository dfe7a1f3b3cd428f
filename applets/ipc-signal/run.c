/* ipc-signal run: CMD under a supervisor that is the parent of all whom CMD starts, also of those who
 * lose theirs (PR_SET_CHILD_SUBREAPER, or as process 1). So "nothing is left" is what waitpid(2) says:
 * ECHILD. Which process group CMD is in, and the terminal: terminal.c.
 *
 * All signals are blocked and taken one by one; nothing here runs in a handler.
 */
#include "supervisor.h"

#include "hold.h"
#include "num.h"
#include "sig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not taken: what a fault of our own raises, what cannot be, and SIGPIPE, which is ignored. */
#define NOT_PASSED                                                                         \
	(SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGBUS) | SIG_BIT(SIGFPE) |          \
		SIG_BIT(SIGSEGV) | SIG_BIT(SIGSYS) | SIG_BIT(SIGABRT) | SIG_BIT(SIGKILL) | \
		SIG_BIT(SIGSTOP) | SIG_BIT(SIGPIPE))

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

/* To CMD and all of its group; when CMD has ended to each descendant. As process 1 to all there are then. Without
 * /proc what is left of a group that was made for CMD can still be reached. */
static void signal_all(struct supervisor *s, int sig, const siginfo_t *info)
{
	unsigned denied = 0;
	if (!s->ended) {
		terminal_signal_cmd(s, sig, info);
		return;
	}
	if (getpid() == 1) {
		kill(-1, sig);
		return;
	}
	if (task_signal_descendants(sig, info, TASK_ALL, &denied) >= 0)
		return;
	if (!s->warned)
		call_warn(s->call, errno, "find what %s left behind in /proc", s->call->command[0]);
	s->warned = true;
	(void)sig_send_group(s->leader, 0, sig, info);
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
	if (!s->ended && getpgid(s->cmd) != getpgrp())
		terminal_signal_cmd(s, SIGKILL, NULL);
	else if (!s->ended)
		(void)sig_send_child(s->cmd, SIGKILL, NULL);
	else
		(void)sig_send_group(s->leader, 0, SIGKILL, NULL);
	if (task_signal_descendants(SIGKILL, NULL, TASK_ALL, &denied) < 0)
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
		terminal_signal_cmd(s, SIGCONT, NULL);
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
			terminal_stop_with_cmd(s, WSTOPSIG(st));
			continue;
		}
		s->ended = true;
		s->wstatus = st;
		terminal_take_back(s);
	}
	if (pid < 0 && errno == ECHILD)
		return false;
	if (s->ended && !ended)
		wind_up(s);
	if (s->killing)
		kill_all(s);
	return true;
}

/* TERM, and after it INT, means that we are to end, unless whoever started us had it ignored: CMD gets it all the same,
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

/* The terminal has sent SIG to our group. CMD may have left it, and when CMD has ended the others may be anywhere. */
static void pass_outside(struct supervisor *s, int sig)
{
	unsigned denied;
	if (s->ended)
		(void)task_signal_descendants(sig, NULL, TASK_OUTSIDE, &denied);
	else if (getpgid(s->cmd) != getpgrp())
		(void)sig_send_child(s->cmd, sig, NULL);
}

static void pass_on(struct supervisor *s, int sig, const siginfo_t *from)
{
	siginfo_t info;
	int to = s->map[sig];
	if (to == 0)
		return;
	if (sig == SIGCONT)
		(void)terminal_lend(s);
	if (sig == SIGTERM || (sig == SIGINT && s->first_term != 0))
		told_to_end(s);
	if (terminal_has_sent(s, sig, from)) {
		pass_outside(s, sig);
		return;
	}
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
	return command_status(s->wstatus);
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
	s->set = ~NOT_PASSED;
	if (old == NULL || sigaction(SIGCHLD, &dfl, old) < 0 ||
		call_undo(call, undo_chld, old, 0) < 0)
		return call_fail(call, ST_EARLY, errno, "prepare for SIGCHLD");
	if (hold_for_call(call, s->set) != 0)
		return ST_EARLY;
	return command_subreaper(call);
}

int signal_run(struct call *call)
{
	struct supervisor s = {
		.call = call, .kill_at = DEADLINE_NONE, .sig = SIGTERM, .grace = GRACE};
	if (call->opt[RUN_SIGNAL].count > 0)
		s.sig = (int)call->opt[RUN_SIGNAL].num;
	if (call->opt[RUN_GRACE].count > 0)
		s.grace = call->opt[RUN_GRACE].num;
	int status = parse_map(&s);
	if (status == 0)
		status = prepare(&s);
	if (status == 0)
		status = call_pidfile(call);
	if (status == 0)
		status = terminal_prepare(&s);
	if (status != 0)
		return status;
	s.limit = call_deadline(call);
	if (s.limit == DEADLINE_NOW) /* as timeout(1) */
		s.limit = DEADLINE_NONE;
	status = terminal_spawn(&s);
	return status != 0 ? status : supervise(&s);
}
