/* applets/ipc-sem/stat.c: stat and ls. */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"
#include "num.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

union semun {
	int val;
	struct semid_ds *buf;
};

/* ---- slots: who holds what, who waits */

struct seen {
	struct sem *s;
	const struct stat *st;
	struct json *json;
	struct table *table;
	pid_t *first; /* per slot: the first process found to hold it */
	unsigned top;
	pid_t *pids; /* all that hold something */
	unsigned npids, cap;
	unsigned waiters;
	bool print;
};

static int holder(void *arg, const struct proc_fd *fd)
{
	struct seen *x = arg;
	bool any = false;
	for (unsigned i = 0; i < x->top; i++) {
		uint64_t byte = (uint64_t)slots_byte(i);
		if (fd->lock != 'O' || !fd->write || fd->start > byte || fd->end < byte)
			continue;
		any = true;
		if (x->first[i] == 0)
			x->first[i] = fd->pid;
	}
	if (any && x->npids < x->cap)
		x->pids[x->npids++] = fd->pid;
	return 0;
}

static int waiter(void *arg, const struct proc_fd *fd)
{
	struct seen *x = arg;
	char command[256];
	if (fd->pid == getpid() || proc_stands(fd->pid, x->st, KEPT_IDLE))
		return 0;
	for (unsigned i = 0; i < x->npids; i++)
		if (x->pids[i] == fd->pid)
			return 0;
	x->waiters++;
	if (!x->print)
		return 0;
	proc_command(fd->pid, command, sizeof command);
	if (x->json == NULL) {
		table_cell(x->table, "-");
		table_fmt(x->table, "%ld", (long)fd->pid);
		table_cell(x->table, "-");
		table_cell(x->table, "waiting");
		table_cell(x->table, command);
		return 0;
	}
	json_open(x->json, NULL, '{');
	json_int(x->json, "pid", fd->pid);
	json_str(x->json, "command", command);
	json_close(x->json, '}');
	return 0;
}

static void put_holder(struct seen *x, unsigned slot)
{
	struct claim c;
	char buf[256], when[32] = "-";
	bool known = slots_claimed(x->s, slot, &c);
	pid_t pid = x->first[slot];
	/* The claim names the supervisor, or the keeper; when that is gone, whoever holds the lock. */
	if (known && (pid == 0 || proc_start(c.pid) != 0))
		pid = c.pid;
	pid_t who = known && c.owner > 0 ? c.owner : pid;
	const char *command = known && c.owner <= 0 && c.command[0] != '\0'
		? c.command
		: proc_command(who, buf, sizeof buf);
	if (known)
		num_time_text(c.since, when);
	if (x->json == NULL) {
		table_fmt(x->table, "%u", slot);
		table_fmt(x->table, "%ld", (long)pid);
		table_fmt(x->table, known && c.owner > 0 ? "%ld" : "-", (long)c.owner);
		table_cell(x->table, when);
		table_fmt(x->table, "%s%s", command, proc_stopped(who) ? " (stopped)" : "");
		return;
	}
	json_open(x->json, NULL, '{');
	json_uint(x->json, "slot", slot);
	json_int(x->json, "pid", pid);
	if (known && c.owner > 0)
		json_int(x->json, "owner", c.owner);
	else
		json_null(x->json, "owner");
	json_str(x->json, "since", known ? when : NULL);
	json_str(x->json, "command", command);
	json_bool(x->json, "stopped", proc_stopped(who));
	json_close(x->json, '}');
}

static int stat_slots(struct sem *s)
{
	struct call *call = s->call;
	struct stat st;
	struct json json;
	struct table table;
	bool as_json = call->std[STD_JSON].count > 0, hidden = false;
	struct seen x = {.s = s, .st = &st, .top = s->top, .cap = 4 * SLOTS_MAX, .table = &table};
	x.first = call_alloc(call, (s->top + 1) * sizeof *x.first);
	x.pids = call_alloc(call, x.cap * sizeof *x.pids);
	if (x.first == NULL || x.pids == NULL)
		return call_error(call, ENOMEM, "look at %s", s->text);
	int count = slots_count(s);
	if (count < 0 || fstat(s->fd, &st) < 0 ||
		proc_each_fd(&st, true, holder, &x, &hidden) < 0 ||
		proc_each_fd(&st, false, waiter, &x, NULL) < 0)
		return call_error(call, errno, "look at %s", s->text);
	unsigned free = (unsigned)count < s->n ? s->n - (unsigned)count : 0;
	x.print = true;
	if (as_json) {
		x.json = &json;
		json_start(&json, &call->out);
		json_open(&json, NULL, '{');
		json_str(&json, "object", s->text);
		json_str(&json, "kind", "slots");
		json_uint(&json, "slots", s->n);
		json_uint(&json, "value", free);
		json_bool(&json, "hidden", hidden);
		json_open(&json, "holders", '[');
	} else {
		out_fmt(&call->out, "kind slots\nslots %u\nvalue %u\nwaiters %u\n", s->n, free,
			x.waiters);
		table_start(&table, 5, 0x3);
		if (count > 0 || x.waiters > 0) {
			static const char *const top[] = {
				"SLOT", "PID", "OWNER", "SINCE", "COMMAND"};
			for (unsigned i = 0; i < 5; i++)
				table_cell(&table, top[i]);
		}
	}
	for (unsigned i = 0; i < s->top; i++)
		if (slots_taken(s, i) > 0)
			put_holder(&x, i);
	if (as_json) {
		json_close(&json, ']');
		json_open(&json, "waiters", '[');
	}
	(void)proc_each_fd(&st, false, waiter, &x, NULL);
	if (!as_json)
		return table_end(&table, &call->out) < 0 ? call_stdout_error(call, call->out.err)
							 : ST_OK;
	json_close(&json, ']');
	json_close(&json, '}');
	return ST_OK;
}

/* ---- the others: lines "name value", or members of an object */

static void put(struct call *call, struct json *json, const char *name, int64_t n)
{
	if (json != NULL)
		json_int(json, name, n);
	else
		out_fmt(&call->out, "%s %lld\n", name, (long long)n);
}

static void put_text(struct call *call, struct json *json, const char *name, const char *text)
{
	if (json != NULL)
		json_str(json, name, text);
	else
		out_fmt(&call->out, "%s ", name), out_plain_line(&call->out, text);
}

static void put_owner(struct call *call, struct json *json, unsigned uid, unsigned mode)
{
	char text[64];
	num_user_name(uid, text, sizeof text);
	put_text(call, json, "owner", text);
	snprintf(text, sizeof text, "%04o", mode & 07777);
	put_text(call, json, "mode", text);
}

static int stat_posix(struct sem *s, struct json *json)
{
	struct call *call = s->call;
	struct stat st;
	if (fstat(s->posix.fd, &st) < 0)
		return call_error(call, errno, "look at %s", s->text);
	put_text(call, json, "kind", "posix");
	put(call, json, "value", psem_value(&s->posix));
	put(call, json, "waiters", psem_waiters(&s->posix));
	put_owner(call, json, st.st_uid, st.st_mode);
	return ST_OK;
}

static int stat_sysv(struct sem *s, struct json *json)
{
	struct call *call = s->call;
	struct semid_ds ds = {0};
	union semun un = {.buf = &ds};
	if (semctl(s->id, 0, IPC_STAT, un) < 0)
		return call_error(call, errno, "look at %s", s->text);
	put_text(call, json, "kind", "sysv");
	put(call, json, "id", s->id);
	put(call, json, "semaphores", (int64_t)ds.sem_nsems);
	put(call, json, "index", s->index);
	put(call, json, "value", sysv_value(s));
	put(call, json, "waiters", semctl(s->id, s->index, GETNCNT));
	put(call, json, "waiters_for_zero", semctl(s->id, s->index, GETZCNT));
	put(call, json, "last_pid", semctl(s->id, s->index, GETPID));
	put_owner(call, json, ds.sem_perm.uid, ds.sem_perm.mode);
	return ST_OK;
}

int sem_stat(struct call *call)
{
	int status;
	struct json json;
	bool as_json = call->std[STD_JSON].count > 0;
	struct sem *s = sem_open_word(call, call->args[0].str, SEM_READ, 0, NULL, &status);
	if (s == NULL)
		return status;
	if (s->kind == SEM_SLOTS)
		return stat_slots(s);
	json_start(&json, &call->out);
	if (as_json) {
		json_open(&json, NULL, '{');
		json_str(&json, "object", s->text);
	}
	status = s->kind == SEM_POSIX ? stat_posix(s, as_json ? &json : NULL)
				      : stat_sysv(s, as_json ? &json : NULL);
	if (as_json)
		json_close(&json, '}');
	return status;
}

/* ---- ls */

struct listing {
	struct call *call;
	struct json *json;
	struct table table;
	int failed; /* errno of what could not be listed, other than for want of permission */
};

static void missed(struct listing *l, int errnum)
{
	if (errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EIO)
		l->failed = errnum;
}

static void row(struct listing *l, const char *name, const char *kind, int64_t value, unsigned uid,
	unsigned mode)
{
	char user[64], text[16];
	num_user_name(uid, user, sizeof user);
	snprintf(text, sizeof text, "%04o", mode & 07777);
	if (l->json != NULL) {
		json_open(l->json, NULL, '{');
		json_str(l->json, "object", name);
		json_str(l->json, "kind", kind);
		if (value < 0)
			json_null(l->json, "value");
		else
			json_int(l->json, "value", value);
		json_str(l->json, "owner", user);
		json_str(l->json, "mode", text);
		json_close(l->json, '}');
		return;
	}
	table_cell(&l->table, name);
	table_cell(&l->table, kind);
	if (value < 0)
		table_cell(&l->table, "-");
	else
		table_fmt(&l->table, "%lld", (long long)value);
	table_cell(&l->table, text);
	table_cell(&l->table, user);
}

static int slots_row(void *arg, const char *name, const char *kind)
{
	struct listing *l = arg;
	struct sem *s = call_alloc(l->call, sizeof *s);
	struct stat st;
	bool made;
	(void)kind;
	if (s == NULL) {
		missed(l, ENOMEM);
		return 0;
	}
	*s = (struct sem){.call = l->call, .fd = -1, .hold = -1, .ino = -1};
	if (object_parse(&s->obj, name) == NULL &&
		slots_open(s, SEM_READ | SEM_NAME, 0, &made) == 0 && fstat(s->fd, &st) == 0) {
		int count = slots_count(s);
		int64_t value = count < 0 ? -1 : count < (int)s->n ? (int)s->n - count : 0;
		row(l, name, "slots", value, st.st_uid, st.st_mode);
	} else {
		missed(l, errno);
	}
	slots_close(s);
	return 0;
}

static int named_rows(struct listing *l)
{
	int fd = fd_open(AT_FDCWD, PSEM_DIR, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return errno == ENOENT ? 0 : -1;
	}
	for (struct dirent *e; errno = 0, (e = readdir(dir)) != NULL;) {
		const char *file = psem_file(e->d_name), *name;
		struct psem p = {.fd = -1};
		struct stat st;
		if (file != NULL && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			missed(l, errno);
			continue;
		}
		if (file == NULL || !S_ISREG(st.st_mode) || st.st_size != 32)
			continue;
		if ((name = call_fmt(l->call, "posix:/%s", file)) == NULL)
			break;
		int64_t value = psem_open(&p, file) == 0 ? (int64_t)psem_value(&p) : -1;
		if (value < 0)
			missed(l, errno);
		psem_close(&p);
		row(l, name, "posix", value, st.st_uid, st.st_mode);
	}
	missed(l, errno);
	closedir(dir);
	return 0;
}

static int sysv_row(void *arg, int id)
{
	struct listing *l = arg;
	struct semid_ds ds = {0};
	union semun un = {.buf = &ds};
	if (semctl(id, 0, IPC_STAT, un) < 0)
		return 0;
	const char *name = ds.sem_perm.__key == IPC_PRIVATE
		? call_fmt(l->call, "sysv:id=%d", id)
		: call_fmt(l->call, "sysv:0x%x", (unsigned)ds.sem_perm.__key);
	if (name == NULL) {
		missed(l, ENOMEM);
		return 1;
	}
	row(l, name, "sysv", semctl(id, 0, GETVAL), ds.sem_perm.uid, ds.sem_perm.mode);
	return 0;
}

int sem_ls(struct call *call)
{
	struct json json;
	struct listing l = {.call = call};
	json_start(&json, &call->out);
	table_start(&l.table, 5, 0x4);
	if (call->std[STD_JSON].count > 0) {
		l.json = &json;
		json_open(&json, NULL, '[');
	} else {
		static const char *const head[] = {"SEM", "KIND", "VALUE", "MODE", "OWNER"};
		for (unsigned i = 0; i < 5; i++)
			table_cell(&l.table, head[i]);
	}
	if (object_each("sem", slots_row, &l) < 0)
		call_warn(call, errno, "semaphores in $IPC_DIR are hidden");
	if (named_rows(&l) < 0)
		call_warn(call, errno, "POSIX semaphores are hidden");
	if (sysv_each(sysv_row, &l) < 0)
		call_warn(call, errno, "System V semaphores are hidden");
	if (l.json != NULL)
		json_close(&json, ']');
	else if (table_end(&l.table, &call->out) < 0)
		return call_stdout_error(call, call->out.err);
	return l.failed != 0 ? call_error(call, l.failed, "list all semaphores") : ST_OK;
}
