/* applets/ipc-spool/names.c: the names of jobs and buckets, and walking through them.
 *
 * A job's name says all about it, so that one rename(2) is one change of state:
 *
 *	new/PRIO/BIG/SMALL/ID.PRIO.ATTEMPTS
 *	cur/ID.PRIO.ATTEMPTS
 *	delayed/SECOND:1000/SECOND/ID.PRIO.ATTEMPTS.tMS
 *	done/BIG/SMALL/ID.PRIO.ATTEMPTS.sSTATUS[.cut]
 *	dead/BIG/SMALL/ID.PRIO.ATTEMPTS.sSTATUS
 *
 * After ATTEMPTS, .zLENGTH-CRC32C-BOOT (hexadecimal) stands in the name of a job that was put without --sync full.
 *
 * BIG is the id without its last four digits, SMALL the two before the last two. So no directory of
 * jobs has more than a hundred names, and the first job is found by reading three or four small directories
 * however many jobs there are: readdir(3) gives names in no order, a flat directory would have to be read
 * whole for each job.
 */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *job_name(const struct job *job, char buf[NAME_SIZE])
{
	int n = snprintf(buf, NAME_SIZE, "%012llu.%u.%u", (unsigned long long)job->id, job->prio,
		job->attempt);
	size_t len = n > 0 ? (size_t)n : 0;
	if (job->summed) {
		n = snprintf(buf + len, NAME_SIZE - len, ".z%llx-%08x-%08x",
			(unsigned long long)job->len, job->crc, job->boot);
		len += n > 0 ? (size_t)n : 0;
	}
	if (job->state == JOB_DELAYED)
		snprintf(buf + len, NAME_SIZE - len, ".t%lld", (long long)job->due);
	else if (job->state == JOB_DONE || job->state == JOB_DEAD)
		snprintf(buf + len, NAME_SIZE - len, ".s%d%s", job->status, job->cut ? ".cut" : "");
	return buf;
}

/* Digits at *S up to MAX; moves *S behind them. */
static bool digits(const char **s, uint64_t max, uint64_t *n)
{
	const char *p = *s;
	for (*n = 0; *p >= '0' && *p <= '9'; p++) {
		*n = *n * 10 + (uint64_t)(*p - '0');
		if (*n > max)
			return false;
	}
	bool any = p > *s;
	*s = p;
	return any;
}

static bool field(const char **s, const char *before, uint64_t max, uint64_t *n)
{
	size_t len = strlen(before);
	if (strncmp(*s, before, len) != 0)
		return false;
	*s += len;
	return digits(s, max, n);
}

/* "BEFORE" and up to 16 hexadecimal digits at *S; moves *S after them. */
static bool hex_field(const char **s, const char *before, uint64_t *n)
{
	size_t len = strlen(before), i = 0;
	if (strncmp(*s, before, len) != 0)
		return false;
	for (*n = 0, *s += len; i < 16; i++, ++*s) {
		char c = **s;
		if (c >= '0' && c <= '9')
			*n = *n << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*n = *n << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	return i > 0;
}

static bool parse_sum(struct job *job, const char **s)
{
	uint64_t crc, boot;
	if (!hex_field(s, ".z", &job->len) || !hex_field(s, "-", &crc) || !hex_field(s, "-", &boot))
		return false;
	job->summed = true;
	job->crc = (uint32_t)crc;
	job->boot = (uint32_t)boot;
	return true;
}

bool job_parse(struct job *job, enum state state, const char *name)
{
	uint64_t prio, attempt, more = 0;
	char again[NAME_SIZE];
	const char *s = name;
	*job = (struct job){.state = state};
	if (!digits(&s, ID_MAX, &job->id) || !field(&s, ".", PRIO_MAX, &prio) ||
		!field(&s, ".", 1000000, &attempt))
		return false;
	job->prio = (unsigned)prio;
	job->attempt = (unsigned)attempt;
	if (strncmp(s, ".z", 2) == 0 && !parse_sum(job, &s))
		return false;
	if (state == JOB_DELAYED) {
		if (!field(&s, ".t", INT64_MAX / 1000000, &more))
			return false;
		job->due = (int64_t)more;
	} else if (state == JOB_DONE || state == JOB_DEAD) {
		if (!field(&s, ".s", 255, &more))
			return false;
		job->status = (int)more;
		job->cut = state == JOB_DONE && strcmp(s, ".cut") == 0;
		s += job->cut ? 4 : 0;
	}
	/* One way of writing each: no sign, no missing zero, nothing behind. */
	return *s == '\0' && strcmp(job_name(job, again), name) == 0;
}

char *job_bucket(const struct job *job, char buf[PATH_SIZE])
{
	unsigned long long big = job->id / BIG_STEP, small = job->id / BUCKET % BUCKET;
	unsigned long long sec = job->due > 0 ? (unsigned long long)job->due / 1000 : 0;
	buf[0] = '\0';
	if (job->state == JOB_NEW)
		snprintf(buf, PATH_SIZE, "%u/%08llu/%02llu", job->prio, big, small);
	else if (job->state == JOB_DELAYED)
		snprintf(buf, PATH_SIZE, "%010llu/%03llu", sec / 1000, sec % 1000);
	else if (job->state != JOB_CUR)
		snprintf(buf, PATH_SIZE, "%08llu/%02llu", big, small);
	return buf;
}

char *side_name(uint64_t id, const char *suffix, char buf[NAME_SIZE])
{
	snprintf(buf, NAME_SIZE, "%012llu.%s", (unsigned long long)id, suffix);
	return buf;
}

bool side_parse(const char *name)
{
	size_t len = strspn(name, "0123456789");
	name += len;
	return len == 12 &&
		(strcmp(name, ".out") == 0 || strcmp(name, ".err") == 0 ||
			strcmp(name, ".why") == 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool add_name(struct names *names, const char *name)
{
	if (names->n == names->cap) {
		size_t cap = names->cap == 0 ? 128 : names->cap * 2;
		void *more = realloc(names->v, cap * NAME_SIZE);
		if (more == NULL)
			return false;
		names->v = more;
		names->cap = cap;
	}
	strcpy(names->v[names->n++], name);
	return true;
}

static int read_names(struct spool *sp, struct names *names, DIR *dir, bool (*keep)(const char *))
{
	errno = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL; errno = 0) {
		if (e->d_name[0] == '.')
			continue;
		if (strlen(e->d_name) >= NAME_SIZE || !keep(e->d_name))
			sp->foreign++;
		else if (!add_name(names, e->d_name))
			return -1;
	}
	/* A directory that was removed while it was read is an empty one. */
	return errno == 0 || errno == ENOENT ? 0 : -1;
}

int names_read(struct spool *sp, struct names *names, int fd, bool (*keep)(const char *))
{
	*names = (struct names){0};
	int copy = fd_open(fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (copy < 0 && errno == ENOENT)
		return 0;
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (dir == NULL) {
		fd_close(copy);
		return -1;
	}
	int r = read_names(sp, names, dir, keep);
	int e = errno;
	closedir(dir);
	if (r < 0)
		names_free(names);
	else if (names->n > 1)
		qsort(names->v, names->n, NAME_SIZE, by_name);
	errno = e;
	return r;
}

void names_free(struct names *names)
{
	free(names->v);
	*names = (struct names){0};
}

bool any_name(const char *name)
{
	return *name != '\0';
}

bool all_digits(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

static bool side_or_job(const char *name)
{
	size_t len = strspn(name, "0123456789");
	return len == 12 && name[len] == '.';
}

struct walk {
	struct spool *sp;
	enum state state;
	bool tidy;
	each_fn *fn;
	void *arg;
	struct rest *rest; /* may be NULL */
};

/* Keep what was not looked at of the bucket in which FN was content. */
static void keep_rest(struct walk *w, int fd, struct names *names, size_t next)
{
	rest_drop(w->rest);
	w->rest->fd = fd_dup(fd, 3);
	if (w->rest->fd < 0)
		return;
	w->rest->names = *names;
	w->rest->next = next;
	*names = (struct names){0};
}

static int walk_jobs(struct walk *w, int fd, struct names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		struct job job;
		const char *name = names->v[i];
		if (!job_parse(&job, w->state, name)) {
			w->sp->foreign += !side_parse(name);
			continue;
		}
		int r = w->fn(w->arg, fd, &job, name);
		if (r > 0 && w->rest != NULL)
			keep_rest(w, fd, names, i + 1);
		if (r != 0)
			return r;
	}
	return 0;
}

static int walk(struct walk *w, int fd, int depth, bool newest, bool *empty);

/* The directories in FD one after the other. Only an empty one that is not the newest is removed: the newest
 * is where the next job comes, and would be made again at once. */
static int walk_dirs(struct walk *w, int fd, int depth, bool newest, const struct names *names)
{
	bool prios = w->state == JOB_NEW && depth == 3;
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[prios ? names->n - 1 - i : i];
		bool empty, last = prios || (newest && i == names->n - 1);
		int sub = fd_open(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (sub < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
			w->sp->foreign += errno != ENOENT;
			continue;
		}
		int r = sub < 0 ? -1 : walk(w, sub, depth - 1, last, &empty);
		fd_close(sub);
		if (r != 0)
			return r;
		if (w->tidy && empty && !last)
			unlinkat(fd, name, AT_REMOVEDIR);
	}
	return 0;
}

static int walk(struct walk *w, int fd, int depth, bool newest, bool *empty)
{
	struct names names;
	if (names_read(w->sp, &names, fd, depth > 0 ? all_digits : side_or_job) < 0)
		return -1;
	*empty = names.n == 0;
	int r = depth > 0 ? walk_dirs(w, fd, depth, newest, &names) : walk_jobs(w, fd, &names);
	int e = errno;
	names_free(&names);
	errno = e;
	return r;
}

int spool_each_rest(
	struct spool *sp, enum state state, bool tidy, each_fn *fn, void *arg, struct rest *rest)
{
	static const int depths[JOB_STATES] = {
		[JOB_NEW] = 3, [JOB_DELAYED] = 2, [JOB_DONE] = 2, [JOB_DEAD] = 2};
	struct walk w = {
		.sp = sp, .state = state, .tidy = tidy, .fn = fn, .arg = arg, .rest = rest};
	bool empty;
	int fd = state_look(sp, state);
	if (fd < 0) /* a part that is missing has nothing in it */
		return errno == ENOENT ? 0 : -1;
	return walk(&w, fd, depths[state], true, &empty);
}

int spool_each(struct spool *sp, enum state state, bool tidy, each_fn *fn, void *arg)
{
	return spool_each_rest(sp, state, tidy, fn, arg, NULL);
}

void rest_drop(struct rest *rest)
{
	names_free(&rest->names);
	fd_close(rest->fd);
	*rest = (struct rest){.fd = -1};
}

int bucket_each(struct spool *sp, enum state state, uint64_t id, each_fn *fn, void *arg)
{
	struct walk w = {.sp = sp, .state = state, .fn = fn, .arg = arg};
	int r = 0;
	for (unsigned prio = 0; r == 0 && prio <= (state == JOB_NEW ? PRIO_MAX : 0); prio++) {
		struct job where = {.id = id, .prio = prio, .state = state};
		bool empty;
		int fd = bucket_open(sp, &where, false, NULL);
		if (fd < 0 && errno != ENOENT)
			return -1;
		r = fd < 0 ? 0 : walk(&w, fd, 0, true, &empty);
		fd_close(fd);
	}
	return r;
}

struct search {
	uint64_t id;
	struct job *job;
	int *dirfd;
};

static int is_it(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct search *s = arg;
	(void)name;
	if (job->id != s->id)
		return 0;
	*s->job = *job;
	*s->dirfd = fd_dup(dirfd, 3);
	return *s->dirfd < 0 ? -1 : 1;
}

/* Where the id leads to the bucket, only that is read; a delayed job's bucket is its time. */
int spool_find(struct spool *sp, enum state state, uint64_t id, struct job *job, int *dirfd)
{
	struct search s = {id, job, dirfd};
	*dirfd = -1;
	return state == JOB_CUR || state == JOB_DELAYED ? spool_each(sp, state, false, is_it, &s)
							: bucket_each(sp, state, id, is_it, &s);
}
