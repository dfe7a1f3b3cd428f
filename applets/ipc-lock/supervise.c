/* applets/ipc-lock/supervise.c: run the command under its locks and wait for it. */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert(LOCKS_MAX <= KEEPER_MAX, "one keeper keeps all");

int not_started(struct call *call, const char *argv0, int errnum, int execed)
{
	if (!execed)
		return call_fail(call, ST_EARLY, errnum, "start %s", argv0);
	return call_fail(
		call, errnum == ENOENT ? ST_NOCMD : ST_NOEXEC, errnum, "execute %s", argv0);
}

static const char *joined(struct call *call)
{
	const char *text = call->args[0].str;
	for (unsigned i = 1; i < call->nargs && text != NULL; i++)
		text = call_fmt(call, "%s %s", text, call->args[i].str);
	return text;
}

const char *const *make_env(struct call *call, int64_t token)
{
	const char **env = call_alloc(call, 3 * sizeof *env);
	const char *text = joined(call);
	if (env == NULL || text == NULL)
		return NULL;
	env[0] = call_fmt(call, "IPC_OBJECT=%s", text);
	env[1] = token == 0 ? "IPC_TOKEN" : call_fmt(call, "IPC_TOKEN=%lld", (long long)token);
	return env[0] != NULL && env[1] != NULL ? env : NULL;
}

/* Pass SIG on to every child that we have: those of CMD that outlived it are ours now. */
static void signal_children(int sig)
{
	char path[48], *text, *end;
	size_t len;
	snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
	if (fd_slurp(-1, path, 1 << 20, &text, &len) < 0)
		return;
	for (char *p = text;; p = end) {
		long pid = strtol(p, &end, 10);
		if (end == p || pid <= 0)
			break;
		kill((pid_t)pid, sig);
	}
	fd_slurp_free(text);
}

/* Until the last descendant has ended. */
static void wait_tree(struct wait_signals *w)
{
	for (;;) {
		pid_t pid;
		int st;
		while ((pid = wait_ended(-1, &st, 0, NULL)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return;
		siginfo_t info;
		int sig = sigtimedwait(&w->set, &info, NULL);
		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0)
			signal_children(sig);
	}
}

static int wait_command(struct call *call, struct supervise *s, struct wait_signals *w, pid_t pid)
{
	int wstatus;
	if (wait_child(w, pid, false, s->tree, DEADLINE_NONE, &wstatus) < 0)
		return call_fail(call, ST_INTERNAL, errno, "wait for %s", s->spawn.argv[0]);
	if (s->tree)
		wait_tree(w);
	return wait_status(wstatus);
}

static void undo_subreaper(void *arg, intptr_t old)
{
	(void)arg;
	prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)old, 0L, 0L, 0L);
}

int supervise(struct call *call, struct supervise *s)
{
	struct wait_signals w;
	struct keeper keeper;
	pid_t pid;
	int old = 0, execed, status;
	keeper.pid = 0;
	if (s->tree) {
		prctl(PR_GET_CHILD_SUBREAPER, &old, 0L, 0L, 0L);
		prctl(PR_SET_CHILD_SUBREAPER, 1ul, 0L, 0L, 0L);
		call_undo(call, undo_subreaper, NULL, old);
	}
	if (s->nfds > 0)
		(void)keeper_with(&keeper, &s->spawn, s->fds, s->nfds); /* never too many */
	wait_hold(&w);
	int err = spawn(&s->spawn, &pid, &execed);
	if (err == 0) {
		status = wait_command(call, s, &w, pid);
		if (s->ended != NULL)
			s->ended(s->arg);
	} else {
		status = s->failed(call, s->spawn.argv[0], err, execed);
	}
	keeper_end(&keeper);
	wait_release(&w);
	return status;
}
