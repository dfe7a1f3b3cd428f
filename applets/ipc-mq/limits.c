/* applets/ipc-mq/limits.c: which limit it was. The kernel answers EINVAL, EMFILE or ENOSPC for limits
 * that stand in six different places; the message names the place, its value and what would fit. */
#define _GNU_SOURCE
#include "mq.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HARD_DEPTH 65536     /* HARD_MSGMAX: not even root gets more */
#define HARD_SIZE (16 << 20) /* HARD_MSGSIZEMAX */

int64_t mq_sysctl(const char *name, int64_t otherwise)
{
	char path[64], *text;
	int64_t n = otherwise;
	size_t len;
	snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
	if (fd_slurp(AT_FDCWD, path, 64, &text, &len) < 0)
		return otherwise;
	text[strcspn(text, "\n")] = '\0';
	(void)num_int(text, &n); /* a number: it is the kernel's */
	fd_slurp_free(text);
	return n;
}

/* What the kernel adds to each message: its header and a node of the tree (ipc/mqueue.c, both six
 * words of the kernel's: it may have 64 bits where we have 32). */
static uint64_t overhead(void)
{
	struct utsname u;
	bool wide = sizeof(long) == 8 || (uname(&u) == 0 && strstr(u.machine, "64") != NULL);
	return wide ? 12 * 8 : 12 * 4;
}

struct sum {
	uid_t uid;
	uint64_t queues, bytes;
};

static int add(void *arg, const char *name, const struct info *info)
{
	struct sum *sum = arg;
	(void)name;
	if (info->uid != sum->uid || info->depth == 0)
		return 0;
	sum->queues++;
	sum->bytes += info->depth * (info->size + overhead());
	return 0;
}

/* RLIMIT_MSGQUEUE, which is for all queues of a user together. */
static int over_rlimit(struct queue *q, uint32_t depth, uint32_t size)
{
	uint64_t each = size + overhead(), cost = depth * each;
	struct rlimit lim = {0};
	struct sum sum = {.uid = getuid()};
	char room[64] = "nothing", others[128] = "";
	getrlimit(RLIMIT_MSGQUEUE, &lim);
	uint64_t left = lim.rlim_cur;
	(void)mq_posix_each(add, &sum); /* what may not be listed is counted as unseen below */
	left = left > sum.bytes ? left - sum.bytes : 0;
	if (cost <= left) {
		snprintf(others, sizeof others,
			", of which queues of this user hold more than %llu",
			(unsigned long long)(lim.rlim_cur - cost));
		snprintf(room, sizeof room, "fewer or smaller messages");
	} else {
		if (sum.queues > 0)
			snprintf(others, sizeof others, ", and %llu other queues hold %llu",
				(unsigned long long)sum.queues, (unsigned long long)sum.bytes);
		if (left >= each)
			snprintf(room, sizeof room, "--depth %llu",
				(unsigned long long)(left / each));
	}
	return call_fail(q->call, ST_LIMIT, 0,
		"create %s: it costs %llu bytes (%llu x (%llu + %llu)), but RLIMIT_MSGQUEUE (ulimit -q) is "
		"%llu%s; %s would fit",
		q->name, (unsigned long long)cost, (unsigned long long)depth,
		(unsigned long long)size, (unsigned long long)overhead(),
		(unsigned long long)lim.rlim_cur, others, room);
}

static int emfile(struct queue *q, uint32_t depth, uint32_t size)
{
	struct rlimit lim = {0};
	int fd = fcntl(q->call->err, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0) {
		fd_close(fd);
		return over_rlimit(q, depth, size);
	}
	getrlimit(RLIMIT_NOFILE, &lim);
	return call_fail(q->call, ST_LIMIT, 0,
		"create %s: no descriptor left, RLIMIT_NOFILE (ulimit -n) is %llu", q->name,
		(unsigned long long)lim.rlim_cur);
}

/* One of depth and size is over its limit. */
static int einval(struct queue *q, int64_t depth, int64_t size)
{
	int64_t max_depth = mq_sysctl("msg_max", 10), max_size = mq_sysctl("msgsize_max", 8192);
	if (depth > HARD_DEPTH)
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: --depth %lld: the kernel allows %d to root, "
			"%lld to others (/proc/sys/fs/mqueue/msg_max)",
			q->name, (long long)depth, HARD_DEPTH, (long long)max_depth);
	if (size > HARD_SIZE)
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: -S %lld: the kernel allows %d to root, "
			"%lld to others (/proc/sys/fs/mqueue/msgsize_max)",
			q->name, (long long)size, HARD_SIZE, (long long)max_size);
	if (depth > max_depth)
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: --depth %lld is more than fs.mqueue.msg_max = "
			"%lld (/proc/sys/fs/mqueue/msg_max); --depth %lld would fit",
			q->name, (long long)depth, (long long)max_depth, (long long)max_depth);
	if (size > max_size)
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: -S %lld is more than fs.mqueue.msgsize_max = "
			"%lld (/proc/sys/fs/mqueue/msgsize_max); -S %lld would fit",
			q->name, (long long)size, (long long)max_size, (long long)max_size);
	return call_error(q->call, EINVAL, "create %s", q->name);
}

int mq_posix_refused(struct queue *q, const struct wanted *want, int errnum)
{
	int64_t depth = want->depth, size = want->size;
	if (depth == 0)
		depth = mq_sysctl("msg_default", 10);
	if (size == 0)
		size = mq_sysctl("msgsize_default", 8192);
	switch (errnum) {
	case EMFILE: return emfile(q, (uint32_t)depth, (uint32_t)size);
	case EINVAL: return einval(q, depth, size);
	case EOVERFLOW:
		return call_fail(q->call, ST_LIMIT, errnum, "create %s: --depth %lld times -S %lld",
			q->name, (long long)depth, (long long)size);
	case ENOSPC:
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: there are fs.mqueue.queues_max = %lld queues "
			"already (/proc/sys/fs/mqueue/queues_max); remove one (ipc-mq ls)",
			q->name, (long long)mq_sysctl("queues_max", 256));
	default: return call_error(q->call, errnum, "create %s", q->name);
	}
}

/* EPERM: msg_qbytes above kernel.msgmnb. ENOSPC: no more queues. */
int mq_sysv_refused(struct queue *q, const struct wanted *want, int errnum)
{
	struct msginfo limits = {0};
	msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits);
	if (errnum == ENOSPC)
		return call_fail(q->call, ST_LIMIT, 0,
			"create %s: there are kernel.msgmni = %d queues already "
			"(/proc/sys/kernel/msgmni); remove one (ipc-mq ls)",
			q->name, limits.msgmni);
	if (errnum != EPERM || want->size == 0)
		return call_error(q->call, errnum, "create %s", q->name);
	bool shrink = want->size > limits.msgmnb;
	return call_fail(q->call, ST_LIMIT, 0,
		"create %s: %lld x %lld bytes is more than kernel.msgmnb = %d "
		"(/proc/sys/kernel/msgmnb); %s %lld would fit",
		q->name, (long long)want->depth, (long long)want->size, limits.msgmnb,
		shrink ? "--depth 1 -S" : "--depth",
		(long long)(shrink ? limits.msgmnb : limits.msgmnb / want->size));
}
