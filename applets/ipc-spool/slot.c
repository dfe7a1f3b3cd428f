/* applets/ipc-spool/slot.c: one job of run: CMD started, heard and noted.
 *
 * CMD's stdin is the job's file, by the very descriptor that holds the lease: nothing is copied,
 * and while CMD or a child that reads its stdin lives, the job is leased, even if we are killed. A
 * shell's background children have /dev/null there, and hold nothing. When we die CMD is killed
 * (PR_SET_PDEATHSIG, minder.c): nobody would be left to note its status. So a half-done job never
 * runs twice at the same time.
 *
 * CMD's stderr is a pipe to us, passed on as it comes, so that its end can be told in dead/. The
 * pipe is made once for a slot: what a background child of an earlier job writes late is taken
 * for the next one's. */
#define _GNU_SOURCE
#include "run.h"

#include "fd.h"
#include "num.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* LEN is not more than TAIL. */
static void keep_tail(struct slot *s, const char *p, size_t len)
{
	size_t keep = s->tail_len + len > TAIL ? TAIL - len : s->tail_len;
	memmove(s->tail, s->tail + s->tail_len - keep, keep);
	memcpy(s->tail + keep, p, len);
	s->tail_len = keep + len;
}

void slot_stderr(struct runner *r, struct slot *s)
{
	char buf[TAIL];
	ssize_t n;
	while ((n = read(s->err[0], buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		keep_tail(s, buf, (size_t)n);
		(void)fd_write(r->sp.call->err, buf, (size_t)n);
	}
}

/* The job in cur/ goes back as if it had not been taken. */
static void give_back(struct runner *r, struct slot *s)
{
	struct outcome o = {.uncounted = true};
	bool dead;
	if (job_failed(&r->sp, &s->job, &o, &dead) < 0 && errno != ENOENT)
		call_warn(r->sp.call, errno, "%s: job %012llu: give it back", r->sp.path,
			(unsigned long long)s->job.id);
}

void slot_free(struct runner *r, struct slot *s)
{
	lease_drop(s->lease); /* also for those who inherited it: the job has moved */
	fd_close(s->lease);
	fd_close(s->pidfd);
	draft_drop(&r->sp, &s->out);
	s->lease = s->pidfd = -1;
	s->pid = 0;
	r->groups[s - r->slots] = 0;
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
	if (r->keep_output)
		return draft_open(&r->sp, &s->out);
	if (r->drop_output)
		s->out.fd = fd_open(AT_FDCWD, "/dev/null", O_WRONLY, 0);
	s->out.published = r->drop_output;
	return r->drop_output && s->out.fd < 0 ? -1 : 0;
}

/* In the child, before it can start anything: the minder must know its group even when we are
 * killed at once. */
static int note_group(void *arg)
{
	volatile pid_t *group = arg;
	*group = getpid();
	return 0;
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
		.nfds = r->keep_output || r->drop_output ? 3 : 2,
		.flags = SPAWN_GROUP | SPAWN_DIE,
		.hook = note_group,
		.hook_arg = (void *)(uintptr_t)&r->groups[s - r->slots]};
	int status = spawn_call(call, &spawn, &s->pid);
	if (status != 0) {
		s->pid = 0;
		return status;
	}
	s->pidfd = wait_pidfd(s->pid);
	if (s->pidfd < 0) { /* its end could not be seen */
		status = call_fail(
			call, ST_LIMIT, errno, "open a descriptor on %s", call->command[0]);
		spawn_kill(s->pid);
		s->pid = 0;
		return status;
	}
	r->busy++;
	return ST_OK;
}

/* Start the job that LEASE is of. A failure here is ours, not the job's. */
int slot_start(struct runner *r, struct slot *s, int lease)
{
	s->lease = lease;
	int status;
	if (done_reserve(&r->sp, &s->job) < 0)
		status = call_error(r->sp.call, errno,
			"%s: job %012llu is not started, its result could not be kept", r->sp.path,
			(unsigned long long)s->job.id);
	else if (prepare(r, s) < 0)
		status = call_fail(r->sp.call, no_room(errno) ? ST_LIMIT : ST_EARLY, errno,
			"start a job of %s", r->sp.path);
	else
		status = start_cmd(r, s);
	if (status != ST_OK && s->pid == 0) {
		give_back(r, s);
		slot_free(r, s);
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
	if (fd < 0 || (r->sync == SYNC_FULL && fsync(s->out.fd) < 0) ||
		renameat(r->sp.tmp, s->out.tmp, fd, side_name(to.id, "out", name)) < 0)
		call_warn(r->sp.call, errno, "%s: keep the output of job %012llu", r->sp.path,
			(unsigned long long)to.id);
	else
		s->out.published = true;
	fd_close(fd);
}

void slot_settle(struct runner *r, struct slot *s, int wstatus)
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
	sp->noting = true;
	if (o.status == 0) {
		if (r->keep_output)
			move_output(r, s); /* before the result is seen */
		e = job_done(sp, &s->job, &o) < 0 ? errno : 0;
		if (e != 0 && r->keep_output)
			job_drop_output(sp, s->job.id);
	} else if (r->asked && WIFSIGNALED(wstatus)) {
		give_back(r, s);
	} else {
		r->failed = true;
		e = job_failed(sp, &s->job, &o, &dead) < 0 ? errno : 0;
	}
	sp->noting = false;
	/* ENOENT: CMD itself, or someone by hand, has ended it with ack or nack. */
	if (e == ENOENT)
		return;
	if (no_room(e)) { /* it failed; its attempts are counted in cur/, too */
		sp->full = true;
		call_warn(sp->call, e, "%s: job %012llu stays in cur/: %s", sp->path,
			(unsigned long long)s->job.id, why);
	} else if (e != 0) { /* no more jobs are started: they could be done again and again */
		r->fatal = call_error(sp->call, e,
			"%s: job %012llu: note its end (%s); it will run again", sp->path,
			(unsigned long long)s->job.id, why);
		r->left = 0;
	}
	if (dead && e == 0)
		call_warn(sp->call, 0, "%s: job %012llu: %s, dead after attempt %u", sp->path,
			(unsigned long long)s->job.id, why, s->job.attempt);
}
