/* applets/ipc-spool/run.c: give each job to CMD.
 *
 * CMD's stdin is the job's file, by the very descriptor that holds the lease: nothing is copied, and while CMD or
 * a child that reads its stdin lives, the job is leased, even if we are killed. A shell's background
 * children have /dev/null there, and hold nothing. When we die CMD is killed (PR_SET_PDEATHSIG): nobody
 * would be left to note its status. So a half-done job never runs twice at the same time.
 *
 * CMD's stderr is a pipe to us, passed on as it comes, so that its end can be told in dead/. The pipe is
 * made once for a slot: what a background child of an earlier job writes late is taken for the next one's.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "num.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAIL 4096
#define LOOK_AGAIN \
	(50 * NS_PER_MS) /* while busy, dead workers' and delayed jobs are looked for this often */
#define KILL_AFTER (2 * NS_PER_S) /* from TERM to KILL */

struct slot {
	pid_t pid; /* 0: free */
	int pidfd, lease;
	int err[2]; /* CMD's stderr; -1 until first used */
	struct job job;
	struct draft out; /* --output keep */
	char tail[TAIL];
	size_t tail_len;
};

struct runner {
	struct spool sp;
	struct slot *slots;
	struct pollfd *fds; /* the hint, then pidfd and stderr of each slot */
	size_t n, busy;
	bool follow, keep_output, stopping, asked, given_back;
	bool failed; /* some attempt failed */
	int fatal;   /* why no more jobs are started, though nobody stopped us */
	int hint;
	bool armed;
	int64_t backoff, grace, kill_at;
	int64_t looked, due; /* when job_recover was last called, and what it said */
	uint64_t left;       /* jobs until -c is reached */
	enum sync sync;
};

static void kill_all(struct runner *r, int sig)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->slots[i].pid > 0)
			kill(-r->slots[i].pid, sig);
}

/* However the verb ends, no CMD is left behind. */
static void undo_slots(void *arg, intptr_t n)
{
	struct runner *r = arg;
	(void)n;
	kill_all(r, SIGKILL);
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
	free(r->slots);
	free(r->fds);
	r->slots = NULL;
}

static int alloc_slots(struct runner *r)
{
	r->slots = calloc(r->n, sizeof *r->slots);
	r->fds = calloc(2 * r->n + 1, sizeof *r->fds);
	if (call_undo(r->sp.call, undo_slots, r, 0) < 0 || r->slots == NULL || r->fds == NULL)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		struct slot *s = &r->slots[i];
		s->pidfd = s->lease = s->err[0] = s->err[1] = s->out.fd = -1;
	}
	return 0;
}

/* ---- CMD's stderr ---- */

static void keep_tail(struct slot *s, const char *p, size_t len)
{
	if (len > TAIL) {
		p += len - TAIL;
		len = TAIL;
	}
	size_t keep = s->tail_len + len > TAIL ? TAIL - len : s->tail_len;
	memmove(s->tail, s->tail + s->tail_len - keep, keep);
	memcpy(s->tail + keep, p, len);
	s->tail_len = keep + len;
}

static void pass_stderr(struct runner *r, struct slot *s)
{
	char buf[4096];
	ssize_t n;
	while ((n = read(s->err[0], buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		keep_tail(s, buf, (size_t)n);
		(void)fd_write(r->sp.call->err, buf, (size_t)n);
	}
}

/* ---- a job's start and end ---- */

/* The job in cur/ goes back as if it had not been taken. */
static void give_back(struct runner *r, struct slot *s)
{
	struct outcome o = {.uncounted = true};
	bool dead;
	if (job_failed(&r->sp, &s->job, &o, &dead) < 0 && errno != ENOENT)
		call_warn(r->sp.call, errno, "%s: job %012llu: give it back", r->sp.path,
			(unsigned long long)s->job.id);
}

static void free_slot(struct runner *r, struct slot *s)
{
	lease_drop(s->lease); /* also for those who inherited it: the job has moved */
	fd_close(s->lease);
	fd_close(s->pidfd);
	draft_drop(&r->sp, &s->out);
	s->lease = s->pidfd = -1;
	s->pid = 0;
}

static int prepare(struct runner *r, struct slot *s)
{
	s->tail_len = 0;
	s->out = (struct draft){.fd = -1};
	if (s->err[0] < 0) {
		if (pipe2(s->err, O_CLOEXEC) < 0)
			return -1;
		fd_nonblock(s->err[0], true);
	}
	return r->keep_output ? draft_open(&r->sp, &s->out) : 0;
}

static int start_cmd(struct runner *r, struct slot *s)
{
	struct call *call = r->sp.call;
	char id[40], prio[24], attempt[40], slot[40], *object = r->sp.env;
	snprintf(id, sizeof id, "IPC_MSG_ID=%012llu", (unsigned long long)s->job.id);
	snprintf(prio, sizeof prio, "IPC_MSG_PRIO=%u", s->job.prio);
	snprintf(attempt, sizeof attempt, "IPC_MSG_ATTEMPT=%u", s->job.attempt);
	snprintf(slot, sizeof slot, "IPC_SLOT=%td", s - r->slots);
	const char *env[] = {object, id, prio, attempt, slot, NULL};
	const struct spawn_fd fds[] = {{s->lease, 0}, {s->err[1], 2}, {s->out.fd, 1}};
	const struct spawn spawn = {.argv = call->command,
		.env = env,
		.fds = fds,
		.nfds = r->keep_output ? 3 : 2,
		.flags = SPAWN_GROUP | SPAWN_DIE};
	int status = spawn_call(call, &spawn, &s->pid);
	if (status != 0) {
		s->pid = 0;
		return status;
	}
	s->pidfd = wait_pidfd(s->pid);
	r->busy++;
	return s->pidfd < 0 ? call_fail(call, ST_LIMIT, errno, "pidfd") : ST_OK;
}

/* Start the job that LEASE is of. A failure here is ours, not the job's. */
static int start(struct runner *r, struct slot *s, int lease)
{
	s->lease = lease;
	int status = prepare(r, s) < 0
		? call_fail(r->sp.call, ST_EARLY, errno, "start a job of %s", r->sp.path)
		: start_cmd(r, s);
	if (status != ST_OK && s->pid == 0) {
		give_back(r, s);
		free_slot(r, s);
	}
	if (r->left != UINT64_MAX)
		r->left--;
	return status;
}

static void move_output(struct runner *r, struct slot *s)
{
	struct job to = s->job;
	char name[NAME_SIZE];
	to.state = JOB_DONE;
	bool made;
	int fd = bucket_open(&r->sp, &to, true, &made);
	if (fd < 0 || renameat(r->sp.tmp, s->out.tmp, fd, side_name(to.id, "out", name)) < 0)
		call_warn(r->sp.call, errno, "%s: keep the output of job %012llu", r->sp.path,
			(unsigned long long)to.id);
	else
		s->out.published = true;
	fd_close(fd);
}

static void settle(struct runner *r, struct slot *s, int wstatus)
{
	struct outcome o = {.status = wait_status(wstatus),
		.delay = -1,
		.backoff = r->backoff,
		.tail = s->tail,
		.tail_len = s->tail_len,
		.sync = r->sync};
	struct spool *sp = &r->sp;
	char why[64], sig[NUM_BUF];
	bool dead = false;
	int e = 0;
	if (WIFSIGNALED(wstatus))
		snprintf(why, sizeof why, "killed by SIG%s",
			num_signal_name(WTERMSIG(wstatus), sig));
	else
		snprintf(why, sizeof why, "exited with %d", o.status);
	o.reason = why;
	if (o.status == 0) {
		if (r->keep_output)
			move_output(r, s); /* before the result is seen */
		e = job_done(sp, &s->job, s->lease, &o) < 0 ? errno : 0;
	} else if (r->asked && WIFSIGNALED(wstatus)) {
		give_back(r, s);
		r->given_back = true;
	} else {
		r->failed = true;
		e = job_failed(sp, &s->job, &o, &dead) < 0 ? errno : 0;
	}
	/* ENOENT: CMD itself, or someone by hand, has ended it with ack or nack. */
	if (e != 0 && e != ENOENT)
		call_warn(sp->call, e, "%s: job %012llu: note its end (%s); it will run again",
			sp->path, (unsigned long long)s->job.id, why);
	if (dead)
		call_warn(sp->call, 0, "%s: job %012llu: %s, dead after attempt %u", sp->path,
			(unsigned long long)s->job.id, why, s->job.attempt);
}

static void reap(struct runner *r, struct slot *s)
{
	int wstatus;
	if (waitpid(s->pid, &wstatus, WNOHANG) != s->pid)
		return;
	pass_stderr(r, s);
	s->pid = 0;
	settle(r, s, wstatus);
	free_slot(r, s);
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
	int lease = job_next(&r->sp, job);
	if (lease >= 0 || errno != ENOENT)
		return lease;
	/* Nothing: look at all before saying so. */
	return recover(r, true) < 0 ? -1 : job_next(&r->sp, job);
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
			return errno == EROFS
				? call_fail(r->sp.call, ST_PERM, errno, "take from %s", r->sp.path)
				: call_error(r->sp.call, errno, "take from %s", r->sp.path);
		int status = start(r, s, lease);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

static void stop(struct runner *r)
{
	int sig = call_stopped(r->sp.call);
	r->stopping = true;
	/* ^C means now; HUP and TERM let the running ones end. */
	if (sig == SIGINT)
		r->grace = 0;
	r->kill_at = r->grace == DEADLINE_NONE ? DEADLINE_NONE : wait_now() + r->grace;
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
		p[1 + 2 * i] = (struct pollfd){.fd = s->pid > 0 ? s->pidfd : -1, .events = POLLIN};
		p[2 + 2 * i] = (struct pollfd){.fd = s->pid > 0 ? s->err[0] : -1, .events = POLLIN};
	}
	/* Once stopped we wait for the CMDs, and further signals change nothing. */
	const struct stop *interrupt = r->stopping ? NULL : &r->sp.call->stop;
	if (wait_poll(p, 2 * r->n + 1, wake_at(r, idle), interrupt) < 0)
		return errno == ETIMEDOUT || errno == EAGAIN ? 0 : -1;
	if (p[0].revents != 0)
		hint_drain(r->hint);
	for (size_t i = 0; i < r->n; i++) {
		if (p[2 + 2 * i].revents != 0)
			pass_stderr(r, &r->slots[i]);
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
	return r->due == INT64_MAX || r->sp.deadline == DEADLINE_NOW;
}

static int loop(struct runner *r)
{
	struct call *call = r->sp.call;
	bool idle;
	for (;;) {
		if (call_stopped(call) != 0 && !r->stopping)
			stop(r);
		int status = fill(r, &idle);
		if (status != ST_OK) { /* the running ones are waited for */
			r->fatal = status;
			r->left = 0;
		}
		if (finished(r, idle))
			return r->fatal;
		if (idle && !r->armed) { /* arm, and look once more before sleeping */
			r->hint = hint_open(&r->sp);
			r->armed = true;
			continue;
		}
		if (idle && r->busy == 0 && r->sp.deadline <= wait_now())
			return call_waited(
				call, wait_expired(r->sp.deadline), "%s: no job", r->sp.path);
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
	r->keep_output = call->opt[RUN_OUTPUT].num != 0;
	r->backoff = call->opt[RUN_BACKOFF].count > 0 ? call->opt[RUN_BACKOFF].num : BACKOFF;
	r->grace = call->opt[RUN_GRACE].count > 0 ? call->opt[RUN_GRACE].num : DEADLINE_NONE;
	r->sync = call->opt[RUN_SYNC].count > 0 ? (enum sync)call->opt[RUN_SYNC].num : SYNC_NONE;
	r->left = call->std[STD_COUNT].count > 0 ? (uint64_t)call->std[STD_COUNT].num : UINT64_MAX;
	r->hint = -1;
	r->due = INT64_MAX;
	r->kill_at = DEADLINE_NONE;
	r->sp.env = call_fmt(call, "IPC_OBJECT=%s", r->sp.path);
	if (r->sp.env == NULL || alloc_slots(r) < 0 || state_fd(&r->sp, JOB_CUR) < 0)
		return call_error(call, errno, "run");
	status = call_pidfile(call);
	if (status == ST_OK)
		status = call_ready(call);
	if (status == ST_OK)
		status = loop(r);
	if (r->sp.foreign > 0)
		call_note(call, 1, "%s: there are files in it that are not of a spool", r->sp.path);
	if (status == ST_OK && r->stopping)
		return ST_SIGNAL + call_stopped(call);
	return status == ST_OK && r->failed ? ST_NO : status;
}
