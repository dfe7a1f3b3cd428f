/* lib/command.c: see command.h. */
#define _GNU_SOURCE
#include "command.h"

#include "call.h"
#include "keeper.h"
#include "sig.h"
#include "task.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct running {
	struct call *call;
	struct command *cmd;
	struct wait_signals held;
	struct keeper *keeper;
	pid_t pid;
	bool ended; /* CMD has */
	int wstatus;
	uint64_t came;  /* the signals that came to us, a bit for each */
	int postponed;  /* what .patient kept from CMD; 0: nothing */
	bool no_search; /* it was said that descendants cannot be found */
};

int command_status(int wstatus)
{
	return WIFSIGNALED(wstatus) ? ST_DEATH + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}

int command_code(int status)
{
	return status >= ST_DEATH ? status - ST_DEATH + ST_SIGNAL : status;
}

/* To all descendants; what comes from the keyboard has reached our own group. */
static bool pass_to_tree(struct running *r, int sig, bool keyboard)
{
	unsigned denied;
	if (task_signal_descendants(sig, NULL, keyboard ? TASK_OUTSIDE : TASK_ALL, &denied) >= 0)
		return true;
	if (!r->no_search)
		call_warn(r->call, errno, "find what %s started in /proc", r->cmd->spawn.argv[0]);
	r->no_search = true;
	return false;
}

static void pass_on(struct running *r, int sig, bool keyboard)
{
	bool stops = sig == SIGHUP || sig == SIGINT || sig == SIGTERM;
	r->came |= SIG_BIT(sig);
	if (stops && r->cmd->patient && r->postponed == 0) {
		r->postponed = sig;
		return;
	}
	if (r->cmd->tree && pass_to_tree(r, sig, keyboard))
		return;
	if (!keyboard && !r->ended)
		kill(r->pid, sig);
}

/* Reap who has ended. True when nobody is left to wait for; *FAILED when CMD's end cannot be known. */
static bool reap(struct running *r, bool *failed)
{
	int st;
	pid_t got;
	while ((got = wait_ended(r->cmd->tree ? -1 : r->pid, &st, 0, NULL)) > 0) {
		if (got != r->pid)
			continue;
		r->ended = true;
		r->wstatus = st;
		if (!r->cmd->tree)
			return true;
	}
	*failed = got < 0 && !r->ended;
	return got < 0;
}

/* 0, or -1 with errno. */
static int wait_end(struct running *r)
{
	bool failed = false;
	while (!reap(r, &failed)) {
		siginfo_t info;
		int sig = sigwaitinfo(&r->held.set, &info);
		/* si_code > 0 is the kernel's: a key, which went to the whole foreground group. */
		if (sig > 0 && sig != SIGCHLD)
			pass_on(r, sig, info.si_code > 0);
	}
	return failed ? -1 : 0;
}

static int status_of_end(const struct running *r)
{
	int status = command_status(r->wstatus);
	if (status < ST_DEATH || !r->cmd->like_flock)
		return status;
	return (r->came & SIG_BIT(WTERMSIG(r->wstatus))) != 0 ? status : command_code(status);
}

static void undo_subreaper(void *arg, intptr_t old)
{
	(void)arg;
	prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)old, 0L, 0L, 0L);
}

int command_subreaper(struct call *call)
{
	int was = 0;
	if (prctl(PR_GET_CHILD_SUBREAPER, &was, 0L, 0L, 0L) < 0 ||
		prctl(PR_SET_CHILD_SUBREAPER, 1ul, 0L, 0L, 0L) < 0 ||
		call_undo(call, undo_subreaper, NULL, was) < 0)
		return call_fail(call, ST_EARLY, errno, "become the parent of orphans");
	return 0;
}

static int report(struct call *call, const struct command *cmd, int err, int execed)
{
	const char *name = cmd->spawn.argv[0];
	return cmd->failed != NULL ? cmd->failed(call, name, err, execed)
				   : spawn_failed(call, name, err, execed);
}

static int run_held(struct running *r)
{
	struct command *cmd = r->cmd;
	int execed, err = spawn(&cmd->spawn, &r->pid, &execed);
	if (err != 0)
		return report(r->call, cmd, err, execed);
	if (cmd->started != NULL)
		cmd->started(cmd->arg, r->keeper->pid);
	if (wait_end(r) < 0)
		return call_fail(r->call, ST_INTERNAL, errno, "wait for %s", cmd->spawn.argv[0]);
	if (r->postponed != 0)
		kill(getpid(), r->postponed);
	return status_of_end(r);
}

int command_run(struct call *call, struct command *cmd)
{
	struct keeper keeper; /* a page: not cleared */
	struct running r = {.call = call, .cmd = cmd, .keeper = &keeper};
	keeper.pid = 0;
	int status = cmd->tree ? command_subreaper(call) : 0;
	if (status != 0)
		return status;
	if (cmd->nlocks > 0)
		(void)keeper_with(&keeper, &cmd->spawn, cmd->locks, cmd->nlocks);
	wait_hold(&r.held);
	status = run_held(&r);
	if (cmd->ended != NULL)
		cmd->ended(cmd->arg);
	keeper_end(&keeper);
	wait_release(&r.held);
	return status;
}

int command_exec(struct call *call, const struct command *cmd)
{
	int execed, err = spawn_exec(&cmd->spawn, &execed);
	return report(call, cmd, err, execed);
}
