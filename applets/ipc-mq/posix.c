/* applets/ipc-mq/posix.c: POSIX queues, mq_overview(7), through the system calls themselves, so that
 * neither a mounted /dev/mqueue nor a libc is needed.
 *
 * A queue descriptor is a file descriptor here: poll(2) gives timeouts that no clock step disturbs
 * and that stop signals end. Whoever loses the race for a message that poll announced waits on.
 */
#define _GNU_SOURCE
#include "mq.h"

#include "fd.h"
#include "mqdir.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int get_attr(int fd, struct mq_attr *attr)
{
	return (int)syscall(SYS_mq_getsetattr, fd, NULL, attr);
}

/* The kernel wants the name without its slash. */
static int open_raw(const struct queue *q, int flags, unsigned mode, struct mq_attr *attr)
{
	const char *name = q->obj.name + 1;
	flags |= O_CLOEXEC;
	int id = (int)syscall(SYS_mq_open, name, flags, mode, attr);
	if (id >= 0 || errno != EAGAIN)
		return id;
	/* It is under a lease, which is how ipc-ls finds out whether it is in use: wait until
	 * that is over. */
	fd_close((int)syscall(SYS_mq_open, name, (flags & O_ACCMODE) | O_CLOEXEC, 0, NULL));
	return (int)syscall(SYS_mq_open, name, flags, mode, attr);
}

/* A queue that a shell keeps open, and its mq_msgsize. */
struct kept_queue {
	struct kept kept;
	size_t max;
	bool waits;
};
static const char kept_type; /* its address is the type */

static void end_kept(struct kept *k)
{
	fd_close(k->fd);
	free(k);
}

static void rest_kept(struct kept *k)
{
	struct kept_queue *kq = (struct kept_queue *)(void *)k;
	if (kq->waits)
		(void)lseek(k->fd, KEPT_IDLE, SEEK_SET);
	kq->waits = false;
}

/* From now on this call is a user of the queue, and its handle no idle one. */
static void waits(const struct queue *q)
{
	if (q->kept != NULL && !q->kept->waits)
		q->kept->waits = lseek(q->id, 0, SEEK_SET) == 0;
}

static bool find_kept(struct queue *q, enum access access)
{
	struct kept *k = kept_find(q->call, &kept_type, q->name, access);
	if (k == NULL)
		return false;
	q->id = k->fd;
	q->kept = (struct kept_queue *)(void *)k;
	q->max = ((struct kept_queue *)(void *)k)->max;
	q->limit = "its mq_msgsize";
	return true;
}

/* Queues lie in no directory that can be renamed, and are not renamed themselves: one that has a link is
 * still what its name means. */
static bool offer(struct queue *q, enum access access)
{
	struct kept_queue *kq = q->call->host != NULL ? malloc(sizeof *kq) : NULL;
	if (kq == NULL)
		return false;
	*kq = (struct kept_queue){
		.kept = {.fd = q->id, .end = end_kept, .rest = rest_kept, .fixed = true},
		.max = q->max};
	if (!kept_add(q->call, &kq->kept, &kept_type, q->name, access, NULL, NULL)) {
		free(kq);
		return false;
	}
	q->kept = kq;
	q->id = kq->kept.fd;
	(void)lseek(q->id, KEPT_IDLE, SEEK_SET);
	return true;
}

static int posix_open(struct queue *q, enum access access)
{
	int flags = access == MQ_WRITE ? O_WRONLY : O_RDONLY;
	struct mq_attr attr;
	if (find_kept(q, access))
		return 0;
	q->id = open_raw(q, flags | (q->blocking ? 0 : O_NONBLOCK), 0, NULL);
	if (q->id < 0 && errno == EACCES && access == MQ_LOOK)
		q->id = open_raw(q, O_WRONLY | O_NONBLOCK, 0, NULL);
	if (q->id < 0)
		return call_error(q->call, errno, "open %s", q->name);
	if (get_attr(q->id, &attr) < 0) {
		int e = errno;
		fd_close(q->id);
		return call_error(q->call, e, "%s: read attributes", q->name);
	}
	q->max = (size_t)attr.mq_msgsize;
	q->limit = "its mq_msgsize";
	if (!offer(q, access))
		call_own(q->call, q->id);
	return 0;
}

/* Does the queue that is there already fit what is wanted? */
static int compare(struct queue *q, const struct wanted *want, int fd)
{
	struct mq_attr attr;
	struct stat st;
	if (get_attr(fd, &attr) < 0 || fstat(fd, &st) < 0)
		return call_error(q->call, errno, "%s: read attributes", q->name);
	if (want->depth != 0 && attr.mq_maxmsg != want->depth)
		return call_fail(q->call, ST_EXISTS, 0, "%s exists with --depth %ld, not %lld",
			q->name, attr.mq_maxmsg, (long long)want->depth);
	if (want->size != 0 && attr.mq_msgsize != want->size)
		return call_fail(q->call, ST_EXISTS, 0, "%s exists with -S %ld, not %lld", q->name,
			attr.mq_msgsize, (long long)want->size);
	if (want->has_mode && (st.st_mode & 0777) != want->mode)
		return call_fail(q->call, ST_EXISTS, 0, "%s exists with mode %04o, not %04o",
			q->name, (unsigned)st.st_mode & 0777, want->mode);
	return 0;
}

/* Look at the queue that is there. -1: it has gone again. */
static int fits(struct queue *q, const struct wanted *want)
{
	int fd = open_raw(q, O_RDONLY | O_NONBLOCK, 0, NULL);
	if (fd < 0 && errno == EACCES)
		fd = open_raw(q, O_WRONLY | O_NONBLOCK, 0, NULL);
	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd < 0)
		return call_error(q->call, errno, "%s exists; open it", q->name);
	int status = compare(q, want, fd);
	fd_close(fd);
	return status;
}

/* The umask only takes away, so that nobody ever has more than MODE; what it took is put back. */
static int adopt(struct queue *q, const struct wanted *want, int fd)
{
	int bad = fchmod(fd, want->mode) < 0 ? errno : 0;
	fd_close(fd);
	if (bad == 0)
		return 0;
	syscall(SYS_mq_unlink, q->obj.name + 1);
	return call_error(q->call, bad, "%s: set mode %04o", q->name, want->mode);
}

static int posix_create(struct queue *q, const struct wanted *want)
{
	struct mq_attr attr = {
		.mq_maxmsg = num_to_long(want->depth), .mq_msgsize = num_to_long(want->size)};
	bool given = want->depth != 0 || want->size != 0;
	if (want->depth == 0 && given)
		attr.mq_maxmsg = (long)mq_sysctl("msg_default", 10);
	if (want->size == 0 && given)
		attr.mq_msgsize = (long)mq_sysctl("msgsize_default", 8192);
	for (;;) {
		int fd = open_raw(q, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, want->mode,
			given ? &attr : NULL);
		if (fd >= 0)
			return adopt(q, want, fd);
		if (errno != EEXIST)
			return mq_posix_refused(q, want, errno);
		if (want->exclusive)
			return call_error(q->call, EEXIST, "create %s", q->name);
		int status = fits(q, want);
		if (status >= 0)
			return status;
	}
}

/* Nobody can be woken with EINTR here but by a stop signal: handlers are the host's alone. */
static int posix_send(struct queue *q, const struct message *msg, int64_t deadline)
{
	for (;;) {
		if (syscall(SYS_mq_timedsend, q->id, msg->data, msg->len, msg->priority, NULL) == 0)
			return 0;
		if (errno == EINTR && call_stopped(q->call) == 0)
			continue;
		if (errno != EAGAIN || deadline == DEADLINE_NOW)
			return -1;
		waits(q);
		if (wait_fd(q->id, POLLOUT, deadline, &q->call->stop) < 0)
			return -1;
	}
}

/* Wait for a message, and, where it is stdout that it goes to, for stdout's reader to go. */
static int wait_readable(struct queue *q, int64_t deadline, bool watch)
{
	struct pollfd p[2] = {
		{.fd = q->id, .events = POLLIN}, {.fd = watch ? q->call->out.fd : -1}};
	waits(q);
	for (;;) {
		if (wait_poll(p, 2, deadline, &q->call->stop) < 0)
			return -1;
		if (p[0].revents != 0)
			return 0;
		if ((p[1].revents & POLLERR) != 0) {
			errno = EPIPE;
			return -1;
		}
		p[1].fd = -1; /* POLLHUP of a terminal or socket says nothing about writing */
	}
}

static int posix_recv(struct queue *q, struct message *msg, int64_t deadline)
{
	if (mq_reserve(q, q->max) < 0)
		return -1;
	for (;;) {
		unsigned priority = 0;
		long n = syscall(SYS_mq_timedreceive, q->id, q->buf, q->max, &priority, NULL);
		if (n >= 0) {
			*msg = (struct message){
				.data = q->buf, .len = (size_t)n, .priority = priority};
			return 0;
		}
		if (errno == EINTR && call_stopped(q->call) == 0)
			continue;
		if (errno != EAGAIN || deadline == DEADLINE_NOW)
			return -1;
		if (wait_readable(q, deadline, q->call->command == NULL) < 0)
			return -1;
	}
}

/* By a descriptor of its own: ours is for reading. */
static int posix_unread(struct queue *q, const struct message *msg)
{
	struct stat was, is;
	int fd = open_raw(q, O_WRONLY | O_NONBLOCK, 0, NULL), r = -1;
	if (fd < 0)
		return -1;
	errno = EIDRM; /* the name may mean another queue by now */
	if (fstat(q->id, &was) == 0 && fstat(fd, &is) == 0 && was.st_dev == is.st_dev &&
		was.st_ino == is.st_ino)
		r = (int)syscall(SYS_mq_timedsend, fd, msg->data, msg->len, msg->priority, NULL);
	fd_close(fd);
	return r;
}

static int posix_wait(struct queue *q, int64_t deadline)
{
	return wait_readable(q, deadline, false);
}

static int posix_peek(struct queue *q, unsigned long index, struct message *msg)
{
	(void)q, (void)index, (void)msg;
	errno = EOPNOTSUPP;
	return -1;
}

/* "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260", mq_overview(7): reading needs no mount either. */
static void read_status(int fd, struct info *info)
{
	char text[160];
	ssize_t n = fd_pread(fd, text, sizeof text - 1, 0);
	if (n <= 0)
		return;
	text[n] = '\0';
	uint64_t pid;
	char *size = strstr(text, "QSIZE:"), *notify = strstr(text, "NOTIFY_PID:");
	for (char *p = text; *p != '\0'; p++)
		if (*p == ' ' || *p == '\n')
			*p = '\0';
	info->weighed = size != NULL && num_uint(size + 6, &info->bytes) == NULL;
	if (notify != NULL && num_uint(notify + 11, &pid) == NULL)
		info->notify = (pid_t)pid;
}

static int describe(int fd, struct info *info)
{
	struct mq_attr attr;
	struct stat st;
	*info = (struct info){0};
	if (get_attr(fd, &attr) < 0 || fstat(fd, &st) < 0)
		return -1;
	info->counted = true;
	info->messages = (uint64_t)attr.mq_curmsgs;
	info->depth = (uint64_t)attr.mq_maxmsg;
	info->size = (uint64_t)attr.mq_msgsize;
	info->mode = st.st_mode & 0777;
	info->uid = st.st_uid;
	info->gid = st.st_gid;
	info->changed = st.st_mtime;
	read_status(fd, info);
	return 0;
}

static int posix_info(struct queue *q, struct info *info)
{
	return describe(q->id, info);
}

static int posix_remove(struct queue *q)
{
	if (syscall(SYS_mq_unlink, q->obj.name + 1) == 0) {
		kept_forget(q->call, &kept_type, q->name);
		return 0;
	}
	return call_error(q->call, errno, "remove %s", q->name);
}

const struct backend mq_posix = {
	.kind = "posix",
	.open = posix_open,
	.create = posix_create,
	.send = posix_send,
	.recv = posix_recv,
	.unread = posix_unread,
	.wait = posix_wait,
	.peek = posix_peek,
	.info = posix_info,
	.remove = posix_remove,
};

/* A file of that directory opened is a queue descriptor. One that may not be opened is at least
 * seen. */
static int look(int dir, const char *name, struct info *info)
{
	struct stat st;
	int fd = fd_open(dir, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0) {
		int r = describe(fd, info);
		fd_close(fd);
		return r;
	}
	if (errno != EACCES || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	*info = (struct info){.mode = st.st_mode & 0777,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.changed = st.st_mtime};
	return 0;
}

int mq_posix_each(mq_seen *fn, void *arg)
{
	int fd = mqdir_open(), r = 0;
	if (fd < 0)
		return -1;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	for (struct dirent *e; r == 0;) {
		char name[sizeof e->d_name + 1];
		struct info info;
		errno = 0;
		if ((e = readdir(dir)) == NULL) {
			r = errno != 0 ? -1 : 0;
			break;
		}
		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || strcmp(e->d_name, "..") == 0))
			continue;
		name[0] = '/';
		strcpy(name + 1, e->d_name);
		if (look(fd, e->d_name, &info) == 0)
			r = fn(arg, name, &info);
		else if (errno != ENOENT) /* removed meanwhile */
			r = -1;
	}
	int saved = errno;
	closedir(dir);
	errno = saved;
	return r;
}
