/* lib/sock_bind.c: see sock.h. A path with the right mode and owner from birth. */
#define _GNU_SOURCE
#include "apart.h"
#include "fd.h"
#include "object.h"
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where both are, the plain ones take ids of 16 bits. */
#ifdef SYS_setfsuid32
#define SETFSUID SYS_setfsuid32
#define SETFSGID SYS_setfsgid32
#else
#define SETFSUID SYS_setfsuid
#define SETFSGID SYS_setfsgid
#endif

struct birth {
	int fd;
	const struct addr_sa *sa;
	bool clear_umask;
	int64_t uid, gid;
};

static void child_ids(const struct birth *b)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (b->gid >= 0)
		syscall(SETFSGID, (gid_t)b->gid);
	if (b->uid < 0)
		return;
	/* The new file system uid loses the capabilities to write where only root may: take back. */
	syscall(SETFSUID, (uid_t)b->uid);
	if (syscall(SYS_capget, &head, data) == 0) {
		data[0].effective = data[0].permitted;
		data[1].effective = data[1].permitted;
		syscall(SYS_capset, &head, data);
	}
}

/* bind(2) in a child, which has a umask and file system ids of its own. */
static int bind_there(void *arg)
{
	const struct birth *b = arg;
	if (b->clear_umask)
		syscall(SYS_umask, 0);
	child_ids(b);
	return bind(b->fd, &b->sa->sa, b->sa->len) < 0 ? errno : 0;
}

static int bind_apart(struct birth *b)
{
	sigset_t all, old;
	int st = 0;
	pid_t pid;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	int err = apart(bind_there, b, -1, &pid);
	if (err < 0)
		err = errno;
	while (pid > 0 && waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = err != 0 ? err : EIO;
	return err == 0 && st == 0 ? 0 : -1;
}

/* Give the newborn PATH what birth could not, and note which file it is. */
static int settle(struct sock_bound *b, const char *path, const struct sock_how *how)
{
	struct stat st;
	char proc[40];
	int fd = fd_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);
	/* Where others may rename, it may be another file by now, or one with more names: left alone. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_nlink != 1) {
		fd_close(fd);
		errno = EIO;
		return -1;
	}
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	uid_t uid = how->uid >= 0 && st.st_uid != (uid_t)how->uid ? (uid_t)how->uid : (uid_t)-1;
	gid_t gid = how->gid >= 0 && st.st_gid != (gid_t)how->gid ? (gid_t)how->gid : (gid_t)-1;
	int r = 0;
	if (uid != (uid_t)-1 || gid != (gid_t)-1)
		r = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
	if (r == 0 && how->has_mode && (st.st_mode & 07777) != how->mode) {
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
		r = chmod(proc, how->mode);
	}
	fd_close(fd);
	return r;
}

int sock_bind_path(struct sock_bound *b, const char *path, int dirfd, const struct sock_how *how)
{
	struct addr_at at;
	struct stat dir, st;
	if (addr_enter(path, false, &at) < 0)
		return -1;
	struct birth birth = {.fd = b->fd,
		.sa = &at.sa,
		.clear_umask = how->has_mode,
		.uid = geteuid() == 0 ? how->uid : -1,
		.gid = geteuid() == 0 ? how->gid : -1};
	bool owned = how->uid < 0 && how->gid < 0;
	bool exact = owned ||
		(geteuid() == 0 && dirfd >= 0 && fstat(dirfd, &dir) == 0 &&
			(dir.st_mode & S_ISGID) == 0);
	if (how->has_mode && fchmod(b->fd, exact ? how->mode : how->mode & 0700) < 0) {
		addr_leave(&at);
		return -1;
	}
	int r = how->has_mode || !owned ? bind_apart(&birth) : bind(b->fd, &at.sa.sa, at.sa.len);
	addr_leave(&at);
	if (r < 0)
		return -1;
	if (settle(b, path, how) == 0)
		return 0;
	int err = errno;
	st = (struct stat){.st_dev = b->dev, .st_ino = b->ino};
	if (b->ino != 0)
		(void)object_unlink(AT_FDCWD, path, &st, 0);
	b->ino = 0;
	errno = err;
	return -1;
}
