/* ipc-ring stat: what is in it, what went through it, who has it open. */
#include "proc.h"
#include "ring.h"

#include <sys/stat.h>
#include <unistd.h>

struct show {
	struct table *table;
	struct json *json;
	const struct stat *st;
};

static int show_user(void *arg, const struct proc_fd *fd)
{
	const struct show *show = arg;
	char command[256];
	if (fd->pid == getpid() || proc_stands(fd->pid, show->st, KEPT_IDLE))
		return 0;
	proc_command(fd->pid, command, sizeof command);
	if (show->json != NULL) {
		json_open(show->json, NULL, '{');
		json_int(show->json, "pid", fd->pid);
		json_str(show->json, "command", command);
		json_close(show->json, '}');
		return 0;
	}
	if (show->table->nrows == 0) {
		table_cell(show->table, "PID");
		table_cell(show->table, "COMMAND");
	}
	table_fmt(show->table, "%ld", (long)fd->pid);
	table_cell(show->table, command);
	return 0;
}

static void show_users(struct call *call, const struct ring *r, struct show *show)
{
	struct stat st;
	bool hidden = false;
	show->st = &st;
	if (fstat(r->m->shared.fd, &st) == 0)
		(void)proc_each_fd(&st, false, show_user, show, &hidden);
	show->st = NULL;
	if (hidden)
		call_note(call, 1, "some processes cannot be looked into");
}

static void print_json(struct call *call, const struct ring *r, bool closed, uint32_t repairs)
{
	struct json j;
	struct show show = {.json = &j};
	const struct ring_state *s = &r->s;
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "object", r->m->obj.text);
	json_uint(&j, "size", r->cap);
	json_uint(&j, "used", s->tail - s->head);
	json_uint(&j, "records", s->puts - s->gets - s->drops);
	json_uint(&j, "puts", s->puts);
	json_uint(&j, "gets", s->gets);
	json_uint(&j, "drops", s->drops);
	json_bool(&j, "closed", closed);
	json_uint(&j, "dead_holders", repairs);
	json_open(&j, "users", '[');
	show_users(call, r, &show);
	json_close(&j, ']');
	json_close(&j, '}');
}

static void print_table(struct call *call, const struct ring *r, bool closed, uint32_t repairs)
{
	struct table t;
	struct show show = {.table = &t};
	const struct ring_state *s = &r->s;
	out_fmt(&call->out,
		"size %llu\nused %llu\nrecords %llu\nputs %llu\ngets %llu\ndrops %llu\nclosed %s\ndead holders %u\n",
		(unsigned long long)r->cap, (unsigned long long)(s->tail - s->head),
		(unsigned long long)(s->puts - s->gets - s->drops), (unsigned long long)s->puts,
		(unsigned long long)s->gets, (unsigned long long)s->drops, closed ? "yes" : "no",
		repairs);
	table_start(&t, 2, 1);
	show_users(call, r, &show);
	(void)table_end(&t, &call->out);
}

int ring_stat(struct call *call)
{
	struct ring r;
	int status = ring_look(call, &r, call->args[0].str);
	if (status != 0)
		return status;
	bool closed = __atomic_load_n(&r.f->closed, __ATOMIC_RELAXED) != 0;
	uint32_t repairs = __atomic_load_n(&r.f->head.repairs, __ATOMIC_RELAXED);
	if (call->std[STD_JSON].count > 0)
		print_json(call, &r, closed, repairs);
	else
		print_table(call, &r, closed, repairs);
	return mapped_done(call, r.m, ST_OK);
}
