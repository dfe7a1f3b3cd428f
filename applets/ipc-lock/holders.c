/* applets/ipc-lock/holders.c: who holds a lock and who waits for it, from /proc. /proc/locks names who
 * once took a lock, dead or not, and -1 for OFD locks; so holders are found by their descriptors. */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "blocked.h"
#include "fd.h"
#include "keeper.h"
#include "num.h"
#include "proc.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#define COMMAND_MAX 400

static const char *command_of(struct call *call, pid_t pid)
{
	char buf[COMMAND_MAX];
	const char *text = call_strdup(call, proc_command(pid, buf, sizeof buf));
	return text != NULL ? text : "?";
}

static bool is_keeper(pid_t pid)
{
	char path[32], *text;
	size_t len;
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	if (fd_slurp(AT_FDCWD, path, 4096, &text, &len) < 0)
		return false;
	bool yes = strcmp(text, KEEPER_NAME "\n") == 0;
	fd_slurp_free(text);
	return yes;
}

/* The number behind KEY in a file of /proc; 0 when there is none. */
static pid_t number_in(int dirfd, const char *path, const char *key)
{
	char *text;
	size_t len;
	if (fd_slurp(dirfd, path, 1 << 16, &text, &len) < 0)
		return 0;
	const char *p = strstr(text, key);
	long n = p != NULL ? strtol(p + strlen(key), NULL, 10) : 0;
	fd_slurp_free(text);
	return n > 0 && n <= INT32_MAX ? (pid_t)n : 0;
}

/* Whom a keeper waits for: the process of its pidfd. */
static pid_t guarded(pid_t keeper)
{
	char path[32];
	pid_t pid = 0;
	snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)keeper);
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return 0;
	}
	for (struct dirent *e; pid == 0 && (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			pid = number_in(dirfd(dir), e->d_name, "\nPid:");
	closedir(dir);
	return pid;
}

struct finding {
	struct call *call;
	struct holders *h;
	struct holder **tail;
};

static int found(void *arg, const struct proc_fd *p)
{
	struct finding *f = arg;
	unsigned family = p->lock == 'O' ? LOCK_OFD : p->lock == 'F' ? LOCK_FLOCK : LOCK_POSIX;
	for (struct holder *h = f->h->list; h != NULL; h = h->next)
		if (h->pid == p->pid && h->write == p->write && h->start == p->start &&
			h->end == p->end) {
			h->families |= family;
			return 0;
		}
	struct holder *h = call_alloc(f->call, sizeof *h);
	if (h == NULL)
		return -1;
	*h = (struct holder){.pid = p->pid,
		.families = family,
		.write = p->write,
		.start = p->start,
		.end = p->end};
	*f->tail = h;
	f->tail = &h->next;
	return 0;
}

static bool listed(const struct holders *h, pid_t pid)
{
	for (const struct holder *x = h->list; pid > 0 && x != NULL; x = x->next)
		if (x->pid == pid)
			return true;
	return false;
}

static pid_t parent_of(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return number_in(AT_FDCWD, path, "\nPPid:");
}

/* CLOCK_REALTIME, in seconds, of the start of PID; 0 when it is gone. */
static int64_t started(pid_t pid)
{
	struct timespec boot, real;
	int64_t ns = proc_started_ns(pid);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	return ns < 0 ? 0 : (int64_t)real.tv_sec - ((int64_t)boot.tv_sec - ns / NS_PER_S);
}

/* The keeper among the children of PID, or 0. */
static pid_t keeper_of(pid_t pid)
{
	char path[48], *text, *end;
	size_t len;
	pid_t keeper = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (fd_slurp(AT_FDCWD, path, 1 << 20, &text, &len) < 0)
		return 0;
	for (char *p = text; keeper == 0; p = end) {
		long child = strtol(p, &end, 10);
		if (end == p)
			break;
		if (is_keeper((pid_t)child))
			keeper = (pid_t)child;
	}
	fd_slurp_free(text);
	return keeper;
}

/* A keeper that has not come to name itself yet still has its supervisor's arguments. */
static bool same_arguments(pid_t a, pid_t b)
{
	char x[COMMAND_MAX], y[COMMAND_MAX];
	return strcmp(proc_command(a, x, sizeof x), proc_command(b, y, sizeof y)) == 0;
}

/* A keeper stands for its supervisor, and when that was killed, for the command. */
static void resolve_keepers(struct holders *h)
{
	for (struct holder **p = &h->list; *p != NULL;) {
		struct holder *x = *p;
		pid_t parent = parent_of(x->pid);
		bool keeper = is_keeper(x->pid), child = listed(h, parent);
		if (child && (keeper || same_arguments(x->pid, parent))) {
			*p = x->next;
			continue;
		}
		pid_t cmd = keeper ? guarded(x->pid) : 0;
		if (cmd > 0) {
			x->since = started(x->pid);
			x->pid = cmd;
		}
		p = &x->next;
	}
}

/* A keeper is born when the lock is taken; other processes may have begun long before. */
static void describe(struct call *call, struct holders *h)
{
	for (struct holder *x = h->list; x != NULL; x = x->next) {
		pid_t keeper = x->since == 0 ? keeper_of(x->pid) : 0;
		if (x->since == 0)
			x->since = started(keeper > 0 ? keeper : x->pid);
		x->command = command_of(call, x->pid);
		x->stopped = proc_stopped(x->pid);
	}
}

int holders_find(struct call *call, const struct lock *l, struct holders *h)
{
	struct finding f = {call, h, &h->list};
	*h = (struct holders){0};
	if (proc_each_fd(&l->st, true, found, &f, &h->hidden) < 0)
		return -1;
	resolve_keepers(h);
	describe(call, h);
	return 0;
}

ssize_t kernel_locks(const struct stat *st,
	void (*fn)(void *arg, bool waits, const struct proc_fd *lock), void *arg)
{
	char ours[48], *text;
	size_t len;
	snprintf(ours, sizeof ours, "%02x:%02x:%llu", major(st->st_dev), minor(st->st_dev),
		(unsigned long long)st->st_ino);
	if (fd_slurp(AT_FDCWD, "/proc/locks", 64 << 20, &text, &len) < 0)
		return -1;
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct proc_fd lock;
		char dev_ino[48];
		const char *p = line + strcspn(line, ": \n"); /* behind the number: "1: -> FLOCK" */
		p += strspn(p, ": ");
		bool waits = strncmp(p, "-> ", 3) == 0;
		if (proc_parse_lock(waits ? p + 3 : p, &lock, dev_ino) != NULL &&
			strcmp(dev_ino, ours) == 0)
			fn(arg, waits, &lock);
	}
	fd_slurp_free(text);
	return (ssize_t)len;
}

static void candidate(void *arg, bool waits, const struct proc_fd *lock)
{
	pid_t *pid = arg;
	if (!waits && lock->pid > 0)
		*pid = lock->pid;
}

/* The usual case of a conflict, without a look at every process: who took the lock still has it. */
static bool taker_holds(struct call *call, const struct lock *l, struct holders *h)
{
	struct finding f = {call, h, &h->list};
	pid_t pid = 0;
	*h = (struct holders){0};
	if (kernel_locks(&l->st, candidate, &pid) < 0 || pid <= 0 ||
		proc_pid_fds(pid, &l->st, true, found, &f, NULL) < 0)
		return false;
	resolve_keepers(h);
	describe(call, h);
	return h->list != NULL;
}

const char *holders_text(struct call *call, const struct lock *l)
{
	struct lock look = {.obj = l->obj};
	struct holders h;
	const char *text = "held";
	unsigned shown = 0, more = 0;
	if (lock_look(&look, DEADLINE_NOW, NULL) < 0)
		return text;
	if (!taker_holds(call, &look, &h) && holders_find(call, &look, &h) < 0)
		h = (struct holders){.hidden = true};
	for (struct holder *x = h.list; x != NULL && text != NULL; x = x->next) {
		char t[32];
		if (shown == 4) {
			more++;
			continue;
		}
		const char *cut = strlen(x->command) > 100 ? "..." : "";
		text = call_fmt(call, "%s%s %ld (%.100s%s%s)%s%s", text, shown++ > 0 ? "," : " by",
			(long)x->pid, x->command, cut, x->stopped ? ", stopped" : "",
			x->since > 0 ? " since " : "",
			x->since > 0 ? num_time_text(x->since, t) : "");
	}
	if (more > 0 && text != NULL)
		text = call_fmt(call, "%s and %u more", text, more);
	if (h.list == NULL)
		text = h.hidden ? "its holder is not visible from here"
				: "its holder has just gone";
	lock_close(&look);
	return text != NULL ? text : "held";
}

struct waiting {
	struct call *call;
	const struct lock *l;
	struct holder *list;
	unsigned lines;
};

static void add_waiter(struct waiting *w, pid_t pid, unsigned family)
{
	for (struct holder *x = w->list; x != NULL; x = x->next)
		if (x->pid == pid)
			return;
	struct holder *x = call_alloc(w->call, sizeof *x);
	if (x == NULL)
		return;
	*x = (struct holder){.next = w->list, .pid = pid, .families = family};
	x->command = command_of(w->call, pid);
	x->stopped = proc_stopped(pid);
	w->list = x;
}

/* Does the process sleep in flock(2) or fcntl(F_SETLKW) on the file? */
static int waits(void *arg, const struct proc_fd *p)
{
	struct waiting *w = arg;
	char path[48];
	struct blocked b;
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/syscall", (int)p->pid);
	if (blocked_in(&b, p->pid, AT_FDCWD, path) <= 0)
		return 0;
	unsigned family = b.form == BLOCKED_FLOCK ? LOCK_FLOCK
		: b.form == BLOCKED_POSIX         ? LOCK_POSIX
		: b.form == BLOCKED_OFD           ? LOCK_OFD
						  : 0;
	if (family == 0)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)p->pid, (int)b.arg[0]);
	if (stat(path, &st) == 0 && st.st_dev == w->l->st.st_dev && st.st_ino == w->l->st.st_ino)
		add_waiter(w, p->pid, family);
	return 0;
}

/* Every waiter has a line there, but those for OFD locks are without a pid. */
static void blocked_line(void *arg, bool blocked, const struct proc_fd *lock)
{
	struct waiting *w = arg;
	if (!blocked)
		return;
	w->lines++;
	if (lock->pid > 0)
		add_waiter(w, lock->pid, lock->lock == 'F' ? LOCK_FLOCK : LOCK_POSIX);
}

struct holder *waiters_find(struct call *call, const struct lock *l, unsigned *unseen)
{
	struct waiting w = {.call = call, .l = l};
	unsigned known = 0;
	proc_each_fd(&l->st, false, waits, &w, NULL);
	(void)kernel_locks(&l->st, blocked_line, &w);
	for (struct holder *x = w.list; x != NULL; x = x->next)
		known++;
	*unseen = w.lines > known ? w.lines - known : 0;
	return w.list;
}
