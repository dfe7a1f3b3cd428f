/* ipc-signal stop: ask, wait for all by pidfd, kill what is left, wait again, and report each.
 *
 * Who is asked: a group by one kill(2), which no fork escapes; a tree process by process, parents
 * first, once a look at /proc has found nobody new. Who turns up later in the group or tree is waited
 * for, and killed with the rest, but not asked: it mostly is what a handler started to clean up, and
 * only that which was started before we asked has slipped through.
 */
#include "ipc-signal.h"

#include "fd.h"
#include "num.h"
#include "sig.h"
#include "targets.h"

#include <errno.h>
#include <unistd.h>

/* A stopped process acts on nothing but KILL until it goes on. */
static void wake(const struct target *t, int sig)
{
	struct task now;
	if (sig != SIGKILL && task_read(t->task.id.pid, &now) == 0 && now.state == 'T')
		(void)sig_send(t->pidfd, SIGCONT, NULL);
}

static void ask_one(struct target *t, int sig)
{
	if (t->fate != RUNNING || t->asked)
		return;
	t->asked = true;
	if (sig == 0)
		return;
	(void)sig_send(t->pidfd, sig, NULL);
	wake(t, sig);
}

/* In one step for each group that our targets are in, but the one that we are in ourselves. */
static void ask_groups(struct stopping *s)
{
	pid_t own = getpgrp();
	for (size_t i = 0; i < s->n; i++) {
		pid_t pgrp = s->list[i].task.pgrp;
		if (pgrp == own || pgrp <= 0 || s->list[i].asked || s->list[i].fate != RUNNING)
			continue;
		int leader = task_open((struct proc_id){.pid = pgrp});
		bool sent = getpgid(s->list[i].task.id.pid) == pgrp &&
			sig_send_group(leader, pgrp, s->sig, NULL) == 0;
		fd_close(leader);
		for (size_t k = i; sent && k < s->n; k++)
			if (s->list[k].task.pgrp == pgrp && s->list[k].fate == RUNNING) {
				s->list[k].asked = true;
				wake(&s->list[k], s->sig);
			}
	}
}

static uint64_t ticks_now(void)
{
	struct timespec ts;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * hz + (uint64_t)ts.tv_nsec * hz / NS_PER_S;
}

/* Ask those who have not been asked; later on only who was there when asking began, and in a group
 * nobody, since the one kill(2) has reached them all. */
static void ask(struct stopping *s)
{
	bool first = s->began == 0;
	if (first) {
		s->began = wait_now();
		s->began_ticks = ticks_now();
	}
	if (first && s->group && s->sig != 0)
		ask_groups(s);
	for (size_t i = 0; i < s->n; i++)
		if (first || (!s->group && s->list[i].task.id.start < s->began_ticks))
			ask_one(&s->list[i], s->sig);
}

/* The init of our pid namespace has been asked, and no KILL of ours can reach it: we would wait for ever. */
static void give_up(struct stopping *s, struct target *t)
{
	call_warn(s->call, 0,
		"1 (%s) did not end, and the first process of a pid namespace cannot be killed from within it",
		t->command);
	fd_close(t->pidfd);
	t->pidfd = -1;
	s->running--;
	t->fate = DENIED;
	targets_report(s, t->task.id, t->command, DENIED);
}

static void kill_all(struct stopping *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct target *t = &s->list[i];
		if (t->fate != RUNNING || t->killed)
			continue;
		if (t->task.id.pid == 1) {
			give_up(s, t);
			continue;
		}
		(void)sig_send(t->pidfd, SIGKILL, NULL);
		t->killed = true;
	}
}

/* Wait until one ends, or DEADLINE. 0; -1 with errno as wait_poll. */
static int wait_some(struct stopping *s, int64_t deadline)
{
	nfds_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].fate == RUNNING)
			s->poll[n++] = (struct pollfd){.fd = s->list[i].pidfd, .events = WAIT_END};
	return wait_poll(s->poll, n, deadline, &s->call->stop) < 0 ? -1 : 0;
}

/* Report those whom the last wait found ended; s->poll is in the order of the list. */
static void collect(struct stopping *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct target *t = &s->list[i];
		if (t->fate != RUNNING || s->poll[n++].revents == 0)
			continue;
		fd_close(t->pidfd);
		t->pidfd = -1;
		s->running--;
		t->fate = t->killed ? KILLED : ENDED;
		if (t->asked || t->killed)
			targets_report(s, t->task.id, t->command, t->fate);
		else
			call_note(s->call, 1, "%ld, not asked, ended: %s", (long)t->task.id.pid,
				t->command);
	}
}

static int timed_out(struct stopping *s, int errnum)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].fate == RUNNING)
			targets_report(s, s->list[i].task.id, s->list[i].command, RUNNING);
	return call_waited(s->call, errnum, "%zu of %zu processes still run", s->running, s->n);
}

/* Until all have ended. GRACE is the instant of the kill, LIMIT that of giving up. 0 or a status. */
static int wait_all(struct stopping *s, int64_t grace, int64_t limit)
{
	for (;;) {
		int status = targets_expand(s);
		if (status != 0)
			return status;
		if (s->running == 0)
			return 0;
		/* Asked each time, since a poll that always finds somebody ended never times out. */
		int64_t now = wait_now();
		bool killing = grace <= now && grace < limit;
		if (killing)
			kill_all(s);
		else
			ask(s);
		if (s->running == 0) /* all that were left cannot be killed */
			return 0;
		if (wait_some(s, killing || limit < grace ? limit : grace) == 0)
			collect(s);
		else if (errno != ETIMEDOUT && errno != EAGAIN)
			return call_waited(s->call, errno, "wait for %zu processes", s->running);
		else if (limit <= wait_now())
			return timed_out(s, wait_expired(limit));
	}
}

int signal_stop(struct call *call)
{
	struct stopping *s = call_alloc(call, sizeof *s);
	const struct val *grace = &call->opt[STOP_GRACE], *sig = &call->opt[STOP_SIGNAL];
	for (unsigned i = 0; i < call->nargs; i++) {
		struct proc_id id;
		const char *why = task_parse(call->args[i].str, &id);
		if (why != NULL)
			return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[i].str, why);
	}
	if (s == NULL || call_undo(call, targets_free, s, 0) < 0)
		return call_error(call, ENOMEM, "stop");
	s->call = call;
	s->sig = sig->count > 0 ? (int)sig->num : SIGTERM;
	s->group = call->opt[STOP_GROUP].count > 0;
	s->tree = call->opt[STOP_TREE].count > 0;
	json_start(&s->json, &call->out);
	int64_t limit = call_deadline(call);
	int status = 0;
	for (unsigned i = 0; status == 0 && i < call->nargs; i++)
		status = targets_add(s, call->args[i].str);
	if (status == 0)
		status = targets_expand(s);
	if (status == 0) {
		ask(s);
		status = wait_all(s, wait_until(grace->count > 0 ? grace->num : GRACE), limit);
	}
	if (status != 0)
		return status;
	if (s->count[DENIED] > 0)
		return call_fail(
			call, ST_PERM, EPERM, "signal %u of %zu processes", s->count[DENIED], s->n);
	if (s->count[KILLED] > 0)
		return ST_SIGNAL + SIGKILL;
	return s->n == 0 ? ST_NOPEER : ST_OK;
}
