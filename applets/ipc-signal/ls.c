/* ipc-signal ls: what processes do with signals, from /proc/PID/status. Without a PID, those that
 * catch or block a signal, or have one pending. */
#include "ipc-signal.h"

#include "fd.h"
#include "num.h"
#include "sig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct listing {
	struct call *call;
	struct table table;
	struct json json;
};

#define COLUMNS 6
/* All 64 names in a row fit. */
#define NAMES_MAX 1024

/* "INT,TERM,RTMIN+1..RTMIN+9": three real-time signals in a row, or more, are a range. */
static const char *names(uint64_t set, char buf[NAMES_MAX])
{
	char one[NUM_BUF], last[NUM_BUF];
	int n = 0;
	buf[0] = '\0';
	for (int sig = 1; sig <= 64; sig++) {
		if ((set & SIG_BIT(sig)) == 0)
			continue;
		int end = sig;
		while (sig >= NUM_SIGRTMIN && end < 64 && (set & SIG_BIT(end + 1)) != 0)
			end++;
		if (end < sig + 2)
			end = sig;
		n += snprintf(buf + n, (size_t)(NAMES_MAX - n), "%s%s%s%s", n > 0 ? "," : "",
			num_signal_name(sig, one), end > sig ? ".." : "",
			end > sig ? num_signal_name(end, last) : "");
		sig = end;
	}
	return n > 0 ? buf : "-";
}

static void json_names(struct json *j, const char *key, uint64_t set)
{
	char one[NUM_BUF];
	json_open(j, key, '[');
	for (int sig = 1; sig <= 64; sig++)
		if ((set & SIG_BIT(sig)) != 0)
			json_str(j, NULL, num_signal_name(sig, one));
	json_close(j, ']');
}

static void put_json(
	struct json *j, struct proc_id id, const struct task_signals *t, const char *cmd)
{
	json_open(j, NULL, '{');
	json_int(j, "pid", id.pid);
	json_uint(j, "start", id.start);
	json_uint(j, "uid", t->uid);
	json_names(j, "caught", t->caught);
	json_names(j, "blocked", t->blocked);
	json_names(j, "ignored", t->ignored);
	json_names(j, "pending", t->pending);
	json_uint(j, "queued", t->queued);
	json_uint(j, "queue_limit", t->limit);
	json_str(j, "command", cmd);
	json_close(j, '}');
}

static void put_row(
	struct table *t, struct proc_id id, const struct task_signals *s, const char *cmd)
{
	static const char *const head[COLUMNS] = {
		"PID:START", "CAUGHT", "BLOCKED", "IGNORED", "PENDING", "COMMAND"};
	char buf[NAMES_MAX];
	for (size_t i = 0; t->nrows < COLUMNS && i < COLUMNS; i++)
		table_cell(t, head[i]);
	table_fmt(t, "%ld:%llu", (long)id.pid, (unsigned long long)id.start);
	table_cell(t, names(s->caught, buf));
	table_cell(t, names(s->blocked, buf));
	table_cell(t, names(s->ignored, buf));
	table_cell(t, names(s->pending, buf));
	table_cell(t, cmd);
}

static void put(struct listing *l, struct proc_id id, const struct task_signals *s)
{
	char cmd[128];
	struct call *call = l->call;
	if (call->opt[LS_ID].count > 0) {
		out_fmt(&call->out, "%ld:%llu\n", (long)id.pid, (unsigned long long)id.start);
		return;
	}
	proc_command(id.pid, cmd, sizeof cmd);
	if (call->std[STD_JSON].count > 0)
		put_json(&l->json, id, s, cmd);
	else
		put_row(&l->table, id, s, cmd);
}

/* Whoever has a pidfd and finds the start time and the signals in /proc while that process lives has
 * found its own, not those of a later one. */
static int list_one(struct listing *l, const char *name, struct proc_id id)
{
	struct task t = {0};
	struct task_signals s;
	int fd = task_open(id);
	bool read = fd >= 0 && task_read(id.pid, &t) == 0 && task_signals(id.pid, &s) == 0 &&
		(sig_send(fd, 0, NULL) == 0 || errno != ESRCH);
	int err = read ? 0 : errno;
	fd_close(fd);
	if (!read && err == ESRCH)
		return call_fail(l->call, ST_NOPEER, 0, "%s: no such process (any more)", name);
	if (!read)
		return call_error(l->call, err, "read /proc of %s", name);
	put(l, t.id, &s);
	return ST_OK;
}

static int list_all(struct listing *l)
{
	struct task *list;
	size_t n;
	if (task_list(&list, &n) < 0)
		return call_error(l->call, errno, "read /proc");
	for (size_t i = 0; i < n; i++) {
		struct task_signals s;
		if (list[i].id.pid != getpid() && task_signals(list[i].id.pid, &s) == 0 &&
			(s.caught | s.blocked | s.pending) != 0)
			put(l, list[i].id, &s);
	}
	free(list);
	return ST_OK;
}

int signal_ls(struct call *call)
{
	struct listing l = {.call = call};
	struct proc_id id;
	int status = ST_OK;
	if (call->std[STD_JSON].count > 0 && call->opt[LS_ID].count > 0)
		return call_fail(call, ST_USAGE, 0, "--id and -J exclude each other");
	for (unsigned i = 0; i < call->nargs; i++) {
		const char *why = task_parse(call->args[i].str, &id);
		if (why != NULL)
			return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[i].str, why);
	}
	json_start(&l.json, &call->out);
	table_start(&l.table, COLUMNS, 0);
	if (call->std[STD_JSON].count > 0)
		json_open(&l.json, NULL, '[');
	if (call->nargs == 0)
		status = list_all(&l);
	for (unsigned i = 0; i < call->nargs; i++) {
		task_parse(call->args[i].str, &id);
		int r = list_one(&l, call->args[i].str, id);
		status = r > status ? r : status;
	}
	table_end(&l.table, &call->out);
	if (call->std[STD_JSON].count > 0)
		json_close(&l.json, ']');
	return status;
}
