/* lib/inv_lock.c: file locks. /proc/locks tells which inodes are worth a look at the fdinfo of each
 * descriptor, which in turn tells who really holds a lock: /proc/locks names who once took it, dead or
 * not, and -1 for OFD locks (proc_locks(5)). What no process was seen to hold is listed without one. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct lock_line {
	struct proc_fd lock;
	uint64_t dev, ino; /* as the kernel calls the file here; stat(2) may know another device */
	bool blocked;
};

/* "fe:00:1234" */
static bool parse_file(const char *text, uint64_t *dev, uint64_t *ino)
{
	char *end;
	unsigned long major = strtoul(text, &end, 16);
	if (*end != ':')
		return false;
	unsigned long minor = strtoul(end + 1, &end, 16);
	if (*end != ':')
		return false;
	*dev = makedev((unsigned)major, (unsigned)minor);
	*ino = strtoull(end + 1, &end, 10);
	return true;
}

/* The lines of /proc/locks, as they are now. */
struct lock_lines {
	struct lock_line *v;
	size_t n, cap;
};

static void one_line(struct inv *inv, struct lock_lines *to, const char *line)
{
	struct lock_line l = {0};
	char file[48];
	const char *s = strchr(line, ':');
	if (s == NULL)
		return;
	s += 1 + strspn(s + 1, " ");
	l.blocked = strncmp(s, "->", 2) == 0;
	if (proc_parse_lock(l.blocked ? s + 2 : s, &l.lock, file) == NULL ||
		!parse_file(file, &l.dev, &l.ino) ||
		!inv_grow(inv, &to->v, to->n, &to->cap, sizeof *to->v))
		return;
	to->v[to->n++] = l;
}

static int read_lines(struct inv *inv, struct lock_lines *to)
{
	char *text, *save = NULL;
	size_t len;
	if (fd_slurp(AT_FDCWD, "/proc/locks", (size_t)1 << 28, &text, &len) < 0)
		return -1;
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
		one_line(inv, to, l);
	fd_slurp_free(text);
	return 0;
}

void inv_read_locks(struct inv *inv)
{
	struct inv_priv *p = inv_priv(inv);
	struct lock_lines all = {0};
	if (read_lines(inv, &all) < 0)
		inv_unseen(inv, inv_fmt(inv, "locks: /proc/locks: %s", strerror(errno)));
	p->lines = all.v;
	p->nlines = all.n;
	for (size_t i = 0; i < all.n; i++)
		inv_key(inv, SPACE_LOCKED, all.v[i].ino, 0, NULL);
}

/* Does the lock that no process was seen to hold exist all the same? Not when it has been
 * given back since it was listed. OFD locks are all alike: of these, one that nobody holds is
 * gone where all processes are seen. */
static bool still(const struct inv *inv, const struct lock_lines *now, const struct lock_line *l)
{
	bool sees_all = inv->nhidden == 0 && !inv->blind && !inv->unsettled;
	if (l->lock.pid <= 0 && sees_all)
		return false;
	for (size_t i = 0; i < now->n; i++) {
		const struct lock_line *m = &now->v[i];
		if (m->dev == l->dev && m->ino == l->ino && m->blocked == l->blocked &&
			m->lock.pid == l->lock.pid && m->lock.lock == l->lock.lock &&
			m->lock.write == l->lock.write && m->lock.start == l->lock.start)
			return true;
	}
	return false;
}

static struct inv_object *locked_file(
	struct inv *inv, const char *path, int procfd, int fd, const struct stat *st)
{
	struct inv_object *o = inv_find(inv, SPACE_FILE, st->st_dev, st->st_ino);
	char name[32];
	if (o != NULL)
		return o;
	/* A semaphore of slots tells what it is. */
	if (S_ISREG(st->st_mode) && st->st_size >= 64) {
		struct stat now;
		snprintf(name, sizeof name, "fd/%d", fd);
		int file = inv_open(procfd, name, S_IFREG, true, &now);
		o = file >= 0 ? inv_sniff(inv, file, path, st) : NULL;
		fd_close(file);
		if (o != NULL)
			return o;
	}
	o = inv_add(inv, INV_LOCK, INV_FILE, path);
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->path = o->removed ? NULL : path;
	o->lasting = true; /* a file of somebody's, which may be more than a lock */
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	return o;
}

static bool told(const struct inv_object *o, const struct inv_proc *proc, const struct proc_fd *l)
{
	for (unsigned i = o->nuses; i > 0 && o->uses[i - 1].proc == proc; i--) {
		const struct inv_use *u = &o->uses[i - 1];
		if (u->how == INV_LOCKED && u->lock == l->lock && u->exclusive == l->write &&
			u->start == l->start && u->end == l->end)
			return true;
	}
	return false;
}

struct inv_object *inv_fd_locks(struct inv *inv, struct inv_proc *proc, int procfd, int fd,
	const char *path, const struct stat *st)
{
	struct inv_object *o = inv_find(inv, SPACE_FILE, st->st_dev, st->st_ino);
	char name[32], *text;
	size_t len;
	snprintf(name, sizeof name, "fdinfo/%d", fd);
	if (fd_slurp(procfd, name, 1 << 24, &text, &len) < 0) {
		inv_ran_out(inv);
		return o;
	}
	for (char *p = text; (p = strstr(p, "\nlock:")) != NULL; p++) {
		struct proc_fd l;
		char file[48];
		uint64_t dev, ino;
		const char *colon =
			strchr(p + 6, ':'); /* "lock:\t1: FLOCK  ADVISORY  WRITE 47 ..." */
		if (colon == NULL || proc_parse_lock(colon + 1, &l, file) == NULL)
			continue;
		o = o != NULL ? o : locked_file(inv, path, procfd, fd, st);
		if (o == NULL)
			break;
		if (parse_file(file, &dev, &ino))
			inv_key(inv, SPACE_LOCK, dev, ino, o);
		if (told(o, proc, &l))
			continue;
		struct inv_use *u = inv_use(inv, o, proc, INV_LOCKED);
		if (u == NULL)
			break;
		u->fd = fd;
		u->lock = l.lock;
		u->exclusive = l.write;
		u->start = l.start;
		u->end = l.end;
	}
	fd_slurp_free(text);
	return o;
}

static struct inv_proc *proc_of(struct inv *inv, pid_t pid)
{
	size_t from = 0, to = inv->nprocs;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (inv->procs[mid]->pid == pid)
			return inv->procs[mid];
		if (inv->procs[mid]->pid < pid)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

/* The object of a line that no descriptor led to. */
static struct inv_object *unseen_file(
	struct inv *inv, const struct lock_lines *now, const struct lock_line *l)
{
	struct inv_object *o = inv_find(inv, SPACE_LOCK, l->dev, l->ino);
	if (o == NULL)
		o = inv_find(inv, SPACE_FILE, l->dev, l->ino);
	if (o == NULL && inv_wants(inv, INV_LOCK) && still(inv, now, l)) {
		o = inv_add(inv, INV_LOCK, INV_UNNAMED,
			inv_fmt(inv, "%x:%x:%llu", major(l->dev), minor(l->dev),
				(unsigned long long)l->ino));
		if (o != NULL) {
			o->dev = l->dev;
			o->ino = l->ino;
			o->lasting = true;
		}
	}
	if (o != NULL)
		inv_key(inv, SPACE_LOCK, l->dev, l->ino, o);
	return o;
}

/* PROC, which has been looked at already, waits for a lock of O, too. */
static void waits_too(
	struct inv *inv, struct inv_object *o, struct inv_proc *proc, const char *what)
{
	char command[400];
	struct inv_use *u = o != NULL ? inv_use(inv, o, proc, INV_WAIT) : NULL;
	if (u == NULL)
		return;
	u->what = what;
	if (proc->command == NULL)
		proc->command = inv_text(
			inv, command, strlen(proc_command(proc->pid, command, sizeof command)));
}

/* Every line is counted at its object. A waiter that we may not look into is named as the kernel has it,
 * which is right while it waits; a holder never is. */
void inv_match_locks(struct inv *inv)
{
	struct inv_priv *p = inv_priv(inv);
	struct lock_lines now = {0};
	(void)read_lines(inv, &now);
	for (const struct inv_late *w = p->late; w != NULL; w = w->next)
		waits_too(inv, inv_find(inv, SPACE_FILE, w->dev, w->ino), w->proc, w->what);
	for (size_t i = 0; i < p->nlines; i++) {
		const struct lock_line *l = &p->lines[i];
		struct inv_object *o = unseen_file(inv, &now, l);
		if (o == NULL)
			continue;
		if (!l->blocked) {
			o->locks++;
			continue;
		}
		o->blocked++;
		struct inv_proc *proc = l->lock.pid > 0 ? proc_of(inv, l->lock.pid) : NULL;
		if (proc != NULL && proc->hidden)
			waits_too(inv, o, proc, l->lock.lock == 'F' ? "flock" : "fcntl");
	}
	free(now.v);
}
