/* ipc-shm create, resize, rm: the segment as a whole. */
#define _GNU_SOURCE
#include "shm.h"

#include "fd.h"
#include "lease.h"
#include "maps.h"
#include "newfile.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

static int create_file(struct call *call, struct segment *seg, uint64_t size, unsigned mode)
{
	struct newfile f;
	const char *word = seg->obj.text;
	if (seg->obj.kind == OBJECT_FD)
		return call_fail(call, ST_USAGE, 0, "%s: a descriptor cannot be created", word);
	if (newfile_open(&f, seg->at.dirfd, seg->at.rel, mode) < 0)
		return call_error(call, errno, "create %s", word);
	seg->fd = f.fd;
	int status = segment_back(call, seg, 0, size);
	int r = status == 0 ? newfile_link(&f) : -1;
	newfile_end(&f, r == 0 ? &seg->fd : NULL);
	if (status != 0)
		return status;
	if (r < 0 && errno == EEXIST)
		return -1;
	if (r < 0 || call_own(call, seg->fd) < 0)
		return call_error(call, errno, "create %s", word);
	seg->size = size;
	seg->created = seg->writable = true;
	return 0;
}

/* logind(8) removes posix and System V objects of people at their last logout. */
static void warn_logout(struct call *call, const struct segment *seg)
{
	char user[256], *conf;
	size_t len;
	if ((!seg->sysv && seg->obj.kind != OBJECT_POSIX) || geteuid() < 1000 ||
		geteuid() >= 65534 || access("/run/systemd/users", F_OK) < 0)
		return;
	num_user_name(geteuid(), user, sizeof user);
	const char *linger = call_fmt(call, "/var/lib/systemd/linger/%s", user);
	if (linger != NULL && access(linger, F_OK) == 0)
		return;
	bool kept = false;
	if (fd_slurp(-1, "/etc/systemd/logind.conf", 1 << 20, &conf, &len) == 0) {
		kept = strstr(conf, "\nRemoveIPC=no") != NULL;
		fd_slurp_free(conf);
	}
	if (!kept)
		call_warn(call, 0,
			"%s: systemd-logind removes it at your last logout (RemoveIPC, "
			"logind.conf(5)); a file or a bare word stays",
			seg->obj.text);
}

int segment_create(struct call *call, struct segment *seg, uint64_t size, unsigned mode)
{
	int status = seg->sysv ? shm_sysv_create(call, seg, size, mode)
			       : create_file(call, seg, size, mode);
	if (status == 0)
		warn_logout(call, seg);
	return status;
}

/* 0 when what exists will do, or 73 with what differs. */
static int existing(struct call *call, struct segment *seg, uint64_t size)
{
	struct shmid_ds ds;
	struct stat st;
	unsigned mode, want = (unsigned)call->std[STD_MODE].num;
	const char *word = seg->obj.text;
	if (seg->size < size)
		return call_fail(call, ST_EXISTS, 0,
			"%s: exists with %llu bytes, not %llu; see resize", word,
			(unsigned long long)seg->size, (unsigned long long)size);
	if (call->std[STD_MODE].count == 0)
		return 0;
	if (seg->sysv ? shmctl(seg->id, IPC_STAT, &ds) < 0 : fstat(seg->fd, &st) < 0)
		return call_error(call, errno, "look at %s", word);
	mode = seg->sysv ? ds.shm_perm.mode & 0777u : st.st_mode & 07777u;
	if (mode == want)
		return 0;
	return call_fail(
		call, ST_EXISTS, 0, "%s: exists with mode %04o, not %04o", word, mode, want);
}

int shm_create(struct call *call)
{
	struct segment *seg;
	const char *word = call->args[0].str;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	uint64_t size = (uint64_t)call->opt[MAKE_SIZE].num;
	if (call->opt[MAKE_SIZE].count == 0)
		return call_fail(call, ST_USAGE, 0, "%s: how large? -S BYTES is missing", word);
	/* Another may make or remove it between our two looks: then we look again. */
	for (int tries = 0; tries < 100; tries++) {
		int status = segment_name(call, &seg, word);
		if (status == 0)
			status = segment_create(call, seg, size, mode);
		if (status == 0 && seg->sysv && seg->obj.sysv == SYSV_PRIVATE)
			out_fmt(&call->out, "sysv:id=%d\n", seg->id);
		if (status >= 0)
			return status;
		if (call->opt[CREATE_EXCL].count > 0)
			return call_fail(call, ST_EXISTS, 0, "%s: exists", word);
		segment_close(call, seg);
		status = segment_open(call, &seg, word, 0);
		if (status == 0)
			return existing(call, seg, size);
		segment_close(call, seg);
		if (status != ST_NOOBJ)
			return status;
	}
	return call_fail(call, ST_EXISTS, 0, "%s: comes and goes", word);
}

/* ---- resize */

struct mappers {
	struct call *call;
	const struct stat *st;
	const char *text;
};

static int note_mapper(void *arg, pid_t pid)
{
	struct mappers *m = arg;
	/* A shell that only keeps it for its next call will look at its size first. */
	if (segment_idle(pid, m->st))
		return 0;
	m->text = m->text == NULL ? call_fmt(m->call, "%ld", (long)pid)
				  : call_fmt(m->call, "%s, %ld", m->text, (long)pid);
	return m->text == NULL;
}

/* A look at all processes: 0 when nobody else has it mapped, or 75: also when those who could
 * may not be seen. */
static int look_unmapped(struct call *call, const struct segment *seg)
{
	struct stat st;
	struct maps_key key;
	struct mappers m = {.call = call, .st = &st};
	bool hidden = false, hidden_too = false;
	if (fstat(seg->fd, &st) < 0 || maps_file(seg->fd, &key) < 0 ||
		maps_each(&key, note_mapper, &m, &hidden) < 0 ||
		(m.text == NULL && maps_each(&key, note_mapper, &m, &hidden_too) < 0))
		return call_error(call, errno, "look who has %s mapped", seg->obj.text);
	if (m.text != NULL)
		return call_fail(call, ST_BUSY, 0,
			"%s: mapped by process %s, which would meet SIGBUS; --force shrinks it all "
			"the same",
			seg->obj.text, m.text);
	if (hidden || hidden_too)
		return call_fail(call, ST_BUSY, 0,
			"%s: whether other processes have it mapped cannot be seen: /proc does not "
			"show them all; --force shrinks it all the same",
			seg->obj.text);
	return 0;
}

/* Cut it to SIZE. Our descriptor is the only one when the kernel grants a lease, and stays so
 * meanwhile. */
static int shrink(struct call *call, const struct segment *seg, uint64_t size)
{
	struct lease lease;
	bool proved = seg->obj.kind != OBJECT_FD && seg->kept == NULL &&
		call->opt[RESIZE_FORCE].count == 0 && lease_take(&lease, seg->fd) == 0;
	if (!proved && call->opt[RESIZE_FORCE].count == 0) {
		int status = look_unmapped(call, seg);
		if (status != 0)
			return status;
	}
	int r = ftruncate(seg->fd, (off_t)size), e = errno;
	if (proved)
		lease_release(&lease);
	if (r == 0)
		return 0;
	return call_error(
		call, e, e == EPERM ? "shrink %s, which is sealed" : "shrink %s", seg->obj.text);
}

int shm_resize(struct call *call)
{
	struct segment *seg;
	const char *word = call->args[0].str;
	uint64_t size = (uint64_t)call->opt[MAKE_SIZE].num;
	if (call->opt[MAKE_SIZE].count == 0)
		return call_fail(call, ST_USAGE, 0, "%s: to what? -S BYTES is missing", word);
	/* A shell's own kept mapping is in the way of the kernel's proof. */
	segment_forget(call, word);
	int status = segment_open(call, &seg, word, SEGMENT_WRITE);
	if (status == 0 && seg->sysv)
		return call_fail(call, ST_LIMIT, 0,
			"%s: a System V segment keeps its size; make another, or use posix:/NAME",
			word);
	if (status == 0)
		status = segment_lock(call, seg, false, SEGMENT_WRITE);
	if (status != 0 || seg->size == size)
		return status;
	uint64_t old = seg->size;
	if (size > old) {
		status = segment_back(call, seg, old, size);
		if (status != 0) /* a part may have been allocated */
			(void)!ftruncate(seg->fd, (off_t)old);
		return status;
	}
	return shrink(call, seg, size);
}

/* ---- rm */

static int remove_it(struct call *call, struct segment *seg, const char *word)
{
	struct stat st;
	if (seg->sysv)
		return shm_sysv_rm(call, seg);
	if (seg->obj.kind == OBJECT_FD)
		return call_fail(call, ST_USAGE, 0, "%s: a descriptor has no name to remove", word);
	if (fstatat(seg->at.dirfd, seg->at.rel, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		!S_ISREG(st.st_mode))
		return call_fail(call, ST_DATA, 0, "%s: not a regular file", word);
	if (unlinkat(seg->at.dirfd, seg->at.rel, 0) == 0) {
		segment_forget(call, word);
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such segment", word);
	return call_error(call, errno, "remove %s", word);
}

static int remove_one(struct call *call, const char *word)
{
	struct segment *seg;
	int status = segment_name(call, &seg, word);
	if (status == 0)
		status = remove_it(call, seg, word);
	segment_close(call, seg);
	return status;
}

int shm_rm(struct call *call)
{
	return call_each(call, remove_one);
}
