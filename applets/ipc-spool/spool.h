/* applets/ipc-spool/spool.h: what the files of ipc-spool share.
 *
 * The form of the directory is told once, in ipc-spool(1), FORMAT, and known to three files only:
 * store.c (names, buckets, settings), seq.c (the counter and its lock), job.c (a job's moves).
 */
#ifndef IPC_SPOOL_H
#define IPC_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "call.h"

enum state { JOB_NEW, JOB_CUR, JOB_DELAYED, JOB_DONE, JOB_DEAD, JOB_STATES };
enum sync { SYNC_FULL, SYNC_DATA, SYNC_NONE };

#define ID_MAX UINT64_C(999999999999) /* twelve digits, so that names sort */
#define PRIO_MAX 9
#define BUCKET 100     /* jobs in one directory, directories in the one above */
#define BIG_STEP 10000 /* = BUCKET * BUCKET; see seq.c on what a power cut does to the counter */
#define NAME_SIZE 96
#define PATH_SIZE 64 /* of a bucket below its state: "9/00000001/23" */
#define RECHECK (5 * NS_PER_S)
#define RECHECK_BLIND (NS_PER_S / 4) /* when inotify cannot be had */

/* Everything about a job but its bytes: its name says all this. */
struct job {
	uint64_t id;
	unsigned prio, attempt;
	int64_t due;  /* JOB_DELAYED: ms of CLOCK_REALTIME */
	int status;   /* JOB_DONE, JOB_DEAD */
	int64_t size; /* when leased */
	bool cut;     /* JOB_DONE: the data were given up, only the result is kept */
	bool summed;  /* put without --sync full: the data may not have reached the disk */
	uint64_t
		len; /* if so, their length and checksum, and the tag of the boot they were put in */
	uint32_t crc, boot;
	enum state state;
};

struct spool {
	struct call *call;
	const char *path;     /* for people, and IPC_OBJECT */
	int root;             /* the directory */
	int dirs[JOB_STATES]; /* of each state; -1 until state_fd() */
	int tmp, seq;         /* -1 until needed */
	mode_t mode;          /* of the directory: files get the same without x */
	uint64_t depth;       /* settings: 0 is no bound */
	uint64_t max_attempts;
	uint64_t keep; /* results of so many of the newest ids are kept */
	bool keep_data;
	unsigned version; /* of the format */
	uint32_t boot;    /* the tag of this boot; 0: not known */
	int done_fd;      /* the bucket in done/ used last, and its number; -1 */
	uint64_t done_bucket;
	char cuts[64]
		 [NAME_SIZE]; /* results in that bucket whose data can go once they are on disk */
	unsigned ncuts;
	uint64_t done_newest; /* the newest bucket with a result of ours; UINT64_MAX: none */
	bool noting; /* the lock on the counter is waited for, whatever -w says: what has happened must be noted */
	bool locked_out; /* the last wait for it was in vain */
	bool again;      /* a job could not be looked at now: look soon again */
	bool refused;    /* that a job is another's was said already */
	bool full;       /* a job could not be moved for want of space: see job_next() */
	char *env;       /* "IPC_OBJECT=PATH", for CMD */
	int64_t deadline;
	uint64_t foreign; /* names met that are none of ours */
};

/* ---- store.c ---- */

/* Open the spool that TEXT names, making it when CREATE. 0, or the status to return. */
int spool_open(struct call *call, const char *text, bool create, struct spool *sp);
/* The same; *MADE tells whether it was this call that made it. */
int spool_make(struct call *call, const char *text, bool create, struct spool *sp, bool *made);
/* Read the settings again, with the counter locked, before they are changed. 0 or a reported
 * status. */
int spool_reload(struct spool *sp);
/* Write the settings in SP to disk. 0 or -1. */
int spool_save(struct spool *sp);
/* Raise the format to what names with checksums need, with the counter locked. 0; -1 with errno. */
int spool_raise(struct spool *sp);
/* The absolute path, for programs that may work in another directory. */
const char *spool_absolute(struct spool *sp);
/* Remove the spool's own directory, named by the first operand, when it is empty. 0 or -1. */
int spool_rmdir(struct spool *sp);

/* ---- parts.c ---- */

/* Open the directory NAME in DIRFD, but through no link. -1 with errno. */
int dir_open(int dirfd, const char *name);

/* Has the spool been removed since it was opened? */
bool spool_gone(struct spool *sp);
/* Report ERRNUM as "DOING PATH: ..."; ESTALE: the spool was removed. The status. */
int spool_failed(struct spool *sp, int errnum, const char *doing);
/* The directory of STATE, made again when it is missing; -1 with errno, ESTALE: the spool was
 * removed. */
int state_fd(struct spool *sp, enum state state);
/* The same without making it: -1 with ENOENT when it is missing. */
int state_look(struct spool *sp, enum state state);
/* tmp/ and the counter, as state_fd. */
int tmp_fd(struct spool *sp);
int seq_fd(struct spool *sp);
const char *state_name(enum state state);
/* After ENOENT: close the descriptors on parts that were removed. True when there were any: then
 * it is worth while to try again. */
bool parts_forget(struct spool *sp);
/* All parts of a new spool. 0 or -1. */
int parts_make(struct spool *sp);
/* Held while parts are made or removed. 0, or -1 with EINTR when we are stopped. */
int parts_lock(struct spool *sp);
void parts_unlock(struct spool *sp);
/* A job's file name in JOB->state. Returns BUF. (names.c) */
char *job_name(const struct job *job, char buf[NAME_SIZE]);
/* The reverse. False: not a name of ours. */
bool job_parse(struct job *job, enum state state, const char *name);
/* The bucket of JOB below its state's directory; "" for cur. Returns BUF. */
char *job_bucket(const struct job *job, char buf[PATH_SIZE]);
/* Open that bucket; -1 with errno. With MAKE missing directories are made, and *MADE is set: the
 * caller knows what must be synced, see seq.c. */
int bucket_open(struct spool *sp, const struct job *job, bool make, bool *made);
/* fsync(2) the directories above JOB's bucket. 0 or -1. */
int bucket_sync_parents(struct spool *sp, const struct job *job);
/* A file in tmp/ or a bucket, with the spool's mode. -1 with errno. */
int file_create(struct spool *sp, int dirfd, const char *name);
/* Open NAME for reading if it is a regular file: whoever may write into the spool may have put a
 * FIFO there, whose reading has no end. -1 with errno: EBADMSG when it is something else. */
int file_regular(int dirfd, const char *name);

/* The names in the directory FD, sorted. KEEP says which count; others go to sp->foreign. */
struct names {
	char (*v)[NAME_SIZE];
	size_t n, cap;
};
int names_read(struct spool *sp, struct names *names, int fd, bool (*keep)(const char *));
void names_free(struct names *names);
bool any_name(const char *name);
bool all_digits(const char *name);

/* Call FN for each job of STATE in take order (priority, then id; JOB_DELAYED: by due second)
 * until it returns non-zero. DIRFD is the bucket. TIDY: buckets that turn out empty are removed,
 * but the newest. 0, FN's value, or -1 with errno. */
typedef int each_fn(void *arg, int dirfd, const struct job *job, const char *name);
int spool_each(struct spool *sp, enum state state, bool tidy, each_fn *fn, void *arg);
/* The same; when FN returns more than 0, the names behind that one in its bucket are kept in
 * *REST (NULL: are not): the next look can begin there, as long as nothing came in before them. */
struct rest {
	struct names names;
	size_t next;
	int fd; /* the bucket; -1: nothing is kept */
};
int spool_each_rest(
	struct spool *sp, enum state state, bool tidy, each_fn *fn, void *arg, struct rest *rest);
void rest_drop(struct rest *rest);
/* The same for those jobs of JOB_NEW, JOB_DONE or JOB_DEAD that share ID's bucket. */
int bucket_each(struct spool *sp, enum state state, uint64_t id, each_fn *fn, void *arg);
/* Find job ID in STATE: 1 with *JOB and its bucket in *DIRFD (to be closed), 0 not there, -1. */
int spool_find(struct spool *sp, enum state state, uint64_t id, struct job *job, int *dirfd);

/* ---- seq.c, draft.c ---- */

struct seq {
	int fd;
	uint64_t next;   /* the next id */
	uint64_t credit; /* so many jobs fit below --depth without counting again */
	bool unsynced;   /* directories below new/ or delayed/ may not be on disk */
	bool recovered;  /* first use after a boot, or the file was damaged */
};
/* Take the lock on the counter and read it. 0 or -1 (ETIMEDOUT, EAGAIN, EINTR, ...). */
int seq_lock(struct spool *sp, struct seq *seq);
/* Report that the lock was not had. The status. */
int seq_waited(struct spool *sp, int errnum);
int seq_write(struct seq *seq);
/* The counter of a new spool, in the new file FD, on disk. */
int seq_init(int fd);
/* Move the job NAME in the directory FROM to new/ or delayed/ as *TO says, as all must that adds
 * to what waits: under the lock, so that --depth is counted right and a missing bucket is known
 * to be unsynced. */
int seq_move(struct spool *sp, int from, const char *name, const struct job *to, bool adds);
void seq_unlock(struct seq *seq);
/* Wake those who wait for jobs without having written the counter. */
void seq_hint(struct spool *sp);

/* A job that is being put: its file in tmp/, locked so that nobody sweeps it away. */
struct draft {
	int fd;
	char tmp[NAME_SIZE];
	struct job job;
	bool published;
};
/* Open a draft. 0 or -1. */
int draft_open(struct spool *sp, struct draft *d);
void draft_drop(struct spool *sp, struct draft *d);
/* Bring the N drafts in, in one step for the lock: data to disk as SYNC says, ids, names,
 * directories to disk. 0; -1 with errno, then none is in (EAGAIN, ETIMEDOUT: no room below
 * --depth). *STUCK counts those that a worker took before an error could take them back. */
int drafts_publish(struct spool *sp, struct draft *d, size_t n, enum sync sync, size_t *stuck);

/* ---- job.c, done.c ---- */

/* Make FD's open file description the job's lease. 1, 0 when another has it, -1. */
int lease_try(int fd);
/* Is the file at NAME leased by anyone? Takes nothing. */
bool lease_held(int dirfd, const char *name);
void lease_drop(int fd);
/* The next job in order: moved to cur/ and leased. Returns the lease (open for reading and
 * writing, at the start) with *JOB; -1 with errno, ENOENT when there is none now. REST may be
 * NULL; else it is looked at first, so the caller drops it when jobs have come in. */
int job_next(struct spool *sp, struct job *job, struct rest *rest);
/* Bring back the jobs of dead workers and those whose delay is over. *DUE gets the ms of
 * CLOCK_REALTIME at which the next delayed job comes up, or INT64_MAX. 0 or -1. */
int job_recover(struct spool *sp, int64_t *due);

/* The second half of that, in delayed.c. */
int delayed_promote(struct spool *sp, int64_t *first);
/* There is no room to move the job: it is not lost, and others are not held up by it. Warns
 * once; 0. */
int job_stays(struct spool *sp, const struct job *job);

struct outcome {
	int status;         /* of CMD, or as told by ack and nack */
	int64_t delay;      /* ns until the next attempt; -1: the usual back-off from .backoff */
	int64_t backoff;    /* ns, doubled with each attempt */
	bool uncounted;     /* the attempt was ended by us and does not count */
	const char *reason; /* for dead/: first line */
	const char *tail;   /* and what follows it */
	size_t tail_len;
	enum sync sync;
};
#define BACKOFF NS_PER_S
#define BACKOFF_MAX (3600 * NS_PER_S)
/* The job in cur/ is done: to done/. 0; -1 with errno, ENOENT: no longer there. */
int job_done(struct spool *sp, const struct job *job, const struct outcome *o);
/* The data of finished jobs are given up only when their results are on disk: until then the job
 * may stand in new/ after a power cut, and must be whole. Do that now for those that wait for
 * it. Its failures cost only space. */
void job_cut_done(struct spool *sp);
/* Remove the kept output of job ID, unless there is a result for it. */
void job_drop_output(struct spool *sp, uint64_t id);
/* It failed: back to new/ or delayed/, or to dead/ after the last attempt. *DEAD tells. */
int job_failed(struct spool *sp, const struct job *job, const struct outcome *o, bool *dead);
/* From dead/, done/ or delayed/ (a bucket in DIRFD) back to new/. */
int job_requeue(struct spool *sp, int dirfd, const struct job *job);
/* Remove a job's file and what belongs to it. */
int job_remove(struct spool *sp, int dirfd, const struct job *job);
/* Unfinished jobs, at most MAX + 1 of them counted; -1 with errno. */
int64_t job_count(struct spool *sp, uint64_t max);
/* "ID.out", "ID.err", "ID.why": what stands beside a result. Returns BUF. */
char *side_name(uint64_t id, const char *suffix, char buf[NAME_SIZE]);
/* Is NAME one of these? */
bool side_parse(const char *name);
/* Make room for the result of JOB. 0 or -1. */
int done_reserve(struct spool *sp, const struct job *job);
/* Does ERRNUM say that the file system, or a quota, is full? */
bool no_room(int errnum);

/* ---- hint.c ---- */

/* An inotify descriptor on what changes when jobs come or go; -1 when it cannot be had (the
 * waiter then looks more often). */
int hint_open(struct spool *sp);
/* Only on what comes in. */
int hint_open_new(struct spool *sp);
/* And on cur/, for one that was opened so. 0 or -1. */
int hint_add_cur(struct spool *sp, int fd);
/* Take the events. True when there were any. */
bool hint_drain(int fd);
/* Sleep until something may have changed, DUE (ms of CLOCK_REALTIME) or sp->deadline. 0 to look
 * again, -1 with ETIMEDOUT, EAGAIN, EINTR. */
int hint_wait(struct spool *sp, int fd, int64_t due);
/* ms of CLOCK_REALTIME. */
int64_t now_ms(void);
/* The instant for wait_poll at which to look again: DUE, the re-check, the deadline: what is
 * first. */
int64_t hint_deadline(const struct spool *sp, int fd, int64_t due);

/* ---- take.c ---- */

/* Where is job ID? 1 with *JOB and its bucket in *DIRFD (to be closed), 0 nowhere, -1 with errno. */
int find_anywhere(struct spool *sp, uint64_t id, struct job *job, int *dirfd);
/* Lease the next job, waiting until sp->deadline. The lease, or -1 with errno. */
int take_job(struct spool *sp, struct job *job);

/* ---- the verbs ---- */

int run_create(struct call *call);
int run_put(struct call *call);
int run_take(struct call *call);
int run_guard(struct call *call);
int run_minder(struct call *call);
int run_ack(struct call *call);
int run_nack(struct call *call);
int run_requeue(struct call *call);
int run_run(struct call *call);
int run_wait(struct call *call);
int run_ls(struct call *call);
int run_stat(struct call *call);
int run_rm(struct call *call);

/* The options of each verb, by its own enum. */
enum { CREATE_DEPTH, CREATE_ATTEMPTS, CREATE_KEEP, CREATE_DATA, CREATE_EXCL };
enum { PUT_SYNC, PUT_PRIO, PUT_DELAY };
enum { TAKE_OWNER };
enum { END_STATUS, END_ATTEMPT, END_SYNC, END_DELAY, END_REASON };
enum { RUN_JOBS, RUN_BACKOFF, RUN_OUTPUT, RUN_GRACE, RUN_SYNC };
enum { WAIT_OUTPUT };
enum { LS_ALL };
enum { RM_DONE, RM_DEAD, RM_FORCE };

#endif
