/* applets/ipc-spool/done.c: the results: a job's file with the status in its name, moved to done/, its data given up
 * unless the spool keeps them. The results of ids further back than --keep are forgotten a bucket at a time. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void remove_bucket(struct spool *sp, int parent, const char *name)
{
	struct names names;
	int fd = fd_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0 || names_read(sp, &names, fd, any_name) < 0) {
		fd_close(fd);
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		struct job job;
		char *dot = strchr(names.v[i], '.');
		bool side = dot != NULL && (strcmp(dot, ".out") == 0 || strcmp(dot, ".err") == 0);
		if (side || job_parse(&job, JOB_DONE, names.v[i]))
			unlinkat(fd, names.v[i], 0);
	}
	names_free(&names);
	fd_close(fd);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static bool all_digits(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

/* Forget the results of all ids below LIMIT, bucket by bucket. Done once for each new bucket, so that the
 * cost for a job does not grow. Its failures are left for the next time. */
static void prune(struct spool *sp, uint64_t limit)
{
	struct names big, small;
	if (names_read(sp, &big, sp->dirs[JOB_DONE], all_digits) < 0)
		return;
	for (size_t i = 0; i < big.n; i++) {
		uint64_t base = strtoull(big.v[i], NULL, 10) * BIG_STEP;
		if (base + BUCKET > limit)
			break;
		int fd = fd_open(
			sp->dirs[JOB_DONE], big.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0 || names_read(sp, &small, fd, all_digits) < 0) {
			fd_close(fd);
			continue;
		}
		for (size_t k = 0; k < small.n; k++)
			if (base + (strtoull(small.v[k], NULL, 10) + 1) * BUCKET <= limit)
				remove_bucket(sp, fd, small.v[k]);
		names_free(&small);
		fd_close(fd);
		unlinkat(sp->dirs[JOB_DONE], big.v[i], AT_REMOVEDIR);
	}
	names_free(&big);
}

/* The data of a finished job are given up, the empty file is its result. */
static void cut(int lease, int dirfd, const char *name)
{
	struct stat st;
	int fd = lease >= 0 ? lease : fd_open(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	/* A file that has another name as well is not only the job's. */
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 1 && ftruncate(fd, 0) < 0)
		errno = 0; /* its bytes stay for a while */
	if (fd != lease)
		fd_close(fd);
}

/* The bucket of *TO in done/, kept open for the next job, which is mostly for the same. */
static int done_bucket(struct spool *sp, const struct job *to, bool *made)
{
	if (sp->done_fd >= 0 && sp->done_bucket == to->id / BUCKET)
		return sp->done_fd;
	if (sp->done_fd >= 0)
		call_close(sp->call, sp->done_fd);
	sp->done_bucket = to->id / BUCKET;
	sp->done_fd = call_own(sp->call, bucket_open(sp, to, true, made));
	return sp->done_fd;
}

static int move_to_done(struct spool *sp, const char *from, const struct job *to, bool *made)
{
	char as[NAME_SIZE];
	for (int tries = 0;; tries++) {
		int fd = done_bucket(sp, to, made);
		if (fd < 0)
			return -1;
		if (renameat(sp->dirs[JOB_CUR], from, fd, job_name(to, as)) == 0)
			return fd;
		if (errno != ENOENT || tries == 2)
			return -1;
		/* No such job, or the bucket was pruned under us: once more with a new one. */
		call_close(sp->call, fd);
		sp->done_fd = -1;
	}
}

/* The way there, then cur/, with which both moves of the job are on disk, then the result. The other way round the
 * result could be there while the job still stands in new/. */
static int sync_done(struct spool *sp, int fd, const struct job *to)
{
	return bucket_sync_parents(sp, to) < 0 || fsync(sp->dirs[JOB_CUR]) < 0 || fsync(fd) < 0 ? -1
												: 0;
}

int job_done(struct spool *sp, const struct job *job, int lease, const struct outcome *o)
{
	struct job to = *job;
	char from[NAME_SIZE], as[NAME_SIZE];
	bool made = false;
	int cur = state_fd(sp, JOB_CUR);
	job_name(job, from);
	if (cur < 0)
		return -1;
	if (sp->keep == 0)
		return unlinkat(cur, from, 0) < 0 || (o->sync == SYNC_FULL && fsync(cur) < 0) ? -1
											      : 0;
	to.state = JOB_DONE;
	to.status = o->status;
	to.cut = job->size > 0 && !sp->keep_data;
	int fd = move_to_done(sp, from, &to, &made);
	if (fd < 0)
		return -1;
	if (to.cut)
		cut(lease, fd, job_name(&to, as));
	int r = o->sync == SYNC_FULL ? sync_done(sp, fd, &to) : 0;
	int e = errno;
	if (r == 0 && made && job->id > sp->keep)
		prune(sp, job->id - sp->keep);
	errno = e;
	return r;
}
