/* applets/ipc-spool/draft.c: how jobs come in: written in tmp/, then named in new/ or delayed/.
 *
 * Killed at any step of drafts_publish, what is left is: files in tmp/ without a lock, which the
 * next put that makes a bucket sweeps away; a gap in the ids; an empty bucket; whole jobs in
 * new/ whose ids were not printed. Each is a state that the next user goes on from. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int draft_open(struct spool *sp, struct draft *d)
{
	struct stat st;
	int dir;
	d->fd = -1;
	for (int tries = 0; (dir = tmp_fd(sp)) >= 0 && tries < 100; tries++) {
		snprintf(d->tmp, sizeof d->tmp, "%ld.%lld", (long)getpid(), (long long)wait_now());
		d->fd = file_create(sp, dir, d->tmp);
		if (d->fd < 0 && errno != EEXIST && (errno != ENOENT || !parts_forget(sp)))
			return -1;
		if (d->fd < 0)
			continue;
		/* The sweeper may have come between the two steps. */
		if (lease_try(d->fd) == 1 && fstat(d->fd, &st) == 0 && st.st_nlink > 0)
			return 0;
		fd_close(d->fd);
		d->fd = -1;
		errno = EAGAIN;
	}
	return -1;
}

void draft_drop(struct spool *sp, struct draft *d)
{
	if (d->fd >= 0 && !d->published)
		unlinkat(sp->tmp, d->tmp, 0);
	fd_close(d->fd);
	d->fd = -1;
}

/* Remove what killed puts left in tmp/: nobody has the lock. Called with the counter locked,
 * since a draft loses its own lock just before it gets its name. */
static void sweep(struct spool *sp)
{
	struct names names;
	int dir = tmp_fd(sp);
	uint64_t foreign = sp->foreign;
	if (dir < 0 || names_read(sp, &names, dir, any_name) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		int fd = fd_open(dir, names.v[i], O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
		if (fd >= 0 && lease_try(fd) == 1)
			unlinkat(dir, names.v[i], 0);
		fd_close(fd);
	}
	names_free(&names);
	sp->foreign = foreign;
}

/* Many files are synced in one go: a sync of the file system costs less than each file's own. */
#define MANY 8

static int sync_files(struct spool *sp, const struct draft *d, size_t n, enum sync sync)
{
	if (sync == SYNC_NONE)
		return 0;
	if (n >= MANY)
		return syncfs(sp->root);
	for (size_t i = 0; i < n; i++)
		if ((sync == SYNC_FULL ? fsync(d[i].fd) : fdatasync(d[i].fd)) < 0)
			return -1;
	return 0;
}

/* rename(2) that never overwrites. */
static int move_new(int from, const char *name, int to, const char *as)
{
	if (syscall(SYS_renameat2, from, name, to, as, 1 /* RENAME_NOREPLACE */) == 0)
		return 0;
	if (!fd_other_way(errno))
		return -1;
	return linkat(from, name, to, as, 0) < 0 ? -1 : unlinkat(from, name, 0);
}

static bool same_bucket(const struct job *a, const struct job *b)
{
	char one[PATH_SIZE], other[PATH_SIZE];
	return strcmp(job_bucket(a, one), job_bucket(b, other)) == 0;
}

/* Is some bucket of the drafts not there yet? 1, 0, -1. */
static int lacks_bucket(struct spool *sp, const struct draft *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && same_bucket(&d[i - 1].job, &d[i].job))
			continue;
		int fd = bucket_open(sp, &d[i].job, false, NULL);
		if (fd < 0)
			return errno == ENOENT ? 1 : -1;
		fd_close(fd);
	}
	return 0;
}

/* Something foreign stands where draft I was to go: all from there on get the next ids. */
static int step_aside(struct seq *seq, struct draft *d, size_t i, size_t n)
{
	if (seq->next > ID_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	for (; i < n; i++)
		d[i].job.id++;
	seq->next++;
	seq->unsynced = true; /* they may need another bucket now */
	return seq_write(seq);
}

/* Open the bucket of draft I in *FD, unless it is the one that is open. Room for the result is
 * made as well: on a full file system what is in can be done then. */
static int enter_bucket(struct spool *sp, const struct draft *d, size_t i, enum sync sync, int *fd)
{
	bool made = false;
	if (*fd >= 0 && i > 0 && same_bucket(&d[i - 1].job, &d[i].job))
		return 0;
	fd_close(*fd);
	*fd = bucket_open(sp, &d[i].job, true, &made);
	if (*fd < 0 || (made && done_reserve(sp, &d[i].job) < 0))
		return -1;
	return made && sync == SYNC_FULL ? bucket_sync_parents(sp, &d[i].job) : 0;
}

/* Give the drafts their names, bucket by bucket. */
static int name_drafts(struct spool *sp, struct seq *seq, struct draft *d, size_t n, enum sync sync)
{
	char name[NAME_SIZE];
	int fd = -1, r = 0, tries = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = enter_bucket(sp, d, i, sync, &fd);
		lease_drop(d[i].fd);
		while (r == 0 && move_new(sp->tmp, d[i].tmp, fd, job_name(&d[i].job, name)) < 0) {
			bool again = errno == ENOENT && tries++ < 100;
			r = again ? 0 : errno == EEXIST ? step_aside(seq, d, i, n) : -1;
			if (again) { /* the bucket was removed as an empty one */
				fd_close(fd);
				fd = -1;
			}
			if (r == 0)
				r = enter_bucket(sp, d, i, sync, &fd);
		}
		d[i].published = r == 0;
	}
	fd_close(fd);
	return r;
}

/* With the counter locked: ids, then names. */
static int enter(struct spool *sp, struct seq *seq, struct draft *d, size_t n, enum sync sync)
{
	uint64_t first = seq->next;
	if (first + n - 1 > ID_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		d[i].job.id = first + i;
	int lacks = lacks_bucket(sp, d, n);
	if (lacks < 0 || (sync == SYNC_FULL && seq->unsynced && syncfs(sp->root) < 0))
		return -1;
	seq->unsynced = lacks > 0 || (seq->unsynced && sync != SYNC_FULL);
	seq->next += n;
	seq->credit -= seq->credit < n ? seq->credit : n;
	bool step = seq->recovered || first / BIG_STEP != seq->next / BIG_STEP;
	if (seq_write(seq) < 0 || (step && fdatasync(seq->fd) < 0))
		return -1;
	if (lacks > 0)
		sweep(sp);
	if (name_drafts(sp, seq, d, n, sync) < 0)
		return -1;
	if (lacks > 0 && sync == SYNC_FULL && seq->next == first + n) {
		seq->unsynced = false;
		return seq_write(seq);
	}
	return 0;
}

static int sync_buckets(struct spool *sp, const struct draft *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && same_bucket(&d[i - 1].job, &d[i].job))
			continue;
		int fd = bucket_open(sp, &d[i].job, false, NULL);
		/* ENOENT: all of them were taken and the bucket removed already. */
		int r = fd < 0 ? (errno == ENOENT ? 0 : -1) : fsync(fd);
		fd_close(fd);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* Take back what is in, but for what a worker has by now. */
static size_t retract(struct spool *sp, struct draft *d, size_t n)
{
	char name[NAME_SIZE];
	size_t stuck = 0;
	for (size_t i = 0; i < n; i++) {
		if (!d[i].published)
			continue;
		int fd = bucket_open(sp, &d[i].job, false, NULL);
		if (fd < 0 || unlinkat(fd, job_name(&d[i].job, name), 0) < 0)
			stuck++;
		fd_close(fd);
	}
	return stuck;
}

/* Is there room for N more? 1, 0, -1. Between two counts the credit is what is surely free. */
static int has_room(struct spool *sp, struct seq *seq, size_t n)
{
	if (sp->depth == 0 || seq->credit >= n)
		return 1;
	int64_t have = job_count(sp, sp->depth);
	if (have < 0)
		return -1;
	seq->credit = (uint64_t)have < sp->depth ? sp->depth - (uint64_t)have : 0;
	return seq->credit >= n;
}

/* The lock on the counter, with room for N below the depth. */
static int lock_with_room(struct spool *sp, struct seq *seq, size_t n)
{
	int hint = -1;
	for (bool armed = false;; armed = true) {
		if (seq_lock(sp, seq) < 0)
			return -1;
		int room = has_room(sp, seq, n);
		if (room > 0) {
			call_close(sp->call, hint);
			return 0;
		}
		int e = errno;
		seq_unlock(seq);
		errno = e;
		if (room < 0)
			return -1;
		if (sp->deadline == DEADLINE_NOW) {
			errno = EAGAIN;
			return -1;
		}
		if (!armed)
			hint = hint_open(sp);
		else if (hint_wait(sp, hint, INT64_MAX) < 0)
			return -1;
	}
}

int drafts_publish(struct spool *sp, struct draft *d, size_t n, enum sync sync, size_t *stuck)
{
	struct seq seq;
	*stuck = 0;
	if (sync_files(sp, d, n, sync) < 0 || lock_with_room(sp, &seq, n) < 0)
		return -1;
	int r = sync != SYNC_FULL && spool_raise(sp) < 0 ? -1 : enter(sp, &seq, d, n, sync);
	int e = errno;
	seq_unlock(&seq);
	seq_hint(sp); /* the counter was written too early to wake anyone */
	if (r == 0 && sync == SYNC_FULL) {
		r = sync_buckets(sp, d, n);
		e = errno;
	}
	if (r < 0)
		*stuck = retract(sp, d, n);
	errno = e;
	return r;
}
