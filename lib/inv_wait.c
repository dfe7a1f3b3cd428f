/* lib/inv_wait.c: who waits: the system call that each thread sleeps in (blocked.h). What the arguments
 * point to is read from the process' memory. Sets of descriptors (poll, select, epoll) count for queues,
 * FIFOs and the like, but not for sockets: every server polls its own.
 */
#define _GNU_SOURCE
#include "inv.h"

#include "blocked.h"
#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SET_MAX 1024 /* descriptors of a set that are looked at */

/* Both lists are in ascending order, as /proc gives them. */
static struct inv_object *by_fd(const struct inv_looks *l, int fd)
{
	size_t from = 0, to = l->nfds;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (l->fds[mid].fd == fd)
			return l->fds[mid].o;
		if (l->fds[mid].fd < fd)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static struct inv_object *by_address(const struct inv_looks *l, uint64_t at)
{
	size_t from = 0, to = l->nmaps;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (at >= l->maps[mid].from && at < l->maps[mid].to)
			return l->maps[mid].o;
		if (at >= l->maps[mid].to)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static void waits(struct inv *inv, struct inv_looks *l, struct inv_object *o, const char *what)
{
	struct inv_use *u = o != NULL ? inv_use(inv, o, l->proc, INV_WAIT) : NULL;
	if (u != NULL)
		u->what = what;
}

/* A file becomes an object when the process that locks it is looked at, which may come after us. */
static void waits_for_lock(struct inv *inv, struct inv_looks *l, int fd, const char *what)
{
	struct inv_priv *p = inv_priv(inv);
	struct inv_object *o = by_fd(l, fd);
	struct inv_late *late;
	struct stat st;
	char path[32];
	if (o != NULL) {
		waits(inv, l, o, what);
		return;
	}
	snprintf(path, sizeof path, "fd/%d", fd);
	if (fstatat(l->procfd, path, &st, 0) < 0 || (late = inv_alloc(inv, sizeof *late)) == NULL)
		return;
	*late = (struct inv_late){p->late, l->proc, what, st.st_dev, st.st_ino};
	p->late = late;
}

static void in_set(struct inv *inv, struct inv_looks *l, int fd, const char *what)
{
	struct inv_object *o = by_fd(l, fd);
	if (o != NULL && o->type == 0)
		waits(inv, l, o, what);
}

/* LEN bytes of the process' memory; how many could be read. */
static size_t peek(const struct inv_looks *l, uint64_t at, void *to, size_t len)
{
	struct iovec here = {to, len}, there = {(void *)(uintptr_t)at, len};
	ssize_t n = process_vm_readv(l->proc->pid, &here, 1, &there, 1, 0);
	return n > 0 ? (size_t)n : 0;
}

static void poll_set(struct inv *inv, struct inv_looks *l, const uint64_t *arg, const char *what)
{
	struct pollfd *set = (struct pollfd *)(void *)l->buf;
	size_t n = arg[1] < SET_MAX ? (size_t)arg[1] : SET_MAX;
	n = peek(l, arg[0], set, n * sizeof *set) / sizeof *set;
	for (size_t i = 0; i < n; i++)
		if ((set[i].events & (POLLIN | POLLOUT | POLLRDNORM)) != 0)
			in_set(inv, l, set[i].fd, what);
}

static void select_set(struct inv *inv, struct inv_looks *l, const uint64_t *arg, const char *what)
{
	size_t n = arg[0] < SET_MAX ? (size_t)arg[0] : SET_MAX;
	for (unsigned set = 1; set <= 2; set++) {
		unsigned char bits[SET_MAX / 8] = {0};
		if (arg[set] == 0)
			continue;
		(void)peek(l, arg[set], bits, (n + 7) / 8);
		for (size_t i = 0; i < n; i++)
			if ((bits[i / 8] >> (i % 8) & 1) != 0)
				in_set(inv, l, (int)i, what);
	}
}

/* "tfd:        5 events:       19 data: ..." a line per watched descriptor. */
static void epoll_set(struct inv *inv, struct inv_looks *l, const uint64_t *arg, const char *what)
{
	char path[32];
	snprintf(path, sizeof path, "fdinfo/%d", (int)arg[0]);
	if (inv_slurp(l->procfd, path, l->buf, INV_BUF) <= 0)
		return;
	for (char *p = l->buf; (p = strstr(p, "tfd:")) != NULL; p += 4)
		in_set(inv, l, atoi(p + 4), what);
}

/* open(2) that sleeps, and can be interrupted, sleeps for the other end of a FIFO. */
static void opening(struct inv *inv, struct inv_looks *l, int dirfd, uint64_t at, const char *what)
{
	char name[PATH_MAX], path[PATH_MAX + 64], full[2 * PATH_MAX];
	struct stat st;
	size_t got = 0, n;
	/* A page at a time: the string may stand at the end of what is mapped. */
	while (got < sizeof name - 1) {
		size_t want = 4096 - (size_t)((at + got) & 4095);
		if (want > sizeof name - 1 - got)
			want = sizeof name - 1 - got;
		n = peek(l, at + got, name + got, want);
		if (n == 0 || memchr(name + got, '\0', n) != NULL)
			break;
		got += n;
	}
	name[sizeof name - 1] = '\0';
	if (n == 0)
		return;
	int len = name[0] == '/'    ? snprintf(path, sizeof path, "root")
		: dirfd == AT_FDCWD ? snprintf(path, sizeof path, "cwd")
				    : snprintf(path, sizeof path, "fd/%d", dirfd);
	ssize_t base = name[0] == '/' ? 0 : readlinkat(l->procfd, path, full, PATH_MAX);
	snprintf(path + len, sizeof path - (size_t)len, "/%s", name);
	if (base < 0 || fstatat(l->procfd, path, &st, 0) < 0 || !S_ISFIFO(st.st_mode))
		return;
	struct inv_object *o = inv_find(inv, SPACE_FILE, st.st_dev, st.st_ino);
	if (o == NULL && inv_wants(inv, INV_FIFO)) {
		const char *rel = strncmp(name, "./", 2) == 0 ? name + 2 : name;
		snprintf(full + base, sizeof full - (size_t)base, "%s%s", base > 0 ? "/" : "", rel);
		o = inv_add(inv, INV_FIFO, INV_FILE, inv_text(inv, full, strlen(full)));
		if (o == NULL)
			return;
		inv_stat(o, &st);
		o->path = o->name;
		inv_key(inv, SPACE_FILE, st.st_dev, st.st_ino, o);
	}
	waits(inv, l, o, what);
}

static bool interruptible(const struct inv_looks *l, const char *task)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "%sstat", task);
	if (inv_slurp(l->procfd, path, text, sizeof text) <= 0)
		return false;
	const char *p = strrchr(text, ')');
	return p != NULL && strncmp(p, ") S", 3) == 0;
}

static void one_sleep(
	struct inv *inv, struct inv_looks *l, const struct blocked *b, const char *task)
{
	const uint64_t *arg = b->arg;
	int op = (int)arg[1] & FUTEX_CMD_MASK;
	switch (b->form) {
	case BLOCKED_FD: waits(inv, l, by_fd(l, (int)arg[0]), b->name); break;
	case BLOCKED_FLOCK:
	case BLOCKED_POSIX:
	case BLOCKED_OFD: waits_for_lock(inv, l, (int)arg[0], b->name); break;
	case BLOCKED_FUTEX:
		if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI)
			waits(inv, l, by_address(l, arg[0]), b->name);
		break;
	case BLOCKED_SEM:
		if (inv_same_ipc(inv, l))
			waits(inv, l, inv_find(inv, SPACE_SEM, (uint32_t)arg[0], 0), b->name);
		break;
	case BLOCKED_MSGRCV:
	case BLOCKED_MSGSND:
		if (inv_same_ipc(inv, l))
			waits(inv, l, inv_find(inv, SPACE_MSG, (uint32_t)arg[0], 0), b->name);
		break;
	case BLOCKED_POLL: poll_set(inv, l, arg, b->name); break;
	case BLOCKED_SELECT: select_set(inv, l, arg, b->name); break;
	case BLOCKED_EPOLL: epoll_set(inv, l, arg, b->name); break;
	case BLOCKED_OPEN:
		if (interruptible(l, task))
			opening(inv, l, (int)arg[0], arg[1], b->name);
		break;
	}
}

/* TASK: "" or "task/TID/". */
static void one_thread(struct inv *inv, struct inv_looks *l, const char *task)
{
	char path[64];
	struct blocked b;
	snprintf(path, sizeof path, "%ssyscall", task);
	int r = blocked_in(&b, l->proc->pid, l->procfd, path);
	if (r < 0)
		inv_ran_out(inv);
	/* A policy may protect init from root, too; where /proc shows all, init is no user of
	 * ours. */
	inv->nsilent += r < 0 && (errno == EACCES || errno == EPERM) && l->proc->pid != 1;
	if (r > 0)
		one_sleep(inv, l, &b, task);
}

void inv_waits(struct inv *inv, struct inv_looks *l)
{
	struct stat st;
	char task[32];
	/* A directory's links: itself, its name, one for each thread. */
	if (fstatat(l->procfd, "task", &st, 0) == 0 && st.st_nlink <= 3) {
		one_thread(inv, l, "");
		return;
	}
	int fd = fd_open(l->procfd, "task", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.') {
			snprintf(task, sizeof task, "task/%.15s/", e->d_name);
			one_thread(inv, l, task);
		}
	closedir(dir);
}
