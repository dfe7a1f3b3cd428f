/* applets/ipc-spool/parts.c: the parts of a spool: a directory for each state, tmp/, the counter,
 * and the buckets below.
 *
 * Git, rsync -m and backups drop empty directories, so each part that is missing is made again.
 * ENOENT then means one thing: the job, or the name, is not there. A spool that was removed has
 * no file "format" any more; that is reported as ESTALE. Parts are made and removed under a lock
 * on the spool's directory (flock(2)), so that nobody makes a part in a spool that is being
 * removed. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOCK_AT_MOST (5 * NS_PER_S) /* for the lock on the directory, which others may hold, too */

static const char *const state_names[JOB_STATES] = {
	[JOB_NEW] = "new",
	[JOB_CUR] = "cur",
	[JOB_DELAYED] = "delayed",
	[JOB_DONE] = "done",
	[JOB_DEAD] = "dead",
};

const char *state_name(enum state state)
{
	return state_names[state];
}

bool spool_gone(struct spool *sp)
{
	struct stat st;
	return fstatat(sp->root, "format", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int spool_failed(struct spool *sp, int errnum, const char *doing)
{
	if (errnum == ESTALE)
		return call_fail(sp->call, ST_NOOBJ, 0, "%s: was removed", sp->path);
	if (errnum == EROFS)
		return call_fail(sp->call, ST_PERM, errnum, "%s %s", doing, sp->path);
	return call_error(sp->call, errnum, "%s %s", doing, sp->path);
}

/* Has the directory or file FD no name any more? */
static bool removed(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
}

int dir_open(int dirfd, const char *name)
{
	return fd_open(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* A directory with the spool's own mode: the umask must not shut the group out of a spool that
 * was made for it. 1 made, 0 there already, -1. */
static int make_dir(struct spool *sp, int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, sp->mode) < 0)
		return errno == EEXIST ? 0 : -1;
	if ((sp->mode & 077) == 0)
		return 1;
	int fd = dir_open(dirfd, name);
	int r = fd < 0 ? -1 : fchmod(fd, sp->mode);
	fd_close(fd);
	return r < 0 ? -1 : 1;
}

int file_create(struct spool *sp, int dirfd, const char *name)
{
	mode_t mode = sp->mode & 0666;
	int fd = fd_open(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (fd >= 0 && (mode & 077) != 0 && fchmod(fd, mode) < 0) {
		fd_close(fd);
		return -1;
	}
	return fd;
}

int file_regular(int dirfd, const char *name)
{
	struct stat st;
	int fd = fd_open(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	fd_close(fd);
	errno = EBADMSG;
	return -1;
}

/* The lock under which parts are made and removed. Where it cannot be had (some network file
 * systems) we go on without it. 0, or -1 with EINTR. */
int parts_lock(struct spool *sp)
{
	int r = lock_flock(sp->root, false, wait_until(LOCK_AT_MOST), &sp->call->stop);
	return r < 0 && errno == EINTR && call_stopped(sp->call) != 0 ? -1 : 0;
}

void parts_unlock(struct spool *sp)
{
	lock_flock_free(sp->root);
}

int parts_make(struct spool *sp)
{
	for (size_t i = 0; i < JOB_STATES; i++)
		if (make_dir(sp, sp->root, state_names[i]) < 0)
			return -1;
	if (make_dir(sp, sp->root, "tmp") < 0)
		return -1;
	int fd = file_create(sp, sp->root, "seq");
	if (fd < 0)
		return errno == EEXIST ? 0 : -1;
	int r = seq_init(fd);
	fd_close(fd);
	return r;
}

/* Open the part NAME, which is missing, after making it: a directory, or the counter. */
static int part_again(struct spool *sp, const char *name, bool dir)
{
	int fd = -1;
	if (parts_lock(sp) < 0)
		return -1;
	if (spool_gone(sp))
		errno = ESTALE;
	else if (dir)
		fd = make_dir(sp, sp->root, name) < 0 ? -1 : dir_open(sp->root, name);
	else
		fd = file_create(sp, sp->root, name);
	if (fd < 0 && errno == EEXIST)
		fd = fd_open(sp->root, name, O_RDWR | O_NOFOLLOW, 0);
	int e = errno;
	parts_unlock(sp);
	errno = e;
	return fd;
}

/* The part NAME in *KEPT, opened when it is not yet, or no longer, the one that the spool has. */
static int part_fd(struct spool *sp, int *kept, const char *name, bool dir, bool make)
{
	if (*kept >= 0)
		return *kept;
	int fd = dir ? dir_open(sp->root, name) : fd_open(sp->root, name, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0 && errno == ENOENT && make)
		fd = part_again(sp, name, dir);
	*kept = call_own(sp->call, fd);
	return fd;
}

int state_fd(struct spool *sp, enum state state)
{
	return part_fd(sp, &sp->dirs[state], state_names[state], true, true);
}

int state_look(struct spool *sp, enum state state)
{
	return part_fd(sp, &sp->dirs[state], state_names[state], true, false);
}

int tmp_fd(struct spool *sp)
{
	return part_fd(sp, &sp->tmp, "tmp", true, true);
}

int seq_fd(struct spool *sp)
{
	return part_fd(sp, &sp->seq, "seq", false, true);
}

/* Forget the descriptor *FD when what it is open on was removed. */
static bool forget(struct spool *sp, int *fd)
{
	if (!removed(*fd))
		return false;
	call_close(sp->call, *fd);
	*fd = -1;
	return true;
}

bool parts_forget(struct spool *sp)
{
	bool any = forget(sp, &sp->tmp);
	any = forget(sp, &sp->seq) || any;
	any = forget(sp, &sp->done_fd) || any;
	for (size_t i = 0; i < JOB_STATES; i++)
		any = forget(sp, &sp->dirs[i]) || any;
	return any;
}

/* Call for each directory on the way from the state down to JOB's bucket. */
static int descend(struct spool *sp, const struct job *job, bool make, bool sync, bool *made)
{
	char path[PATH_SIZE];
	int top = make ? state_fd(sp, job->state) : state_look(sp, job->state);
	int fd = top < 0 ? -1 : fd_dup(top, 3);
	for (char *save, *part = strtok_r(job_bucket(job, path), "/", &save);
		fd >= 0 && part != NULL; part = strtok_r(NULL, "/", &save)) {
		int r = make ? make_dir(sp, fd, part) : 0;
		if (r > 0)
			*made = true;
		int sub = r < 0 || (sync && fsync(fd) < 0) ? -1 : dir_open(fd, part);
		fd_close(fd);
		fd = sub;
	}
	return fd;
}

int bucket_open(struct spool *sp, const struct job *job, bool make, bool *made)
{
	/* mkdir only when need be; another may remove the empty bucket between two steps. */
	int fd = descend(sp, job, false, false, made);
	for (int tries = 0; fd < 0 && errno == ENOENT && make && tries < 100; tries++) {
		fd = descend(sp, job, true, false, made);
		if (fd < 0 && errno == ENOENT)
			parts_forget(sp);
	}
	return fd;
}

int bucket_sync_parents(struct spool *sp, const struct job *job)
{
	int fd = descend(sp, job, false, true, NULL);
	fd_close(fd);
	return fd < 0 ? -1 : 0;
}
