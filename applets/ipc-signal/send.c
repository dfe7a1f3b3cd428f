/* ipc-signal send: to each PID in turn; one that fails is reported and the others get theirs. A
 * real-time signal always goes as sigqueue(3) sends it, since kill(2) silently loses one when the
 * queue of its user is full. */
#include "ipc-signal.h"

#include "fd.h"
#include "num.h"
#include "sig.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sending {
	struct call *call;
	int sig;
	const siginfo_t *info; /* NULL: as kill(2) sends */
	const char *name;
	struct json json;
};

/* Statuses are in the order of their gravity: 0, 1 not handled, 69 gone, 71 limit, 77 denied. */
static int worse(int a, int b)
{
	return a > b ? a : b;
}

static const char *result_word(int status)
{
	switch (status) {
	case ST_OK: return "sent";
	case ST_NO: return "unhandled";
	case ST_NOPEER: return "gone";
	case ST_LIMIT: return "limit";
	case ST_PERM: return "denied";
	default: return "failed";
	}
}

static int queue_full(struct sending *s, const char *target, pid_t pid)
{
	struct task_signals t;
	if (task_signals(pid, &t) < 0)
		return call_fail(s->call, ST_LIMIT, 0, "%s to %s: the queue of signals is full",
			s->name, target);
	return call_fail(s->call, ST_LIMIT, 0,
		"%s to %s: %llu signals are queued for uid %u, RLIMIT_SIGPENDING (ulimit -i) of the "
		"process allows %llu; it must take some first, or be started with a higher limit",
		s->name, target, (unsigned long long)t.queued, t.uid, (unsigned long long)t.limit);
}

static int failed(struct sending *s, const char *target, pid_t pid, int err)
{
	if (err == EAGAIN)
		return queue_full(s, target, pid);
	if (err == ESRCH)
		return call_fail(s->call, ST_NOPEER, 0, "%s to %s: no such process (any more)",
			s->name, target);
	return call_error(s->call, err, "%s to %s", s->name, target);
}

/* Does PID do something with the signal: catch it, or block it to take it by sigwait(3) or
 * signalfd(2)? 1 or 0; -1 with errno. */
static int handles(pid_t pid, int sig)
{
	struct task_signals t;
	if (task_signals(pid, &t) < 0)
		return -1;
	return ((t.caught | t.blocked) & SIG_BIT(sig)) != 0;
}

/* A standard signal is sent even when its queue is full, but without the value that it should carry,
 * and kill(2)'s caller is not told: look before. */
static bool would_lose_value(const struct sending *s, pid_t pid)
{
	struct task_signals t;
	return s->info != NULL && s->sig < NUM_SIGRTMIN && task_signals(pid, &t) == 0 &&
		t.queued >= t.limit;
}

/* PIDFD is PID's. A status, no message for ST_NO. */
static int send_one(struct sending *s, const char *target, int pidfd, pid_t pid)
{
	if (s->call->opt[SEND_HANDLED].count > 0) {
		int r = handles(pid, s->sig);
		if (r <= 0)
			return r < 0 ? failed(s, target, pid, errno) : ST_NO;
	}
	if (would_lose_value(s, pid))
		return queue_full(s, target, pid);
	if (sig_send(pidfd, s->sig, s->info) < 0)
		return failed(s, target, pid, errno);
	return ST_OK;
}

/* One by one: with --handled, and with a value before Linux 6.9. Nobody at all is ST_NO. */
static int send_members(struct sending *s, const char *target, pid_t pgrp)
{
	struct task *list;
	size_t n;
	int status = ST_OK;
	bool sent = false;
	if (task_list(&list, &n) < 0)
		return call_error(s->call, errno, "read /proc");
	for (size_t i = 0; i < n; i++) {
		if (list[i].pgrp != pgrp)
			continue;
		int fd = task_open(list[i].id);
		if (fd < 0)
			continue;
		int r = send_one(s, target, fd, list[i].id.pid);
		sent = sent || r == ST_OK;
		if (r != ST_NO)
			status = worse(status, r);
		fd_close(fd);
	}
	free(list);
	return status == ST_OK && !sent ? ST_NO : status;
}

/* PIDFD is PID's, which stands for its process group. */
static int send_group(struct sending *s, const char *target, int pidfd, pid_t pid)
{
	pid_t pgrp = getpgid(pid);
	if (pgrp < 0)
		return failed(s, target, pid, errno);
	if (pgrp == 0)
		return call_fail(s->call, ST_NOPEER, 0,
			"%s to %s: its process group is of another pid namespace", s->name, target);
	if (s->call->opt[SEND_HANDLED].count > 0)
		return send_members(s, target, pgrp);
	/* The number of a group is not given away while the group lives: a descriptor that was opened
	 * before PID was seen in it is of the right one. */
	int leader = pgrp == pid ? pidfd : task_open((struct proc_id){.pid = pgrp});
	int err = 0;
	if (getpgid(pid) != pgrp || (sig_send(pidfd, 0, NULL) < 0 && errno == ESRCH))
		err = ESRCH; /* what was read may be a later process's */
	else if (sig_send_group(leader, pgrp, s->sig, s->info) < 0)
		err = errno;
	if (leader != pidfd)
		fd_close(leader);
	if (err == EOPNOTSUPP)
		return send_members(s, target, pgrp);
	return err != 0 ? failed(s, target, pid, err) : ST_OK;
}

static int send_to(struct sending *s, const char *target, struct proc_id id)
{
	int fd = task_open(id);
	if (fd < 0)
		return failed(s, target, id.pid, errno);
	call_note_pidfd(s->call, fd);
	int status = s->call->opt[SEND_GROUP].count > 0 ? send_group(s, target, fd, id.pid)
							: send_one(s, target, fd, id.pid);
	fd_close(fd);
	if (status == ST_NO)
		call_warn(s->call, 0, "%s to %s: it does not handle that signal, not sent", s->name,
			target);
	else if (status == ST_OK)
		call_note(s->call, 1, "%s to %s: sent", s->name, target);
	return status;
}

static void report(struct sending *s, struct proc_id id, int status)
{
	if (s->call->std[STD_JSON].count == 0)
		return;
	json_open(&s->json, NULL, '{');
	json_int(&s->json, "pid", id.pid);
	if (id.start != 0)
		json_uint(&s->json, "start", id.start);
	json_str(&s->json, "signal", s->name);
	json_str(&s->json, "result", result_word(status));
	json_close(&s->json, '}');
}

int signal_send(struct call *call)
{
	char name[NUM_BUF];
	siginfo_t info;
	int status = ST_OK, sig = (int)call->args[0].num;
	struct sending s = {
		.call = call, .sig = sig, .name = sig == 0 ? "0" : num_signal_name(sig, name)};
	struct proc_id id;
	if (sig == 0 && call->opt[SEND_HANDLED].count + call->opt[SEND_VALUE].count > 0)
		return call_fail(
			call, ST_USAGE, 0, "signal 0 only tests: no --handled, no --value");
	for (unsigned i = 1; i < call->nargs; i++) {
		const char *why = task_parse(call->args[i].str, &id);
		if (why != NULL)
			return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[i].str, why);
	}
	if (call->opt[SEND_VALUE].count > 0 || sig >= NUM_SIGRTMIN) {
		sig_info(&info, sig, (int)call->opt[SEND_VALUE].num);
		s.info = &info;
	}
	json_start(&s.json, &call->out);
	if (call->std[STD_JSON].count > 0)
		json_open(&s.json, NULL, '[');
	for (unsigned i = 1; i < call->nargs; i++) {
		task_parse(call->args[i].str, &id);
		int r = send_to(&s, call->args[i].str, id);
		report(&s, id, r);
		status = worse(status, r);
	}
	if (call->std[STD_JSON].count > 0)
		json_close(&s.json, ']');
	return status;
}
