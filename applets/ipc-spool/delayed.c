/* applets/ipc-spool/delayed.c: jobs whose time has not come, and how they come up.
 *
 * They stand in a directory for each second. A directory whose second has not begun is not read
 * beyond its first job, so what is delayed costs nothing until it is due, however many jobs are
 * due in the same second. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct due {
	struct spool *sp;
	int64_t now, first; /* ms; when the next job comes up, INT64_MAX: none seen yet */
};

/* Move the job NAME in the directory FD to new/. 0 or -1. */
static int promote(struct due *d, int fd, const struct job *job, const char *name)
{
	struct job to = *job;
	char as[NAME_SIZE];
	to.state = JOB_NEW;
	int dir = bucket_open(d->sp, &to, false, NULL);
	int r = dir < 0 ? -1 : renameat(fd, name, dir, job_name(&to, as));
	int e = errno;
	fd_close(dir);
	if (r < 0 && e == ENOENT) /* the bucket is missing, or another was first */
		r = seq_move(d->sp, fd, name, &to, false);
	if (r < 0 && no_room(errno))
		return job_stays(d->sp, job);
	return r < 0 && errno != ENOENT ? -1 : 0;
}

/* A second that has begun: move what is due. *EMPTY: no job is left. */
static int look_through(struct due *d, int fd, bool *empty)
{
	struct names names;
	int r = 0;
	*empty = true;
	if (names_read(d->sp, &names, fd, any_name) < 0)
		return -1;
	for (size_t i = 0; i < names.n && r == 0; i++) {
		struct job job;
		if (!job_parse(&job, JOB_DELAYED, names.v[i])) {
			d->sp->foreign += !side_parse(names.v[i]);
		} else if (job.due <= d->now) {
			r = promote(d, fd, &job, names.v[i]);
		} else {
			d->first = job.due < d->first ? job.due : d->first;
			*empty = false;
		}
	}
	int e = errno;
	names_free(&names);
	errno = e;
	return r;
}

/* A second that has not begun: is there a job at all? 1, 0, -1. */
static int any_job(int fd)
{
	struct job job;
	int copy = fd_dup(fd, 3), found = 0;
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (dir == NULL) {
		fd_close(copy);
		return -1;
	}
	for (struct dirent *e; found == 0 && (e = readdir(dir)) != NULL;)
		found = job_parse(&job, JOB_DELAYED, e->d_name);
	closedir(dir);
	return found;
}

/* The directory NAME in FD, of the second SEC. 1: there is nothing to be found after it, 0, -1. */
static int look_into(struct due *d, int fd, const char *name, int64_t sec, bool newest)
{
	bool empty = false;
	int bucket = dir_open(fd, name), r;
	if (bucket < 0) {
		d->sp->foreign += errno == ENOTDIR || errno == ELOOP;
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
	}
	if (sec * 1000 <= d->now) {
		r = look_through(d, bucket, &empty);
	} else {
		r = any_job(bucket);
		empty = r == 0;
		if (r > 0 && sec * 1000 < d->first)
			d->first = sec * 1000;
	}
	int e = errno;
	fd_close(bucket);
	if (r >= 0 && empty && !newest)
		unlinkat(fd, name, AT_REMOVEDIR);
	errno = e;
	return r < 0 ? -1 : d->first != INT64_MAX;
}

static int each_second(struct due *d, int fd, const char *name, bool newest)
{
	struct names small;
	int64_t sec = (int64_t)strtoull(name, NULL, 10) * 1000;
	int dir = dir_open(fd, name), r = 0;
	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
	if (names_read(d->sp, &small, dir, all_digits) < 0)
		r = -1;
	for (size_t i = 0; i < small.n && r == 0; i++)
		r = look_into(d, dir, small.v[i], sec + (int64_t)strtoull(small.v[i], NULL, 10),
			newest && i == small.n - 1);
	int e = errno;
	names_free(&small);
	fd_close(dir);
	if (r == 0 && !newest)
		unlinkat(fd, name, AT_REMOVEDIR); /* if it is empty */
	errno = e;
	return r;
}

int delayed_promote(struct spool *sp, int64_t *first)
{
	struct due d = {sp, now_ms(), INT64_MAX};
	struct names big;
	int fd = state_look(sp, JOB_DELAYED), r = 0;
	*first = INT64_MAX;
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (names_read(sp, &big, fd, all_digits) < 0)
		return -1;
	for (size_t i = 0; i < big.n && r == 0; i++)
		r = each_second(&d, fd, big.v[i], i == big.n - 1);
	int e = errno;
	names_free(&big);
	errno = e;
	*first = d.first;
	return r < 0 ? -1 : 0;
}
