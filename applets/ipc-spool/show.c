/* applets/ipc-spool/show.c: ls and stat. They take no locks and change nothing, so what they show is of
 * the moment in which each directory was read. */
#define _GNU_SOURCE
#include "spool.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order in which they are looked at. */
static const enum state order[] = {JOB_CUR, JOB_NEW, JOB_DELAYED, JOB_DEAD, JOB_DONE};
#define NORDER (sizeof order / sizeof *order)

enum shown { READY, LEASED, ABANDONED, DELAYED, DEAD, DONE };
static const char *const shown_names[] = {
	"ready", "leased", "abandoned", "delayed", "dead", "done"};

static enum shown shown(const struct job *job, int dirfd, const char *name)
{
	switch (job->state) {
	case JOB_CUR: return lease_held(dirfd, name) ? LEASED : ABANDONED;
	case JOB_DELAYED: return DELAYED;
	case JOB_DEAD: return DEAD;
	case JOB_DONE: return DONE;
	default: return READY;
	}
}

static int warn_foreign(struct spool *sp)
{
	if (sp->foreign > 0)
		call_warn(sp->call, 0,
			"%s: %llu files or directories in it are not of a spool; left alone",
			sp->path, (unsigned long long)sp->foreign);
	return ST_OK;
}

/* ---- ls ---- */

struct list {
	struct spool *sp;
	struct table table;
	struct json json;
	bool as_json;
	int64_t now;
};

/* The first line of ID.why, without control characters. */
static void read_why(int dirfd, uint64_t id, char *buf, size_t size)
{
	char name[NAME_SIZE];
	int fd = file_regular(dirfd, side_name(id, "why", name));
	ssize_t n = fd < 0 ? 0 : fd_read(fd, buf, size - 1);
	fd_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static void note(struct list *l, int dirfd, const struct job *job, char *buf, size_t size)
{
	char dur[NUM_BUF];
	buf[0] = '\0';
	if (job->state == JOB_DELAYED)
		snprintf(buf, size, "in %s",
			num_show_duration(
				job->due > l->now ? (job->due - l->now) * NS_PER_MS : 0, dur));
	else if (job->state == JOB_DEAD)
		read_why(dirfd, job->id, buf, size);
	else if (job->state == JOB_DONE)
		snprintf(buf, size, "status %d", job->status);
}

static void list_json(
	struct list *l, int dirfd, const struct job *job, const char *name, const struct stat *st)
{
	struct json *j = &l->json;
	char id[NAME_SIZE], bucket[PATH_SIZE], text[256];
	char path[PATH_SIZE + NAME_SIZE + 16];
	job_bucket(job, bucket);
	snprintf(path, sizeof path, "%s/%s%s%s", state_name(job->state), bucket,
		*bucket != '\0' ? "/" : "", name);
	snprintf(id, sizeof id, "%012llu", (unsigned long long)job->id);
	json_open(j, NULL, '{');
	json_str(j, "id", id);
	json_str(j, "state", shown_names[shown(job, dirfd, name)]);
	json_uint(j, "priority", job->prio);
	json_uint(j, "attempts", job->attempt);
	json_int(j, "size", st->st_size);
	json_str(j, "file", path);
	if (job->state == JOB_DELAYED)
		json_seconds(j, "due", job->due * NS_PER_MS);
	if (job->state == JOB_DONE || job->state == JOB_DEAD)
		json_int(j, "status", job->status);
	if (job->state == JOB_DEAD) {
		read_why(dirfd, job->id, text, sizeof text);
		json_str(j, "reason", text);
	}
	json_close(j, '}');
}

static int list_job(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct list *l = arg;
	struct stat st;
	char text[256], size[NUM_BUF];
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1; /* it moved on */
	if (!S_ISREG(st.st_mode)) {
		l->sp->foreign++;
		return 0;
	}
	if (l->as_json) {
		list_json(l, dirfd, job, name, &st);
		return 0;
	}
	note(l, dirfd, job, text, sizeof text);
	table_fmt(&l->table, "%012llu", (unsigned long long)job->id);
	table_cell(&l->table, shown_names[shown(job, dirfd, name)]);
	table_fmt(&l->table, "%u", job->prio);
	table_fmt(&l->table, "%u", job->attempt);
	table_cell(&l->table, num_show_size((uint64_t)st.st_size, size));
	table_cell(&l->table, text);
	return 0;
}

int run_ls(struct call *call)
{
	static const char *const heads[] = {"ID", "STATE", "PRIO", "TRIES", "SIZE", "NOTE"};
	struct spool sp;
	struct list l = {.sp = &sp, .as_json = call->std[STD_JSON].count > 0, .now = now_ms()};
	int status = spool_open(call, call->args[0].str, false, &sp), r = 0;
	if (status != ST_OK)
		return status;
	table_start(&l.table, 6, 1 << 2 | 1 << 3 | 1 << 4);
	json_start(&l.json, &call->out);
	for (size_t i = 0; i < 6 && !l.as_json; i++)
		table_cell(&l.table, heads[i]);
	if (l.as_json)
		json_open(&l.json, NULL, '[');
	for (size_t i = 0; i < NORDER && r == 0; i++)
		if (order[i] != JOB_DONE || call->opt[LS_ALL].count > 0)
			r = spool_each(&sp, order[i], false, list_job, &l);
	int e = errno;
	if (l.as_json) {
		json_close(&l.json, ']');
	} else if (table_end(&l.table, &call->out) < 0) {
		return call_stdout_error(call, call->out.err);
	}
	return r < 0 ? call_error(call, e, "read %s", sp.path) : warn_foreign(&sp);
}

/* ---- stat ---- */

struct counts {
	uint64_t n[DONE + 1];
	uint64_t bytes; /* of unfinished jobs */
	uint64_t oldest;
	int64_t since; /* mtime of the oldest waiting job, s */
};

static int tally(void *arg, int dirfd, const struct job *job, const char *name)
{
	struct counts *c = arg;
	struct stat st;
	c->n[shown(job, dirfd, name)]++;
	if (job->state == JOB_DONE || job->state == JOB_DEAD ||
		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	c->bytes += (uint64_t)st.st_size;
	if (job->state == JOB_NEW && (c->oldest == 0 || job->id < c->oldest)) {
		c->oldest = job->id;
		c->since = st.st_mtim.tv_sec;
	}
	return 0;
}

/* How long the oldest waits, ns. The time is the file's, which its owner may set to anything. */
static int64_t oldest_age(const struct counts *c)
{
	int64_t now = now_ms() / 1000, since = c->since > 0 ? c->since : 0;
	return now > since ? (now - since) * NS_PER_S : 0;
}

static void stat_json(struct spool *sp, const struct counts *c)
{
	struct json j;
	json_start(&j, &sp->call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "spool", sp->path);
	for (enum shown s = READY; s <= DONE; s++)
		json_uint(&j, shown_names[s], c->n[s]);
	json_uint(&j, "bytes", c->bytes);
	if (c->oldest > 0)
		json_seconds(&j, "oldest", oldest_age(c));
	json_uint(&j, "depth", sp->depth);
	json_uint(&j, "max-attempts", sp->max_attempts);
	json_uint(&j, "keep", sp->keep);
	json_bool(&j, "keep-data", sp->keep_data);
	json_close(&j, '}');
}

static void stat_text(struct spool *sp, const struct counts *c)
{
	struct out *out = &sp->call->out;
	char text[NUM_BUF];
	for (enum shown s = READY; s <= DONE; s++)
		out_fmt(out, "%-13s %llu\n", shown_names[s], (unsigned long long)c->n[s]);
	out_fmt(out, "%-13s %s\n", "bytes", num_show_size(c->bytes, text));
	if (c->oldest > 0)
		out_fmt(out, "%-13s %s\n", "oldest", num_show_duration(oldest_age(c), text));
	out_fmt(out, "%-13s %llu\n", "depth", (unsigned long long)sp->depth);
	out_fmt(out, "%-13s %llu\n", "max-attempts", (unsigned long long)sp->max_attempts);
	out_fmt(out, "%-13s %llu%s\n", "keep", (unsigned long long)sp->keep,
		sp->keep_data ? " with data" : "");
}

int run_stat(struct call *call)
{
	struct spool sp;
	struct counts c = {.oldest = 0};
	int status = spool_open(call, call->args[0].str, false, &sp);
	if (status != ST_OK)
		return status;
	for (size_t i = 0; i < NORDER; i++)
		if (spool_each(&sp, order[i], false, tally, &c) < 0)
			return call_error(call, errno, "read %s", sp.path);
	if (call->std[STD_JSON].count > 0)
		stat_json(&sp, &c);
	else
		stat_text(&sp, &c);
	return warn_foreign(&sp);
}
