/* applets/ipc-spool/run.c: the verb run: fill the slots with jobs, sleep, note what ended. */
#define _GNU_SOURCE
#include "run.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_AGAIN \
	(50 * NS_PER_MS) /* while busy, how often dead workers' and due jobs are looked for */
#define KILL_AFTER (2 * NS_PER_S) /* from TERM to KILL */

static void kill_all(struct runner *r, int sig)
{
	for (size_t i = 0; r->slots != NULL && i < r->n; i++)
		if (r->slots[i].pid > 0)
			kill(-r->slots[i].pid, sig);
}

/* However the verb ends, no CMD is left behind. */
static void undo_slots(void *arg, intptr_t n)
{
	struct runner *r = arg;
	(void)n;
	kill_all(r, SIGKILL);
	if (r->minder > 0) {
		kill(r->minder, SIGKILL);
		while (waitpid(r->minder, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (size_t i = 0; r->slots != NULL && i < r->n; i++) {
		struct slot *s = &r->slots[i];
		while (s->pid > 0 && waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
		fd_close(s->pidfd);
		fd_close(s->lease);
		fd_close(s->err[0]);
		fd_close(s->err[1]);
		draft_drop(&r->sp, &s->out);
	}
	rest_drop(&r->rest);
	free(r->slots);
	free(r->fds);
	r->slots = NULL;
}

static int alloc_slots(struct runner *r)
{
	r->slots = calloc(r->n, sizeof *r->slots);
	r->fds = calloc(2 * r->n + 1, sizeof *r->fds);
	for (size_t i = 0; r->slots != NULL && i < r->n; i++) {
		struct slot *s = &r->slots[i];
		s->pidfd = s->lease = s->err[0] = s->err[1] = s->out.fd = -1;
	}
	if (call_undo(r->sp.call, undo_slots, r, 0) < 0 || r->slots == NULL || r->fds == NULL)
		return -1;
	return 0;
}

/* A job has its file, a pidfd, two ends of a pipe and perhaps its output; poll(2) is given two
 * for each slot. */
#define FOR_SLOT 4
#define FOR_US 16 /* the pipe of a start among them */
static int enough_descriptors(struct runner *r)
{
	struct rlimit files;
	uint64_t need = FOR_US + r->n * (FOR_SLOT + r->keep_output);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= need)
		return ST_OK;
	uint64_t has = files.rlim_cur,
		 fit = has > FOR_US ? (has - FOR_US) / (FOR_SLOT + r->keep_output) : 0;
	return call_fail(r->sp.call, ST_LIMIT, 0,
		"-j %zu needs %llu descriptors, the limit is %llu (ulimit -n): %s%llu", r->n,
		(unsigned long long)need, (unsigned long long)has,
		fit > 0 ? "it is enough for -j " : "the least is ",
		(unsigned long long)(fit > 0 ? fit : FOR_US + FOR_SLOT));
}

static void reap(struct runner *r, struct slot *s)
{
	int wstatus;
	if (waitpid(s->pid, &wstatus, WNOHANG) != s->pid)
		return;
	slot_stderr(r, s);
	s->pid = 0;
	slot_settle(r, s, wstatus);
	slot_free(r, s);
	r->busy--;
	r->sp.deadline = call_deadline(r->sp.call); /* -w is about being idle */
}

/* ---- the loop ---- */

static int recover(struct runner *r, bool now)
{
	int64_t t = wait_now();
	if (!now && t - r->looked < LOOK_AGAIN)
		return 0;
	r->looked = t;
	return job_recover(&r->sp, &r->due);
}

/* The lease of the next job; -1 with errno. */
static int next_job(struct runner *r, struct job *job)
{
	if (recover(r, false) < 0)
		return -1;
	/* What was read of the bucket holds until something comes in. */
	if (r->hint < 0 || hint_drain(r->hint))
		rest_drop(&r->rest);
	int lease = job_next(&r->sp, job, &r->rest);
	if (lease >= 0 || errno != ENOENT)
		return lease;
	/* Nothing: look at all before saying so. */
	return recover(r, true) < 0 ? -1 : job_next(&r->sp, job, &r->rest);
}

/* Fill the free slots. *IDLE: there is a free one and nothing for it. A status. */
static int fill(struct runner *r, bool *idle)
{
	*idle = false;
	for (size_t i = 0; i < r->n && r->left > 0 && !r->stopping; i++) {
		struct slot *s = &r->slots[i];
		if (s->pid > 0)
			continue;
		int lease = next_job(r, &s->job);
		if (lease < 0 && errno == ENOENT) {
			*idle = true;
			return ST_OK;
		}
		if (lease < 0)
			return spool_failed(&r->sp, errno, "take from");
		int status = slot_start(r, s, lease);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

static void stop(struct runner *r)
{
	r->sig = call_stopped(r->sp.call);
	/* ^C means now, also after another signal; HUP and TERM let the running ones end. */
	if (r->sig == SIGINT)
		r->grace = 0;
	int64_t at = r->grace == DEADLINE_NONE ? DEADLINE_NONE : wait_now() + r->grace;
	if (!r->stopping || at < r->kill_at)
		r->kill_at = at;
	r->stopping = true;
}

/* For struct stop: a stop signal other than the one that was heeded. */
static int further_signal(void *arg)
{
	struct runner *r = arg;
	int sig = call_stopped(r->sp.call);
	return sig != r->sig ? sig : 0;
}

/* A put that one of our CMDs has started, and that waits for room in this very spool, waits for
 * us. NAME is its file in tmp/, which begins with its process id. */
static void end_put(struct runner *r, const char *name)
{
	pid_t pid = (pid_t)strtol(name, NULL, 10), group = pid > 1 ? getpgid(pid) : -1;
	for (size_t i = 0; i < r->n && group > 1; i++)
		if (r->slots[i].pid == group)
			kill(pid, SIGTERM);
}

/* Once stopped, with the spool full: nobody makes room for those puts any more, so they are told
 * to end. */
static void end_own_puts(struct runner *r)
{
	struct spool *sp = &r->sp;
	struct names names;
	if (!r->stopping || sp->depth == 0 || r->busy == 0 ||
		job_count(sp, sp->depth) < (int64_t)sp->depth ||
		names_read(sp, &names, tmp_fd(sp), any_name) < 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		end_put(r, names.v[i]);
	names_free(&names);
}

static void escalate(struct runner *r)
{
	if (!r->stopping || wait_now() < r->kill_at)
		return;
	kill_all(r, r->asked ? SIGKILL : SIGTERM);
	r->kill_at = wait_now() + KILL_AFTER;
	r->asked = true;
}

static int64_t wake_at(const struct runner *r, bool idle)
{
	if (r->stopping && r->sp.depth > 0 && wait_now() + NS_PER_S < r->kill_at)
		return wait_now() + NS_PER_S; /* see end_own_puts() */
	if (r->stopping)
		return r->kill_at;
	if (!idle)
		return DEADLINE_NONE;
	return hint_deadline(&r->sp, r->hint, r->due);
}

/* Sleep until a CMD ends or writes, a job may have come, or we are stopped. 0 or -1. */
static int sleep_until_event(struct runner *r, bool idle)
{
	struct pollfd *p = r->fds;
	p[0] = (struct pollfd){.fd = idle && !r->stopping ? r->hint : -1, .events = POLLIN};
	for (size_t i = 0; i < r->n; i++) {
		const struct slot *s = &r->slots[i];
		p[1 + 2 * i] =
			(struct pollfd){.fd = s->pid > 0 ? s->pidfd : -1, .events = WAIT_END};
		p[2 + 2 * i] = (struct pollfd){.fd = s->pid > 0 ? s->err[0] : -1, .events = POLLIN};
	}
	/* Once stopped we wait for the CMDs; a further signal may press on. */
	struct stop further = r->sp.call->stop;
	further.signal = further_signal;
	further.arg = r;
	if (wait_poll(p, 2 * r->n + 1, wake_at(r, idle),
		    r->stopping ? &further : &r->sp.call->stop) < 0)
		return errno == ETIMEDOUT || errno == EAGAIN ? 0 : -1;
	if (p[0].revents != 0)
		rest_drop(&r->rest);
	for (size_t i = 0; i < r->n; i++) {
		if (p[2 + 2 * i].revents != 0)
			slot_stderr(r, &r->slots[i]);
		if (p[1 + 2 * i].revents != 0)
			reap(r, &r->slots[i]);
	}
	return 0;
}

/* Is there nothing more to wait for? */
static bool finished(const struct runner *r, bool idle)
{
	if (r->busy > 0)
		return false;
	if (r->stopping || r->left == 0)
		return true;
	if (!idle || r->follow)
		return false;
	return (r->due == INT64_MAX && !r->sp.again) || r->sp.deadline == DEADLINE_NOW;
}

static int loop(struct runner *r)
{
	struct call *call = r->sp.call;
	bool idle;
	for (;;) {
		if (call_stopped(call) != r->sig)
			stop(r);
		int status = fill(r, &idle);
		if (status != ST_OK) { /* the running ones are waited for */
			r->fatal = status;
			r->left = 0;
		}
		if (finished(r, idle))
			return r->fatal;
		if (idle && spool_gone(&r->sp)) {
			r->fatal = call_fail(call, ST_NOOBJ, 0, "%s: was removed", r->sp.path);
			r->left = 0;
			continue;
		}
		if (idle && !r->armed) { /* arm, and look once more before sleeping */
			if (r->hint >= 0 && hint_add_cur(&r->sp, r->hint) < 0) {
				call_close(call, r->hint);
				r->hint = hint_open_new(&r->sp);
				r->rest.fd = -1;
			}
			r->armed = true;
			continue;
		}
		if (idle && r->busy == 0 && r->sp.deadline <= wait_now())
			return call_waited(
				call, wait_expired(r->sp.deadline), "%s: no job", r->sp.path);
		if (idle || r->stopping)
			job_cut_done(&r->sp);
		end_own_puts(r);
		if (sleep_until_event(r, idle) < 0 && errno != EINTR)
			return call_error(call, errno, "wait");
		escalate(r);
	}
}

int run_run(struct call *call)
{
	struct runner *r = call_alloc(call, sizeof *r);
	if (r == NULL)
		return call_error(call, errno, "run");
	int status = spool_open(call, call->args[0].str, true, &r->sp);
	if (status != ST_OK)
		return status;
	r->n = call->opt[RUN_JOBS].count > 0 ? (size_t)call->opt[RUN_JOBS].num : 1;
	r->follow = call->std[STD_FOLLOW].count > 0;
	/* Without results there is nothing that the output could be kept with. */
	r->keep_output = call->opt[RUN_OUTPUT].num != 0 && r->sp.keep > 0;
	r->drop_output = call->opt[RUN_OUTPUT].num != 0 && r->sp.keep == 0;
	r->backoff = call->opt[RUN_BACKOFF].count > 0 ? call->opt[RUN_BACKOFF].num : BACKOFF;
	r->grace = call->opt[RUN_GRACE].count > 0 ? call->opt[RUN_GRACE].num : DEADLINE_NONE;
	r->sync = call->opt[RUN_SYNC].count > 0 ? (enum sync)call->opt[RUN_SYNC].num : SYNC_NONE;
	r->left = call->std[STD_COUNT].count > 0 ? (uint64_t)call->std[STD_COUNT].num : UINT64_MAX;
	r->hint = hint_open_new(&r->sp);
	r->rest.fd = -1;
	r->due = INT64_MAX;
	r->kill_at = DEADLINE_NONE;
	r->sp.env = call_fmt(call, "IPC_OBJECT=%s", spool_absolute(&r->sp));
	status = enough_descriptors(r);
	if (status != ST_OK)
		return status;
	/* What alloc_slots' undo needs comes before it. */
	if (r->sp.env == NULL || state_fd(&r->sp, JOB_CUR) < 0 || tmp_fd(&r->sp) < 0 ||
		alloc_slots(r) < 0)
		return call_error(call, errno, "run");
	status = minder_start(r);
	if (status == ST_OK)
		status = call_serving(call);
	if (status == ST_OK) {
		status = loop(r);
		job_cut_done(&r->sp);
	}
	if (r->sp.foreign > 0)
		call_note(call, 1, "%s: there are files in it that are not of a spool", r->sp.path);
	if (status == ST_OK && r->stopping)
		return ST_SIGNAL + call_stopped(call);
	return status == ST_OK && r->failed ? ST_NO : status;
}
