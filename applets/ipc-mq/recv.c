/* applets/ipc-mq/recv.c: recv and peek.
 *
 * A message that was taken is written before we wait for the next one, and before we end; only while
 * the queue has more at once are they gathered in the output buffer. A stop signal is held back between
 * taking and writing. With CMD each message is handed over as a file on stdin, of any length, and
 * nothing else is taken until CMD has ended well. What CMD needs is looked for before a message is
 * taken; when CMD does not start all the same, the message is sent to the queue again.
 */
#define _GNU_SOURCE
#include "mq.h"

#include "command.h"
#include "fd.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_EVERY 32 /* messages between two looks for a stop signal when we never wait */

static int not_received(struct queue *q, uint64_t done, int errnum)
{
	if (errnum == EPIPE)
		return call_stdout_error(q->call, EPIPE);
	const char *before = mq_before(q->call, done, "received");
	if (errnum == EAGAIN || errnum == ETIMEDOUT)
		return call_waited(q->call, errnum, "no message in %s%s", q->name, before);
	return call_waited(q->call, errnum, "receive from %s%s", q->name, before);
}

/* The next message: at once, else after what we have is written out. */
static int take(struct queue *q, struct message *msg, bool wait)
{
	struct call *call = q->call;
	if (q->be->recv(q, msg, DEADLINE_NOW) == 0)
		return 0;
	int64_t deadline = wait ? call_deadline(call) : DEADLINE_NOW;
	if (errno != EAGAIN || deadline == DEADLINE_NOW)
		return -1;
	if (out_flush(&call->out) < 0) {
		errno = call->out.err;
		return -1;
	}
	if (call->command == NULL && mq_reader_gone(call)) {
		errno = EPIPE;
		return -1;
	}
	call_waits(call, "waiting for a message in %s", q->name);
	return q->be->recv(q, msg, deadline);
}

/* What CMD needs, as far as it can be had before a message is taken for it: its program, and a
 * file for the message. 0 or a status. */
static int prepare(struct queue *q)
{
	struct call *call = q->call;
	int status = spawn_check(call, call->command[0]);
	if (status != 0)
		return status;
	q->file = call_own(call, fd_nameless("message"));
	return q->file >= 0 ? 0 : call_fail(call, ST_EARLY, errno, "start %s", call->command[0]);
}

/* A message on its way to CMD. */
struct handed {
	struct queue *q;
	const struct message *msg;
	bool started; /* CMD has it */
};

static void has_started(void *arg, pid_t keeper)
{
	struct handed *h = arg;
	(void)keeper;
	h->started = true;
}

/* The message was taken; when CMD did not start it goes back. */
static void not_started(void *arg)
{
	const struct handed *h = arg;
	struct queue *q = h->q;
	if (h->started)
		return;
	if (q->be->unread(q, h->msg) == 0)
		call_warn(q->call, 0, "%s: the message is in the queue again, after others like it",
			q->name);
	else
		(void)call_error(q->call, errno, "%s: the message is lost: put it back", q->name);
}

/* A first stop signal lets CMD finish the message it has; the next ones are passed on to it. */
static int run_command(struct queue *q, const struct message *msg, uint64_t number)
{
	struct call *call = q->call;
	bool sysv = q->obj.kind == OBJECT_SYSV;
	char id[48], kind[48];
	snprintf(id, sizeof id, "IPC_MSG_ID=%llu", (unsigned long long)number);
	if (sysv)
		snprintf(kind, sizeof kind, "IPC_MSG_TYPE=%ld", msg->type);
	else
		snprintf(kind, sizeof kind, "IPC_MSG_PRIO=%u", msg->priority);
	if (q->env == NULL && (q->env = call_fmt(call, "IPC_OBJECT=%s", q->name)) == NULL)
		return call_fail(call, ST_EARLY, ENOMEM, "start %s", call->command[0]);
	const char *env[] = {q->env, id, "IPC_MSG_ATTEMPT=1", kind,
		sysv ? "IPC_MSG_PRIO" : "IPC_MSG_TYPE", NULL};
	struct spawn_fd in = {.from = q->file, .to = 0};
	struct handed h = {q, msg, false};
	if (fd_write(q->file, msg->data, msg->len) < 0 || lseek(q->file, 0, SEEK_SET) < 0) {
		int e = errno;
		not_started(&h);
		return call_fail(call, ST_EARLY, e, "hand message %llu to %s",
			(unsigned long long)number, call->command[0]);
	}
	struct command cmd = {
		.spawn = {.argv = call->command, .env = env, .fds = &in, .nfds = 1},
		.patient = call_stopped(call) == 0,
		.started = has_started,
		.ended = not_started,
		.arg = &h,
	};
	int status = command_run(call, &cmd);
	call_close(call, q->file);
	return status;
}

/* Has a stop signal come while we had no reason to wait? */
static bool stopping(struct call *call)
{
	return call_stopped(call) != 0 ||
		(call->stop.mask != NULL && wait_poll(NULL, 0, DEADLINE_NOW, &call->stop) < 0 &&
			errno == EINTR);
}

/* COUNT messages; SOME: as many of them as are there, once there is one; ALL: if there is any. */
static int receive(struct queue *q, const struct format *f, uint64_t count, bool some, bool all)
{
	struct call *call = q->call;
	struct message msg;
	int status;
	for (uint64_t n = 1; n <= count; n++) {
		if ((n % STOP_EVERY == 0 || call->command != NULL) && stopping(call))
			return ST_SIGNAL + call_stopped(call);
		if (call->command != NULL && (status = prepare(q)) != 0)
			return status;
		bool enough = all || (some && n > 1);
		if (take(q, &msg, !enough) < 0)
			return enough && errno == EAGAIN ? ST_OK : not_received(q, n - 1, errno);
		status = call->command != NULL ? run_command(q, &msg, n) : mq_print(q, f, &msg, n);
		if (status != 0)
			return status;
	}
	return ST_OK;
}

/* How many messages; 0: a contradiction was found and said. */
static uint64_t how_many(struct call *call)
{
	bool all = call->opt[MQ_ALL].count > 0, follow = call->std[STD_FOLLOW].count > 0;
	bool count = call->std[STD_COUNT].count > 0;
	if (follow && (all || count)) {
		call_fail(call, ST_USAGE, 0, "-f excludes -c and -a");
		return 0;
	}
	return count ? (uint64_t)call->std[STD_COUNT].num : all || follow ? UINT64_MAX : 1;
}

/* 0, or the errno that writing to stdout would surely meet: known before a message is taken. */
static int unwritable(struct call *call)
{
	if (call->host != NULL && call->host->into)
		return 0;
	int flags = fcntl(call->out.fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return EBADF;
	return mq_reader_gone(call) ? EPIPE : 0;
}

int mq_run_recv(struct call *call)
{
	struct format f;
	uint64_t count = how_many(call);
	int status = count > 0 ? mq_format(call, &f) : ST_USAGE;
	if (status != 0)
		return status;
	struct queue *q = mq_open_queue(call, MQ_READ, &status);
	if (q == NULL || (status = mq_choose(q)) != 0 || (status = call_ready(call)) != 0)
		return status;
	int bad = call->command == NULL ? unwritable(call) : 0;
	if (bad != 0)
		return call_stdout_error(call, bad);
	bool some = call_batch(call);
	return receive(q, &f, some ? UINT64_MAX : count, some, call->opt[MQ_ALL].count > 0);
}

static bool chosen(const struct choice *c, long type)
{
	bool same = c->lowest ? type <= c->type : c->type == 0 || type == c->type;
	return same != c->except;
}

/* The type that recv -T '<=N' would take after LAST, in order of types; 0 at the end, -1 on error. */
static long next_type(struct queue *q, long last)
{
	long best = 0;
	struct message msg;
	for (unsigned long i = 0; q->be->peek(q, i, &msg) == 0; i++)
		if (msg.type <= q->choice.type && msg.type > last && (best == 0 || msg.type < best))
			best = msg.type;
	return errno == ENOMSG ? best : -1;
}

/* Show up to COUNT messages that CHOICE means, the first one numbered *DONE + 1. 0, a status, or -1. */
static int show(struct queue *q, const struct format *f, const struct choice *c, uint64_t count,
	uint64_t *done)
{
	struct message msg;
	for (unsigned long i = 0; *done < count; i++) {
		if (q->be->peek(q, i, &msg) < 0)
			return errno == ENOMSG ? 0 : -1;
		if (!chosen(c, msg.type))
			continue;
		int status = mq_print(q, f, &msg, ++*done);
		if (status != 0)
			return status;
	}
	return 0;
}

static int show_lowest(struct queue *q, const struct format *f, uint64_t count, uint64_t *done)
{
	struct choice one = {0};
	while (*done < count && (one.type = next_type(q, (long)one.type)) > 0) {
		int status = show(q, f, &one, count, done);
		if (status != 0)
			return status;
	}
	return one.type < 0 ? -1 : 0;
}

int mq_not_shown(struct queue *q, int errnum)
{
	if (errnum == EOPNOTSUPP)
		return call_fail(q->call, ST_LIMIT, 0,
			"%s: the kernel does not show messages of a POSIX queue without taking them; "
			"a System V queue (sysv:KEY) can be looked into",
			q->name);
	if (errnum == ENOSYS)
		return call_fail(q->call, ST_LIMIT, 0,
			"%s: this kernel has no MSG_COPY (CONFIG_CHECKPOINT_RESTORE)", q->name);
	if (errnum == EMSGSIZE)
		return call_fail(q->call, ST_LIMIT, 0,
			"%s: a message is longer than kernel.msgmax is today: it can be received, but "
			"not looked at",
			q->name);
	return call_error(q->call, errnum, "look into %s", q->name);
}

int mq_run_peek(struct call *call)
{
	struct format f;
	uint64_t count = how_many(call), done = 0;
	int status = mq_format(call, &f);
	if (status != 0)
		return status;
	struct queue *q = mq_open_queue(call, MQ_LOOK, &status);
	if (q == NULL || (status = mq_choose(q)) != 0)
		return status;
	status = q->choice.lowest ? show_lowest(q, &f, count, &done)
				  : show(q, &f, &q->choice, count, &done);
	if (status < 0)
		return mq_not_shown(q, errno);
	if (status == 0 && done == 0 && call->opt[MQ_ALL].count == 0)
		return call_waited(call, EAGAIN, "no message in %s", q->name);
	return status;
}
