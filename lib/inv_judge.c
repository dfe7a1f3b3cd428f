/* lib/inv_judge.c: what becomes of each object once all is known: would anybody miss it, and
 * what should its owner know? That is asked only of what is free (inv_hold.c). What carries
 * data or a state that a script counts on is not stale. */
#define _GNU_SOURCE
#include "inv.h"

#include "addr.h"
#include "dotline.h"
#include "fd.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOT0 (((uint64_t)1 << 40) + 4) /* where ipc-sem's slots are locked */
#define FIRST_USER 1000                 /* below are system users, whom logind leaves alone */
#define NOBODY 65534

/* ---- dotlock files: a line for each process that holds it */

/* False when the line's process is not known to be dead, and is none that we see either. */
static bool dotlock_line(
	struct inv *inv, struct inv_object *o, char *line, const struct dotline_self *self)
{
	struct dotline who;
	int r = dotline_judge(line, self, &who);
	if (r < 0)
		return false;
	o->creator = who.pid;
	if (r == 0)
		return true;
	if (!who.here)
		return false;
	for (size_t i = 0; i < inv->nprocs; i++)
		if (inv->procs[i]->pid == who.pid) {
			struct inv_use *u = inv_use(inv, o, inv->procs[i], INV_LOCKED);
			char text[400];
			proc_command(who.pid, text, sizeof text);
			if (inv->procs[i]->command == NULL)
				inv->procs[i]->command = inv_text(inv, text, strlen(text));
			if (u != NULL) {
				u->lock = 'D';
				u->exclusive = true;
				u->end = UINT64_MAX;
			}
			return true;
		}
	return false;
}

static void judge_dotlock(struct inv *inv, struct inv_object *o)
{
	struct dotline_self self;
	char text[4096], *save = NULL;
	ssize_t n = o->size < (int64_t)sizeof text && (o->make == INV_WORD || o->seeded)
		? inv_slurp_file(AT_FDCWD, o->path, o->file, text, sizeof text)
		: -1;
	dotline_self(&self);
	bool all = n > 0;
	for (char *l = n > 0 ? strtok_r(text, "\n", &save) : NULL; l != NULL;
		l = strtok_r(NULL, "\n", &save))
		all = dotlock_line(inv, o, l, &self) && all;
	o->lasting = o->lasting || !all;
}

/* ---- sockets */

/* Asked by connecting, since sock_diag(7) knows nothing of other network name spaces. A
 * datagram socket asks: no server has to accept it, and one that is bound but does not listen
 * yet answers EPROTOTYPE. */
bool inv_refused(const char *path)
{
	struct addr_at at;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || addr_enter(path, true, &at) < 0) {
		fd_close(fd);
		return false;
	}
	bool no = connect(fd, &at.sa.sa, at.sa.len) < 0 && errno == ECONNREFUSED;
	addr_leave(&at);
	fd_close(fd);
	return no;
}

/* ---- why nobody would miss what is free */

static const char *judge_sysv(struct inv *inv, const struct inv_object *o)
{
	if (o->kind == INV_SHM)
		return o->creator != 0 && inv_gone(inv, o->creator, o->created)
			? inv_fmt(inv, "not attached, creator %ld gone", (long)o->creator)
			: NULL;
	if (o->lasting || o->last == 0) /* never used: somebody may be about to */
		return NULL;
	if (o->kind == INV_SEM)
		return "its last users are gone";
	return inv_fmt(inv, "empty, last user %ld gone",
		(long)(o->user[1] != 0 ? o->user[1] : o->user[0]));
}

static const char *judge_toolbox(const struct inv_object *o)
{
	bool carries = (o->kind == INV_RING && o->used != 0) ||
		(o->kind == INV_EVENT && (o->state == NULL || strcmp(o->state, "set") == 0));
	if (o->kind == INV_BARRIER && o->used > 0)
		return "its parties are gone";
	if (o->last_boot && !carries)
		return "not used since the last boot";
	if (o->kind == INV_RING && !o->lasting)
		return "closed and empty, no holder";
	return o->kind == INV_BARRIER ? "no holder" : NULL;
}

static const char *judge_file(struct inv *inv, struct inv_object *o)
{
	switch (o->kind) {
	case INV_MQ:
		if (o->used > 0)
			inv_warn(inv, o, "messages wait, no reader");
		return o->lasting ? NULL : "empty, no holder";
	case INV_LOCK:
		if (o->creator != 0 && !o->lasting)
			return inv_fmt(inv, "holder %ld gone", (long)o->creator);
		return o->lasting ? NULL : "no holder";
	case INV_SHM:
	case INV_SEM: return o->make == INV_POSIX ? "no holder" : NULL;
	case INV_FIFO: return "no holder";
	case INV_SOCK:
	case INV_DOOR:
	case INV_FDSTORE: return "connections are refused, no server";
	case INV_RING:
	case INV_EVENT:
	case INV_BARRIER: return judge_toolbox(o);
	default: return NULL;
	}
}

/* ---- slots */

static int by_start(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* How many slots are taken: locked bytes, those counted once that two processes share. */
static void count_slots(struct inv *inv, struct inv_object *o)
{
	uint64_t(*r)[2] = inv_alloc(inv, sizeof *r * (o->nlocks + 1));
	size_t n = 0;
	for (unsigned i = 0; r != NULL && i < o->nuses; i++) {
		const struct inv_use *u = &o->uses[i];
		if (u->how == INV_LOCKED && u->start >= SLOT0 && u->end != UINT64_MAX) {
			r[n][0] = u->start;
			r[n++][1] = u->end;
		}
	}
	if (n == 0)
		return;
	qsort(r, n, sizeof *r, by_start);
	uint64_t past = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t from = r[i][0] > past ? r[i][0] : past;
		if (r[i][1] + 1 > from)
			o->used += (int64_t)(r[i][1] + 1 - from);
		past = r[i][1] + 1 > past ? r[i][1] + 1 : past;
	}
}

/* ---- warnings */

/* logind.conf(5): RemoveIPC= is on unless a file says no; the last one wins. */
static void read_conf(int dirfd, const char *path, bool *removes)
{
	char text[16384], *save = NULL;
	if (inv_slurp(dirfd, path, text, sizeof text) <= 0)
		return;
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, "RemoveIPC=", 10) == 0)
			*removes = strchr("nNfF0", l[10]) == NULL && strcasecmp(l + 10, "off") != 0;
}

static bool logind_removes(void)
{
	bool removes = access("/run/systemd/users", F_OK) == 0;
	if (!removes)
		return false;
	read_conf(AT_FDCWD, "/etc/systemd/logind.conf", &removes);
	int fd = fd_open(AT_FDCWD, "/etc/systemd/logind.conf.d", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return removes;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			read_conf(fd, e->d_name, &removes);
	closedir(dir);
	return removes;
}

static void warn(struct inv *inv, struct inv_object *o)
{
	unsigned open = 1u << INV_MQ | 1u << INV_SHM | 1u << INV_SEM | 1u << INV_FIFO |
		1u << INV_RING | 1u << INV_EVENT | 1u << INV_BARRIER | 1u << INV_SPOOL;
	if (o->has_mode && (o->mode & 2) != 0 && (open >> o->kind & 1) != 0)
		inv_warn(inv, o, "world-writable");
	if (inv->removes && (o->make == INV_POSIX || o->make == INV_SYSV) && o->has_owner &&
		o->uid >= FIRST_USER && o->uid != NOBODY)
		inv_warn(inv, o, "goes when its owner logs out (RemoveIPC)");
}

static void warn_limit(struct inv *inv, int64_t n, int64_t most, const char *what)
{
	if (most > 0 && n >= most - most / 10)
		inv_warning(
			inv, inv_fmt(inv, "%lld of %lld %s", (long long)n, (long long)most, what));
}

static void check_limits(struct inv *inv)
{
	int64_t shm = 0, msg = 0, sem = 0, semmni = 0;
	char text[128];
	for (size_t i = 0; i < inv->n; i++) {
		const struct inv_object *o = inv->objects[i];
		shm += o->make == INV_SYSV && o->kind == INV_SHM;
		msg += o->make == INV_SYSV && o->kind == INV_MQ;
		sem += o->make == INV_SYSV && o->kind == INV_SEM;
	}
	warn_limit(inv, shm, inv_number("/proc/sys/kernel/shmmni", 0),
		"System V segments (kernel.shmmni)");
	warn_limit(inv, msg, inv_number("/proc/sys/kernel/msgmni", 0),
		"System V queues (kernel.msgmni)");
	if (inv_slurp(AT_FDCWD, "/proc/sys/kernel/sem", text, sizeof text) > 0) {
		char *p = text;
		for (unsigned i = 0; i < 4; i++)
			semmni = strtoll(p, &p, 10);
		warn_limit(inv, sem, semmni, "System V semaphore sets (kernel.sem)");
	}
}

void inv_judge(struct inv *inv)
{
	inv->removes = logind_removes();
	check_limits(inv);
	for (size_t i = 0; i < inv->n; i++) {
		struct inv_object *o = inv->objects[i];
		if (o->kind == INV_LOCK && o->path != NULL && o->size > 0 && o->nlocks == 0)
			judge_dotlock(inv, o);
		if (o->kind == INV_SEM && o->make != INV_POSIX && o->make != INV_SYSV &&
			o->used >= 0)
			count_slots(inv, o);
		inv_hold(inv, o);
		if (o->removed && o->kind != INV_SOCK)
			o->state = "removed"; /* and goes with its last holder */
		if (o->hold == INV_FREE)
			o->stale = o->make == INV_SYSV ? judge_sysv(inv, o) : judge_file(inv, o);
		warn(inv, o);
	}
}
