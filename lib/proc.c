/* lib/proc.c: see proc.h. Everything in /proc may vanish while it is read: what is gone is skipped. */
#define _GNU_SOURCE
#include "proc.h"

#include "fd.h"
#include "out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
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

/* State and start time (fields 3 and 22 of proc_pid_stat(5)); the command in field 2 may hold
 * blanks and parentheses, so that fields count from the last ')'. */
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
	char path[32], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_some(AT_FDCWD, path, text, sizeof text) <= 0)
		return false;
	const char *p = strrchr(text, ')');
	if (p == NULL || p[1] != ' ' || p[2] == '\0')
		return false;
	*state = p[2];
	p += 2;
	for (int field = 3; field < 22 && p != NULL; field++) {
		p = strchr(p, ' ');
		p = p != NULL ? p + 1 : NULL;
	}
	if (p == NULL)
		return false;
	*start = strtoull(p, NULL, 10);
	return true;
}

uint64_t proc_start(pid_t pid)
{
	char state;
	uint64_t start;
	return read_stat(pid, &state, &start) ? start : 0;
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
	char state;
	uint64_t start;
	long hz = sysconf(_SC_CLK_TCK);
	if (!read_stat(pid, &state, &start) || hz <= 0)
		return -1;
	return (int64_t)(start / (uint64_t)hz * 1000000000u +
		start % (uint64_t)hz * 1000000000u / (uint64_t)hz);
}

bool proc_ours(void)
{
	char text[2048], *end;
	struct statfs fs;
	int fd = fd_open(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
	if (fd < 0)
		return false;
	bool procfs = fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
	ssize_t n = procfs ? fd_read(fd, text, sizeof text - 1) : -1;
	fd_close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* One number: there is no namespace between that of this /proc and ours. */
	const char *p = strstr(text, "\nNSpid:\t");
	if (p == NULL &&
		(p = strstr(text, "\nPid:\t")) == NULL) /* a kernel without pid namespaces */
		return false;
	return strtol(strchr(p, '\t'), &end, 10) == (long)getpid() && *end == '\n';
}

uint32_t proc_pidns(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 0;
}

enum proc_life proc_life(struct proc_id id)
{
	char state;
	uint64_t start;
	if (id.pid <= 0)
		return PROC_UNKNOWN;
	/* The kernel itself says so, whatever /proc shows. */
	if (kill(id.pid, 0) < 0 && errno == ESRCH)
		return PROC_DEAD;
	if (!read_stat(id.pid, &state, &start))
		return PROC_UNKNOWN;
	if (id.start == 0 && state != 'Z' && state != 'X')
		return PROC_UNKNOWN;
	if (start == id.start && state != 'Z' && state != 'X')
		return PROC_ALIVE;
	return proc_ours() ? PROC_DEAD : PROC_UNKNOWN;
}

int proc_boot_id(char buf[40])
{
	ssize_t n = read_some(AT_FDCWD, PROC_BOOT_ID, buf, 40);
	if (n >= 0) {
		buf[strcspn(buf, "\n")] = '\0';
		if (strlen(buf) == 36)
			return 0;
		errno = EPROTO;
	}
	buf[0] = '\0';
	return -1;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int proc_boot_bytes(unsigned char id[16])
{
	char text[40];
	memset(id, 0, 16);
	if (proc_boot_id(text) < 0)
		return -1;
	for (unsigned i = 0, n = 0; text[i] != '\0' && n < 32; i++)
		if (hex(text[i]) >= 0) {
			id[n / 2] = (unsigned char)(id[n / 2] << 4 | hex(text[i]));
			n++;
		}
	return 0;
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
	*s.hidden = false;
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
