/* applets/ipc-pipe/supervise.c: what happens when a command ends, and which status is ours.
 *
 * The kernel tells the neighbours of a command that has ended: end of file for who reads from it,
 * EPIPE for who writes to it. --grace is for those that do not listen. Only who can do nothing useful
 * any more is stopped: after a clean end the commands before it (nobody reads what they write), but not
 * those behind it, which may be long at work on what they were given; after a failure all of them.
 *
 * What surprises: signals sent to us go to every command, and we still end only when they have.
 */
#include "pipe.h"

#include "command.h"
#include "num.h"

#include <errno.h>
#include <sys/wait.h>

/* Commands that are left over when another one could not be started have so long to end. */
#define START_GRACE (2 * NS_PER_S)

static bool sigpipe_death(const struct run *run, size_t i)
{
	int st = run->kids[i].wstatus;
	return WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE && (run->duplex || i + 1 < run->n);
}

static bool failed(const struct run *run, size_t i)
{
	return wait_status(run->kids[i].wstatus) != 0 && !sigpipe_death(run, i);
}

/* Start the clock for those that the end of command I leaves without purpose. */
static void start_clocks(struct run *run, size_t i)
{
	size_t n = run->duplex || failed(run, i) ? run->started : i;
	int64_t due = wait_until(run->grace > 0 ? run->grace : 1);
	for (size_t k = 0; k < n; k++)
		if (!run->kids[k].ended && run->sides[k].due == DEADLINE_NONE &&
			run->sides[k].sent == 0)
			run->sides[k].due = due;
}

static int64_t next_due(const struct run *run)
{
	int64_t due = DEADLINE_NONE;
	for (size_t i = 0; i < run->started; i++)
		if (!run->kids[i].ended && run->sides[i].due < due)
			due = run->sides[i].due;
	return due;
}

/* TERM, and when that was sent before, KILL. A stopped process gets to see TERM only when it goes on. */
static void stop_side(struct call *call, struct run *run, size_t i)
{
	struct side *side = &run->sides[i];
	bool again = side->sent != 0;
	char buf[NUM_BUF];
	side->sent = again ? SIGKILL : SIGTERM;
	side->due = again ? DEADLINE_NONE : wait_until(run->grace > 0 ? run->grace : 1);
	wait_kill(&run->kids[i], 1, side->sent);
	if (!again)
		wait_kill(&run->kids[i], 1, SIGCONT);
	if (run->started == run->n)
		call_warn(call, 0, "%s (pid %ld) is still there after %s: sent %s", side->argv[0],
			(long)run->kids[i].pid, num_show_duration(run->grace, buf),
			again ? "KILL" : "TERM");
}

static void stop_due(struct call *call, struct run *run)
{
	int64_t now = wait_now();
	for (size_t i = 0; i < run->started; i++)
		if (!run->kids[i].ended && run->sides[i].due <= now)
			stop_side(call, run, i);
}

/* Until all that were started have ended. 0 or a status. */
static int wait_all(struct call *call, struct run *run, bool clocks)
{
	for (;;) {
		ssize_t i = wait_children(&run->held, run->kids, run->started, next_due(run));
		if (i >= 0 && clocks)
			start_clocks(run, (size_t)i);
		else if (i < 0 && errno == ECHILD)
			return 0;
		else if (i < 0 && (errno == ETIMEDOUT || errno == EAGAIN))
			stop_due(call, run);
		else if (i < 0)
			return call_fail(call, ST_INTERNAL, errno, "wait for the commands");
	}
}

/* A command could not be started: end the others, whatever they are doing. */
static int give_up(struct call *call, struct run *run, int status)
{
	run->grace = call->opt[RUN_GRACE].count > 0 ? run->grace : START_GRACE;
	for (size_t i = 0; i < run->started; i++)
		run->sides[i].due = 1;
	int bad = run->started > 0 ? wait_all(call, run, false) : 0;
	return bad != 0 ? bad : status;
}

/* A writer that died of SIGPIPE only says that its reader had enough: it counts when there is nothing
 * else to count. */
static int worst(const struct run *run)
{
	int status = -1;
	for (size_t i = 0; i < run->n; i++) {
		int its = command_status(run->kids[i].wstatus);
		if (!sigpipe_death(run, i) && command_code(its) > command_code(status))
			status = its;
	}
	return status >= 0 ? status : ST_SIGPIPE;
}

static int result(const struct call *call, const struct run *run)
{
	switch (call->opt[RUN_STATUS].count > 0 ? (enum pipe_rule)call->opt[RUN_STATUS].num
						: RULE_LAST) {
	case RULE_FIRST: return command_status(run->kids[0].wstatus);
	case RULE_WORST: return worst(run);
	case RULE_LAST: break;
	}
	return command_status(run->kids[run->n - 1].wstatus);
}

static int run_held(struct call *call, struct run *run)
{
	int status = pipe_start(call, run);
	if (status != 0)
		return give_up(call, run, status);
	status = wait_all(call, run, run->grace != DEADLINE_NONE);
	if (status == 0)
		status = pipe_report(call, run);
	return status != 0 ? status : result(call, run);
}

int pipe_run(struct call *call)
{
	struct run run = {.duplex = call->opt[RUN_DUPLEX].count > 0,
		.grace = call->opt[RUN_GRACE].count > 0 ? call->opt[RUN_GRACE].num : DEADLINE_NONE};
	int status = pipe_split(call, &run);
	if (status == 0)
		status = pipe_report_check(call);
	if (status != 0)
		return status;
	wait_hold(&run.held);
	status = run_held(call, &run);
	wait_release(&run.held);
	return status;
}
