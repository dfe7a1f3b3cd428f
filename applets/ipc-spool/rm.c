/* applets/ipc-spool/rm.c: remove jobs, results, dead letters, or the whole spool.
 *
 * Only what is ours is removed: a foreign file stays, and with it the directory it is in.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int remove_it(void *arg, int dirfd, const struct job *job, const char *name)
{
	(void)name;
	return job_remove(arg, dirfd, job) < 0 && errno != ENOENT ? -1 : 0;
}

/* Remove the directories below FD, DEPTH levels of them, as far as they are empty, and side
 * files, whose jobs are gone. */
static void remove_dirs(struct spool *sp, int fd, int depth)
{
	struct names names;
	if (fd < 0 || names_read(sp, &names, fd, any_name) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		if (side_parse(names.v[i]))
			unlinkat(fd, names.v[i], 0);
		if (depth == 0)
			continue;
		int sub = fd_open(fd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (sub < 0)
			continue;
		remove_dirs(sp, sub, depth - 1);
		fd_close(sub);
		unlinkat(fd, names.v[i], AT_REMOVEDIR);
	}
	names_free(&names);
}

/* All jobs of STATE; the directories go at the second walk, when they are empty, but for the
 * newest. */
static int empty_state(struct spool *sp, enum state state)
{
	for (int walk = 0; walk < 2; walk++)
		if (spool_each(sp, state, true, remove_it, sp) < 0)
			return call_error(
				sp->call, errno, "empty %s/%s", sp->path, state_name(state));
	if (state == JOB_DONE || state == JOB_DEAD)
		remove_dirs(sp, state_look(sp, state), 2);
	return ST_OK;
}

static int remove_job(struct spool *sp, uint64_t id)
{
	struct call *call = sp->call;
	struct job job;
	char name[NAME_SIZE];
	int dirfd = -1, r = find_anywhere(sp, id, &job, &dirfd);
	if (r > 0 && job.state == JOB_CUR && lease_held(dirfd, job_name(&job, name)) &&
		call->opt[RM_FORCE].count == 0) {
		fd_close(dirfd);
		return call_fail(call, ST_BUSY, 0,
			"%s: job %012llu is leased; end its worker, or --force", sp->path,
			(unsigned long long)id);
	}
	if (r > 0 && job_remove(sp, dirfd, &job) < 0)
		r = errno == ENOENT ? 0 : -1;
	int e = errno;
	fd_close(dirfd);
	if (r > 0) {
		seq_hint(sp); /* who waits for it, or for room, looks again */
		return ST_OK;
	}
	return r == 0 ? call_fail(call, ST_NOOBJ, 0, "%s: no job %012llu (or it moved just now)",
				sp->path, (unsigned long long)id)
		      : call_fail(call, e == EROFS ? ST_PERM : status_of(e), e,
				"remove job %012llu of %s", (unsigned long long)id, sp->path);
}

static void empty_tmp(struct spool *sp)
{
	struct names names;
	int dir = tmp_fd(sp);
	if (dir < 0 || names_read(sp, &names, dir, any_name) < 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		unlinkat(dir, names.v[i], 0);
	names_free(&names);
}

/* With the counter locked, so that no put is at work; one that waits for the lock finds its file
 * gone. */
static int remove_parts(struct spool *sp)
{
	for (enum state s = 0; s < JOB_STATES; s++) {
		int status = empty_state(sp, s);
		if (status != ST_OK)
			return status;
	}
	empty_tmp(sp);
	if (parts_lock(sp) < 0)
		return call_waited(sp->call, errno, "lock %s", sp->path);
	/* Without it nobody makes a part again that is missing. */
	unlinkat(sp->root, "format", 0);
	for (enum state s = 0; s < JOB_STATES; s++) {
		remove_dirs(sp, sp->dirs[s], 3);
		unlinkat(sp->root, state_name(s), AT_REMOVEDIR);
	}
	unlinkat(sp->root, "tmp", AT_REMOVEDIR);
	unlinkat(sp->root, "seq", 0);
	parts_unlock(sp);
	if (spool_rmdir(sp) < 0)
		return call_fail(sp->call, ST_EXISTS, errno,
			"remove %s: something in it is not ours", sp->path);
	return ST_OK;
}

static int remove_spool(struct spool *sp)
{
	struct seq seq;
	if (seq_lock(sp, &seq) < 0)
		return errno == EROFS ? spool_failed(sp, errno, "remove")
				      : call_waited(sp->call, errno, "lock %s/seq", sp->path);
	int64_t n = job_count(sp, 0);
	int status;
	if (n < 0)
		status = call_error(sp->call, errno, "count the jobs in %s", sp->path);
	else if (n > 0 && sp->call->opt[RM_FORCE].count == 0)
		status = call_fail(sp->call, ST_BUSY, 0,
			"%s: has unfinished jobs; --force removes them", sp->path);
	else
		status = remove_parts(sp);
	seq_unlock(&seq);
	return status;
}

int run_rm(struct call *call)
{
	struct spool sp;
	bool done = call->opt[RM_DONE].count > 0, dead = call->opt[RM_DEAD].count > 0;
	int status = spool_open(call, call->args[0].str, false, &sp);
	if (status == ST_OK && (done || dead) && call->nargs > 1)
		return call_fail(call, ST_USAGE, 0,
			"--done and --dead are for all such jobs: no ID with them");
	if (status == ST_OK && done)
		status = empty_state(&sp, JOB_DONE);
	if (status == ST_OK && dead)
		status = empty_state(&sp, JOB_DEAD);
	if (status != ST_OK || done || dead)
		return status;
	for (unsigned i = 1; i < call->nargs && status == ST_OK; i++)
		status = remove_job(&sp, (uint64_t)call->args[i].num);
	return call->nargs > 1 ? status : remove_spool(&sp);
}
