/* serve.c: the life of a door: settings, start, stop. */
#define _GNU_SOURCE
#include "door.h"

#include "cmsg.h"
#include "fd.h"
#include "spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int run_door_serve(struct call *call);

#define JOBS 64                       /* -j */
#define GRACE (5 * NS_PER_S)          /* --grace */
#define LAST (1 * NS_PER_S)           /* between TERM and KILL when the server ends */
#define SPARE_FDS 24                  /* stdio, epoll, the listener */
#define CALLS_MOST 4096               /* connections at once, and */
#define BYTES_MOST (64 * 1024 * 1024) /* what their requests hold: of users that are not ours */
#define ARGS_LEAST (128 * 1024)
#define ARGS_MOST (6 * 1024 * 1024) /* execve(2): three quarters of 8 MB */

void door_accepting(struct door *d, bool on)
{
	bool room = d->held == 0 || d->held + CMSG_MAX_FDS + SPARE_FDS < d->fds_max;
	on = on && d->stopping == 0 && room && d->accept_again.slot == 0;
	if (on == d->accepting || d->bound->fd < 0)
		return;
	if (loop_add(&d->loop, &d->listener, on ? EPOLLIN : 0) == 0)
		d->accepting = on;
}

void door_room(struct door *d)
{
	if (d->loop.quit)
		return;
	if (d->stopping == 0)
		door_accepting(d, true);
	else if (d->jobs[JOB_RUNNING].n == 0 && d->jobs[JOB_ENDING].n == 0)
		loop_quit(&d->loop);
}

void door_shut(struct door *d)
{
	d->stopping++;
	d->accepting = false;
	loop_remove(&d->loop, &d->listener);
	loop_cancel(&d->loop, &d->accept_again);
	sock_release(d->bound);
	/* Each takes itself off its list. */
	while (d->jobs[JOB_READING].first != NULL)
		job_refuse(d->jobs[JOB_READING].first, ST_NOPEER, "the server ends");
	while (d->jobs[JOB_QUEUED].first != NULL)
		job_refuse(d->jobs[JOB_QUEUED].first, ST_NOPEER, "the server ends");
}

static void cancel_all(struct door *d)
{
	loop_cancel(&d->loop, &d->grace_over);
	for (struct job *j = d->jobs[JOB_RUNNING].first; j != NULL; j = j->next)
		if (!j->cancelled)
			handler_cancel(j, d->grace < LAST ? d->grace : LAST);
}

static void grace_over(struct loop *loop, struct loop_timer *t)
{
	(void)t;
	cancel_all(loop->arg);
}

/* First: what runs may end by itself. Second: it is told to. Third: it is killed. */
static void on_stop(struct loop *loop, int sig)
{
	struct door *d = loop->arg;
	(void)sig;
	if (d->stopping == 0) {
		door_shut(d);
		d->grace_over.due = grace_over;
		if (loop_at(loop, &d->grace_over, wait_now() + d->grace) < 0)
			cancel_all(d);
	} else if (d->stopping++ == 1) {
		cancel_all(d);
	} else {
		for (struct job *j = d->jobs[JOB_RUNNING].first; j != NULL; j = j->next)
			handler_kill(j);
		while (d->jobs[JOB_ENDING].first != NULL) {
			handler_kill(d->jobs[JOB_ENDING].first);
			job_free(d->jobs[JOB_ENDING].first);
		}
	}
	door_room(d);
}

static void undo_door(void *door, intptr_t n)
{
	struct door *d = door;
	(void)n;
	d->loop.quit = true;
	for (int state = 0; state < JOB_STATES; state++)
		while (d->jobs[state].first != NULL) {
			struct job *j = d->jobs[state].first;
			int wstatus;
			handler_kill(j);
			if (state == JOB_RUNNING)
				(void)waitpid(j->child.pid, &wstatus, 0);
			job_free(j);
		}
	loop_end(&d->loop);
	free(d->scratch);
	(void)fd_limit_restore(&d->nofile);
}

/* Those that wait have their descriptors with us: as many as we may have. A handler gets the old limit. */
static void raise_limit(struct door *d)
{
	rlim_t limit = fd_limit_raise(&d->nofile);
	d->fds_max = limit == 0 ? 1024 : limit > SIZE_MAX ? SIZE_MAX : (size_t)limit;
	size_t spare = CMSG_MAX_FDS + SPARE_FDS;
	size_t room = d->fds_max > 2 * spare ? d->fds_max - spare : d->fds_max / 2;
	quota_limit(&d->quota, QUOTA_CLIENTS, CALLS_MOST);
	quota_limit(&d->quota, QUOTA_FDS, room);
	quota_limit(&d->quota, QUOTA_BYTES, BYTES_MOST);
}

/* What execve(2) takes: a quarter of the stack's limit, within bounds. */
static size_t args_max(void)
{
	struct rlimit lim;
	uint64_t most = getrlimit(RLIMIT_STACK, &lim) < 0 ? ARGS_LEAST : lim.rlim_cur / 4;
	return most < ARGS_LEAST ? ARGS_LEAST : most > ARGS_MOST ? ARGS_MOST : (size_t)most;
}

static int take_options(struct door *d)
{
	struct call *call = d->call;
	const struct val *opt = call->opt;
	struct timespec now;
	uint64_t secret;
	const char *why = allow_parse(&d->allow, opt[D_ALLOW].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "--allow: %s: %s", opt[D_ALLOW].str, why);
	d->pass = opt[D_PASS].str;
	d->max = opt[D_JOBS].count > 0 ? (unsigned)opt[D_JOBS].num : JOBS;
	d->count = (uint64_t)call->std[STD_COUNT].num;
	d->grace = opt[D_GRACE].count > 0 ? opt[D_GRACE].num : GRACE;
	if (d->grace > INT64_MAX / 4) /* "inf" */
		d->grace = INT64_MAX / 4;
	d->request_max = args_max();
	clock_gettime(CLOCK_REALTIME, &now);
	d->since = now.tv_sec;
	if (getrandom(&secret, sizeof secret, 0) != (ssize_t)sizeof secret)
		return call_error(call, errno, "get random bytes");
	snprintf(d->secret, sizeof d->secret, "%016llx", (unsigned long long)secret);
	d->scratch = malloc(SCRATCH);
	d->object = call_fmt(call, "IPC_OBJECT=%s", d->addr.text);
	return d->scratch != NULL && d->object != NULL ? 0 : call_error(call, ENOMEM, "serve");
}

static int bind_it(struct door *d)
{
	struct call *call = d->call;
	bool given = call->std[STD_MODE].count > 0;
	/* Who may call is decided by who he is; the mode is only not to be in the way. */
	struct sock_how how = {SOCK_HOW, .type = SOCK_STREAM, .inherit = true, .has_mode = true,
		.mode = given                   ? (mode_t)call->std[STD_MODE].num
			: d->allow.text != NULL ? 0666
						: 0600};
	return sock_listen(call, &d->addr, &how, &d->bound);
}

static int start(struct door *d)
{
	struct call *call = d->call;
	if (loop_start(&d->loop, &call->stop) < 0)
		return call_error(call, errno, "make an epoll descriptor");
	d->loop.arg = d;
	d->loop.stopped = on_stop;
	if (call_undo(call, undo_door, d, 0) < 0)
		return call_error(call, errno, "serve");
	int status = take_options(d);
	if (status == 0)
		status = bind_it(d);
	if (status != 0)
		return status;
	raise_limit(d);
	d->listener = (struct loop_watch){.fd = d->bound->fd, .ready = job_accept};
	if (fd_nonblock(d->bound->fd, true) < 0)
		return call_error(call, errno, "serve %s", d->addr.text);
	door_accepting(d, true);
	return d->accepting ? 0 : call_error(call, errno, "wait for calls at %s", d->addr.text);
}

int run_door_serve(struct call *call)
{
	struct door *d = call_alloc(call, sizeof *d);
	if (d == NULL)
		return call_error(call, ENOMEM, "serve");
	d->call = call;
	d->next_id = 1;
	const char *why = door_addr(&d->addr, call->args[0].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	int status = spawn_check(call, call->command[0]);
	if (status == 0)
		status = start(d);
	if (status == 0)
		status = call_serving(call);
	if (status != 0)
		return status;
	if (loop_run(&d->loop) < 0)
		return call_error(call, errno, "wait for calls");
	return ST_OK;
}
