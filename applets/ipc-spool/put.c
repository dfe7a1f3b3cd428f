/* applets/ipc-spool/put.c: create and put.
 *
 * Records are gathered into groups: as many as can be read without waiting, up to GROUP. A group
 * is written, synced and named together, and its ids are printed then. What goes wrong before
 * that leaves nothing of it. */
#define _GNU_SOURCE
#include "spool.h"

#include "copy.h"
#include "crc32c.h"
#include "fd.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#define GROUP 64                /* not more than BUCKET: a group is in two buckets at most */
#define SPARE 12                /* descriptors that publishing needs */
#define RECORD_MAX (256u << 20) /* of a record on stdin; files and --raw have no limit */

struct put {
	struct spool sp;
	struct draft drafts[GROUP];
	size_t n, most;
	enum sync sync;
	unsigned prio;
	int64_t delay;
	uint64_t limit; /* of descriptors */
};

static void drop_all(void *arg, intptr_t n)
{
	struct put *put = arg;
	(void)n;
	for (size_t i = 0; i < put->n; i++)
		draft_drop(&put->sp, &put->drafts[i]);
	put->n = 0;
}

static int failed(struct put *put, int errnum, size_t stuck)
{
	struct call *call = put->sp.call;
	if (stuck > 0)
		call_warn(call, 0,
			"%s: %zu of the jobs that fail now had been taken by workers already",
			put->sp.path, stuck);
	if (put->sp.locked_out)
		return seq_waited(&put->sp, errnum);
	if (errnum == EAGAIN || errnum == ETIMEDOUT || errnum == EINTR)
		return call_waited(call, errnum, "%s: no room, %llu jobs are unfinished (--depth)",
			put->sp.path, (unsigned long long)put->sp.depth);
	if (errnum == ESTALE || errnum == EROFS)
		return spool_failed(&put->sp, errnum, "put into");
	if (errnum == EOVERFLOW)
		return call_fail(call, ST_LIMIT, 0,
			"%s: all %llu ids are used up; start a new spool", put->sp.path,
			(unsigned long long)ID_MAX);
	return call_error(call, errnum, "put into %s: nothing of it is in", put->sp.path);
}

/* Bring in what has been gathered and print the ids. */
static int commit(struct put *put)
{
	struct call *call = put->sp.call;
	int64_t due = put->delay > 0 ? now_ms() + (put->delay + NS_PER_MS - 1) / NS_PER_MS : 0;
	size_t stuck;
	if (put->n == 0)
		return ST_OK;
	for (size_t i = 0; i < put->n; i++) {
		struct job *job = &put->drafts[i].job;
		*job = (struct job){.prio = put->prio,
			.due = due,
			.state = due > 0 ? JOB_DELAYED : JOB_NEW,
			.summed = put->sync != SYNC_FULL,
			.boot = put->sp.boot};
		if (job->summed && crc32c_file(put->drafts[i].fd, &job->len, &job->crc) < 0)
			return failed(put, errno, 0);
	}
	if (drafts_publish(&put->sp, put->drafts, put->n, put->sync, &stuck) < 0)
		return failed(put, errno, stuck);
	for (size_t i = 0; i < put->n; i++)
		out_fmt(&call->out, "%012llu\n", (unsigned long long)put->drafts[i].job.id);
	drop_all(put, 0);
	return call_flush(call);
}

/* A new draft at the end of the group, which is committed first when it is full or descriptors
 * are short. */
static int add(struct put *put, struct draft **d)
{
	if (put->n == put->most) {
		int status = commit(put);
		if (status != ST_OK)
			return status;
	}
	*d = &put->drafts[put->n];
	**d = (struct draft){.fd = -1};
	int r = draft_open(&put->sp, *d);
	if (r < 0 && (errno == EMFILE || errno == ENFILE) && put->n > 0) {
		int status = commit(put);
		if (status != ST_OK)
			return status;
		*d = &put->drafts[0];
		**d = (struct draft){.fd = -1};
		r = draft_open(&put->sp, *d);
	}
	if (r < 0)
		return failed(put, errno, 0);
	put->n++;
	/* Descriptors are given out from below: near the limit, keep some to finish with. */
	if ((uint64_t)(*d)->fd + SPARE >= put->limit)
		put->most = put->n;
	return ST_OK;
}

static int put_stream(struct put *put, int in, const char *name)
{
	struct draft *d;
	int status = add(put, &d);
	if (status != ST_OK)
		return status;
	struct copy copy = {.in = in,
		.out = d->fd,
		.max = UINT64_MAX,
		.idle = DEADLINE_NONE,
		.stop = &put->sp.call->stop};
	if (copy_stream(&copy) == 0)
		return ST_OK;
	if (copy.out_failed)
		return failed(put, errno, 0);
	if (errno == EINTR)
		return call_waited(put->sp.call, errno, "read %s", name);
	return call_fail(put->sp.call, errno == EISDIR ? ST_NOOBJ : ST_IO, errno, "read %s", name);
}

static int put_file(struct put *put, const char *name)
{
	struct call *call = put->sp.call;
	if (strcmp(name, "-") == 0)
		return put_stream(put, call->in, "stdin");
	int fd = fd_open(AT_FDCWD, name, O_RDONLY, 0);
	if (fd < 0)
		return call_error(call, errno, "open %s", name);
	int status = put_stream(put, fd, name);
	fd_close(fd);
	return status;
}

static int put_records(struct put *put)
{
	struct call *call = put->sp.call;
	struct frame_reader reader;
	char *rec;
	size_t len;
	int r, status = ST_OK;
	frame_start(&reader, call->in, frame_of(call), RECORD_MAX);
	reader.stop = &call->stop;
	while (status == ST_OK && (r = frame_read(&reader, &rec, &len)) > 0) {
		struct draft *d;
		status = add(put, &d);
		if (status == ST_OK && fd_write(d->fd, rec, len) < 0)
			status = failed(put, errno, 0);
		if (status == ST_OK && !frame_ready(&reader))
			status = commit(put);
	}
	if (status == ST_OK && r < 0)
		status = errno == EMSGSIZE
			? call_fail(call, ST_DATA, 0,
				  "stdin: a record is longer than %u bytes; use --raw or a FILE",
				  RECORD_MAX)
			: errno == EBADMSG
			? call_fail(call, ST_DATA, 0,
				  "stdin: ends inside a record of --record-size bytes")
			: call_waited(call, errno, "read stdin");
	frame_end(&reader);
	return status;
}

/* A bare word says nothing of where its spool lies: if that is in memory only, --sync full
 * promises too much. Said when it was asked for, and once when the spool is made. */
static void warn_of_tmpfs(struct put *put, bool made)
{
	struct call *call = put->sp.call;
	const char *text = call->args[0].str;
	struct statfs fs;
	if (put->sync != SYNC_FULL || strchr(text, '/') != NULL || strncmp(text, "file:", 5) == 0 ||
		(!made && call->opt[PUT_SYNC].count == 0) || fstatfs(put->sp.root, &fs) < 0)
		return;
	if ((uint32_t)fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC)
		call_warn(call, 0,
			"%s: lies in memory (tmpfs) and does not survive a power cut; use a path",
			put->sp.path);
}

int run_put(struct call *call)
{
	struct rlimit files;
	struct put *put = call_alloc(call, sizeof *put);
	if (put == NULL)
		return call_error(call, errno, "put");
	bool made;
	int status = spool_make(call, call->args[0].str, true, &put->sp, &made);
	if (status != ST_OK)
		return status;
	put->sync = (enum sync)call->opt[PUT_SYNC].num;
	warn_of_tmpfs(put, made);
	put->prio = call->opt[PUT_PRIO].count > 0 ? (unsigned)call->opt[PUT_PRIO].num : 5;
	put->delay = call->opt[PUT_DELAY].num;
	put->limit = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : UINT64_MAX;
	put->most = put->sp.depth > 0 && put->sp.depth < GROUP ? (size_t)put->sp.depth : GROUP;
	/* tmp/ is opened first: drop_all needs it. */
	if (tmp_fd(&put->sp) < 0)
		return spool_failed(&put->sp, errno, "open tmp/ of");
	call_undo(call, drop_all, put, 0);
	for (unsigned i = 1; i < call->nargs && status == ST_OK; i++)
		status = put_file(put, call->args[i].str);
	if (call->nargs == 1 && call->std[STD_RAW].count > 0)
		status = put_file(put, "-");
	else if (call->nargs == 1)
		status = put_records(put);
	return status == ST_OK ? commit(put) : status;
}

/* Change what was asked for, on a spool that may be in use: the others read it at their next
 * start. */
static int change(struct spool *sp)
{
	struct call *call = sp->call;
	struct seq seq;
	if (seq_lock(sp, &seq) < 0)
		return errno == EROFS ? spool_failed(sp, errno, "change")
				      : call_waited(call, errno, "lock %s/seq", sp->path);
	int status = spool_reload(sp);
	if (status != ST_OK) {
		seq_unlock(&seq);
		return status;
	}
	if (call->opt[CREATE_DEPTH].count > 0)
		sp->depth = (uint64_t)call->opt[CREATE_DEPTH].num;
	if (call->opt[CREATE_ATTEMPTS].count > 0)
		sp->max_attempts = (uint64_t)call->opt[CREATE_ATTEMPTS].num;
	if (call->opt[CREATE_KEEP].count > 0)
		sp->keep = (uint64_t)call->opt[CREATE_KEEP].num;
	if (call->opt[CREATE_DATA].count > 0)
		sp->keep_data = true;
	seq.credit = 0; /* was counted for another depth */
	bool ok = seq_write(&seq) == 0 && spool_save(sp) == 0;
	int e = errno;
	seq_unlock(&seq);
	return ok ? ST_OK : call_error(call, e, "save the settings of %s", sp->path);
}

int run_create(struct call *call)
{
	struct spool sp;
	bool changes = false, made = false;
	for (unsigned i = CREATE_DEPTH; i <= CREATE_DATA; i++)
		changes = changes || call->opt[i].count > 0;
	int status = spool_make(call, call->args[0].str, true, &sp, &made);
	if (status != ST_OK)
		return status;
	if (!made && call->opt[CREATE_EXCL].count > 0)
		return call_fail(call, ST_EXISTS, 0, "%s: exists already", sp.path);
	return changes ? change(&sp) : ST_OK;
}
