/* lib/inv_posix.c: POSIX message queues, shared memory and named semaphores. The last two are files of
 * /dev/shm; which is which the C library's naming and size tell. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "mqdir.h"
#include "psem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sizeof(sem_t) for programs of 32 and of 64 bits. */
static bool sem_sized(off_t size)
{
	return size == 16 || size == 32;
}

/* "QSIZE:129 NOTIFY:0 SIGNO:0 NOTIFY_PID:8260", mq_overview(7). */
static void mq_bytes(struct inv_object *o, int fd)
{
	char text[160];
	ssize_t n = fd_pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	if (strncmp(text, "QSIZE:", 6) == 0)
		o->size = strtoll(text + 6, NULL, 10);
}

struct inv_object *inv_add_mq(struct inv *inv, const char *name, int fd, const struct stat *st)
{
	struct mq_attr attr;
	struct inv_object *o = inv_add(inv, INV_MQ, INV_POSIX, inv_fmt(inv, "posix:/%s", name));
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->size = -1;
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	if (fd < 0 || syscall(SYS_mq_getsetattr, fd, NULL, &attr) < 0) {
		o->lasting = true; /* for all that we know */
		return o;
	}
	mq_bytes(o, fd);
	o->used = attr.mq_curmsgs;
	o->room = attr.mq_maxmsg;
	o->unit = "messages";
	o->lasting = attr.mq_curmsgs > 0;
	if (attr.mq_curmsgs >= attr.mq_maxmsg - attr.mq_maxmsg / 10)
		inv_warn(inv, o, attr.mq_curmsgs >= attr.mq_maxmsg ? "full" : "nearly full");
	return o;
}

static void read_mqs(struct inv *inv)
{
	int fd = mqdir_open();
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		inv_unseen(inv,
			"POSIX queues that nobody has open: /dev/mqueue is not mounted, and looking "
			"without it needs CAP_SYS_ADMIN");
		return;
	}
	int64_t n = 0, most = inv_number("/proc/sys/fs/mqueue/queues_max", -1);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		int q = fd_open(fd, e->d_name, O_RDONLY | O_NONBLOCK, 0);
		inv_add_mq(inv, e->d_name, q, &st);
		fd_close(q);
		n++;
	}
	closedir(dir);
	if (most > 0 && n >= most - most / 10)
		inv_warning(inv,
			inv_fmt(inv, "%lld of %lld POSIX queues (fs.mqueue.queues_max)",
				(long long)n, (long long)most));
}

static void show_sem(struct inv_object *o, int fd)
{
	unsigned value, waiters;
	o->unit = "value";
	if (fd >= 0 && psem_peek(fd, &value, &waiters) == 0)
		o->used = value;
}

struct inv_object *inv_add_shm(
	struct inv *inv, const char *name, int fd, const struct stat *st, bool removed)
{
	const char *sem = sem_sized(st->st_size) ? psem_file(name) : NULL;
	enum inv_kind kind = sem != NULL ? INV_SEM : INV_SHM;
	if (!inv_wants(inv, kind) && !inv_wants(inv, INV_LOCK))
		return NULL;
	struct inv_object *o =
		inv_add(inv, kind, INV_POSIX, inv_fmt(inv, "posix:/%s", sem != NULL ? sem : name));
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->removed = removed;
	o->path = removed ? NULL : inv_fmt(inv, PSEM_DIR "/%s", name);
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	if (kind == INV_SEM) {
		show_sem(o, fd);
		return o;
	}
	o->used = (int64_t)st->st_blocks * 512;
	o->unit = "bytes";
	return o;
}

/* Shared memory that is nearly out is found out by SIGBUS otherwise. */
static void check_room(struct inv *inv, int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) == 0 && fs.f_blocks > 0 && fs.f_bavail <= fs.f_blocks / 10)
		inv_warning(inv,
			inv_fmt(inv, PSEM_DIR " is nearly full: %llu of %llu KiB are left",
				(unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize /
					1024,
				(unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize /
					1024));
}

static void read_shms(struct inv *inv)
{
	int fd = fd_open(AT_FDCWD, PSEM_DIR, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		inv_unseen(inv,
			inv_fmt(inv, "POSIX segments and semaphores: " PSEM_DIR ": %s",
				strerror(errno)));
		fd_close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		struct stat now;
		int file =
			sem_sized(st.st_size) ? inv_open(fd, e->d_name, S_IFREG, false, &now) : -1;
		struct inv_object *o = inv_add_shm(inv, e->d_name, file, &st, false);
		if (o != NULL)
			inv_birth(o, fd, e->d_name);
		fd_close(file);
	}
	check_room(inv, fd);
	closedir(dir);
}

void inv_read_posix(struct inv *inv)
{
	if (inv_wants(inv, INV_MQ))
		read_mqs(inv);
	if (inv_wants(inv, INV_SHM) || inv_wants(inv, INV_SEM))
		read_shms(inv);
}
