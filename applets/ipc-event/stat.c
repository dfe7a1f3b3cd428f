/* ipc-event stat: state, sequence number, and who has it open. */
#include "event.h"

#include "proc.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[] = {"undecided", "manual", "auto"};

struct show {
	struct table *table;
	struct json *json;
	pid_t self;
	const struct stat *st;
};

static int show_waiter(void *arg, const struct proc_fd *fd)
{
	const struct show *show = arg;
	char command[256];
	if (fd->pid == show->self || proc_stands(fd->pid, show->st, KEPT_IDLE))
		return 0;
	proc_command(fd->pid, command, sizeof command);
	if (show->json == NULL) {
		if (show->table->nrows == 0) {
			table_cell(show->table, "PID");
			table_cell(show->table, "WAITER");
		}
		table_fmt(show->table, "%ld", (long)fd->pid);
		table_cell(show->table, command);
		return 0;
	}
	json_open(show->json, NULL, '{');
	json_int(show->json, "pid", fd->pid);
	json_str(show->json, "command", command);
	json_close(show->json, '}');
	return 0;
}

/* Who has the event open: waiters, and setters in passing. */
static void show_waiters(struct call *call, const struct mapped *m, struct show *show)
{
	struct stat st;
	bool hidden = false;
	show->st = &st;
	if (fstat(m->shared.fd, &st) == 0)
		(void)proc_each_fd(&st, false, show_waiter, show, &hidden);
	show->st = NULL;
	if (hidden)
		call_note(call, 1, "some processes cannot be looked into");
}

static const char *state_name(const struct event *ev)
{
	return ev->set != 0 ? "set" : "clear";
}

static void print_column(struct call *call, const struct event *ev)
{
	if (call->opt[STAT_COLUMN].num == COLUMN_SEQ)
		out_fmt(&call->out, "%llu\n", (unsigned long long)ev->seq);
	else if (call->opt[STAT_COLUMN].num == COLUMN_STATE)
		out_fmt(&call->out, "%s\n", state_name(ev));
	else
		out_fmt(&call->out, "%s\n", kind_names[ev->kind]);
}

static void print_json(
	struct call *call, const struct mapped *m, const struct event *ev, struct show *show)
{
	struct json json;
	show->json = &json;
	json_start(&json, &call->out);
	json_open(&json, NULL, '{');
	json_str(&json, "object", m->obj.text);
	json_str(&json, "kind", kind_names[ev->kind]);
	json_bool(&json, "set", ev->set != 0);
	json_uint(&json, "seq", ev->seq);
	json_uint(&json, "repairs", ev->head.repairs);
	json_open(&json, "waiters", '[');
	show_waiters(call, m, show);
	json_close(&json, ']');
	json_close(&json, '}');
	show->json = NULL;
}

static void print_table(
	struct call *call, const struct mapped *m, const struct event *ev, struct show *show)
{
	struct table table;
	out_fmt(&call->out, "kind %s\nstate %s\nseq %llu\n", kind_names[ev->kind], state_name(ev),
		(unsigned long long)ev->seq);
	show->table = &table;
	table_start(&table, 2, 1);
	show_waiters(call, m, show);
	(void)table_end(&table, &call->out);
	show->table = NULL;
}

int event_stat(struct call *call)
{
	struct mapped *m;
	struct event ev;
	int status = event_look(call, &m, call->args[0].str, &ev);
	if (status != 0)
		return status;
	struct show show = {.self = getpid()};
	if (call->opt[STAT_COLUMN].count > 0)
		print_column(call, &ev);
	else if (call->std[STD_JSON].count > 0)
		print_json(call, m, &ev, &show);
	else
		print_table(call, m, &ev, &show);
	return mapped_done(call, m, ST_OK);
}
