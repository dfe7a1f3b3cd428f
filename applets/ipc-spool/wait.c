/* applets/ipc-spool/wait.c: wait until jobs are done, however long ago that was.
 *
 * Only the parent of a process learns its status, so the status is kept in the result's name, where anyone may read
 * it. Results are looked up by bucket: one small directory tells about a hundred ids.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "copy.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pending {
	uint64_t id;
	int status; /* -1: not known yet */
};

struct waiting {
	struct spool sp;
	struct pending *jobs; /* sorted by id */
	size_t n, cap, first; /* all before first are known */
};

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct pending *)a)->id, y = ((const struct pending *)b)->id;
	return x < y ? -1 : x > y;
}

static bool add(struct waiting *w, uint64_t id)
{
	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 64 : w->cap * 2;
		struct pending *more = realloc(w->jobs, cap * sizeof *more);
		if (more == NULL)
			return false;
		w->jobs = more;
		w->cap = cap;
	}
	w->jobs[w->n++] = (struct pending){id, -1};
	return true;
}

static void free_jobs(void *arg, intptr_t n)
{
	struct waiting *w = arg;
	(void)n;
	free(w->jobs);
	w->jobs = NULL;
}

static int add_unfinished(void *arg, int dirfd, const struct job *job, const char *name)
{
	(void)dirfd;
	(void)name;
	return add(arg, job->id) ? 0 : -1;
}

/* The jobs in question: the operands, or all that are unfinished now. */
static int collect(struct waiting *w)
{
	static const enum state states[] = {JOB_DELAYED, JOB_NEW, JOB_CUR};
	struct call *call = w->sp.call;
	for (unsigned i = 1; i < call->nargs; i++)
		if (!add(w, (uint64_t)call->args[i].num))
			return -1;
	for (size_t i = 0; call->nargs == 1 && i < sizeof states / sizeof *states; i++)
		if (spool_each(&w->sp, states[i], false, add_unfinished, w) < 0)
			return -1;
	if (w->n > 1)
		qsort(w->jobs, w->n, sizeof *w->jobs, by_id);
	return 0;
}

static int note_status(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct waiting *w = arg;
	(void)dirfd;
	(void)name;
	for (size_t i = w->first; i < w->n && w->jobs[i].id <= job->id; i++)
		if (w->jobs[i].id == job->id)
			w->jobs[i].status = job->status;
	return 0;
}

/* Read the results in the bucket of the first job that is not known. */
static int look(struct waiting *w)
{
	for (enum state s = JOB_DONE; s <= JOB_DEAD; s++)
		if (bucket_each(&w->sp, s, w->jobs[w->first].id, note_status, w) < 0)
			return -1;
	return 0;
}

/* 1: is still to be done; 0: does not exist; -1. */
static int exists(struct waiting *w)
{
	struct job job;
	int dirfd = -1;
	parts_forget(&w->sp);
	int r = find_anywhere(&w->sp, w->jobs[w->first].id, &job, &dirfd);
	fd_close(dirfd);
	return r;
}

static int await(struct waiting *w)
{
	struct spool *sp = &w->sp;
	int hint = -1;
	int64_t sure =
		0; /* when the job was last seen to exist: not at each wake-up, it may cost */
	for (bool armed = false; w->first < w->n;) {
		if (w->jobs[w->first].status >= 0) {
			w->first++;
			sure = 0;
			continue;
		}
		if (look(w) < 0)
			return call_error(sp->call, errno, "read the results in %s", sp->path);
		if (w->jobs[w->first].status >= 0)
			continue;
		if (sure < wait_now()) {
			int r = exists(w);
			if (r < 0)
				return call_error(sp->call, errno, "read %s", sp->path);
			if (r == 0 && look(w) == 0 && w->jobs[w->first].status < 0)
				return call_fail(sp->call, ST_NOOBJ, 0,
					"%s: no job %012llu, and no result of it (any more)",
					sp->path, (unsigned long long)w->jobs[w->first].id);
			sure = wait_now() + RECHECK;
			continue;
		}
		if (!armed)
			hint = hint_open(sp);
		else if (hint_wait(sp, hint, INT64_MAX) < 0)
			return call_waited(sp->call, errno, "%s: job %012llu is not done", sp->path,
				(unsigned long long)w->jobs[w->first].id);
		armed = true;
	}
	return ST_OK;
}

static int print_output(struct waiting *w, uint64_t id)
{
	struct call *call = w->sp.call;
	struct job job = {.id = id, .state = JOB_DONE};
	char name[NAME_SIZE];
	int bucket = bucket_open(&w->sp, &job, false, NULL);
	int fd = bucket < 0 ? -1 : file_regular(bucket, side_name(id, "out", name));
	int e = errno;
	fd_close(bucket);
	if (fd < 0 && e == ENOENT)
		return ST_OK;
	struct copy copy = {.in = fd,
		.out = call->out.fd,
		.max = UINT64_MAX,
		.idle = DEADLINE_NONE,
		.stop = &call->stop};
	int r = fd < 0 ? -1 : copy_stream(&copy);
	e = fd < 0 ? e : errno;
	fd_close(fd);
	if (r == 0)
		return ST_OK;
	return copy.out_failed
		? call_stdout_error(call, e)
		: call_error(call, e, "read the output of job %012llu", (unsigned long long)id);
}

int run_wait(struct call *call)
{
	struct waiting *w = call_alloc(call, sizeof *w);
	int worst = 0;
	if (w == NULL)
		return call_error(call, errno, "wait");
	int status = spool_open(call, call->args[0].str, false, &w->sp);
	if (status != ST_OK)
		return status;
	call_undo(call, free_jobs, w, 0);
	if (collect(w) < 0)
		return call_error(call, errno, "read %s", w->sp.path);
	status = await(w);
	for (unsigned i = 1; i < call->nargs && status == ST_OK && call->opt[WAIT_OUTPUT].count > 0;
		i++)
		status = print_output(w, (uint64_t)call->args[i].num);
	for (size_t i = 0; i < w->n; i++)
		worst = w->jobs[i].status > worst ? w->jobs[i].status : worst;
	return status == ST_OK ? worst : status;
}
