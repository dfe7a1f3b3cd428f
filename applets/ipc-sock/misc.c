/* misc.c: pair, wait, stat. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "command.h"
#include "num.h"
#include "sockdiag.h"
#include "spawn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

int run_sock_pair(struct call *call);
int run_sock_wait(struct call *call);
int run_sock_stat(struct call *call);

/* The words from I on, up to END, as an argv. */
static char **argv_of(struct call *call, unsigned i, unsigned end)
{
	char **argv = call_alloc(call, (end - i + 1) * sizeof *argv);
	for (unsigned k = i; argv != NULL && k < end; k++)
		argv[k - i] = (char *)(uintptr_t)call->args[k].str;
	return argv;
}

/* Both have started: wait for both. The first status that is not 0, left before right. */
static int wait_both(struct call *call, struct wait_signals *w, struct wait_kid kids[2])
{
	while (wait_children(w, kids, 2, DEADLINE_NONE) >= 0)
		;
	for (int i = 0; i < 2; i++)
		if (!kids[i].ended)
			return call_fail(
				call, ST_INTERNAL, errno, "wait for pid %ld", (long)kids[i].pid);
	int status = command_status(kids[0].wstatus);
	return status != 0 ? status : command_status(kids[1].wstatus);
}

int run_sock_pair(struct call *call)
{
	unsigned split = 0;
	int fds[2];
	struct wait_signals w;
	struct wait_kid kids[2] = {0};
	while (split < call->nargs && strcmp(call->args[split].str, "--") != 0)
		split++;
	if (split == 0 || split + 1 >= call->nargs)
		return call_fail(call, ST_USAGE, 0, "wants -- CMD [ARG...] -- CMD [ARG...]");
	char **left = argv_of(call, 0, split), **right = argv_of(call, split + 1, call->nargs);
	if (left == NULL || right == NULL)
		return call_fail(call, ST_EARLY, ENOMEM, "start %s", call->args[0].str);
	if (socketpair(AF_UNIX, sock_opt_type(call, SOCK_STREAM) | SOCK_CLOEXEC, 0, fds) < 0)
		return call_fail(call, ST_EARLY, errno, "make a pair of sockets");
	call_own(call, fds[0]);
	call_own(call, fds[1]);
	wait_hold(&w);
	struct spawn_fd ends[2][2] = {{{fds[0], 0}, {fds[0], 1}}, {{fds[1], 0}, {fds[1], 1}}};
	struct spawn sp[2] = {{.argv = left, .fds = ends[0], .nfds = 2},
		{.argv = right, .fds = ends[1], .nfds = 2}};
	int status = spawn_call(call, &sp[0], &kids[0].pid);
	if (status == 0) {
		status = spawn_call(call, &sp[1], &kids[1].pid);
		/* Our ends go, so that each sees when the other has gone. */
		call_close(call, fds[0]);
		call_close(call, fds[1]);
		if (status != 0)
			(void)wait_children(&w, kids, 1, DEADLINE_NONE);
		else
			status = wait_both(call, &w, kids);
	}
	wait_release(&w);
	return status;
}

int run_sock_wait(struct call *call)
{
	struct addr *a = call_alloc(call, sizeof *a);
	if (a == NULL)
		return call_error(call, ENOMEM, "wait");
	const char *why = addr_parse(a, call->args[0].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	if (a->fd >= 0)
		return call_fail(call, ST_USAGE, 0, "%s: a descriptor is no address", a->text);
	why = addr_resolve(a, false);
	if (why != NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: %s", a->text, why);
	int64_t deadline = call_deadline(call);
	int type = sock_opt_type(call, a->family == AF_UNIX ? 0 : a->type);
	if (sock_wait(a, type, deadline, &call->stop) == 0)
		return ST_OK;
	int err = errno;
	switch (err) {
	case EPROTOTYPE:
	case EACCES:
	case EPERM: return sock_connect_failed(call, a, type, err);
	case EINTR: return call_waited(call, err, "wait for %s", a->text);
	default: break;
	}
	/* Whatever the last attempt met: the time was over, or there was none. */
	return call_fail(call, deadline == DEADLINE_NOW ? ST_BUSY : ST_TIMEOUT, err,
		"wait for %s: nobody accepts", a->text);
}

static const char *state_name(const struct sockdiag *d)
{
	return d->listening             ? "listening"
		: d->type == SOCK_DGRAM ? "bound"
					: "bound, not listening";
}

/* What the path itself tells. */
struct file {
	bool there;
	struct stat st;
};

static void print_json(struct call *call, const char *name, const struct file *f,
	const struct sockdiag *d, bool live, pid_t pid)
{
	struct json j;
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "addr", name);
	json_str(&j, "state", live ? d->listening ? "listening" : "bound" : "dead");
	json_str(&j, "type", live ? sock_type_name(d->type) : NULL);
	if (f->there) {
		char mode[8];
		snprintf(mode, sizeof mode, "%04o", (unsigned)(f->st.st_mode & 07777));
		json_str(&j, "mode", mode);
		json_uint(&j, "uid", f->st.st_uid);
		json_uint(&j, "gid", f->st.st_gid);
	}
	if (live && pid > 0)
		json_int(&j, "pid", pid);
	if (live && d->has_queue) {
		json_uint(&j, "queued", d->queued);
		json_uint(&j, "backlog", d->backlog);
	}
	if (live)
		json_uint(&j, "inode", d->inode);
	json_close(&j, '}');
}

static void print_table(struct call *call, const char *name, const struct file *f,
	const struct sockdiag *d, bool live, pid_t pid)
{
	char text[256], user[64];
	struct out *out = &call->out;
	out_str(out, "address  ");
	out_plain_line(out, name);
	out_fmt(out, "state    %s\n", live ? state_name(d) : "dead: nobody has it open");
	if (live)
		out_fmt(out, "type     %s\n", sock_type_name(d->type));
	if (f->there) {
		num_user_name(f->st.st_uid, user, sizeof user);
		out_fmt(out, "mode     %04o, user %s, group %u\n",
			(unsigned)(f->st.st_mode & 07777), user, (unsigned)f->st.st_gid);
	}
	if (live && pid > 0)
		out_fmt(out, "server   pid %ld: %s\n", (long)pid,
			proc_command(pid, text, sizeof text));
	else if (live)
		out_fmt(out, "server   not visible\n");
	if (live && d->has_queue)
		out_fmt(out, "queue    %u of %u\n", d->queued, d->backlog);
}

int run_sock_stat(struct call *call)
{
	struct addr *a = call_alloc(call, sizeof *a);
	struct file f = {.there = false};
	struct sockdiag d;
	if (a == NULL)
		return call_error(call, ENOMEM, "stat");
	const char *why = addr_parse(a, call->args[0].str);
	if (why == NULL)
		why = addr_resolve(a, true);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	if (a->is_path) {
		if (stat(a->path, &f.st) < 0)
			return call_error(call, errno, "stat %s", a->text);
		if (!S_ISSOCK(f.st.st_mode))
			return call_fail(call, ST_USAGE, 0, "%s: not a socket", a->text);
		f.there = true;
	}
	int found = sockdiag_find(a, f.there ? &f.st : NULL, &d);
	if (found < 0 && errno == EAFNOSUPPORT)
		return call_fail(call, ST_LIMIT, 0,
			"%s: the kernel tells nothing about such sockets", a->text);
	if (found < 0)
		return call_error(call, errno, "ask the kernel about %s", a->text);
	if (found == 0 && !a->is_path)
		return call_fail(call, ST_NOOBJ, 0, "%s: nobody has it open", a->text);
	pid_t pid = found > 0 ? sockdiag_owner(d.inode) : 0;
	const char *name = a->is_path ? a->path : a->text;
	if (call->std[STD_JSON].count > 0)
		print_json(call, name, &f, &d, found > 0, pid);
	else
		print_table(call, name, &f, &d, found > 0, pid);
	return ST_OK;
}
