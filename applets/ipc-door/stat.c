/* stat.c: stat and rm. */
#define _GNU_SOURCE
#include "door.h"

#include "cmsg.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <time.h>

int run_door_stat(struct call *call);
int run_door_rm(struct call *call);

static void print_json(struct call *call, const char *path, const struct door_state *st)
{
	struct json j;
	char since[32];
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "door", path);
	json_int(&j, "pid", st->pid);
	json_uint(&j, "uid", st->uid);
	json_str(&j, "since", num_time_text(st->since, since));
	json_uint(&j, "jobs", st->jobs);
	json_uint(&j, "running", st->running);
	json_uint(&j, "queued", st->queued);
	json_uint(&j, "ending", st->ending);
	json_uint(&j, "done", st->done);
	json_uint(&j, "cancelled", st->cancelled);
	json_uint(&j, "refused", st->refused);
	json_close(&j, '}');
}

static void print_text(struct call *call, const char *path, const struct door_state *st)
{
	char command[256], user[64], since[32];
	struct out *out = &call->out;
	num_user_name(st->uid, user, sizeof user);
	out_str(out, "door     ");
	out_plain_line(out, path);
	out_fmt(out, "server   pid %ld, user %s: %s\n", (long)st->pid, user,
		proc_command(st->pid, command, sizeof command));
	out_fmt(out, "since    %s\n", num_time_text(st->since, since));
	out_fmt(out, "running  %u of %u, ending %u\n", st->running, st->jobs, st->ending);
	out_fmt(out, "queued   %u\n", st->queued);
	out_fmt(out, "calls    %llu done, %llu cancelled, %llu refused\n",
		(unsigned long long)st->done, (unsigned long long)st->cancelled,
		(unsigned long long)st->refused);
}

int run_door_stat(struct call *call)
{
	struct addr a;
	struct door_head h;
	union {
		struct door_state state;
		char text[DOOR_TEXT + 1];
	} body;
	int fd;
	int64_t deadline = call_deadline(call);
	int status =
		door_connect(call, call->args[0].str, deadline, call->opt[D_RETRY].num, &a, &fd);
	if (status != 0)
		return status;
	door_head(&h, DOOR_STAT, 0, 0);
	if (cmsg_send(fd, &h, sizeof h, NULL, 0, deadline, &call->stop) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		return call_waited(call, errno, "send to %s", a.text);
	status = door_answer(call, a.text, fd, deadline, NULL, &h, &body, DOOR_TEXT);
	if (status != 0)
		return status;
	if (h.type != DOOR_STATE || h.length != sizeof body.state)
		return door_refused(call, a.text, &h, body.text);
	if (call->std[STD_JSON].count > 0)
		print_json(call, a.path, &body.state);
	else
		print_text(call, a.path, &body.state);
	return ST_OK;
}

int run_door_rm(struct call *call)
{
	struct addr *a = call_alloc(call, sizeof *a);
	int worst = ST_OK;
	if (a == NULL)
		return call_error(call, ENOMEM, "rm");
	for (unsigned i = 0; i < call->nargs; i++) {
		const char *why = door_addr(a, call->args[i].str);
		int status = why != NULL
			? call_fail(call, ST_USAGE, 0, "%s: %s", call->args[i].str, why)
			: sock_remove(call, a);
		worst = worst != ST_OK ? worst : status;
	}
	return worst;
}
