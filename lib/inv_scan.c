/* lib/inv_scan.c: the descriptors of a process, and which objects they are. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "mqdir.h"
#include "psem.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define DELETED " (deleted)"

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* Cut " (deleted)" off PATH when the file has no name any more. */
static bool cut_deleted(char *path, const struct stat *st)
{
	size_t len = strlen(path), n = strlen(DELETED);
	if (st->st_nlink != 0 || len <= n || strcmp(path + len - n, DELETED) != 0)
		return false;
	path[len - n] = '\0';
	return true;
}

/* ---- descriptors */

static struct inv_object *pipe_of(struct inv *inv, const char *link)
{
	uint64_t ino = strtoull(link + strlen("pipe:["), NULL, 10);
	struct inv_object *o = inv_find(inv, SPACE_PIPE, ino, 0);
	if (o != NULL || !inv_wants(inv, INV_PIPE))
		return o;
	o = inv_add(inv, INV_PIPE, INV_UNNAMED, inv_text(inv, link, strlen(link)));
	if (o != NULL) {
		o->ino = ino;
		inv_key(inv, SPACE_PIPE, ino, 0, o);
	}
	return o;
}

/* "eventfd-count: 3", "eventfd-id: 1": all of them share one inode. */
static struct inv_object *eventfd_of(struct inv *inv, int procfd, int fd)
{
	char path[32], text[512];
	if (!inv_wants(inv, INV_EVENTFD))
		return NULL;
	snprintf(path, sizeof path, "fdinfo/%d", fd);
	if (inv_slurp(procfd, path, text, sizeof text) <= 0) {
		inv_ran_out(inv);
		return NULL;
	}
	const char *count = strstr(text, "eventfd-count:"), *id = strstr(text, "eventfd-id:");
	if (id == NULL)
		return NULL;
	uint64_t n = strtoull(id + 11, NULL, 10);
	struct inv_object *o = inv_find(inv, SPACE_EVENTFD, n, 0);
	if (o != NULL)
		return o;
	o = inv_add(inv, INV_EVENTFD, INV_UNNAMED,
		inv_fmt(inv, "eventfd:[%llu]", (unsigned long long)n));
	if (o == NULL)
		return NULL;
	inv_key(inv, SPACE_EVENTFD, n, 0, o);
	o->id = (int32_t)n;
	o->unit = "count";
	if (count != NULL) { /* in hexadecimal */
		uint64_t value = strtoull(count + 14, NULL, 16);
		o->used = value <= INT64_MAX ? (int64_t)value : INT64_MAX;
	}
	return o;
}

struct inv_object *inv_add_memfd(struct inv *inv, const char *path, const struct stat *st)
{
	if (!inv_wants(inv, INV_MEMFD))
		return NULL;
	struct inv_object *o = inv_add(
		inv, INV_MEMFD, INV_UNNAMED, inv_fmt(inv, "memfd:%s", path + strlen("/memfd:")));
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->removed = false; /* it never had a name */
	o->used = (int64_t)st->st_blocks * 512;
	o->unit = "bytes";
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	return o;
}

bool inv_same_ipc(const struct inv *inv, struct inv_looks *l)
{
	struct stat st;
	if (l->ns_ipc == 0)
		l->ns_ipc = fstatat(l->procfd, "ns/ipc", &st, 0) == 0 ? st.st_ino : inv->ns_ipc;
	return l->ns_ipc == inv->ns_ipc;
}

/* Is it a queue? Asked of its file system, once for each inode. */
static struct inv_object *mq_of(
	struct inv *inv, struct inv_looks *l, int fd, const char *path, const struct stat *st)
{
	char at[48];
	struct statfs fs;
	if (!inv_wants(inv, INV_MQ) || !inv_same_ipc(inv, l) || major(st->st_dev) != 0 ||
		st->st_size != 80)
		return NULL;
	snprintf(at, sizeof at, "/proc/%d/fd/%d", (int)l->proc->pid, fd);
	if (statfs(at, &fs) < 0 || fs.f_type != MQDIR_MAGIC)
		return NULL;
	struct stat now;
	int q = inv_open(AT_FDCWD, at, S_IFREG, true, &now);
	const char *name = strrchr(path, '/');
	struct inv_object *o = inv_add_mq(inv, name != NULL ? name + 1 : path, q, st);
	fd_close(q);
	return o;
}

static struct inv_object *fifo_of(struct inv *inv, const char *path, const struct stat *st)
{
	if (!inv_wants(inv, INV_FIFO) && !inv_known(inv, SPACE_LOCKED, st->st_ino, 0))
		return NULL;
	struct inv_object *o = inv_add(inv, INV_FIFO, INV_FILE, path);
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->path = o->removed ? NULL : path;
	if (!o->removed)
		inv_birth(o, AT_FDCWD, path);
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	return o;
}

/* A directory or shared file that may be of this toolbox. */
static struct inv_object *sniffed(
	struct inv *inv, const struct inv_looks *l, int fd, const char *path, const struct stat *st)
{
	char at[32];
	bool dir = S_ISDIR(st->st_mode);
	if (dir ? !inv_wants(inv, INV_SPOOL)
		: !S_ISREG(st->st_mode) || !inv_known(inv, SPACE_SHARED, st->st_dev, st->st_ino))
		return NULL;
	if (inv_known(inv, SPACE_PASSED, st->st_dev, st->st_ino))
		return NULL;
	snprintf(at, sizeof at, "fd/%d", fd);
	struct stat now;
	int file = inv_open(l->procfd, at, dir ? S_IFDIR : S_IFREG, true, &now);
	struct inv_object *o = file >= 0 ? inv_sniff(inv, file, path, st) : NULL;
	fd_close(file);
	if (o == NULL)
		inv_key(inv, SPACE_PASSED, st->st_dev, st->st_ino, NULL);
	return o;
}

static struct inv_object *new_file(
	struct inv *inv, struct inv_looks *l, int fd, char *path, const struct stat *st)
{
	bool removed = cut_deleted(path, st);
	if (S_ISREG(st->st_mode) && begins(path, "/memfd:"))
		return inv_add_memfd(inv, path, st);
	if (S_ISREG(st->st_mode) && removed && begins(path, PSEM_DIR "/"))
		return inv_add_shm(inv, path + strlen(PSEM_DIR "/"), -1, st, true);
	struct inv_object *o = S_ISREG(st->st_mode) ? mq_of(inv, l, fd, path, st) : NULL;
	if (o != NULL)
		return o;
	if (S_ISFIFO(st->st_mode))
		return fifo_of(inv, inv_text(inv, path, strlen(path)), st);
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return NULL;
	return sniffed(inv, l, fd, inv_text(inv, path, strlen(path)), st);
}

static struct inv_object *file_of(
	struct inv *inv, struct inv_looks *l, int fddir, int fd, char *path)
{
	char name[16];
	struct stat st;
	if (strcmp(path, "/dev/null") == 0 || begins(path, "/dev/pts/"))
		return NULL;
	snprintf(name, sizeof name, "%d", fd);
	if (fstatat(fddir, name, &st, 0) < 0)
		return NULL;
	struct inv_object *o = inv_find(inv, SPACE_FILE, st.st_dev, st.st_ino);
	/* Elsewhere than in the first pid name space, /proc/locks leaves out those taken by the dead. */
	bool locked = inv_known(inv, SPACE_LOCKED, st.st_ino, 0) ||
		(!inv->own_pids && S_ISREG(st.st_mode));
	if (o == NULL || locked) {
		const char *linked = inv_linked_name(inv, path, &st);
		if (linked != path)
			snprintf(path, INV_BUF, "%s", linked);
	}
	if (o == NULL)
		o = new_file(inv, l, fd, path, &st);
	if (locked)
		o = inv_fd_locks(
			inv, l->proc, l->procfd, fd, inv_text(inv, path, strlen(path)), &st);
	return o;
}

/* The links' permissions are the access mode. */
static void access_mode(int fddir, const char *name, struct inv_use *u)
{
	struct stat st;
	if (fstatat(fddir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	u->reads = u->reads || (st.st_mode & S_IRUSR) != 0;
	u->writes = u->writes || (st.st_mode & S_IWUSR) != 0;
}

/* What lies in a FIFO, through the descriptor that a process has (pidfd_getfd(2)): an open(2) of ours
 * could wake one that sleeps in its own. */
static void fill(struct inv_object *o, const struct inv_looks *l, int fd)
{
	int pidfd = wait_pidfd(l->proc->pid), n;
	int got = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	struct stat st;
	if (got >= 0 && fstat(got, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_ino == o->ino) {
		o->room = fcntl(got, F_GETPIPE_SZ);
		o->used = ioctl(got, FIONREAD, &n) == 0 ? n : -1;
		o->unit = "bytes";
	}
	fd_close(got);
	fd_close(pidfd);
}

/* Does a shell that has loaded the applets keep it from call to call, in use by none? */
static bool kept_idle(const struct inv_looks *l, const struct inv_object *o, int fd)
{
	static const unsigned kinds = 1u << INV_MQ | 1u << INV_SHM | 1u << INV_SEM |
		1u << INV_RING | 1u << INV_EVENT | 1u << INV_BARRIER;
	char path[32], text[64];
	snprintf(path, sizeof path, "fdinfo/%d", fd);
	return (kinds >> o->kind & 1) != 0 && fd >= 10 &&
		inv_slurp(l->procfd, path, text, sizeof text) > 5 && begins(text, "pos:") &&
		strtoll(text + 4, NULL, 10) == KEPT_IDLE;
}

static void one_fd(struct inv *inv, struct inv_looks *l, int fddir, const char *name)
{
	char *link = l->buf;
	int fd = atoi(name);
	struct inv_object *o = NULL;
	ssize_t n = readlinkat(fddir, name, link, INV_BUF - 1);
	if (n <= 0)
		return;
	link[n] = '\0';
	if (begins(link, "socket:["))
		o = inv_find(inv, SPACE_SOCK, strtoull(link + 8, NULL, 10), 0);
	else if (begins(link, "pipe:["))
		o = pipe_of(inv, link);
	else if (strcmp(link, "anon_inode:[eventfd]") == 0)
		o = eventfd_of(inv, l->procfd, fd);
	else if (link[0] == '/')
		o = file_of(inv, l, fddir, fd, link);
	if (o == NULL || !inv_grow(inv, &l->fds, l->nfds, &l->fds_cap, sizeof *l->fds))
		return;
	l->fds[l->nfds++] = (struct inv_fdmap){fd, o};
	struct inv_use *u = inv_use(inv, o, l->proc, INV_FD);
	if (u == NULL || inv_priv(inv)->second)
		return;
	bool idle = (u->fd < 0 || u->idle) && kept_idle(l, o, fd);
	o->nidle += (unsigned)idle - (unsigned)u->idle;
	u->idle = idle;
	u->fd = fd;
	if (o->kind == INV_FIFO || o->kind == INV_PIPE)
		access_mode(fddir, name, u);
	if (o->kind == INV_FIFO && o->used < 0)
		fill(o, l, fd);
}

bool inv_scan_fds(struct inv *inv, struct inv_looks *l)
{
	int fd = fd_open(l->procfd, "fd", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		bool denied = errno == EACCES || errno == EPERM;
		inv_ran_out(inv);
		fd_close(fd);
		return !denied;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			one_fd(inv, l, fd, e->d_name);
	closedir(dir);
	return true;
}
