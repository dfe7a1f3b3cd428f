/* lib/inv_hold.c: does anybody have an object: held, free or unknown? Free needs proof. For
 * regular files and POSIX queues it is a write lease (lease.h), for System V segments the
 * kernel's count. For all else it is two looks at every process that agree; where one may not
 * be looked at, nobody knows. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "lease.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSVSEM 6 /* KCMP_SYSVSEM of <linux/kcmp.h>, which not every C library finds */
#define TRIES 3   /* another who asks for a lease is gone in an instant */

const char *const inv_hold_names[] = {
	[INV_UNKNOWN] = "unknown", [INV_FREE] = "free", [INV_HELD] = "held"};

bool inv_gone(const struct inv *inv, pid_t pid, int64_t at)
{
	if (!proc_ours())
		return false;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return true;
	int64_t ns = proc_started_ns(pid);
	return ns >= 0 && at > 0 && inv->booted + ns / NS_PER_S > at + 2;
}

static void say(struct inv_object *o, enum inv_hold hold, const char *why)
{
	o->hold = hold;
	o->why = why;
}

/* ---- what /proc shows */

/* Who has it is seen, or counted by the kernel. */
static const char *seen(const struct inv_object *o)
{
	if (o->nlocks > 0 || o->locks > 0)
		return "locked";
	if (o->nwaiters > 0 || o->blocked > 0)
		return "processes wait for it";
	if (o->attached > 0)
		return "attached";
	if (o->nholds > o->nidle)
		return "open or mapped";
	if (o->nidle > 0)
		return "a shell keeps it open for its next call";
	return o->bound ? "a socket is bound to it" : NULL;
}

/* Why a look at /proc proves nothing, or NULL. SLEEPS: sleepers matter that have it neither
 * open nor mapped. */
static const char *missing(struct inv *inv, bool sleeps)
{
	if (inv->blind)
		return "/proc does not show all processes (hidepid, a pid namespace, or no procfs)";
	if (inv->nhidden > 0)
		return inv_fmt(inv, "%u of %zu processes may not be looked into", inv->nhidden,
			inv->nprocs);
	if (sleeps && inv->nsilent > 0)
		return "what some processes sleep in may not be looked at";
	if (inv->lost || inv->err != 0)
		return "memory or descriptors ran out";
	return inv->unsettled ? "processes come and go too fast" : NULL;
}

static void look_twice(struct inv *inv, struct inv_object *o, bool sleeps)
{
	const char *why = missing(inv, sleeps);
	if (why == NULL) {
		inv_scan_again(inv);
		why = missing(inv, sleeps);
	}
	if (why != NULL)
		say(o, INV_UNKNOWN, why);
	else if (o->again)
		say(o, INV_HELD, "a second look found a user");
	else
		say(o, INV_FREE, "no process has it, in two looks");
}

/* ---- regular files, POSIX queues */

static int open_it(const struct inv_object *o)
{
	struct stat st;
	int fd;
	if (o->path != NULL)
		fd = inv_open(AT_FDCWD, o->path, S_IFREG, false, &st);
	else if (o->kind == INV_MQ)
		fd = (int)syscall(SYS_mq_open, strrchr(o->name, '/') + 1,
			O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, NULL);
	else
		return -1;
	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_ino == o->file && st.st_dev == o->dev))
		return fd;
	fd_close(fd);
	errno = ESTALE;
	return -1;
}

/* 0: the kernel says that nobody has it. -1 with errno as lease_take's. */
static int ask_lease(const struct inv_object *o)
{
	struct lease l;
	int fd = open_it(o), r = -1;
	if (fd < 0)
		return -1;
	for (unsigned i = 0; r < 0 && i < TRIES; i++) {
		r = lease_take(&l, fd);
		if (r < 0 && errno != EAGAIN)
			break;
	}
	if (r == 0)
		lease_release(&l);
	fd_close(fd);
	return r;
}

static void hold_file(struct inv *inv, struct inv_object *o)
{
	if (ask_lease(o) == 0)
		say(o, INV_FREE, "the kernel granted a lease: nobody has it open or mapped");
	else if (errno == EAGAIN)
		say(o, INV_HELD, "the kernel says that a process has it open or mapped, or did");
	else
		look_twice(inv, o, false);
}

/* ---- System V */

static enum inv_undo undo_of(const char *tid)
{
	int64_t id;
	if (num_int(tid, &id) != NULL)
		return UNDO_NONE;
	long r = syscall(SYS_kcmp, (long)getpid(), (long)id, (long)SYSVSEM, 0L, 0L);
	if (r == 0 || (r < 0 && errno == ESRCH))
		return UNDO_NONE;
	return r < 0 ? UNDO_UNKNOWN : UNDO_SOME;
}

/* The worst of all threads. We have nothing to undo, so who compares equal to us has nothing
 * either. */
static enum inv_undo any_undo(const struct inv *inv)
{
	enum inv_undo worst = UNDO_NONE;
	for (size_t i = 0; i < inv->nprocs; i++) {
		char path[40];
		if (inv->procs[i]->pid == 1) /* as in inv_wait.c */
			continue;
		snprintf(path, sizeof path, "/proc/%d/task", (int)inv->procs[i]->pid);
		DIR *dir = opendir(path);
		if (dir == NULL && errno != ENOENT)
			return UNDO_UNKNOWN;
		for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
			enum inv_undo undo = undo_of(e->d_name);
			worst = undo > worst ? undo : worst;
		}
		if (dir != NULL)
			closedir(dir);
	}
	return worst;
}

static const char *undone(struct inv *inv)
{
	struct inv_priv *p = inv_priv(inv);
	if (p->undo == UNDO_UNASKED)
		p->undo = any_undo(inv);
	if (p->undo == UNDO_SOME)
		return "a process has semaphores to undo (SEM_UNDO), perhaps this one";
	return p->undo == UNDO_NONE
		? NULL
		: "whether a process is to undo it (SEM_UNDO) may not be looked at: kcmp(2)";
}

/* Why somebody may count on the set or queue, though nobody sleeps in it; or NULL. */
static const char *counted_on(struct inv *inv, struct inv_object *o)
{
	for (unsigned i = 0; o->kind == INV_MQ && i < 2; i++) {
		if (o->user_at[i] != 0 && o->user[i] == 0)
			return "who used it last cannot be seen";
		if (o->user[i] != 0 && !inv_gone(inv, o->user[i], o->user_at[i]))
			return inv_fmt(inv,
				"process %ld, which used it last, is not known to have ended",
				(long)o->user[i]);
	}
	for (unsigned i = 0; o->kind == INV_SEM && i < o->members; i++) {
		int pid = semctl(o->id, (int)i, GETPID);
		if (pid < 0)
			return "who used it may not be asked";
		if (pid > 0 && !inv_gone(inv, pid, o->last))
			return inv_fmt(inv,
				"process %d, which used it last, is not known to have ended", pid);
	}
	return o->kind == INV_SEM ? undone(inv) : NULL;
}

static void hold_sysv(struct inv *inv, struct inv_object *o)
{
	const char *why = NULL;
	if (o->kind == INV_SHM) {
		say(o, INV_FREE, "not attached");
		return;
	}
	look_twice(inv, o, true);
	if (o->hold == INV_FREE && (why = counted_on(inv, o)) != NULL)
		say(o, INV_UNKNOWN, why);
}

/* ---- sockets */

static void hold_socket(struct inv_object *o)
{
	if (o->path == NULL || (o->path[0] != '/' && !o->seeded)) {
		say(o, INV_UNKNOWN, "where its file is, nobody tells");
		return;
	}
	if (inv_refused(o->path)) {
		o->state = "dead";
		say(o, INV_FREE, "no socket is bound to it: connections are refused");
		return;
	}
	o->bound = true;
	o->state = "elsewhere";
	say(o, INV_HELD, "a socket is bound to it, in another network namespace");
}

void inv_hold(struct inv *inv, struct inv_object *o)
{
	const char *why = seen(o);
	if (why != NULL)
		say(o, INV_HELD, why);
	else if (o->removed || o->make == INV_UNNAMED || o->make == INV_ABSTRACT ||
		(o->kind == INV_SOCK && o->ino != 0 && o->state != NULL))
		say(o, INV_HELD, "it has no name, and lives only while somebody has it");
	else if (o->kind == INV_SOCK || o->kind == INV_DOOR || o->kind == INV_FDSTORE)
		hold_socket(o);
	else if (o->make == INV_SYSV)
		hold_sysv(inv, o);
	else if (o->kind == INV_FIFO || o->kind == INV_SPOOL)
		look_twice(inv, o, o->kind == INV_FIFO);
	else
		hold_file(inv, o);
	o->hidden = o->hold != INV_FREE && (inv->nhidden > 0 || inv->blind);
}
