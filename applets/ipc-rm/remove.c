/* applets/ipc-rm/remove.c: how each kind is removed, looking once more at what is about to go. */
#define _GNU_SOURCE
#include "rm.h"

#include "command.h"
#include "fd.h"
#include "lease.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(struct rm *rm, const struct inv_object *o)
{
	const char *kind = inv_kind_names[o->kind];
	if (errno == ENOENT || errno == EIDRM || errno == EINVAL)
		return call_fail(rm->call, ST_NOOBJ, 0, "%s %s: is gone already", kind, o->name);
	if (errno == ESTALE)
		return call_fail(
			rm->call, ST_BUSY, 0, "%s %s: has become another meanwhile", kind, o->name);
	return call_error(rm->call, errno, "remove %s %s", kind, o->name);
}

static int busy(struct rm *rm, const struct inv_object *o)
{
	return call_fail(rm->call, ST_BUSY, 0, "%s %s: was taken into use meanwhile",
		inv_kind_names[o->kind], o->name);
}

/* ---- System V: ids are not given out again soon */

static int remove_sysv(struct rm *rm, const struct inv_object *o)
{
	struct shmid_ds ds;
	struct msqid_ds q;
	int r = -1;
	if (o->kind == INV_SHM) {
		if (!rm->force && !inv_used(o) && shmctl(o->id, IPC_STAT, &ds) == 0 &&
			ds.shm_nattch > 0)
			return busy(rm, o);
		r = shmctl(o->id, IPC_RMID, NULL);
	} else if (o->kind == INV_MQ) {
		if (rm->stale && msgctl(o->id, IPC_STAT, &q) == 0 &&
			(q.msg_qnum > 0 || q.msg_stime != o->user_at[0] ||
				q.msg_rtime != o->user_at[1]))
			return busy(rm, o);
		r = msgctl(o->id, IPC_RMID, NULL);
	} else {
		r = semctl(o->id, 0, IPC_RMID);
	}
	return r < 0 ? failed(rm, o) : 0;
}

/* ---- files */

/* Is ST that of the file that was looked at? */
static bool is(const struct stat *st, const struct inv_object *o)
{
	if (st->st_dev == o->dev && st->st_ino == o->file && st->st_uid == o->uid)
		return true;
	errno = ESTALE;
	return false;
}

/* Is DIRFD/NAME still the file that was looked at, no link to it and nobody else's? */
static bool same(int dirfd, const char *name, const struct inv_object *o)
{
	struct stat st;
	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is(&st, o);
}

/* A lock file goes while it is held, so that nobody takes the lock of a file without a name. */
static int hold(const struct inv_object *o, int dirfd, const char *name, int *fd)
{
	int e = 0;
	*fd = fd_open(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (*fd < 0 || !same(dirfd, name, o))
		return -1;
	if (lock_fcntl(*fd, LOCK_OFD, false, 0, 0, 0, NULL) < 0)
		e = errno;
	if (e == 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0)
		e = errno;
	errno = e == EWOULDBLOCK ? EAGAIN : e;
	return e == 0 ? 0 : -1;
}

/* Who starts a server holds its directory (flock(2)) meanwhile, and so do we. */
static int hold_server(const struct inv_object *o, int dirfd)
{
	if (flock(dirfd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		errno = EAGAIN;
		return -1;
	}
	if (inv_refused(o->path))
		return 0;
	errno = EAGAIN;
	return -1;
}

/* Have a lease on what is stale until it has lost its name: it still has no user then. Where
 * the kernel gives none (*FD is -1), the verdict is of two looks and has to do. 0, or -1 with
 * errno: EAGAIN in use. */
static int prove(struct rm *rm, const struct inv_object *o, int fd, struct lease *l, bool *proved)
{
	struct stat st;
	*proved = false;
	if (!rm->stale || rm->force || fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || !is(&st, o))
		return -1;
	*proved = lease_take(l, fd) == 0;
	return *proved || errno != EAGAIN ? 0 : -1;
}

/* A plain file is opened for the lease alone; errors mean that there is none to be had. */
static int open_plain(const struct inv_object *o, int dirfd, const char *name)
{
	struct stat st;
	bool plain = o->kind != INV_FIFO && o->kind != INV_SOCK && o->kind != INV_DOOR &&
		o->kind != INV_FDSTORE;
	return plain ? inv_open_at(dirfd, name, &st) : -1;
}

static int unlink_plain(struct rm *rm, const struct inv_object *o, int dirfd, const char *name)
{
	struct lease l;
	bool proved;
	int fd = rm->stale ? open_plain(o, dirfd, name) : -1;
	int r = prove(rm, o, fd, &l, &proved);
	if (r == 0)
		r = same(dirfd, name, o) ? unlinkat(dirfd, name, 0) : -1;
	if (proved)
		lease_release(&l);
	fd_close(fd);
	return r;
}

static int unlink_file(struct rm *rm, const struct inv_object *o, int dirfd, const char *name)
{
	bool careful = !rm->force && !inv_used(o);
	int fd = -1, r = 0;
	if (careful && o->kind == INV_LOCK && !rm->stale)
		r = hold(o, dirfd, name, &fd);
	else if (careful && (o->kind == INV_SOCK || o->kind == INV_DOOR || o->kind == INV_FDSTORE))
		r = hold_server(o, dirfd);
	if (r == 0)
		r = unlink_plain(rm, o, dirfd, name);
	fd_close(fd);
	if (r < 0)
		return errno == EAGAIN ? busy(rm, o) : failed(rm, o);
	return 0;
}

static int remove_mq(struct rm *rm, const struct inv_object *o)
{
	const char *name = strrchr(o->name, '/') + 1;
	struct lease l;
	bool proved;
	int fd = rm->stale
		? (int)syscall(SYS_mq_open, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, NULL)
		: -1;
	int r = prove(rm, o, fd, &l, &proved);
	if (r == 0)
		r = (int)syscall(SYS_mq_unlink, name);
	if (proved)
		lease_release(&l);
	fd_close(fd);
	if (r < 0)
		return errno == EAGAIN ? busy(rm, o) : failed(rm, o);
	return 0;
}

/* The directory is looked up once; what happens to the path above it does not matter then. */
static int remove_file(struct rm *rm, const struct inv_object *o)
{
	const char *slash = strrchr(o->path, '/');
	char *dir = call_strdup(rm->call, o->path);
	if (dir == NULL)
		return call_error(rm->call, ENOMEM, "remove %s", o->name);
	if (slash != NULL)
		dir[slash - o->path + 1] = '\0';
	int dirfd =
		call_open(rm->call, AT_FDCWD, slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY, 0);
	if (dirfd < 0 && errno == EACCES) /* searchable is enough, but for sockets' sake */
		dirfd = call_open(
			rm->call, AT_FDCWD, slash != NULL ? dir : ".", O_PATH | O_DIRECTORY, 0);
	if (dirfd < 0)
		return failed(rm, o);
	int status = unlink_file(rm, o, dirfd, slash != NULL ? slash + 1 : o->path);
	call_close(rm->call, dirfd);
	return status;
}

/* ---- what has a protocol of its own for going away: its users are told by its applet's rm */

static int remove_by_applet(struct rm *rm, const struct inv_object *o)
{
	struct call *call = rm->call;
	struct stat st;
	/* What was looked at is what is handed over: a path could lead to something else by now. */
	int fd = call_open(call, AT_FDCWD, o->path, O_PATH | O_NOFOLLOW, 0);
	bool dir = o->kind == INV_SPOOL;
	char *path = dir ? call_fmt(call, "file:/proc/self/fd/%d", fd)
			 : call_fmt(call, "file:%s", o->path);
	char self[] = "/proc/self/exe", rm_verb[] = "rm", force[] = "--force";
	char *kind = call_strdup(call, inv_kind_names[o->kind]);
	if (path == NULL || kind == NULL)
		return call_error(call, ENOMEM, "remove %s", o->name);
	if (fd < 0 || fstat(fd, &st) < 0 || !is(&st, o))
		return failed(rm, o);
	char *spool[] = {
		self, kind, rm_verb, rm->force ? force : path, rm->force ? path : NULL, NULL};
	char *other[] = {self, kind, rm_verb, path, NULL};
	const struct spawn_fd fds[] = {{fd, fd}};
	struct command cmd = {.spawn = {.argv = dir ? spool : other, .fds = fds, .nfds = dir}};
	int status = command_code(command_run(call, &cmd));
	call_close(call, fd);
	return status;
}

int rm_remove(struct rm *rm, const struct inv_object *o)
{
	if (o->make == INV_SYSV)
		return remove_sysv(rm, o);
	if (o->kind == INV_MQ)
		return remove_mq(rm, o);
	bool told = o->kind == INV_RING || o->kind == INV_EVENT || o->kind == INV_BARRIER ||
		(o->kind == INV_SEM && o->make != INV_POSIX);
	if (o->kind == INV_SPOOL || (told && inv_used(o)))
		return remove_by_applet(rm, o);
	if (o->path == NULL) {
		errno = ENOENT;
		return failed(rm, o);
	}
	return remove_file(rm, o);
}
