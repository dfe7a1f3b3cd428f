/* applets/ipc-mq/send.c: send. One system call per message, and none before the first message that
 * stdin or the operands hold is known to fit. */
#define _GNU_SOURCE
#include "mq.h"

#include "frame.h"

#include <errno.h>
#include <string.h>

static int too_long(struct queue *q, uint64_t number, const char *size, uint64_t sent)
{
	return call_fail(q->call, ST_DATA, 0,
		"message %llu is %s bytes; %s takes at most %zu (%s)%s", (unsigned long long)number,
		size, q->name, q->max, q->limit, mq_before(q->call, sent, "sent"));
}

/* What the queue has no notion of; and all operands fit, or none is sent. */
static int check(struct queue *q)
{
	struct call *call = q->call;
	bool sysv = q->obj.kind == OBJECT_SYSV;
	if (sysv && call->opt[MQ_PRIORITY].count > 0)
		return call_fail(call, ST_USAGE, 0,
			"%s: only messages of POSIX queues have priorities", q->name);
	if (!sysv && call->opt[MQ_TYPE].count > 0)
		return call_fail(call, ST_USAGE, 0,
			"%s: only messages of System V queues have types", q->name);
	for (unsigned i = 1; i < call->nargs; i++) {
		size_t len = strlen(call->args[i].str);
		if (len > q->max) {
			const char *size = call_fmt(call, "%zu", len);
			return too_long(q, i, size != NULL ? size : "too many", 0);
		}
	}
	return 0;
}

/* stdin could not give the next record. */
static int bad_input(struct queue *q, const struct records *src, uint64_t sent, int errnum)
{
	const struct frame_reader *r = &src->reader;
	size_t len = r->frame.kind == FRAME_SIZE ? r->frame.size : r->scanned - r->start;
	bool exact = r->frame.kind == FRAME_SIZE || r->scanned < r->end;
	if (errnum == EBADMSG)
		return call_fail(q->call, ST_DATA, 0, "stdin ended inside a record of %zu bytes%s",
			r->frame.size, mq_before(q->call, sent, "sent"));
	if (errnum != EMSGSIZE)
		return call_fail(
			q->call, ST_IO, errnum, "read stdin%s", mq_before(q->call, sent, "sent"));
	const char *size = exact && len > q->max ? call_fmt(q->call, "%zu", len)
						 : call_fmt(q->call, "more than %zu", q->max);
	return too_long(q, sent + 1, size != NULL ? size : "too many", sent);
}

static int unsent(struct queue *q, uint64_t sent, int errnum)
{
	if (errnum == EAGAIN || errnum == ETIMEDOUT)
		return call_waited(q->call, errnum, "%s is full (%s)%s", q->name, mq_fill(q),
			mq_before(q->call, sent, "sent"));
	return call_waited(
		q->call, errnum, "send to %s%s", q->name, mq_before(q->call, sent, "sent"));
}

static int send_all(struct queue *q, struct records *src, struct message *msg)
{
	uint64_t sent = 0;
	char *rec;
	int got;
	while ((got = records_next(src, &rec, &msg->len)) > 0) {
		msg->data = rec;
		bool said = call_says_waits(q->call);
		if (said && q->be->send(q, msg, DEADLINE_NOW) == 0) {
			sent++;
			continue;
		}
		if (said && errno == EAGAIN)
			call_waits(q->call, "waiting for room in %s (%s)", q->name, mq_fill(q));
		if (q->be->send(q, msg, call_deadline(q->call)) < 0)
			return unsent(q, sent, errno);
		sent++;
	}
	return got == 0 ? ST_OK : bad_input(q, src, sent, errno);
}

int mq_run_send(struct call *call)
{
	int status;
	struct records src;
	const struct val *type = &call->opt[MQ_TYPE];
	struct message msg = {.priority = (unsigned)call->opt[MQ_PRIORITY].num,
		.type = type->count > 0 ? (long)type->num : 1};
	struct queue *q = mq_open_queue(call, MQ_WRITE, &status);
	if (q == NULL)
		return status;
	status = check(q);
	if (status != 0)
		return status;
	records_start(&src, call, 1, q->max);
	status = send_all(q, &src, &msg);
	records_end(&src);
	return status;
}
