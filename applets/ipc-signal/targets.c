/* ipc-signal stop's targets: found in /proc, held by pidfd. */
#define _GNU_SOURCE
#include "targets.h"

#include "fd.h"
#include "ipc-signal.h"
#include "num.h"
#include "sig.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void targets_free(void *arg, intptr_t unused)
{
	struct stopping *s = arg;
	(void)unused;
	for (size_t i = 0; i < s->n; i++)
		fd_close(s->list[i].pidfd);
	free(s->list);
	free(s->poll);
	(void)fd_limit_restore(&s->files);
}

/* A stdout that cannot be written to does not keep us from ending what is to be ended: the host tells
 * of it afterwards. */
void targets_report(struct stopping *s, struct proc_id id, const char *command, enum fate fate)
{
	static const char *const words[] = {"running", "ended", "killed", "gone", "denied"};
	struct out *out = &s->call->out;
	int64_t took = s->began != 0 ? wait_now() - s->began : 0;
	bool timed = fate == ENDED || fate == KILLED || fate == RUNNING;
	char buf[NUM_BUF];
	s->count[fate]++;
	if (s->call->std[STD_JSON].count > 0) {
		json_open(&s->json, NULL, '{');
		json_int(&s->json, "pid", id.pid);
		if (id.start != 0)
			json_uint(&s->json, "start", id.start);
		json_str(&s->json, "result", words[fate]);
		if (timed)
			json_seconds(&s->json, "seconds", took);
		json_str(&s->json, "command", command);
		json_close(&s->json, '}');
	} else if (timed) {
		out_fmt(out, "%ld %s after %s: %s\n", (long)id.pid, words[fate],
			num_show_duration(took, buf), command);
	} else {
		out_fmt(out, command != NULL ? "%ld %s: %s\n" : "%ld %s\n", (long)id.pid,
			words[fate], command);
	}
	(void)out_flush(out);
}

/* As many descriptors as targets are needed: take what the hard limit allows. */
static bool raise_files(struct stopping *s)
{
	return s->files.rlim_max == 0 && fd_limit_raise(&s->files) > s->files.rlim_cur;
}

static int open_target(struct stopping *s, struct proc_id id)
{
	int fd = task_open(id);
	if (fd < 0 && errno == EMFILE && raise_files(s))
		fd = task_open(id);
	call_note_pidfd(s->call, fd);
	return fd;
}

static int no_files(struct stopping *s)
{
	struct rlimit lim = {0};
	getrlimit(RLIMIT_NOFILE, &lim);
	return call_fail(s->call, ST_LIMIT, EMFILE,
		"wait for more than %zu processes at once: RLIMIT_NOFILE (ulimit -Hn) is %llu and each "
		"needs a descriptor",
		s->n, (unsigned long long)lim.rlim_max);
}

static bool known(const struct stopping *s, struct proc_id id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].task.id.pid == id.pid && s->list[i].task.id.start == id.start)
			return true;
	return false;
}

static int grow(struct stopping *s)
{
	if (s->n < s->cap)
		return 0;
	size_t cap = s->cap == 0 ? 16 : s->cap * 2;
	struct target *list = realloc(s->list, cap * sizeof *list);
	if (list != NULL)
		s->list = list;
	struct pollfd *poll = realloc(s->poll, cap * sizeof *poll);
	if (poll != NULL)
		s->poll = poll;
	if (list == NULL || poll == NULL)
		return -1;
	s->cap = cap;
	return 0;
}

/* Take T, seen in /proc, among the targets, unless it is there, has ended, or is us. 0 or a status. */
static int add(struct stopping *s, const struct task *t)
{
	char command[128];
	if (t->id.pid == getpid() || known(s, t->id))
		return 0;
	int fd = open_target(s, t->id);
	if (fd < 0)
		return errno == ESRCH ? 0
			: errno == EMFILE
			? no_files(s)
			: call_error(s->call, errno, "open process %ld", (long)t->id.pid);
	if (sig_send(fd, 0, NULL) < 0 && errno == EPERM) {
		fd_close(fd);
		fd = -1;
	}
	struct target new = {.task = *t, .pidfd = fd};
	new.command = call_strdup(s->call, proc_command(t->id.pid, command, sizeof command));
	if (new.command == NULL || grow(s) < 0) {
		fd_close(fd);
		return call_error(s->call, ENOMEM, "remember process %ld", (long)t->id.pid);
	}
	new.fate = fd < 0 ? DENIED : RUNNING;
	s->running += fd >= 0;
	s->list[s->n++] = new;
	if (fd < 0)
		targets_report(s, t->id, new.command, DENIED);
	return 0;
}

/* Is T in the tree or group, as far as its own record shows? A group or session whose number is that
 * of a target was begun by it, whether it lives or not; unless a later process got the number. */
static bool belongs(const struct stopping *s, const struct task *t)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct task *of = &s->list[i].task;
		if (s->list[i].fate == DENIED ||
			(t->id.pid == of->id.pid && t->id.start != of->id.start))
			continue;
		if (s->group && t->pgrp == of->pgrp && t->pgrp > 0)
			return true;
		if (s->tree && (t->pgrp == of->id.pid || t->session == of->id.pid))
			return true;
		if (s->tree && t->parent == of->id.pid && s->list[i].fate == RUNNING)
			return true;
	}
	return false;
}

/* Look who belongs to the targets; *NEW tells how many joined them. 0 or a status. */
static int expand_once(struct stopping *s, size_t *new)
{
	struct task *list;
	size_t n, before = s->n;
	int status = 0;
	int r = task_list(&list, &n);
	if (r < 0 && errno == EMFILE && raise_files(s))
		r = task_list(&list, &n);
	if (r < 0 && errno == EMFILE)
		return no_files(s);
	if (r < 0)
		return call_error(s->call, errno,
			"read /proc (it must be mounted, and that of our pid namespace)");
	for (size_t i = 0; status == 0 && i < n; i++)
		if (!list[i].ended && belongs(s, &list[i]))
			status = add(s, &list[i]);
	free(list);
	*new = s->n - before;
	return status;
}

int targets_expand(struct stopping *s)
{
	size_t new = 1;
	int status = 0;
	if (!s->group && !s->tree)
		return 0;
	while (status == 0 && new > 0)
		status = expand_once(s, &new);
	return status;
}

/* One operand. Without /proc at least the process itself can be stopped. */
int targets_add(struct stopping *s, const char *name)
{
	struct proc_id id;
	struct task t;
	task_parse(name, &id);
	int fd = open_target(s, id), status = 0;
	if (fd < 0 && errno == EMFILE)
		return no_files(s);
	if (fd < 0 && errno != ESRCH)
		return call_error(s->call, errno, "open process %s", name);
	if (fd < 0) {
		targets_report(s, id, NULL, GONE);
		return 0;
	}
	int r = task_read(id.pid, &t);
	if (r < 0 && errno == EMFILE && raise_files(s))
		r = task_read(id.pid, &t);
	if (r < 0)
		t = (struct task){.id = id, .pgrp = getpgid(id.pid), .state = 'R'};
	status = add(s, &t);
	fd_close(fd);
	return status;
}
