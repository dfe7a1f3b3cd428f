/* handler.c: the processes that answer calls. Each leads a session, and so a process group, of its own. */
#define _GNU_SOURCE
#include "door.h"

#include "fd.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define SIGNAL_PROCESS_GROUP 4 /* PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9 */

#define NUMBER 48 /* NAME=NUMBER */

/* All that one handler's start takes. */
struct start {
	struct job *job;
	char **argv;
	const char **env;
	char uid[NUMBER], gid[NUMBER], pid[NUMBER], conn[NUMBER];
	char chain[sizeof DOOR_CHAIN + DOOR_CHAIN_MAX + 2 * NUMBER];
	int top; /* highest number of a descriptor */
	int numbers[DOOR_FDS], moved[DOOR_FDS];
};

static void make_env(struct start *s, const char *vars)
{
	const struct job *j = s->job;
	const char *chain = request_chain(j);
	size_t n = 0;
	snprintf(s->uid, NUMBER, "IPC_PEER_UID=%u", (unsigned)j->peer.uid);
	snprintf(s->gid, NUMBER, "IPC_PEER_GID=%u", (unsigned)j->peer.gid);
	snprintf(s->pid, NUMBER, "IPC_PEER_PID=%ld", (long)j->peer.pid);
	snprintf(s->conn, NUMBER, "IPC_CONN_NUM=%llu", (unsigned long long)j->id);
	snprintf(s->chain, sizeof s->chain, DOOR_CHAIN "=%s%s%s.%llu", chain,
		*chain != '\0' ? "," : "", j->door->secret, (unsigned long long)j->id);
	const char *ours[] = {j->door->object, s->uid, s->gid, s->pid, s->conn, s->chain,
		"IPC_PEER_ADDR", "IPC_PEER_PORT", "IPC_LOCAL_ADDR", "LISTEN_FDS", "LISTEN_PID",
		"LISTEN_FDNAMES", "NOTIFY_SOCKET"};
	memcpy(s->env, ours, sizeof ours);
	n = sizeof ours / sizeof *ours;
	for (uint32_t i = 0; i < j->request.envc; i++, vars += strlen(vars) + 1)
		s->env[n++] = vars;
	s->env[n] = NULL;
}
#define ENV_OURS 13

/* CMD and its words, then the caller's. What follows them. */
static const char *make_argv(struct start *s)
{
	const struct job *j = s->job;
	char *const *command = j->door->call->command;
	const char *p = request_strings(j);
	size_t n = 0;
	for (; command[n] != NULL; n++)
		s->argv[n] = command[n];
	for (uint32_t i = 0; i < j->request.argc; i++, p += strlen(p) + 1)
		s->argv[n++] = (char *)(uintptr_t)p;
	s->argv[n] = NULL;
	return p;
}

static int prepare(struct start *s, struct job *j)
{
	size_t words = 0;
	while (j->door->call->command[words] != NULL)
		words++;
	s->job = j;
	s->top = 2;
	s->argv = calloc(words + j->request.argc + 1, sizeof *s->argv);
	s->env = calloc(ENV_OURS + j->request.envc + 1, sizeof *s->env);
	if (s->argv == NULL || s->env == NULL)
		return ENOMEM;
	for (size_t i = 0; i < j->nfds; i++) {
		s->numbers[i] = request_fd(j, i);
		s->top = s->numbers[i] > s->top ? s->numbers[i] : s->top;
	}
	make_env(s, make_argv(s));
	return 0;
}

/* In the child: the caller's descriptors, then the limit that we were started with, in this order: below it there
 * may be no number free. First all go above the highest target, so that none overwrites one still to come. */
static int become(void *arg)
{
	static const int reset[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	const struct sigaction dfl = {.sa_handler = SIG_DFL};
	struct start *s = arg;
	const struct job *j = s->job;
	for (size_t i = 0; i < j->nfds; i++) {
		s->moved[i] = j->fds[i];
		if (s->moved[i] <= s->top &&
			(s->moved[i] = fcntl(j->fds[i], F_DUPFD_CLOEXEC, s->top + 1)) < 0)
			return errno;
	}
	for (size_t i = 0; i < j->nfds; i++)
		if (dup2(s->moved[i], s->numbers[i]) < 0)
			return errno;
	/* A shell starts its background jobs, such as we may be, with INT and QUIT ignored, nohup with HUP: the
	 * handler is no job of that shell, and its caller's signals shall reach it. */
	for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
		(void)sigaction(reset[i], &dfl, NULL);
	if (fd_limit_restore(&j->door->nofile) < 0)
		return errno;
	return 0;
}

static void start_next(struct door *d);
static bool start(struct job *j);

static void overdue(struct loop *loop, struct loop_timer *t)
{
	struct job *j = (struct job *)(void *)((char *)t - offsetof(struct job, timer));
	(void)loop;
	handler_kill(j);
	if (j->state == JOB_ENDING)
		job_free(j);
}

/* Is there anybody left in the group of J's handler, which has ended? Before Linux 6.9 it cannot be named
 * safely any more, once its number is free: there the rest is killed at once. */
static bool others_left(struct job *j)
{
	if (j->group >= 0) {
		long r = syscall(SYS_pidfd_send_signal, j->group, 0, NULL, SIGNAL_PROCESS_GROUP);
		if (r == 0)
			return true;
		if (errno != EINVAL)
			return false;
	}
	(void)kill(-j->child.pid, SIGKILL);
	return false;
}

static void ended(struct loop *loop, struct loop_child *child, int wstatus)
{
	struct job *j = (struct job *)(void *)((char *)child - offsetof(struct job, child));
	struct door *d = j->door;
	int status = wstatus < 0 ? ST_INTERNAL : wait_status(wstatus);
	(void)loop;
	d->held--;
	job_send(j, DOOR_EXIT, (uint32_t)status, NULL, 0);
	d->done += !j->cancelled || j->watch.fd >= 0;
	call_note(d->call, 1, "call %llu: status %d", (unsigned long long)j->id, status);
	/* What is left of its group has as long as it would have had itself. */
	bool in_time = j->timer.slot != 0;
	if (j->cancelled && others_left(j)) {
		job_move(j, JOB_ENDING);
		job_hang_up(j);
	}
	if (j->state != JOB_ENDING || !in_time) {
		handler_kill(j);
		job_free(j);
	}
	start_next(d);
}

static void not_started(struct job *j, int err, int execed)
{
	const char *cmd = j->door->call->command[0];
	if (!execed && err == EAGAIN) /* fork(2): RLIMIT_NPROC, pids.max, pid_max */
		job_refuse(j, ST_EARLY, "start %s: no more processes allowed; see ulimit -u", cmd);
	else if (!execed)
		job_refuse(j, ST_EARLY, "start %s: %s", cmd, strerror(err));
	else
		job_refuse(j,
			err == ENOENT          ? ST_NOCMD
				: err == E2BIG ? ST_LIMIT
					       : ST_NOEXEC,
			"execute %s: %s", cmd, strerror(err));
}

static bool watch_child(struct job *j)
{
	struct door *d = j->door;
	j->child.ended = ended;
	if (loop_child(&d->loop, &j->child) == 0) {
		d->held++;
		call_note_pidfd(d->call, j->child.watch.fd);
		return true;
	}
	int err = errno;
	j->child.watch.fd = -1;
	spawn_kill(j->child.pid);
	job_refuse(j, ST_LIMIT, "watch %s: %s", d->call->command[0], strerror(err));
	return false;
}

/* Start J's handler. False: it is gone, refused. */
static bool start(struct job *j)
{
	struct door *d = j->door;
	struct start s;
	int execed = 0, err = prepare(&s, j);
	struct spawn sp = {.argv = s.argv,
		.env = s.env,
		.flags = SPAWN_SESSION | SPAWN_DIE,
		.hook = become,
		.hook_arg = &s};
	if (err == 0)
		err = spawn(&sp, &j->child.pid, &execed);
	free(s.argv);
	free(s.env);
	if (err != 0) {
		not_started(j, err, execed);
		return false;
	}
	job_close_fds(j);
	buf_take(&j->buf, sizeof(struct door_head) + request_length(j));
	(void)door_job_count(j, 0);
	if (!watch_child(j))
		return false;
	job_move(j, JOB_RUNNING);
	call_note(d->call, 1, "call %llu: pid %ld for pid %ld of uid %ld",
		(unsigned long long)j->id, (long)j->child.pid, (long)j->peer.pid,
		(long)j->peer.uid);
	if (++d->started == d->count && d->stopping == 0)
		door_shut(d);
	return true;
}

static void start_next(struct door *d)
{
	while (d->jobs[JOB_RUNNING].n < d->max && d->jobs[JOB_QUEUED].first != NULL)
		(void)start(d->jobs[JOB_QUEUED].first);
}

bool handler_take(struct job *j)
{
	struct door *d = j->door;
	if (d->jobs[JOB_RUNNING].n < d->max || request_nested(j))
		return job_watch(j) && start(j);
	if (j->nowait) {
		job_refuse(j, ST_BUSY, "%u calls run already (-j)", d->jobs[JOB_RUNNING].n);
		return false;
	}
	job_move(j, JOB_QUEUED);
	return job_watch(j);
}

void handler_cancel(struct job *j, int64_t grace)
{
	struct door *d = j->door;
	j->cancelled = true;
	/* For the rest of the group, when the handler itself has ended. */
	j->group = wait_pidfd(j->child.pid);
	handler_signal(j, SIGTERM);
	handler_signal(j, SIGCONT);
	j->timer.due = overdue;
	if (loop_at(&d->loop, &j->timer, wait_now() + grace) < 0)
		handler_kill(j);
}

void handler_signal(struct job *j, int sig)
{
	if (j->state == JOB_RUNNING)
		(void)kill(-j->child.pid, sig);
}

void handler_kill(struct job *j)
{
	if (j->state == JOB_ENDING)
		(void)syscall(SYS_pidfd_send_signal, j->group, SIGKILL, NULL, SIGNAL_PROCESS_GROUP);
	else if (j->child.watch.fd >= 0)
		handler_signal(j, SIGKILL);
}
