/* applets/ipc-spool/job.c: a job's moves from state to state.
 *
 * A lease is an OFD lock (fcntl(2)) on the job's own file, taken before the file is moved to cur/. So a
 * file in cur/ whose lock is free belongs to a worker that died, whoever looks may bring it back, and no clock
 * is asked. The attempt is in the name, counted by the very rename(2) that takes the job.
 *
 * Each move is one rename, and each name is used once (it holds the attempt), so of two who try the same
 * move one gets ENOENT. Killed between any two steps:
 *	lock | rename to cur/			the lock goes, the job is still in new/
 *	rename to cur/ | anything		the lock goes, job_recover() finds it
 *	write ID.why | rename to dead/		the job is in cur/ and comes back; .why is overwritten
 *	rename to done/ | give the data up	a result with its data: harmless
 */
#define _GNU_SOURCE
#include "spool.h"

#include "crc32c.h"
#include "fd.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lease_try(int fd)
{
	if (lock_fcntl(fd, LOCK_OFD, false, 0, 0, DEADLINE_NOW, NULL) == 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

void lease_drop(int fd)
{
	if (fd >= 0)
		lock_fcntl_free(fd, LOCK_OFD, 0, 0);
}

/* Opened for reading only: closing it makes no event that waiters look out for. */
bool lease_held(int dirfd, const char *name)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = fd_open(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	fd_close(fd);
	return held;
}

static void pass_over(struct spool *sp, const char *name)
{
	if (!sp->refused)
		call_warn(sp->call, errno, "%s: job %s is passed over", sp->path, name);
	sp->refused = true;
}

/* Open and lease the file NAME: a descriptor; -1 with errno 0 when it is gone, leased or no job
 * of ours. */
static int open_leased(struct spool *sp, int dirfd, const char *name, int64_t *size)
{
	struct stat st;
	int fd = fd_open(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		pass_over(sp, name);
	if (fd < 0) {
		/* Another program has a lease on the file (F_SETLEASE), which it is asked to
		 * give up. */
		sp->again = sp->again || errno == EAGAIN;
		sp->foreign += errno == ELOOP || errno == EISDIR;
		errno = errno == EMFILE || errno == ENFILE || errno == EROFS || errno == EIO ? errno
											     : 0;
		return -1;
	}
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	int got = regular ? lease_try(fd) : 0;
	sp->foreign += !regular;
	*size = regular ? st.st_size : 0;
	if (got > 0)
		return fd;
	int e = got < 0 ? errno : 0;
	fd_close(fd);
	errno = e;
	return -1;
}

/* ---- to dead/ ---- */

/* Write the text beside the job in dead/: ID.why, whole or not at all. */
static int write_why(struct spool *sp, int dirfd, const struct job *job, const struct outcome *o)
{
	struct draft d = {.fd = -1};
	char name[NAME_SIZE], line[NAME_SIZE * 2];
	if (draft_open(sp, &d) < 0)
		return -1;
	snprintf(line, sizeof line, " (status %d, attempt %u)\n", o->status, job->attempt);
	bool ok = fd_write(d.fd, o->reason, strlen(o->reason)) == 0 &&
		fd_write(d.fd, line, strlen(line)) == 0 &&
		fd_write(d.fd, o->tail, o->tail_len) == 0 &&
		renameat(sp->tmp, d.tmp, dirfd, side_name(job->id, "why", name)) == 0;
	d.published = ok;
	int e = errno;
	draft_drop(sp, &d);
	errno = e;
	return ok ? 0 : -1;
}

/* The job, which stands in the directory DIR, to dead/. */
static int bury(struct spool *sp, int dir, const struct job *job, const struct outcome *o)
{
	struct job to = *job;
	char from[NAME_SIZE], as[NAME_SIZE];
	bool made;
	to.state = JOB_DEAD;
	to.status = o->status;
	int fd = bucket_open(sp, &to, true, &made);
	if (fd < 0)
		return -1;
	int r = write_why(sp, fd, job, o);
	if (r < 0 && no_room(errno)) /* it is dead all the same */
		r = 0;
	if (r == 0)
		r = renameat(dir, job_name(job, from), fd, job_name(&to, as));
	int e = errno;
	fd_close(fd);
	errno = e;
	return r;
}

/* ---- taking ---- */

/* Was the job of which FD is the file put in this boot, or did its data reach the disk? 1; 0:
 * they did not, and it is in dead/ now; -1. */
static int check(struct spool *sp, int dirfd, const struct job *job, int fd)
{
	char why[128];
	uint64_t len;
	uint32_t crc;
	if (!job->summed || (job->boot == sp->boot && sp->boot != 0))
		return 1;
	if (crc32c_file(fd, &len, &crc) < 0)
		return -1;
	if (len == job->len && crc == job->crc)
		return 1;
	if (len == job->len)
		snprintf(why, sizeof why, "damaged, as by a power cut: wrong checksum");
	else
		snprintf(why, sizeof why, "damaged, as by a power cut: %llu bytes of %llu",
			(unsigned long long)len, (unsigned long long)job->len);
	const struct outcome o = {.status = ST_DATA, .reason = why, .tail = ""};
	if (bury(sp, dirfd, job, &o) < 0)
		return errno == ENOENT ? 0 : -1;
	call_warn(sp->call, 0, "%s: job %012llu: %s; it is in dead/", sp->path,
		(unsigned long long)job->id, why);
	return 0;
}

struct next {
	struct spool *sp;
	struct job *job;
	int lease;
};

static int take_it(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct next *next = arg;
	struct spool *sp = next->sp;
	char as[NAME_SIZE];
	int64_t size;
	int fd = open_leased(sp, dirfd, name, &size);
	if (fd < 0)
		return errno == 0 ? 0 : -1;
	int whole = check(sp, dirfd, job, fd);
	if (whole <= 0) {
		fd_close(fd);
		return whole;
	}
	*next->job = *job;
	next->job->summed = job->summed && job->boot == sp->boot; /* else it was found whole */
	next->job->size = size;
	next->job->state = JOB_CUR;
	next->job->attempt++;
	do {
		int cur = state_fd(sp, JOB_CUR);
		if (cur >= 0 && renameat(dirfd, name, cur, job_name(next->job, as)) == 0) {
			next->lease = fd;
			return 1;
		}
	} while (errno == ENOENT && parts_forget(sp));
	fd_close(fd);
	if (errno != EPERM && errno != EACCES)
		return errno == ENOENT ? 0 : -1;
	/* In a directory with the sticky bit only its owner may move it. */
	pass_over(sp, name);
	return 0;
}

/* On a full file system a job may be unable to come back to new/. Then it is taken where it
 * stands: a delayed one whose time has come, or one whose worker died and that has attempts
 * left. */
static int take_stuck(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct next *next = arg;
	unsigned max = (unsigned)next->sp->max_attempts;
	if (job->state == JOB_DELAYED && job->due > now_ms())
		return 0;
	if (job->state == JOB_CUR && ((max > 0 && job->attempt >= max) || lease_held(dirfd, name)))
		return 0;
	return take_it(arg, dirfd, job, name);
}

int job_next(struct spool *sp, struct job *job, struct rest *rest)
{
	struct next next = {sp, job, -1};
	sp->again = false;
	if (state_fd(sp, JOB_CUR) < 0)
		return -1;
	int r = 0;
	while (rest != NULL && r == 0 && rest->next < rest->names.n) {
		struct job kept;
		const char *name = rest->names.v[rest->next++];
		if (job_parse(&kept, JOB_NEW, name))
			r = take_it(&next, rest->fd, &kept, name);
	}
	if (r == 0)
		r = spool_each_rest(sp, JOB_NEW, true, take_it, &next, rest);
	if (r == 0 && parts_forget(sp))
		r = spool_each_rest(sp, JOB_NEW, true, take_it, &next, rest);
	if (r == 0 && sp->full)
		r = spool_each(sp, JOB_DELAYED, false, take_stuck, &next);
	if (r == 0 && sp->full)
		r = spool_each(sp, JOB_CUR, false, take_stuck, &next);
	if (r == 0)
		errno = ENOENT;
	return r > 0 ? next.lease : -1;
}

/* ---- coming back ---- */

static int64_t back_off(const struct job *job, const struct outcome *o)
{
	int64_t delay = o->backoff;
	if (o->uncounted)
		return 0;
	if (o->delay >= 0)
		return o->delay;
	for (unsigned i = 1; i < job->attempt && delay < BACKOFF_MAX; i++)
		delay *= 2;
	return delay > BACKOFF_MAX && o->backoff < BACKOFF_MAX ? BACKOFF_MAX : delay;
}

int job_failed(struct spool *sp, const struct job *job, const struct outcome *o, bool *dead)
{
	struct job to = *job;
	char from[NAME_SIZE];
	int64_t delay = back_off(job, o);
	*dead = !o->uncounted && sp->max_attempts > 0 && job->attempt >= sp->max_attempts;
	if (state_fd(sp, JOB_CUR) < 0)
		return -1;
	if (*dead)
		return bury(sp, sp->dirs[JOB_CUR], job, o);
	to.attempt -= o->uncounted && to.attempt > 0;
	to.state = delay > 0 ? JOB_DELAYED : JOB_NEW;
	to.due = delay > 0 ? now_ms() + (delay + NS_PER_MS - 1) / NS_PER_MS : 0;
	int r = seq_move(sp, sp->dirs[JOB_CUR], job_name(job, from), &to, false);
	if (r == 0 || !no_room(errno) || to.state == JOB_NEW)
		return r;
	/* No room for the directory of its second: then without a delay. */
	to.state = JOB_NEW;
	to.due = 0;
	return seq_move(sp, sp->dirs[JOB_CUR], job_name(job, from), &to, false);
}

int job_stays(struct spool *sp, const struct job *job)
{
	if (!sp->full)
		call_warn(sp->call, errno, "%s: job %012llu stays in %s/", sp->path,
			(unsigned long long)job->id, state_name(job->state));
	sp->full = true;
	return 0;
}

static int return_abandoned(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct spool *sp = arg;
	struct outcome o = {
		.status = ST_BROKEN, .delay = 0, .reason = "its worker died", .tail = ""};
	bool dead;
	if (lease_held(dirfd, name))
		return 0;
	int64_t size;
	int fd = open_leased(sp, dirfd, name, &size);
	if (fd < 0)
		return errno == 0 ? 0 : -1;
	int r = job_failed(sp, job, &o, &dead);
	if (r < 0 && no_room(errno))
		r = job_stays(sp, job);
	else if (r < 0 && errno == ENOENT)
		r = 0; /* another was first */
	else if (r == 0)
		call_note(sp->call, 1, "%s: job %012llu: its worker died, %s", sp->path,
			(unsigned long long)job->id,
			dead ? "dead after the last attempt" : "back to new/");
	fd_close(fd);
	return r;
}

int job_recover(struct spool *sp, int64_t *due)
{
	*due = INT64_MAX;
	if (spool_each(sp, JOB_CUR, false, return_abandoned, sp) < 0)
		return -1;
	return delayed_promote(sp, due);
}

/* ---- by hand ---- */

static void remove_sides(int dirfd, uint64_t id)
{
	static const char *const suffixes[] = {"out", "err", "why"};
	char name[NAME_SIZE];
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		unlinkat(dirfd, side_name(id, suffixes[i], name), 0);
}

int job_requeue(struct spool *sp, int dirfd, const struct job *job)
{
	struct job to = *job;
	char from[NAME_SIZE];
	to.state = JOB_NEW;
	to.attempt = 0;
	if (seq_move(sp, dirfd, job_name(job, from), &to, job->state != JOB_DELAYED) < 0)
		return -1;
	remove_sides(dirfd, job->id);
	return 0;
}

int job_remove(struct spool *sp, int dirfd, const struct job *job)
{
	char name[NAME_SIZE];
	if (unlinkat(dirfd, job_name(job, name), 0) < 0)
		return -1;
	if (job->state == JOB_DONE || job->state == JOB_DEAD)
		remove_sides(dirfd, job->id);
	(void)sp;
	return 0;
}

struct count {
	uint64_t n, max;
};

static int count_it(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct count *c = arg;
	(void)dirfd;
	(void)job;
	(void)name;
	return ++c->n > c->max;
}

/* In the direction in which jobs move without the lock, so that none is missed. */
int64_t job_count(struct spool *sp, uint64_t max)
{
	static const enum state states[] = {JOB_DELAYED, JOB_NEW, JOB_CUR};
	struct count c = {0, max};
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		int r = spool_each(sp, states[i], false, count_it, &c);
		if (r < 0)
			return -1;
		if (r > 0)
			break;
	}
	return (int64_t)c.n;
}
