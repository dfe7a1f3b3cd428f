/* applets/ipc-spool/seq.c: the counter and its lock.
 *
 * The file `seq` holds the next id in one line of fixed length that is overwritten in place:
 *
 *	next 000000000042 dirs synced credit 000000000000 boot 8f0e...
 *
 * Its lock (OFD) is held for the few steps in which jobs come in, so ids are in order of publication. It
 * is written before the jobs get their names: a put that is killed in between leaves a gap, never
 * two jobs with one id.
 *
 * The counter is not synced for each job. It is on disk whenever it passes a multiple of BIG_STEP; so
 * after another boot, or when another host has used it, the next multiple of BIG_STEP is above all ids
 * ever given. When the file is damaged, the multiple above every job found is taken. So ids have gaps,
 * and nothing may take them for a count.
 *
 * `dirs unsynced` is written before a directory is made below new/ or delayed/, and `synced` only when
 * the directories above it are on disk: a put that finds it unsynced cannot know which ones are
 * missing, and syncs the file system before it goes on.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "lock.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE 128
#define NOTE_AFTER_STOP (5 * NS_PER_S)
#define LOCK_AT_LEAST NS_PER_S /* the lock is held for moments: -n is about room, not about this */

static int write_line(int fd, const struct seq *seq, const char *boot)
{
	char line[LINE];
	int n = snprintf(line, sizeof line, "next %012llu dirs %s credit %012llu boot %-36.36s\n",
		(unsigned long long)seq->next, seq->unsynced ? "unsynced" : "  synced",
		(unsigned long long)seq->credit, boot);
	return fd_pwrite(fd, line, (size_t)n, 0);
}

int seq_write(struct seq *seq)
{
	char boot[40];
	(void)proc_boot_id(boot);
	return write_line(seq->fd, seq, boot);
}

int seq_init(int fd)
{
	struct seq seq = {.fd = fd, .next = 1, .unsynced = true};
	return seq_write(&seq) < 0 ? -1 : fsync(fd);
}

static bool parse_line(char *line, struct seq *seq, char boot[40])
{
	char *save, *word[8];
	uint64_t next, credit;
	size_t n = 0;
	for (char *w = strtok_r(line, " \n", &save); w != NULL && n < 8;
		w = strtok_r(NULL, " \n", &save))
		word[n++] = w;
	if (n < 7 || strcmp(word[0], "next") != 0 || strcmp(word[2], "dirs") != 0 ||
		strcmp(word[4], "credit") != 0 || strcmp(word[6], "boot") != 0)
		return false;
	if (num_uint(word[1], &next) != NULL || num_uint(word[5], &credit) != NULL || next == 0 ||
		next > ID_MAX + 1)
		return false;
	seq->next = next;
	seq->credit = credit;
	seq->unsynced = strcmp(word[3], "synced") != 0;
	snprintf(boot, 40, "%s", n > 7 ? word[7] : "");
	return true;
}

static int highest(void *arg, int dirfd, const struct job *job, const char *name)
{
	uint64_t *max = arg;
	(void)dirfd;
	(void)name;
	if (job->id > *max)
		*max = job->id;
	return 0;
}

/* What is in the file may be old or nothing: go to the multiple of BIG_STEP above all that is
 * known. Old means less than BIG_STEP behind; only of a damaged one nothing is known, and the
 * jobs are looked at. */
static int recount(struct spool *sp, struct seq *seq, bool damaged)
{
	uint64_t max = damaged ? 0 : seq->next - 1;
	for (enum state s = 0; damaged && s < JOB_STATES; s++)
		if (spool_each(sp, s, false, highest, &max) < 0)
			return -1;
	seq->recovered = true;
	seq->next = damaged && max == 0 ? 1 : (max / BIG_STEP + 1) * BIG_STEP;
	seq->credit = 0;
	seq->unsynced = true;
	return 0;
}

static int read_counter(struct spool *sp, struct seq *seq)
{
	char line[LINE], boot[40], now[40];
	ssize_t n = fd_pread(seq->fd, line, sizeof line - 1, 0);
	if (n < 0)
		return -1;
	line[n] = '\0';
	(void)proc_boot_id(now);
	bool whole = parse_line(line, seq, boot);
	if (whole && now[0] != '\0' && strcmp(boot, now) == 0)
		return 0;
	if (!whole)
		call_warn(sp->call, 0, "%s/seq: %s; counted anew from the jobs", sp->path,
			n == 0 ? "was missing" : "damaged");
	return recount(sp, seq, !whole);
}

/* Whoever has the lock has it for moments; only a process that was stopped keeps it longer, and
 * then we say what we wait for. What has happened is noted whatever -w says, and for a while
 * even after a stop signal. */
static int lock_counter(struct spool *sp, int fd)
{
	const struct stop *stop = &sp->call->stop;
	int64_t deadline = sp->noting ? DEADLINE_NONE : sp->deadline;
	int r = lock_fcntl(fd, LOCK_OFD, false, 0, 0, wait_until(LOCK_AT_LEAST), stop);
	sp->locked_out = r < 0;
	if (r < 0 && errno == ETIMEDOUT && deadline > wait_now()) {
		call_warn(sp->call, 0, "%s/seq: another process has its lock; waiting for it",
			sp->path);
		r = lock_fcntl(fd, LOCK_OFD, false, 0, 0, deadline, stop);
	}
	if (r < 0 && errno == EINTR && sp->noting)
		r = lock_fcntl(fd, LOCK_OFD, false, 0, 0, wait_until(NOTE_AFTER_STOP), NULL);
	if (r < 0 && errno == ETIMEDOUT && sp->deadline == DEADLINE_NOW)
		errno = EAGAIN;
	sp->locked_out = r < 0;
	return r;
}

int seq_waited(struct spool *sp, int errnum)
{
	return call_waited(sp->call, errnum, "%s/seq: another process has its lock", sp->path);
}

int seq_lock(struct spool *sp, struct seq *seq)
{
	for (int tries = 0; tries < 100; tries++) {
		struct stat st;
		*seq = (struct seq){.fd = seq_fd(sp)};
		if (seq->fd < 0 || lock_counter(sp, seq->fd) < 0)
			return -1;
		if (fstat(seq->fd, &st) == 0 && st.st_nlink > 0)
			break;
		/* Removed meanwhile: alone, then it is made again, or with the spool. */
		seq_unlock(seq);
		parts_forget(sp);
	}
	int r = read_counter(sp, seq);
	if (r < 0)
		seq_unlock(seq);
	return r;
}

void seq_unlock(struct seq *seq)
{
	lease_drop(seq->fd);
}

void seq_hint(struct spool *sp)
{
	(void)utimensat(sp->root, "seq", NULL, AT_SYMLINK_NOFOLLOW);
}

static int move_locked(struct spool *sp, struct seq *seq, int from, const char *name,
	const struct job *to, bool adds)
{
	char as[NAME_SIZE];
	int fd = bucket_open(sp, to, false, NULL), r = 0;
	bool lacks = fd < 0 && errno == ENOENT, made = false;
	if ((lacks && !seq->unsynced) || (adds && seq->credit > 0)) {
		seq->unsynced = seq->unsynced || lacks;
		seq->credit -= adds && seq->credit > 0;
		r = seq_write(seq);
	}
	if (r == 0 && lacks)
		fd = bucket_open(sp, to, true, &made);
	r = fd < 0 || r < 0 ? -1 : renameat(from, name, fd, job_name(to, as));
	fd_close(fd);
	return r;
}

int seq_move(struct spool *sp, int from, const char *name, const struct job *to, bool adds)
{
	struct seq seq;
	if (seq_lock(sp, &seq) < 0)
		return -1;
	int r = move_locked(sp, &seq, from, name, to, adds);
	for (int tries = 0; r < 0 && errno == ENOENT && tries < 100; tries++) {
		/* Which of the two is missing: the job, or the bucket, removed as an empty one? */
		struct stat st;
		if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		r = move_locked(sp, &seq, from, name, to, adds);
	}
	int e = errno;
	seq_unlock(&seq);
	if (r == 0)
		seq_hint(sp);
	errno = e;
	return r;
}
