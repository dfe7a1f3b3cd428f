/* applets/ipc-mq/list.c: stat and ls, for people and as JSON. What the kernel does not tell us is left
 * out or "-", never guessed. */
#define _GNU_SOURCE
#include "mq.h"

#include "num.h"
#include "proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* One thing known about a queue: "name: value" a line, or a member of a JSON object. */
struct report {
	bool json;
	struct json j;
	struct out *out;
};

static void put_str(struct report *r, const char *name, const char *s)
{
	if (r->json)
		json_str(&r->j, name, s);
	else
		out_fmt(r->out, "%s: ", name), out_plain_line(r->out, s);
}

static void put_num(struct report *r, const char *name, uint64_t n)
{
	if (r->json)
		json_uint(&r->j, name, n);
	else
		out_fmt(r->out, "%s: %llu\n", name, (unsigned long long)n);
}

static void put_time(struct report *r, const char *name, int64_t seconds)
{
	char text[32];
	if (r->json && seconds == 0)
		json_null(&r->j, name);
	else if (r->json)
		json_int(&r->j, name, seconds);
	else
		out_fmt(r->out, "%s: %s\n", name,
			seconds == 0 ? "never" : num_time_text(seconds, text));
}

static void put_owner(struct report *r, const struct info *in)
{
	char mode[16], user[64];
	snprintf(mode, sizeof mode, "%04o", in->mode);
	num_user_name(in->uid, user, sizeof user);
	put_str(r, "mode", mode);
	put_str(r, "owner", user);
	put_num(r, "uid", in->uid);
	put_num(r, "gid", in->gid);
}

static void put_sysv(struct report *r, const struct info *in)
{
	char key[16];
	snprintf(key, sizeof key, "0x%08x", (unsigned)in->key);
	put_num(r, "id", (uint64_t)in->id);
	put_str(r, "key", key);
	put_num(r, "messages", in->messages);
	put_num(r, "bytes", in->bytes);
	put_num(r, "capacity", in->capacity);
	put_owner(r, in);
	put_num(r, "last_sender", (uint64_t)in->sender);
	put_time(r, "last_sent", in->sent);
	put_num(r, "last_receiver", (uint64_t)in->receiver);
	put_time(r, "last_received", in->received);
	put_time(r, "created", in->changed);
}

static void put_posix(struct report *r, const struct info *in)
{
	if (in->counted)
		put_num(r, "messages", in->messages);
	if (in->weighed)
		put_num(r, "bytes", in->bytes);
	if (in->counted) {
		put_num(r, "depth", in->depth);
		put_num(r, "size", in->size);
	}
	put_owner(r, in);
	put_time(r, "changed", in->changed);
	if (in->notify != 0)
		put_num(r, "notify", (uint64_t)in->notify);
}

static void put_queue(struct report *r, const char *name, const struct info *in)
{
	bool sysv = strncmp(name, "sysv:", 5) == 0;
	put_str(r, "queue", name);
	put_str(r, "kind", sysv ? "sysv" : "posix");
	if (sysv)
		put_sysv(r, in);
	else
		put_posix(r, in);
}

static void put_user(void *arg, pid_t pid, const char *doing)
{
	struct report *r = arg;
	char command[256];
	proc_command(pid, command, sizeof command);
	if (!r->json) {
		out_fmt(r->out, "user: %ld %s %s\n", (long)pid, doing, command);
		return;
	}
	json_open(&r->j, NULL, '{');
	json_int(&r->j, "pid", pid);
	json_str(&r->j, "doing", doing);
	json_str(&r->j, "command", command);
	json_close(&r->j, '}');
}

/* Those that /proc lets us see. */
static void put_users(struct report *r, const struct queue *q)
{
	bool hidden = false;
	if (r->json)
		json_open(&r->j, "users", '[');
	if (mq_each_user(q, put_user, r, &hidden) < 0)
		hidden = true;
	if (r->json) {
		json_close(&r->j, ']');
		json_bool(&r->j, "users_hidden", hidden);
	} else if (hidden) {
		out_str(r->out, "users_hidden: some processes could not be looked into\n");
	}
}

static struct report report(struct call *call)
{
	struct report r = {.json = call->std[STD_JSON].count > 0, .out = &call->out};
	json_start(&r.j, r.out);
	return r;
}

int mq_run_stat(struct call *call)
{
	struct info info;
	struct report r = report(call);
	int status;
	struct queue *q = mq_open_queue(call, MQ_LOOK, &status);
	if (q == NULL)
		return status;
	if (q->be->info(q, &info) < 0)
		return call_error(call, errno, "look at %s", q->name);
	if (r.json)
		json_open(&r.j, NULL, '{');
	put_queue(&r, q->name, &info);
	put_users(&r, q);
	if (r.json)
		json_close(&r.j, '}');
	return ST_OK;
}

struct listing {
	struct report report;
	struct table table;
};

static void cell_num(struct table *t, bool known, uint64_t n)
{
	if (known)
		table_fmt(t, "%llu", (unsigned long long)n);
	else
		table_cell(t, "-");
}

static int row(void *arg, const char *name, const struct info *in)
{
	struct listing *l = arg;
	struct table *t = &l->table;
	char user[64];
	if (l->report.json) {
		json_open(&l->report.j, NULL, '{');
		put_queue(&l->report, name, in);
		json_close(&l->report.j, '}');
		return 0;
	}
	num_user_name(in->uid, user, sizeof user);
	table_cell(t, name);
	cell_num(t, name[0] != '/', (uint64_t)in->id);
	cell_num(t, in->counted, in->messages);
	cell_num(t, in->weighed, in->bytes);
	if (in->depth > 0)
		table_fmt(t, "%llux%llu", (unsigned long long)in->depth,
			(unsigned long long)in->size);
	else
		cell_num(t, in->capacity > 0, in->capacity);
	table_fmt(t, "%04o", in->mode);
	table_cell(t, user);
	return 0;
}

int mq_run_ls(struct call *call)
{
	static const char *const head[] = {
		"QUEUE", "ID", "MESSAGES", "BYTES", "ROOM", "MODE", "OWNER"};
	struct listing l = {.report = report(call)};
	table_start(&l.table, 7, 0x1e);
	if (l.report.json)
		json_open(&l.report.j, NULL, '[');
	else
		for (size_t i = 0; i < 7; i++)
			table_cell(&l.table, head[i]);
	int status = ST_OK, listed = mq_posix_each(row, &l);
	if (listed < 0 && errno == EPERM)
		call_warn(call, 0,
			"POSIX queues are hidden: /dev/mqueue is not mounted, and looking "
			"without it needs CAP_SYS_ADMIN");
	else if (listed < 0)
		status = call_error(call, errno, "list POSIX queues");
	if (mq_sysv_each(row, &l) < 0)
		call_warn(call, errno, "System V queues are hidden");
	if (l.report.json)
		json_close(&l.report.j, ']');
	else if (table_end(&l.table, &call->out) < 0)
		return call_stdout_error(call, call->out.err);
	return status;
}
