/* applets/ipc-spool/take.c: take and its guard, ack, nack, requeue: a worker made of single
 * commands.
 *
 * `take` ends long before the work does, so a guard process keeps the lease: it has the lock by
 * inheriting the descriptor, sleeps on the owner's pidfd, and goes when the owner ends or the
 * job leaves cur/. Whoever ends the job only moves the file; the guard sees that by inotify. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "lock.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the direction in which jobs go, so that one that moves meanwhile is not missed; what comes
 * back goes the other way, hence twice. */
int find_anywhere(struct spool *sp, uint64_t id, struct job *job, int *dirfd)
{
	static const enum state order[] = {JOB_NEW, JOB_CUR, JOB_DONE, JOB_DEAD, JOB_DELAYED,
		JOB_NEW, JOB_CUR, JOB_DONE, JOB_DEAD};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		int r = spool_find(sp, order[i], id, job, dirfd);
		if (r != 0)
			return r;
	}
	return 0;
}

int take_job(struct spool *sp, struct job *job)
{
	int hint = -1;
	for (bool armed = false;; armed = true) {
		int64_t due;
		if (job_recover(sp, &due) < 0)
			return -1;
		int lease = job_next(sp, job, NULL);
		if (lease >= 0 || errno != ENOENT) {
			call_close(sp->call, hint);
			return lease;
		}
		if (spool_gone(sp)) {
			errno = ESTALE;
			return -1;
		}
		if (sp->deadline == DEADLINE_NOW) {
			errno = EAGAIN;
			return -1;
		}
		if (armed)
			call_waits(sp->call, "waiting for a job in %s", sp->path);
		if (!armed)
			hint = hint_open(sp);
		else if (hint_wait(sp, hint, due) < 0)
			return -1;
	}
}

enum { GUARD_OWNER = 3, GUARD_LEASE, GUARD_CUR, GUARD_TOLD };

/* TOLD is where the guard reads a byte when the job has been printed: its end without one is our
 * death. */
static int start_guard(struct spool *sp, int owner, int lease, int told, const struct job *job)
{
	struct call *call = sp->call;
	char name[NAME_SIZE];
	job_name(job, name);
	char *argv[] = {(char *)(uintptr_t) "/proc/self/exe", (char *)(uintptr_t) "ipc-spool",
		(char *)(uintptr_t) "guard", name, NULL};
	int null = call_open(call, AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null < 0)
		return call_fail(call, ST_EARLY, errno, "open /dev/null");
	const struct spawn_fd fds[] = {{null, 0}, {null, 1}, {null, 2}, {owner, GUARD_OWNER},
		{lease, GUARD_LEASE}, {sp->dirs[JOB_CUR], GUARD_CUR}, {told, GUARD_TOLD}};
	/* A session of its own: the terminal's ^C is for the owner. */
	const struct spawn spawn = {
		.argv = argv, .fds = fds, .nfds = sizeof fds / sizeof *fds, .flags = SPAWN_SESSION};
	pid_t pid;
	return spawn_call(call, &spawn, &pid);
}

static int print_taken(struct spool *sp, const struct job *job, int lease)
{
	struct call *call = sp->call;
	struct stat st;
	struct json j;
	char name[NAME_SIZE];
	char *path = call_fmt(call, "%s/cur/%s", sp->path, job_name(job, name));
	if (path == NULL)
		return call_error(call, ENOMEM, "take job %012llu", (unsigned long long)job->id);
	if (call->std[STD_JSON].count == 0) {
		out_fmt(&call->out, "%012llu\t%s\n", (unsigned long long)job->id, path);
		return call_flush(call);
	}
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	snprintf(name, sizeof name, "%012llu", (unsigned long long)job->id);
	json_str(&j, "id", name);
	json_str(&j, "path", path);
	json_uint(&j, "priority", job->prio);
	json_uint(&j, "attempt", job->attempt);
	json_int(&j, "size", fstat(lease, &st) == 0 ? (int64_t)st.st_size : -1);
	json_close(&j, '}');
	return call_flush(call);
}

static int hand_over(struct spool *sp, int owner, int lease, const struct job *job)
{
	struct outcome back = {.uncounted = true};
	bool dead;
	int told[2];
	if (pipe2(told, O_CLOEXEC) < 0)
		return call_error(sp->call, errno, "take from %s", sp->path);
	call_own(sp->call, told[0]);
	call_own(sp->call, told[1]);
	int status = start_guard(sp, owner, lease, told[0], job);
	if (status == ST_OK)
		status = print_taken(sp, job, lease);
	if (status == ST_OK)
		(void)fd_write(told[1], "", 1);
	if (status != ST_OK) /* nobody knows of it: it was not taken */
		(void)job_failed(sp, job, &back, &dead);
	return status;
}

int run_take(struct call *call)
{
	struct spool sp;
	struct job job = {0};
	pid_t pid = call->opt[TAKE_OWNER].count > 0 ? (pid_t)call->opt[TAKE_OWNER].num : getppid();
	int owner = call_pidfd(call, pid);
	if (owner < 0)
		return call_fail(call, errno == ESRCH || errno == EINVAL ? ST_NOPEER : ST_LIMIT,
			errno, "--owner %ld", (long)pid);
	int status = spool_open(call, call->args[0].str, true, &sp);
	if (status != ST_OK)
		return status;
	int lease = call_own(call, take_job(&sp, &job));
	if (lease < 0 && (errno == EROFS || errno == ESTALE))
		return spool_failed(&sp, errno, "take from");
	if (lease < 0 && sp.locked_out)
		return seq_waited(&sp, errno);
	if (lease < 0)
		return call_waited(call, errno, "%s: no job", sp.path);
	return hand_over(&sp, owner, lease, &job);
}

/* take was killed before it had printed the job: nobody knows of it, so it goes back as if it
 * had not been taken. */
static int guard_gives_back(struct call *call)
{
	struct outcome back = {.uncounted = true};
	struct spool sp;
	struct job job;
	char root[48];
	bool dead;
	snprintf(root, sizeof root, "/proc/self/fd/%d/..", GUARD_CUR);
	if (!job_parse(&job, JOB_CUR, call->args[0].str) ||
		spool_open(call, root, false, &sp) != ST_OK)
		return ST_OK; /* the lease ends with us in any case */
	return job_failed(&sp, &job, &back, &dead) < 0 ? ST_IO : ST_OK;
}

/* Has take said that the job was printed? 1, 0 it has ended without, -1 not yet. */
static int told(short revents)
{
	char byte;
	return revents == 0 ? -1 : read(GUARD_TOLD, &byte, 1) == 1;
}

/* The guard: descriptors 3 to 6 as start_guard set them, the job's name in cur/ as operand. */
int run_guard(struct call *call)
{
	struct stat mine, st;
	/* Nothing else of the caller's: no pipe of its, no lock. */
	fd_close_from(GUARD_TOLD + 1);
	if (fstat(GUARD_LEASE, &mine) < 0)
		return call_fail(call, ST_USAGE, errno, "only take starts a guard");
	int hint = call_own(call, inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", GUARD_LEASE);
	bool blind = hint < 0 || inotify_add_watch(hint, path, IN_MOVE_SELF | IN_ATTRIB) < 0;
	struct pollfd p[] = {{.fd = GUARD_OWNER, .events = WAIT_END},
		{.fd = hint, .events = POLLIN}, {.fd = GUARD_TOLD, .events = POLLIN}};
	for (;;) {
		if (fstatat(GUARD_CUR, call->args[0].str, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			st.st_ino != mine.st_ino || st.st_dev != mine.st_dev)
			return ST_OK;
		int64_t at = wait_now() + (blind ? RECHECK_BLIND : RECHECK);
		if (wait_poll(p, 3, at, &call->stop) < 0 && errno != ETIMEDOUT)
			return ST_LIMIT;
		if (p[0].revents != 0)
			return ST_OK;
		int known = told(p[2].revents);
		if (known == 0)
			return guard_gives_back(call);
		if (known > 0)
			p[2].fd = -1;
		hint_drain(hint);
	}
}

/* ---- the end of a lease ---- */

/* The leased job that operand I names. */
static int find_leased(struct spool *sp, unsigned i, struct job *job)
{
	struct call *call = sp->call;
	uint64_t id = (uint64_t)call->args[i].num;
	struct job other;
	int dirfd = -1, r = spool_find(sp, JOB_CUR, id, job, &dirfd);
	if (r > 0) {
		struct stat st;
		char name[NAME_SIZE];
		job->size = fstatat(dirfd, job_name(job, name), &st, AT_SYMLINK_NOFOLLOW) == 0
			? st.st_size
			: 1; /* not known: then there may be data to give up */
	}
	fd_close(dirfd);
	if (r < 0)
		return call_error(call, errno, "look for job %012llu in %s", (unsigned long long)id,
			sp->path);
	const struct val *attempt = &call->opt[END_ATTEMPT];
	if (r > 0 && attempt->count > 0 && (uint64_t)attempt->num != job->attempt)
		return call_fail(call, ST_BROKEN, 0,
			"%s: job %012llu: the lease of attempt %lld was lost, attempt %u has it now",
			sp->path, (unsigned long long)id, (long long)attempt->num, job->attempt);
	if (r > 0)
		return ST_OK;
	dirfd = -1;
	r = find_anywhere(sp, id, &other, &dirfd);
	fd_close(dirfd);
	if (r > 0)
		return call_fail(call, ST_BROKEN, 0, "%s: job %012llu is not leased: it is in %s/",
			sp->path, (unsigned long long)id, state_name(other.state));
	return call_fail(call, ST_NOOBJ, 0, "%s: no job %012llu", sp->path, (unsigned long long)id);
}

static int lost(struct spool *sp, const struct job *job, const char *what)
{
	if (errno != ENOENT)
		return call_fail(sp->call, errno == EROFS ? ST_PERM : status_of(errno), errno,
			"%s job %012llu of %s", what, (unsigned long long)job->id, sp->path);
	return call_fail(sp->call, ST_BROKEN, 0,
		"%s: job %012llu: its lease was lost in this moment", sp->path,
		(unsigned long long)job->id);
}

static void to_outcome(const struct call *call, struct outcome *o, int status)
{
	*o = (struct outcome){.status = status,
		.delay = -1,
		.backoff = BACKOFF,
		.reason = "nack",
		.tail = "",
		.sync = SYNC_NONE};
	if (call->opt[END_STATUS].count > 0)
		o->status = (int)call->opt[END_STATUS].num;
	if (call->opt[END_SYNC].count > 0)
		o->sync = (enum sync)call->opt[END_SYNC].num;
}

int run_ack(struct call *call)
{
	struct spool sp;
	struct outcome o;
	struct job job;
	int status = spool_open(call, call->args[0].str, false, &sp);
	to_outcome(call, &o, 0);
	for (unsigned i = 1; i < call->nargs && status == ST_OK; i++) {
		status = find_leased(&sp, i, &job);
		if (status == ST_OK && job_done(&sp, &job, &o) < 0)
			status = lost(&sp, &job, "ack");
	}
	if (status == ST_OK)
		job_cut_done(&sp);
	return status;
}

#define LET_GO NS_PER_S /* the guard needs far less */

/* The job is back, but the guard still has its lock: who takes next should not find it locked. */
static void wait_released(struct spool *sp, int fd)
{
	if (fd < 0)
		return;
	int r = lock_fcntl(fd, LOCK_OFD, false, 0, 0, wait_until(LET_GO), &sp->call->stop);
	if (r < 0)
		call_note(sp->call, 1,
			"%s: the worker still holds the job; it can be taken when that ends",
			sp->path);
	lease_drop(fd);
	seq_hint(sp); /* for those who passed it over */
}

/* Are we in the CMD that ID was given to by run? Then its lease ends with CMD, which waits for us. */
static bool own_job(struct spool *sp, uint64_t id)
{
	const char *object = getenv("IPC_OBJECT"), *msg = getenv("IPC_MSG_ID");
	struct stat a, b;
	return object != NULL && msg != NULL && strtoull(msg, NULL, 10) == id &&
		stat(object, &a) == 0 && fstat(sp->root, &b) == 0 && a.st_ino == b.st_ino &&
		a.st_dev == b.st_dev;
}

static int nack_one(struct spool *sp, const struct job *job, const struct outcome *o)
{
	char name[NAME_SIZE];
	bool dead;
	int fd = fd_open(
		state_fd(sp, JOB_CUR), job_name(job, name), O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (job_failed(sp, job, o, &dead) < 0) {
		fd_close(fd);
		return lost(sp, job, "nack");
	}
	if (dead)
		call_warn(sp->call, 0, "%s: job %012llu: dead after attempt %u", sp->path,
			(unsigned long long)job->id, job->attempt);
	/* A dead one too: it may be requeued at once. */
	if (!own_job(sp, job->id))
		wait_released(sp, fd);
	fd_close(fd);
	return ST_OK;
}

int run_nack(struct call *call)
{
	struct spool sp;
	struct outcome o;
	struct job job;
	int status = spool_open(call, call->args[0].str, false, &sp);
	to_outcome(call, &o, 1);
	if (call->opt[END_DELAY].count > 0)
		o.delay = call->opt[END_DELAY].num;
	if (call->opt[END_REASON].count > 0)
		o.reason = call->opt[END_REASON].str;
	for (unsigned i = 1; i < call->nargs && status == ST_OK; i++) {
		status = find_leased(&sp, i, &job);
		if (status == ST_OK)
			status = nack_one(&sp, &job, &o);
	}
	return status;
}

static int requeue_one(struct spool *sp, uint64_t id)
{
	struct call *call = sp->call;
	struct job job;
	int dirfd = -1, r = find_anywhere(sp, id, &job, &dirfd);
	if (r > 0 && job.state == JOB_CUR) {
		fd_close(dirfd);
		return call_fail(call, ST_BUSY, 0, "%s: job %012llu is leased; nack it", sp->path,
			(unsigned long long)id);
	}
	if (r > 0 && job.cut) {
		fd_close(dirfd);
		return call_fail(call, ST_DATA, 0,
			"%s: job %012llu is done and its data were given up; see create --keep-data",
			sp->path, (unsigned long long)id);
	}
	if (r > 0 && job.state != JOB_NEW)
		r = job_requeue(sp, dirfd, &job) < 0 ? -1 : 1;
	int e = errno;
	fd_close(dirfd);
	if (r == 0 || (r < 0 && e == ENOENT))
		return call_fail(
			call, ST_NOOBJ, 0, "%s: no job %012llu", sp->path, (unsigned long long)id);
	return r > 0 ? ST_OK
		     : call_fail(call, e == EROFS ? ST_PERM : status_of(e), e,
			       "requeue job %012llu of %s", (unsigned long long)id, sp->path);
}

int run_requeue(struct call *call)
{
	struct spool sp;
	int status = spool_open(call, call->args[0].str, false, &sp);
	for (unsigned i = 1; i < call->nargs && status == ST_OK; i++)
		status = requeue_one(&sp, (uint64_t)call->args[i].num);
	return status;
}
