/* applets/ipc-spool/done.c: the results: a job's file with the status in its name, moved to
 * done/, its data given up unless the spool keeps them. The results of ids further back than
 * --keep are forgotten a bucket at a time. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_DIGITS 12 /* with which the name of each job, and of each side file, begins */

/* Remove what is older than the newest *LEFT results from the bucket NAME, and the bucket when
 * nothing is left of it. A side file without a job is one of those that are removed once *LEFT
 * is 0. */
static void trim_bucket(struct spool *sp, int parent, const char *name, uint64_t *left)
{
	struct names names;
	int fd = dir_open(parent, name);
	if (fd < 0 || names_read(sp, &names, fd, any_name) < 0) {
		fd_close(fd);
		return;
	}
	char oldest[ID_DIGITS] = "~"; /* of the oldest that is kept */
	for (size_t i = names.n; i-- > 0;) {
		struct job job;
		char *v = names.v[i];
		if (job_parse(&job, JOB_DONE, v) && *left > 0) {
			--*left;
			memcpy(oldest, v, ID_DIGITS);
		} else if (*left == 0 && (job_parse(&job, JOB_DONE, v) || side_parse(v)) &&
			memcmp(v, oldest, ID_DIGITS) < 0) {
			unlinkat(fd, v, 0);
		}
	}
	names_free(&names);
	fd_close(fd);
	if (*left == 0)
		unlinkat(parent, name, AT_REMOVEDIR);
}

/* Forget all but the newest sp->keep results, which are counted: ids may have gaps, as after a
 * reboot. It is done once for each new bucket, so that the cost for a job does not grow. Its
 * failures are left for the next time. */
static void prune(struct spool *sp)
{
	struct names big, small;
	uint64_t left = sp->keep, foreign = sp->foreign;
	if (names_read(sp, &big, sp->dirs[JOB_DONE], all_digits) < 0)
		return;
	for (size_t i = big.n; i-- > 0;) {
		int fd = dir_open(sp->dirs[JOB_DONE], big.v[i]);
		if (fd < 0 || names_read(sp, &small, fd, all_digits) < 0) {
			fd_close(fd);
			continue;
		}
		for (size_t k = small.n; k-- > 0;)
			trim_bucket(sp, fd, small.v[k], &left);
		names_free(&small);
		fd_close(fd);
		if (left == 0)
			unlinkat(sp->dirs[JOB_DONE], big.v[i], AT_REMOVEDIR);
	}
	names_free(&big);
	sp->foreign = foreign;
}

/* The data of a finished job are given up, the empty file is its result. */
static void cut(int dirfd, const char *name)
{
	struct stat st;
	int fd = fd_open(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	/* A file that has another name as well is not only the job's. */
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 1 && ftruncate(fd, 0) < 0)
		errno = 0; /* its bytes stay for a while */
	fd_close(fd);
}

/* The bucket of *TO in done/, kept open for the next job, which is mostly for the same. */
static int done_bucket(struct spool *sp, const struct job *to, bool *made)
{
	if (sp->done_fd >= 0 && sp->done_bucket == to->id / BUCKET)
		return sp->done_fd;
	job_cut_done(sp);
	if (sp->done_fd >= 0)
		call_close(sp->call, sp->done_fd);
	sp->done_bucket = to->id / BUCKET;
	sp->done_fd = call_own(sp->call, bucket_open(sp, to, true, made));
	return sp->done_fd;
}

int done_reserve(struct spool *sp, const struct job *job)
{
	struct job to = {.id = job->id, .state = JOB_DONE};
	bool made;
	return sp->keep > 0 && done_bucket(sp, &to, &made) < 0 ? -1 : 0;
}

bool no_room(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT;
}

static int move_to_done(struct spool *sp, const char *from, const struct job *to, bool *made)
{
	struct stat st;
	char as[NAME_SIZE];
	for (int tries = 0;; tries++) {
		int fd = done_bucket(sp, to, made);
		if (fd < 0)
			return -1;
		if (renameat(sp->dirs[JOB_CUR], from, fd, job_name(to, as)) == 0)
			return fd;
		if (errno != ENOENT || tries == 100)
			return -1;
		/* No such job, or the bucket was removed under us: once more with a new one. */
		if (fstatat(sp->dirs[JOB_CUR], from, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		call_close(sp->call, fd);
		sp->done_fd = -1;
		sp->ncuts = 0;
		parts_forget(sp);
	}
}

/* The way there, then cur/, with which both moves of the job are on disk, then the result. The
 * other way round the result could be there while the job still stands in new/. */
static int sync_done(struct spool *sp, int fd, const struct job *to)
{
	return bucket_sync_parents(sp, to) < 0 || fsync(sp->dirs[JOB_CUR]) < 0 || fsync(fd) < 0 ? -1
												: 0;
}

/* Give up the data of those whose results are on disk now. */
static void cut_all(struct spool *sp)
{
	for (unsigned i = 0; i < sp->ncuts; i++)
		cut(sp->done_fd, sp->cuts[i]);
	sp->ncuts = 0;
}

void job_cut_done(struct spool *sp)
{
	const struct job in = {.id = sp->done_bucket * BUCKET, .state = JOB_DONE};
	if (sp->ncuts == 0)
		return;
	if (sp->done_fd >= 0 && sync_done(sp, sp->done_fd, &in) == 0)
		cut_all(sp);
	sp->ncuts = 0;
}

/* The job leaves no result: none is kept, or there is no room for one. */
static int leave(struct spool *sp, const char *from, const struct outcome *o)
{
	if (unlinkat(sp->dirs[JOB_CUR], from, 0) < 0)
		return -1;
	return o->sync == SYNC_FULL ? fsync(sp->dirs[JOB_CUR]) : 0;
}

/* Is there one result in the bucket FD? */
static bool single(struct spool *sp, int fd)
{
	struct names names;
	unsigned n = 0;
	if (names_read(sp, &names, fd, any_name) < 0)
		return false;
	for (size_t i = 0; i < names.n && n < 2; i++) {
		struct job job;
		n += job_parse(&job, JOB_DONE, names.v[i]);
	}
	names_free(&names);
	return n == 1;
}

/* Is it the first result in its bucket FD? Who has just made the bucket, or fills it, need not
 * look. */
static bool first_result(struct spool *sp, int fd, uint64_t id, bool made)
{
	uint64_t bucket = id / BUCKET, newest = sp->done_newest;
	if (newest == UINT64_MAX || bucket > newest)
		sp->done_newest = bucket;
	return made || (newest == UINT64_MAX ? single(sp, fd) : bucket > newest);
}

int job_done(struct spool *sp, const struct job *job, const struct outcome *o)
{
	struct job to = *job;
	char from[NAME_SIZE];
	bool made = false;
	job_name(job, from);
	if (state_fd(sp, JOB_CUR) < 0)
		return -1;
	if (sp->keep == 0)
		return leave(sp, from, o);
	to.state = JOB_DONE;
	to.status = o->status;
	to.cut = job->size > 0 && !sp->keep_data;
	to.summed = job->summed && !to.cut;
	int fd = move_to_done(sp, from, &to, &made);
	if (fd < 0 && no_room(errno) && sp->ncuts > 0) {
		job_cut_done(sp);
		(void)fsync(sp->root); /* ext4 gives freed blocks out after that */
		fd = move_to_done(sp, from, &to, &made);
	}
	if (fd < 0 && no_room(errno)) {
		/* What is done is not done again, though nobody learns its status. */
		call_warn(sp->call, errno, "%s: job %012llu is done; its result is not kept",
			sp->path, (unsigned long long)job->id);
		return leave(sp, from, o);
	}
	if (fd < 0)
		return -1;
	if (to.cut)
		job_name(&to, sp->cuts[sp->ncuts++]);
	int r = o->sync == SYNC_FULL ? sync_done(sp, fd, &to) : 0;
	int e = errno;
	if (r == 0 && o->sync == SYNC_FULL)
		cut_all(sp);
	else if (sp->ncuts == sizeof sp->cuts / sizeof *sp->cuts)
		job_cut_done(sp);
	if (r == 0 && first_result(sp, fd, job->id, made))
		prune(sp);
	errno = e;
	return r;
}

static int is_result(void *arg, int dirfd, const struct job *job, const char *name)
{
	(void)dirfd;
	(void)name;
	return job->id == *(const uint64_t *)arg;
}

void job_drop_output(struct spool *sp, uint64_t id)
{
	const struct job in = {.id = id, .state = JOB_DONE};
	char name[NAME_SIZE];
	int fd = bucket_open(sp, &in, false, NULL);
	if (fd >= 0 && bucket_each(sp, JOB_DONE, id, is_result, &id) == 0)
		unlinkat(fd, side_name(id, "out", name), 0);
	fd_close(fd);
}
