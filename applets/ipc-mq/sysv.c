/* applets/ipc-mq/sysv.c: System V queues, sysvipc(7).
 *
 * The kernel offers no poll and no timeout for them: lib/wait's timer interrupts msgsnd(2) and
 * msgrcv(2) at the deadline. Nothing wakes who waits without taking: wait looks by MSG_COPY, every
 * LOOK. (To take and send again would lose the message of who is killed in between.) A message that
 * is longer than today's msgmax can be received, but not copied.
 */
#define _GNU_SOURCE
#include "mq.h"

#include "fd.h"
#include "num.h"
#include "sysv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000 /* since Linux 3.8 */
#endif
#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif
#define HEAD sizeof(long) /* the type comes before the text */
#define FIRST_ROOM 2032   /* longer messages grow the buffer */
#define LOOK (100 * NS_PER_MS)

/* msqid_ds of our queue, also where only the index, not the permission, gives it. */
static int get_stat(int id, struct msqid_ds *ds)
{
	if (msgctl(id, IPC_STAT, ds) == 0)
		return 0;
	int saved = errno;
	if (saved == EACCES && msgctl(id & 0x7fff, MSG_STAT_ANY, ds) == id)
		return 0;
	if (saved == EACCES && msgctl(id & 0xffffff, MSG_STAT_ANY, ds) == id) /* ipcmni_extend */
		return 0;
	errno = saved;
	return -1;
}

/* What ERRNUM says. EINVAL is for a queue removed before we began, which is gone as one removed
 * while we waited (EIDRM), and for a message that is longer than msgmax by now. */
static int reason(const struct queue *q, int errnum)
{
	struct msqid_ds ds;
	if (errnum != EINVAL)
		return errnum;
	return get_stat(q->id, &ds) == 0 || errno == EACCES ? EMSGSIZE : EIDRM;
}

static int sysv_find(struct queue *q)
{
	key_t key;
	if (q->obj.sysv == SYSV_ID) {
		q->id = q->obj.key;
		return 0;
	}
	if (sysv_key(&q->obj, &key) < 0)
		return call_error(q->call, errno, "%s: make the key", q->name);
	q->id = msgget(key, 0);
	return q->id >= 0 ? 0 : call_error(q->call, errno, "open %s", q->name);
}

/* Permission is asked for by the first use. */
static int sysv_open(struct queue *q, enum access access)
{
	(void)access;
	struct msginfo limits = {.msgmax = 8192}; /* what the kernel begins with */
	struct msqid_ds ds;
	int status = sysv_find(q);
	if (status != 0)
		return status;
	bool known = get_stat(q->id, &ds) == 0;
	if (!known && errno != EACCES)
		return call_error(q->call, reason(q, errno), "open %s", q->name);
	msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits); /* anybody may ask */
	q->max = (size_t)limits.msgmax;
	q->limit = "kernel.msgmax";
	if (known && ds.msg_qbytes < q->max) {
		q->max = ds.msg_qbytes;
		q->limit = "its msg_qbytes";
	}
	return 0;
}

/* Room for DEPTH messages of SIZE bytes is what msg_qbytes can say. */
static int check_wanted(struct queue *q, const struct wanted *want, uint64_t *bytes)
{
	*bytes = 0;
	if (q->obj.sysv == SYSV_ID)
		return call_fail(
			q->call, ST_USAGE, 0, "%s: the kernel chooses ids; give a key", q->name);
	if ((want->depth != 0) != (want->size != 0))
		return call_fail(q->call, ST_USAGE, 0,
			"%s: a System V queue has room for bytes: give both --depth and -S",
			q->name);
	*bytes = (uint64_t)want->depth * (uint64_t)want->size;
	if (*bytes > (msglen_t)-1)
		return call_error(q->call, EOVERFLOW, "create %s", q->name);
	return 0;
}

/* Does the queue that is there already fit what is wanted? */
static int compare(struct queue *q, const struct wanted *want, uint64_t bytes)
{
	struct msqid_ds ds;
	if (get_stat(q->id, &ds) < 0)
		return call_error(q->call, reason(q, errno), "%s exists; look at it", q->name);
	if (bytes != 0 && ds.msg_qbytes != bytes)
		return call_fail(q->call, ST_EXISTS, 0,
			"%s exists with room for %lu bytes, not %llu", q->name,
			(unsigned long)ds.msg_qbytes, (unsigned long long)bytes);
	unsigned mode = (unsigned)ds.msg_perm.mode & 0777;
	if (want->has_mode && mode != want->mode)
		return call_fail(q->call, ST_EXISTS, 0, "%s exists with mode %04o, not %04o",
			q->name, mode, want->mode);
	return 0;
}

/* The queue exists for us alone until it has its size and MODE, both set in one call. */
static int adopt(struct queue *q, const struct wanted *want, uint64_t bytes)
{
	struct msqid_ds ds;
	if (msgctl(q->id, IPC_STAT, &ds) == 0) {
		ds.msg_qbytes = (msglen_t)bytes;
		ds.msg_perm.mode = (unsigned short)want->mode;
		if (msgctl(q->id, IPC_SET, &ds) == 0)
			return 0;
	}
	int saved = errno;
	msgctl(q->id, IPC_RMID, NULL);
	return saved == EPERM ? mq_sysv_refused(q, want, saved)
			      : call_error(q->call, saved, "create %s: set its size", q->name);
}

static int sysv_create(struct queue *q, const struct wanted *want)
{
	uint64_t bytes;
	key_t key;
	int status = check_wanted(q, want, &bytes);
	if (status != 0)
		return status;
	if (sysv_key(&q->obj, &key) < 0)
		return call_error(q->call, errno, "%s: make the key", q->name);
	for (;;) {
		unsigned mode = bytes != 0 ? want->mode & 0700 : want->mode;
		q->id = msgget(key, IPC_CREAT | IPC_EXCL | (int)mode | (bytes != 0 ? 0400 : 0));
		if (q->id >= 0)
			return bytes != 0 ? adopt(q, want, bytes) : 0;
		if (errno != EEXIST)
			return mq_sysv_refused(q, want, errno);
		if (want->exclusive)
			return call_error(q->call, EEXIST, "create %s", q->name);
		q->id = msgget(key, 0);
		if (q->id >= 0)
			return compare(q, want, bytes);
		if (errno != ENOENT)
			return call_error(q->call, errno, "%s exists; open it", q->name);
	}
}

static int sysv_send(struct queue *q, const struct message *msg, int64_t deadline)
{
	struct wait_timer timer;
	int r;
	if (mq_reserve(q, HEAD + msg->len) < 0)
		return -1;
	memcpy(q->buf, &msg->type, HEAD);
	memcpy(q->buf + HEAD, msg->data, msg->len);
	while ((r = msgsnd(q->id, q->buf, msg->len, q->blocking ? 0 : IPC_NOWAIT)) < 0 &&
		errno == EINTR && call_stopped(q->call) == 0)
		;
	if (r < 0 && errno == EAGAIN && deadline != DEADLINE_NOW) {
		if (wait_timer_start(&timer, deadline, &q->call->stop) < 0)
			return -1;
		while ((r = msgsnd(q->id, q->buf, msg->len, 0)) < 0 && errno == EINTR &&
			!wait_timer_due(&timer))
			;
		wait_timer_stop(&timer);
	}
	errno = r < 0 ? reason(q, errno) : errno;
	return r;
}

/* One msgrcv(2); a message longer than the buffer stays where it is until the buffer has grown. */
static ssize_t receive(struct queue *q, long type, int flags)
{
	for (;;) {
		ssize_t n = msgrcv(q->id, q->buf, q->cap - HEAD, type, flags);
		if (n >= 0 || errno != E2BIG)
			return n;
		if (mq_reserve(q, q->cap * 2) < 0)
			return -1;
	}
}

static void fill_in(struct queue *q, size_t len, struct message *msg)
{
	*msg = (struct message){.data = q->buf + HEAD, .len = len};
	memcpy(&msg->type, q->buf, HEAD);
}

static long msgtyp(const struct choice *c)
{
	return c->lowest ? -(long)c->type : (long)c->type;
}

static int sysv_recv(struct queue *q, struct message *msg, int64_t deadline)
{
	struct wait_timer timer;
	long type = msgtyp(&q->choice);
	int flags = q->choice.except ? MSG_EXCEPT : 0;
	ssize_t n;
	if (mq_reserve(q, HEAD + FIRST_ROOM) < 0)
		return -1;
	if (deadline == DEADLINE_NOW) {
		n = receive(q, type, flags | IPC_NOWAIT);
	} else {
		if (wait_timer_start(&timer, deadline, &q->call->stop) < 0)
			return -1;
		while ((n = receive(q, type, flags)) < 0 && errno == EINTR &&
			!wait_timer_due(&timer))
			;
		wait_timer_stop(&timer);
	}
	if (n < 0) {
		errno = errno == ENOMSG ? EAGAIN : reason(q, errno);
		return -1;
	}
	fill_in(q, (size_t)n, msg);
	return 0;
}

static int sysv_unread(struct queue *q, const struct message *msg)
{
	/* It lies in q->buf, as msgrcv(2) left it. */
	return msgsnd(q->id, q->buf, msg->len, IPC_NOWAIT) < 0 ? -1 : 0;
}

static int sysv_peek(struct queue *q, unsigned long index, struct message *msg)
{
	if (mq_reserve(q, HEAD + FIRST_ROOM) < 0)
		return -1;
	ssize_t n = receive(q, (long)index, MSG_COPY | IPC_NOWAIT);
	if (n < 0) {
		errno = reason(q, errno);
		return -1;
	}
	fill_in(q, (size_t)n, msg);
	return 0;
}

/* Is a message there that the choice means? 1, 0, or -1: ENOSYS where the kernel has no MSG_COPY. */
static int there(struct queue *q)
{
	const struct choice *c = &q->choice;
	struct message msg;
	for (unsigned long i = 0; sysv_peek(q, i, &msg) == 0; i++) {
		bool same = c->lowest ? msg.type <= c->type : c->type == 0 || msg.type == c->type;
		if (same != c->except)
			return 1;
	}
	if (errno == EMSGSIZE && c->type == 0 && !c->except) /* any will do, and it is there */
		return 1;
	return errno == ENOMSG ? 0 : -1;
}

static int sysv_wait(struct queue *q, int64_t deadline)
{
	for (;;) {
		int found = there(q);
		if (found != 0)
			return found > 0 ? 0 : -1;
		int64_t now = deadline == DEADLINE_NOW ? 0 : wait_now(), look = now + LOOK;
		if (now >= deadline) {
			errno = wait_expired(deadline);
			return -1;
		}
		if (wait_poll(NULL, 0, look < deadline ? look : deadline, &q->call->stop) < 0 &&
			errno != ETIMEDOUT)
			return -1;
	}
}

static void describe(int id, const struct msqid_ds *ds, struct info *info)
{
	const struct ipc_perm *perm = &ds->msg_perm;
	*info = (struct info){
		.counted = true,
		.weighed = true,
		.messages = ds->msg_qnum,
		.bytes = ds->__msg_cbytes,
		.key = perm->__key,
		.capacity = ds->msg_qbytes,
		.mode = (unsigned)perm->mode & 0777,
		.uid = perm->uid,
		.gid = perm->gid,
		.id = id,
		.sender = ds->msg_lspid,
		.receiver = ds->msg_lrpid,
		.sent = ds->msg_stime,
		.received = ds->msg_rtime,
		.changed = ds->msg_ctime,
	};
}

static int sysv_info(struct queue *q, struct info *info)
{
	struct msqid_ds ds;
	if (get_stat(q->id, &ds) < 0) {
		errno = reason(q, errno);
		return -1;
	}
	describe(q->id, &ds, info);
	return 0;
}

static int sysv_remove(struct queue *q)
{
	if (q->obj.sysv == SYSV_PRIVATE)
		return call_fail(q->call, ST_USAGE, 0, "%s names no queue that exists", q->name);
	int status = sysv_find(q);
	if (status != 0)
		return status;
	if (msgctl(q->id, IPC_RMID, NULL) == 0)
		return 0;
	return call_error(q->call, reason(q, errno), "remove %s", q->name);
}

const struct backend mq_sysv = {
	.kind = "sysv",
	.open = sysv_open,
	.create = sysv_create,
	.send = sysv_send,
	.recv = sysv_recv,
	.unread = sysv_unread,
	.wait = sysv_wait,
	.peek = sysv_peek,
	.info = sysv_info,
	.remove = sysv_remove,
};

int mq_sysv_each(mq_seen *fn, void *arg)
{
	struct msginfo used;
	struct msqid_ds ds = {0};
	struct info info;
	char name[32];
	int r = 0, last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&used);
	for (int i = 0; r == 0 && i <= last; i++) {
		int id = msgctl(i, MSG_STAT_ANY, &ds);
		if (id < 0)
			continue;
		describe(id, &ds, &info);
		if (info.key != IPC_PRIVATE)
			snprintf(name, sizeof name, "sysv:0x%08x", (unsigned)info.key);
		else
			snprintf(name, sizeof name, "sysv:id=%d", id);
		r = fn(arg, name, &info);
	}
	return last < 0 ? -1 : r;
}
