/* list.c: ls. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const struct {
	unsigned bit;
	const char *name;
} modes[] = {{O_APPEND, "append"}, {O_NONBLOCK, "nonblock"}, {O_DIRECT, "direct"},
	{O_SYNC & ~O_DSYNC, "sync"}, {O_DSYNC, "dsync"}, {O_ASYNC, "async"},
	{O_NOATIME, "noatime"}};

/* The flags of open(2) as "rw,append". */
static const char *show_flags(uint32_t getfl, char buf[80])
{
	static const char *const access[] = {"r", "w", "rw", "none"};
	bool path = (getfl & O_PATH) != 0;
	strcpy(buf, path ? "path" : access[getfl & 3]);
	for (size_t i = 0; !path && i < sizeof modes / sizeof *modes; i++)
		if ((getfl & modes[i].bit) != 0) {
			strcat(buf, ",");
			strcat(buf, modes[i].name);
		}
	return buf;
}

struct listing {
	struct call *call;
	bool json;
	struct json j;
	struct table table;
	int64_t now; /* CLOCK_REALTIME */
};

static void show_json(struct json *j, const struct record *r, const char *const text[TEXT_N])
{
	char buf[80];
	json_open(j, NULL, '{');
	json_str(j, "name", text[TEXT_NAME]);
	json_str(j, "type", text[TEXT_TYPE]);
	json_str(j, "what", text[TEXT_WHAT]);
	json_str(j, "peer", *text[TEXT_PEER] != '\0' ? text[TEXT_PEER] : NULL);
	json_bool(j, "listening", (r->flags & KEEP_LISTENS) != 0);
	json_str(j, "flags", show_flags(r->getfl, buf));
	if (r->pos >= 0)
		json_int(j, "pos", r->pos);
	if (r->bytes >= 0)
		json_int(j, "size", r->bytes);
	json_uint(j, "uid", r->uid);
	json_uint(j, "gid", r->gid);
	json_uint(j, "pid", r->pid);
	json_str(j, "command", text[TEXT_COMMAND]);
	json_bool(j, "alive", (r->flags & KEEP_ALIVE) != 0);
	json_seconds(j, "since", r->since);
	if (r->expires >= 0)
		json_seconds(j, "expires", r->expires);
	else
		json_null(j, "expires");
	json_bool(j, "once", (r->flags & KEEP_ONCE) != 0);
	json_bool(j, "until_hangup", (r->flags & KEEP_HANGUP) != 0);
	json_str(j, "allow", *text[TEXT_ALLOW] != '\0' ? text[TEXT_ALLOW] : NULL);
	json_uint(j, "retrieved", r->given);
	json_bool(j, "leaving", r->claim != 0);
	json_close(j, '}');
}

static void head_row(struct table *t)
{
	static const char *const heads[] = {
		"NAME", "TYPE", "FLAGS", "USER", "PID", "AGE", "EXPIRES", "WHAT", "COMMAND"};
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		table_cell(t, heads[i]);
}

static void show_row(const struct listing *ls, struct table *t, const struct record *r,
	const char *const text[TEXT_N])
{
	char buf[80], user[64], age[NUM_BUF], left[NUM_BUF];
	bool peer = *text[TEXT_PEER] != '\0';
	int64_t since = r->since >= 0 && ls->now > r->since ? ls->now - r->since : 0;
	if (t->nrows == 0)
		head_row(t);
	num_user_name(r->uid, user, sizeof user);
	table_cell(t, text[TEXT_NAME]);
	table_cell(t, text[TEXT_TYPE]);
	table_cell(t, show_flags(r->getfl, buf));
	table_cell(t, user);
	table_fmt(t, "%lu%s", (unsigned long)r->pid, (r->flags & KEEP_ALIVE) != 0 ? "" : " (gone)");
	table_cell(t, num_show_duration(since, age));
	table_fmt(t, "%s%s%s", r->expires >= 0 ? num_show_duration(r->expires, left) : "",
		r->expires >= 0 && (r->flags & KEEP_ONCE) != 0 ? "," : "",
		(r->flags & KEEP_ONCE) != 0 ? "once"
			: r->expires >= 0   ? ""
					    : "-");
	table_fmt(t, "%s%s%s%s", text[TEXT_WHAT], peer ? " -> " : "", text[TEXT_PEER],
		(r->flags & KEEP_LISTENS) != 0 ? " (listening)" : "");
	table_cell(t, text[TEXT_COMMAND]);
}

/* One answer's records; LAST gets the name to go on after. -1, or a status. */
static int show_batch(struct listing *ls, struct link *l, char last[NAME_LONGEST + 1])
{
	struct record r;
	const char *text[TEXT_N];
	for (uint32_t i = 0; i < l->head.count; i++) {
		/* Each must be beyond the one before, or this would not end. */
		if (!fds_read_record(&l->read, &r, text) || !fds_name_ok(text[TEXT_NAME]) ||
			strcmp(text[TEXT_NAME], last) <= 0)
			return call_fail(ls->call, ST_DATA, 0,
				"%s: the answer is not that of a store", l->addr.text);
		strcpy(last, text[TEXT_NAME]);
		if (ls->json)
			show_json(&ls->j, &r, text);
		else
			show_row(ls, &ls->table, &r, text);
	}
	return l->head.count == 0 ? 0 : -1;
}

static int fetch(struct listing *ls, struct link *l)
{
	char last[NAME_LONGEST + 1] = "";
	for (;;) {
		fds_packet_start(&l->packet, &(struct head){.op = OP_LIST});
		fds_packet_str(&l->packet, last);
		fds_packet_seal(&l->packet, 1);
		int status = fds_link_ask(l, NULL, 0, NULL, 0, NULL);
		if (status == 0)
			status = fds_link_refused(l, "");
		if (status == 0)
			status = show_batch(ls, l, last);
		if (status >= 0)
			return status;
	}
}

int fdstore_ls(struct call *call)
{
	struct timespec now;
	struct link *l;
	struct listing ls = {.call = call, .json = call->std[STD_JSON].count > 0};
	clock_gettime(CLOCK_REALTIME, &now);
	ls.now = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
	int status = fds_link_open(call, call->args[0].str, &l);
	if (status != 0)
		return status;
	table_start(&ls.table, 9, 1u << 4 | 1u << 5 | 1u << 6);
	if (ls.json) {
		json_start(&ls.j, &call->out);
		json_open(&ls.j, NULL, '[');
	}
	status = fetch(&ls, l);
	if (ls.json)
		json_close(&ls.j, ']');
	if (table_end(&ls.table, &call->out) < 0 && call->out.err == ENOMEM)
		return call_error(call, ENOMEM, "list");
	return status;
}
