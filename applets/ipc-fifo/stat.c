/* applets/ipc-fifo/stat.c: a FIFO and who has it open.
 *
 * The FIFO is not opened for it: an open(2) of ours could wake a process that sleeps in its own until
 * its peer comes. What lies in it is asked of a descriptor borrowed from a process that has it open
 * (pidfd_getfd(2)), where we may. Processes asleep in open(2) have no descriptor yet and cannot be
 * shown.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "fd.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

struct holder {
	pid_t pid;
	bool reads, writes;
};

struct view {
	struct fifo f;
	struct holder *holders;
	unsigned n, cap, readers, writers;
	bool hidden;
	int capacity, bytes; /* -1: not known */
};

static void undo_holders(void *view, intptr_t n)
{
	(void)n;
	free(((struct view *)view)->holders);
}

/* Which ends PID has: the links in /proc/PID/fd show the access mode as permissions. */
static void ends(struct holder *h, const struct stat *want)
{
	char path[40];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)h->pid);
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (fstatat(fd, e->d_name, &st, 0) < 0 || st.st_ino != want->st_ino ||
			st.st_dev != want->st_dev ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		h->reads = h->reads || (st.st_mode & S_IRUSR) != 0;
		h->writes = h->writes || (st.st_mode & S_IWUSR) != 0;
	}
	closedir(dir);
}

/* What is in it, through the descriptor that a holder has. */
static void look_in(struct view *v, const struct proc_fd *found)
{
	struct stat st;
	int pidfd = wait_pidfd(found->pid);
	int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, found->fd, 0);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == v->f.st.st_ino &&
		st.st_dev == v->f.st.st_dev && S_ISFIFO(st.st_mode)) {
		v->capacity = fcntl(fd, F_GETPIPE_SZ);
		(void)ioctl(fd, FIONREAD, &v->bytes);
	}
	fd_close(fd);
	fd_close(pidfd);
}

static int add_holder(void *arg, const struct proc_fd *found)
{
	struct view *v = arg;
	struct holder h = {.pid = found->pid};
	ends(&h, &v->f.st);
	if (!h.reads && !h.writes)
		return 0;
	if (v->capacity < 0)
		look_in(v, found);
	if (h.pid == getpid()) /* inherited; we are about to go */
		return 0;
	if (v->n == v->cap) {
		unsigned cap = v->cap == 0 ? 16 : v->cap * 2;
		struct holder *more = realloc(v->holders, cap * sizeof *more);
		if (more == NULL)
			return ENOMEM;
		v->holders = more;
		v->cap = cap;
	}
	v->holders[v->n++] = h;
	v->readers += h.reads;
	v->writers += h.writes;
	return 0;
}

static void json_holders(struct json *j, const struct view *v, const char *key, bool reads)
{
	char cmd[256];
	json_open(j, key, '[');
	for (unsigned i = 0; i < v->n; i++) {
		if (!(reads ? v->holders[i].reads : v->holders[i].writes))
			continue;
		json_open(j, NULL, '{');
		json_int(j, "pid", v->holders[i].pid);
		json_str(j, "command", proc_command(v->holders[i].pid, cmd, sizeof cmd));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void number_or_null(struct json *j, const char *key, int n)
{
	if (n < 0)
		json_null(j, key);
	else
		json_int(j, key, n);
}

static void as_json(struct out *out, const struct view *v, const char *path)
{
	struct json j;
	char mode[8];
	snprintf(mode, sizeof mode, "%04o", (unsigned)v->f.st.st_mode & 07777);
	json_start(&j, out);
	json_open(&j, NULL, '{');
	json_str(&j, "name", v->f.name);
	json_str(&j, "path", path);
	json_str(&j, "mode", mode);
	json_uint(&j, "uid", v->f.st.st_uid);
	json_uint(&j, "gid", v->f.st.st_gid);
	number_or_null(&j, "capacity", v->capacity);
	number_or_null(&j, "bytes", v->bytes);
	json_holders(&j, v, "readers", true);
	json_holders(&j, v, "writers", false);
	json_bool(&j, "hidden", v->hidden);
	json_close(&j, '}');
	out_char(out, '\n');
}

static void text_holders(struct out *out, const struct view *v, const char *label, bool reads)
{
	char cmd[256];
	for (unsigned i = 0; i < v->n; i++)
		if (reads ? v->holders[i].reads : v->holders[i].writes)
			out_fmt(out, "%-9s %d %s\n", label, (int)v->holders[i].pid,
				proc_command(v->holders[i].pid, cmd, sizeof cmd));
}

static void as_text(struct out *out, const struct view *v, const char *path)
{
	const struct stat *st = &v->f.st;
	out_str(out, "path      ");
	out_plain_line(out, path);
	out_fmt(out, "mode      %04o\nuid       %u\ngid       %u\n", (unsigned)st->st_mode & 07777,
		(unsigned)st->st_uid, (unsigned)st->st_gid);
	if (v->capacity >= 0)
		out_fmt(out, "capacity  %d\nbytes     %d\n", v->capacity, v->bytes);
	else
		out_fmt(out, "capacity  -\nbytes     -\n");
	out_fmt(out, "readers   %u\nwriters   %u\n", v->readers, v->writers);
	text_holders(out, v, "reader", true);
	text_holders(out, v, "writer", false);
	if (v->hidden)
		out_str(out, "hidden    yes\n");
}

int fifo_stat(struct call *call)
{
	struct view *v = call_alloc(call, sizeof *v);
	if (v == NULL || call_undo(call, undo_holders, v, 0) < 0)
		return call_error(call, ENOMEM, "stat");
	v->capacity = v->bytes = -1;
	int status = fifo_find(call, call->args[0].str, false, false, &v->f);
	if (status == ST_OK)
		status = fifo_look(call, &v->f);
	if (status != ST_OK)
		return status;
	char *path = call_alloc(call, 8192);
	if (path == NULL || object_path(&v->f.obj, "fifo", path, 8192) == NULL)
		return call_error(call, errno, "%s", v->f.name);
	int r = proc_each_fd(&v->f.st, false, add_holder, v, &v->hidden);
	if (r != 0)
		return call_error(call, r < 0 ? errno : r, "read /proc");
	if (call->std[STD_JSON].count > 0)
		as_json(&call->out, v, path);
	else
		as_text(&call->out, v, path);
	return ST_OK;
}
