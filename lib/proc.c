/* lib/proc.c: see proc.h. Everything in /proc may vanish while it is read: what is gone is skipped. */
#define _GNU_SOURCE
#include "proc.h"

#include "fd.h"
#include "out.h"
#include "task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read what fits of a file in /proc; its length, or -1. BUF is NUL-terminated. */
static ssize_t read_some(int dirfd, const char *path, char *buf, size_t size)
{
	int fd = fd_open(dirfd, path, O_RDONLY, 0);
	if (fd < 0)
		return -1;
	ssize_t n = fd_read(fd, buf, size - 1);
	fd_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

uint64_t proc_start(pid_t pid)
{
	struct task t;
	return task_read(pid, &t) == 0 ? t.id.start : 0;
}

pid_t proc_parent(pid_t pid, char name[16])
{
	char path[32], text[1024];
	name[0] = '\0';
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_some(AT_FDCWD, path, text, sizeof text) <= 0)
		return 0;
	const char *start = strchr(text, '('); /* "PID (NAME) STATE PPID ..." */
	const char *end = strrchr(text, ')');
	if (start == NULL || end == NULL || strlen(end) < 5)
		return 0;
	snprintf(name, 16, "%.*s", (int)(end - start - 1), start + 1);
	return (pid_t)strtol(end + 4, NULL, 10);
}

int64_t proc_started_ns(pid_t pid)
{
	struct task t;
	long hz = sysconf(_SC_CLK_TCK);
	if (hz <= 0 || task_read(pid, &t) < 0)
		return -1;
	uint64_t start = t.id.start;
	return (int64_t)(start / (uint64_t)hz * 1000000000u +
		start % (uint64_t)hz * 1000000000u / (uint64_t)hz);
}

/* Arguments end with a NUL each: blanks between them, no control characters, not those of the upper half either. */
static void one_line(char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)s[i];
		n = out_utf8(s + i, len - i);
		if (c == '\0')
			s[i] = ' ';
		else if (c < 0x20 || c == 0x7f || (n == 0 && c < 0xa0))
			s[i] = '?';
		else if (n == 2 && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0)
			s[i] = s[i + 1] = '?';
		n = n == 0 ? 1 : n;
	}
}

const char *proc_command(pid_t pid, char *buf, size_t size)
{
	char path[32], name[24];
	if (size < 8)
		return "?";
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	ssize_t n = read_some(AT_FDCWD, path, buf, size);
	if (n > 0) {
		size_t len = (size_t)n;
		bool cut = len == size - 1;
		while (!cut && len > 0 && buf[len - 1] == '\0')
			len--;
		one_line(buf, len);
		if (cut)
			memcpy(buf + len - 3, "...", 3);
		buf[len] = '\0';
		if (len > 0)
			return buf;
	}
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	n = read_some(AT_FDCWD, path, name, sizeof name);
	if (n <= 0) {
		snprintf(buf, size, "?");
		return buf;
	}
	name[strcspn(name, "\n")] = '\0';
	one_line(name, strlen(name));
	snprintf(buf, size, "[%s]", name);
	return buf;
}

bool proc_stopped(pid_t pid)
{
	struct task t;
	return task_read(pid, &t) == 0 && (t.state == 'T' || t.state == 't');
}

/* The next word of a line into BUF, cut at SIZE; what follows it. */
static const char *word(const char *p, char *buf, size_t size)
{
	p += strspn(p, " \t");
	size_t len = strcspn(p, " \t\n"), n = len < size ? len : size - 1;
	memcpy(buf, p, n);
	buf[n] = '\0';
	return p + len;
}

const char *proc_parse_lock(const char *line, struct proc_fd *found, char dev_ino[48])
{
	char kind[16], mode[16], pid[16], start[24], end[24];
	line = word(line, kind, sizeof kind);
	line = word(line, mode, sizeof mode); /* ADVISORY, or MSNFS of a share mode */
	line = word(line, mode, sizeof mode);
	line = word(line, pid, sizeof pid);
	line = word(line, dev_ino, 48);
	line = word(line, start, sizeof start);
	line = word(line, end, sizeof end);
	*found = (struct proc_fd){.pid = (pid_t)strtol(pid, NULL, 10), .fd = -1};
	found->lock = strcmp(kind, "FLOCK") == 0 ? 'F'
		: strcmp(kind, "OFDLCK") == 0    ? 'O'
		: strcmp(kind, "POSIX") == 0     ? 'P'
						 : 0;
	found->write = strcmp(mode, "WRITE") == 0;
	found->start = strtoull(start, NULL, 10);
	found->end = strcmp(end, "EOF") == 0 ? UINT64_MAX : strtoull(end, NULL, 10);
	return found->lock != 0 && end[0] != '\0' ? line : NULL;
}

int64_t proc_fd_pos(pid_t pid, int fd)
{
	char path[48], *text;
	size_t len;
	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
	if (fd_slurp(AT_FDCWD, path, 1 << 20, &text, &len) < 0)
		return -1;
	int64_t pos = strncmp(text, "pos:", 4) == 0 ? strtoll(text + 4, NULL, 10) : -1;
	fd_slurp_free(text);
	return pos;
}

struct scan {
	const struct stat *st;
	bool locked, *hidden;
	int (*fn)(void *arg, const struct proc_fd *fd);
	void *arg;
};

static bool same_lock(const struct proc_fd *a, const struct proc_fd *b)
{
	return a->lock == b->lock && a->write == b->write && a->start == b->start &&
		a->end == b->end;
}

/* What is looked for in another process has gone: all else that fails is no proof that it is not there. */
static bool went(int err)
{
	return err == ENOENT || err == ESRCH;
}

/* The same of a whole process: who is hidden from us (hidepid) looks as if it had gone. */
static bool process_went(pid_t pid, int err)
{
	return went(err) && kill(pid, 0) < 0 && errno == ESRCH;
}

/* The locks that descriptor FD of the process behind PROC holds. SEEN keeps the last one told of,
 * since a dup(2) shows the same lock again. */
static int scan_locks(struct scan *s, int proc, pid_t pid, int fd, struct proc_fd *seen)
{
	char path[32], *text;
	size_t len;
	int r = 0;
	snprintf(path, sizeof path, "fdinfo/%d", fd);
	if (fd_slurp(proc, path, 1 << 20, &text, &len) < 0) {
		*s->hidden = *s->hidden || !went(errno);
		return 0;
	}
	for (char *p = text; r == 0 && (p = strstr(p, "\nlock:")) != NULL; p++) {
		struct proc_fd found;
		char dev_ino[48];
		char *colon = strchr(p + 6, ':'); /* "lock:\t1: FLOCK  ADVISORY  WRITE 47 ..." */
		if (colon == NULL || proc_parse_lock(colon + 1, &found, dev_ino) == NULL)
			continue;
		found.pid = pid;
		found.fd = fd;
		if (seen->pid != 0 && same_lock(seen, &found))
			continue;
		*seen = found;
		r = s->fn(s->arg, &found);
	}
	fd_slurp_free(text);
	return r;
}

/* The descriptors of one process that are the file. */
static int scan_fds(struct scan *s, int proc, pid_t pid, DIR *dir)
{
	struct proc_fd seen = {0};
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		struct stat st;
		if (e->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, 0) < 0) {
			*s->hidden = *s->hidden || !went(errno);
			continue;
		}
		if (st.st_dev != s->st->st_dev || st.st_ino != s->st->st_ino)
			continue;
		int fd = atoi(e->d_name);
		if (s->locked) {
			r = scan_locks(s, proc, pid, fd, &seen);
			continue;
		}
		struct proc_fd found = {.pid = pid, .fd = fd, .end = UINT64_MAX};
		return s->fn(s->arg, &found);
	}
	return r;
}

static int scan_process(struct scan *s, int root, const char *name, pid_t pid)
{
	int proc = fd_open(root, name, O_RDONLY | O_DIRECTORY, 0);
	if (proc < 0) {
		*s->hidden = *s->hidden || !process_went(pid, errno);
		return 0;
	}
	int fd = fd_open(proc, "fd", O_RDONLY | O_DIRECTORY, 0), r = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir != NULL) {
		r = scan_fds(s, proc, pid, dir);
		closedir(dir);
	} else {
		*s->hidden = *s->hidden || !went(errno);
		fd_close(fd);
	}
	fd_close(proc);
	return r;
}

int proc_pid_fds(pid_t pid, const struct stat *st, bool locked,
	int (*fn)(void *arg, const struct proc_fd *fd), void *arg, bool *hidden)
{
	char path[32];
	bool ignored;
	struct scan s = {st, locked, hidden != NULL ? hidden : &ignored, fn, arg};
	*s.hidden = false;
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	return scan_process(&s, AT_FDCWD, path, pid);
}

int proc_each_fd(const struct stat *st, bool locked, int (*fn)(void *arg, const struct proc_fd *fd),
	void *arg, bool *hidden)
{
	bool ignored;
	struct scan s = {st, locked, hidden != NULL ? hidden : &ignored, fn, arg};
	*s.hidden = !proc_shows_all();
	DIR *root = opendir("/proc");
	if (root == NULL) {
		*s.hidden = true;
		return -1;
	}
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(root)) != NULL;)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			r = scan_process(&s, dirfd(root), e->d_name, (pid_t)atoi(e->d_name));
	int saved = errno;
	closedir(root);
	errno = saved;
	return r;
}

bool proc_stands(pid_t pid, const struct stat *st, int64_t pos)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	bool any = false, all = true;
	for (struct dirent *e; dir != NULL && all && (e = readdir(dir)) != NULL;) {
		struct stat found;
		if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &found, 0) < 0 ||
			found.st_dev != st->st_dev || found.st_ino != st->st_ino)
			continue;
		any = true;
		all = proc_fd_pos(pid, atoi(e->d_name)) == pos;
	}
	if (dir != NULL)
		closedir(dir);
	return any && all;
}
