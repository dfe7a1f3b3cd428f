/* lib/task.c: see task.h. */
#define _GNU_SOURCE
#include "task.h"

#include "fd.h"
#include "num.h"
#include "sig.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAT_MAX 1024 /* 52 numbers and a name of at most 64 bytes: under 700 */

/* The text of /proc/PID/NAME in BUF. Its length, or -1 with errno. */
static ssize_t slurp(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0) {
		if (errno == ENOENT)
			errno = ESRCH;
		return -1;
	}
	ssize_t n = fd_read(fd, buf, size - 1);
	fd_close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* The number at *S, which is left behind it and the blanks that follow. */
static uint64_t next_number(const char **s, unsigned base)
{
	uint64_t n = 0;
	for (;; ++*s) {
		char c = **s;
		unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0')
			: c >= 'a' && c <= 'f'    ? (unsigned)(c - 'a') + 10
						  : 99;
		if (d >= base)
			break;
		n = n * base + d;
	}
	while (**s == ' ' || **s == '\t' || **s == '/' || **s == '-')
		++*s;
	return n;
}

int task_read(pid_t pid, struct task *t)
{
	char buf[STAT_MAX];
	if (slurp(pid, "stat", buf, sizeof buf) < 0)
		return -1;
	/* The name may hold anything, parentheses and newlines too: what counts is the last one. */
	const char *s = strrchr(buf, ')');
	if (s == NULL || s[1] != ' ' || s[2] == '\0' || s[3] != ' ') {
		errno = EPROTO;
		return -1;
	}
	*t = (struct task){.id.pid = pid, .state = s[2]};
	s += 4;
	t->parent = (pid_t)next_number(&s, 10);
	t->pgrp = (pid_t)next_number(&s, 10);
	t->session = (pid_t)next_number(&s, 10);
	uint64_t threads = 0;
	for (int field = 7; field < 22; field++) {
		uint64_t n = next_number(&s, 10);
		threads = field == 20 ? n : threads;
	}
	t->ended = (t->state == 'Z' || t->state == 'X') && threads <= 1;
	t->id.start = next_number(&s, 10);
	return 0;
}

static uint64_t field(const char *text, const char *name, unsigned base)
{
	const char *s = strstr(text, name);
	if (s == NULL)
		return 0;
	s += strlen(name);
	return next_number(&s, base);
}

int task_signals(pid_t pid, struct task_signals *s)
{
	char buf[8192]; /* enough unless the process is in very many groups */
	ssize_t n = slurp(pid, "status", buf, sizeof buf);
	char *text = buf, *all = NULL;
	if (n < 0)
		return -1;
	if ((size_t)n == sizeof buf - 1) {
		char path[48];
		size_t len;
		snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
		if (fd_slurp(AT_FDCWD, path, 1 << 22, &all, &len) < 0)
			return -1;
		text = all;
	}
	/* The name comes first, with its newlines escaped, so that "\nSig" is the kernel's own. */
	const char *q = strstr(text, "\nSigQ:\t");
	*s = (struct task_signals){
		.pending = field(text, "\nSigPnd:\t", 16) | field(text, "\nShdPnd:\t", 16),
		.blocked = field(text, "\nSigBlk:\t", 16),
		.ignored = field(text, "\nSigIgn:\t", 16),
		.caught = field(text, "\nSigCgt:\t", 16),
		.uid = (unsigned)field(text, "\nUid:\t", 10),
	};
	if (q != NULL) {
		q += strlen("\nSigQ:\t");
		s->queued = next_number(&q, 10);
		s->limit = next_number(&q, 10);
	}
	fd_slurp_free(all);
	return 0;
}

const char *task_parse(const char *text, struct proc_id *id)
{
	static const char bad[] = "not a process (PID or PID:START)";
	const char *s = text;
	uint64_t pid = 0, start = 0;
	if (*s < '0' || *s > '9')
		return bad;
	for (; *s >= '0' && *s <= '9'; s++)
		if ((pid = pid * 10 + (uint64_t)(*s - '0')) > INT32_MAX)
			return bad;
	if (pid == 0)
		return bad;
	if (*s == ':') {
		if (s[1] < '0' || s[1] > '9' || num_uint(s + 1, &start) != NULL || start == 0)
			return bad;
	} else if (*s != '\0') {
		return bad;
	}
	*id = (struct proc_id){.pid = (pid_t)pid, .start = start};
	return NULL;
}

/* Is it we who lack something, whoever is looked at? */
static bool short_of(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM;
}

/* The descriptor is open, so that the number cannot be given away from now on without our seeing
 * it: if it is that of ID now, the descriptor is ID's. */
static int verify(int pidfd, struct proc_id id)
{
	struct task t;
	int read = id.start != 0 ? task_read(id.pid, &t) : 0, err = errno;
	if (wait_pidfd_ended(pidfd))
		return ESRCH;
	if (read < 0)
		return short_of(err) ? err : EPERM;
	return id.start != 0 && t.id.start != id.start ? ESRCH : 0;
}

int task_open(struct proc_id id)
{
	int fd = wait_pidfd(id.pid);
	if (fd < 0) {
		/* The number of a thread. */
		if (errno == EINVAL || errno == ENOENT)
			errno = ESRCH;
		return -1;
	}
	int err = verify(fd, id);
	if (err == 0)
		return fd;
	fd_close(fd);
	errno = err;
	return -1;
}

static int append(struct task **list, size_t *n, size_t *cap, const struct task *t)
{
	if (*n == *cap) {
		size_t more = *cap == 0 ? 128 : *cap * 2;
		struct task *bigger = realloc(*list, more * sizeof *bigger);
		if (bigger == NULL)
			return -1;
		*list = bigger;
		*cap = more;
	}
	(*list)[(*n)++] = *t;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct task *)a)->id.pid, y = ((const struct task *)b)->id.pid;
	return (x > y) - (x < y);
}

/* One entry of /proc. 1; 0 at the end; -1 with errno. Who has gone meanwhile, or is hidden, is left out;
 * who cannot be read because of us must not be overlooked. */
static int list_next(DIR *dir, struct task **list, size_t *n, size_t *cap)
{
	struct proc_id id;
	struct task t;
	errno = 0;
	struct dirent *d = readdir(dir);
	if (d == NULL)
		return errno != 0 ? -1 : 0;
	if (task_parse(d->d_name, &id) != NULL)
		return 1;
	if (task_read(id.pid, &t) < 0)
		return short_of(errno) ? -1 : 1;
	return append(list, n, cap, &t) < 0 ? -1 : 1;
}

int task_list(struct task **list, size_t *n)
{
	size_t cap = 0;
	*list = NULL;
	*n = 0;
	if (!proc_ours()) {
		errno = ENOSYS;
		return -1;
	}
	DIR *dir = opendir("/proc");
	if (dir == NULL)
		return -1;
	int r;
	do
		r = list_next(dir, list, n, &cap);
	while (r > 0);
	int e = errno;
	closedir(dir);
	if (*n > 0)
		qsort(*list, *n, sizeof **list, by_pid);
	if (r < 0) {
		free(*list);
		*list = NULL;
	}
	errno = e;
	return r;
}

/* LIST is in the order of its numbers. */
static size_t find(const struct task *list, size_t n, pid_t pid)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (list[mid].id.pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && list[low].id.pid == pid ? low : n;
}

void task_mark_descendants(const struct task *list, size_t n, bool *mark)
{
	/* At most as many rounds as the tree is deep; mostly two, since numbers grow. */
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < n; i++) {
			size_t parent = mark[i] ? n : find(list, n, list[i].parent);
			if (parent < n && mark[parent])
				mark[i] = again = true;
		}
	}
}

static bool signal_one(const struct task *t, int sig, const siginfo_t *info, unsigned *denied)
{
	int fd = task_open(t->id);
	if (fd < 0)
		return false;
	if (sig_send(fd, sig, info) < 0 && errno == EPERM)
		++*denied;
	else if (t->state == 'T' && sig != SIGKILL)
		(void)sig_send(fd, SIGCONT, NULL);
	fd_close(fd);
	return true;
}

static bool is_where(const struct task *t, enum task_where where)
{
	return where == TASK_ALL || (where == TASK_INSIDE) == (t->pgrp == getpgrp());
}

int task_signal_descendants(int sig, const siginfo_t *info, enum task_where where, unsigned *denied)
{
	struct task *list;
	size_t n;
	int found = 0;
	*denied = 0;
	if (task_list(&list, &n) < 0)
		return -1;
	bool *mark = calloc(n + 1, sizeof *mark);
	size_t self = find(list, n, getpid());
	if (mark != NULL && self < n) {
		mark[self] = true;
		task_mark_descendants(list, n, mark);
		for (size_t i = 0; i < n; i++)
			if (mark[i] && i != self && is_where(&list[i], where) &&
				signal_one(&list[i], sig, info, denied))
				found++;
	}
	free(list);
	free(mark);
	return mark != NULL ? found : -1;
}
