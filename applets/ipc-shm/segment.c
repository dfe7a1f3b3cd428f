/* ipc-shm: a segment by its name: opened, locked, mapped. */
#define _GNU_SOURCE
#include "shm.h"

#include "fd.h"
#include "lease.h"
#include "lock.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/vfs.h>
#include <unistd.h>

static void undo_at(void *at, intptr_t n)
{
	(void)n;
	object_at_close(at);
}

/* Where WORD is. 0 or a status. */
static int name_it(struct call *call, struct segment *seg, const char *word)
{
	if (strncmp(word, "memfd:", 6) == 0)
		return call_fail(
			call, ST_USAGE, 0, "%s: nobody else can name it: only run takes it", word);
	const char *why = object_parse(&seg->obj, word);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
	switch (seg->obj.kind) {
	case OBJECT_SYSV: seg->sysv = true; return 0;
	case OBJECT_POSIX: seg->at.rel = call_fmt(call, SHM_DIR "%s", seg->obj.name); break;
	case OBJECT_FD: seg->at.rel = call_fmt(call, "/proc/self/fd/%d", seg->obj.fd); break;
	case OBJECT_FILE: seg->at.rel = seg->obj.name; break;
	case OBJECT_WORD: {
		bool create = call->opt[MAKE_CREATE].count > 0 || call->verb->run == shm_create;
		if (object_at(&seg->obj, "shm", create, &seg->at) == 0) {
			call_place_old(call, &seg->obj, "shm", seg->at.old);
			return call_undo(call, undo_at, &seg->at, 0) == 0
				? 0
				: call_error(call, errno, "open %s", word);
		}
		if (errno == ENOENT && !create)
			return call_fail(call, ST_NOOBJ, 0, "%s: no such segment", word);
		int e = errno, status = call_place_error(call, &seg->obj, "shm", e);
		return status >= 0 ? status : call_error(call, e, "open the directory of %s", word);
	}
	default:
		return call_fail(call, ST_USAGE, 0,
			"%s: a segment is posix:/NAME, sysv:KEY, a file, fd:N or a bare word",
			word);
	}
	return seg->at.rel != NULL ? 0 : call_error(call, ENOMEM, "%s", word);
}

static struct segment *new_segment(struct call *call)
{
	struct segment *seg = call_alloc(call, sizeof *seg);
	if (seg == NULL)
		return NULL;
	seg->at.dirfd = AT_FDCWD;
	seg->fd = seg->id = -1;
	return seg;
}

int segment_name(struct call *call, struct segment **out, const char *word)
{
	struct segment *seg = *out = new_segment(call);
	return seg != NULL ? name_it(call, seg, word) : call_error(call, errno, "open %s", word);
}

void segment_close(struct call *call, struct segment *seg)
{
	if (seg == NULL)
		return;
	if (seg->fd >= 0)
		call_close(call, seg->fd);
	seg->fd = -1;
	call_keep(call, undo_at, &seg->at, 0);
	object_at_close(&seg->at);
}

static int nofollow(const struct segment *seg)
{
	return seg->obj.kind == OBJECT_POSIX ? O_NOFOLLOW : 0;
}

/* Open the file. 0; -1 with errno ENOENT; or a status. */
static int open_file(struct call *call, struct segment *seg, unsigned flags)
{
	struct stat st;
	int how = O_NONBLOCK | nofollow(seg);
	const char *word = seg->obj.text;
	seg->writable = flags != 0;
	/* ipc-ls and ipc-rm have a lease on a file for an instant, to find out whether it is in use. */
	seg->fd = lease_open(seg->at.dirfd, seg->at.rel,
		nofollow(seg) | (flags != 0 ? O_RDWR : O_RDONLY), 0, DEADLINE_NONE, &call->stop);
	if (seg->fd < 0 && flags == SEGMENT_EITHER && errno != ENOENT) {
		seg->writable = false;
		seg->fd = fd_open(seg->at.dirfd, seg->at.rel, how | O_RDONLY, 0);
	}
	if (seg->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -1;
	if (seg->fd < 0 && errno == ELOOP && seg->obj.kind == OBJECT_POSIX)
		return call_fail(call, ST_DATA, 0, "%s: is a symbolic link, not a segment", word);
	if (seg->fd < 0 && (errno == EISDIR || errno == ENXIO || errno == ENODEV))
		return call_fail(call, ST_DATA, 0, "%s: not a regular file", word);
	if (seg->fd < 0 || call_own(call, seg->fd) < 0 || fstat(seg->fd, &st) < 0)
		return call_error(call, errno, "open %s", word);
	if (!S_ISREG(st.st_mode))
		return call_fail(call, ST_DATA, 0, "%s: not a regular file", word);
	seg->size = (uint64_t)st.st_size;
	seg->nameless = st.st_nlink == 0;
	return 0;
}

/* One try; -1: it is missing. */
static int try_open(struct call *call, struct segment *seg, unsigned flags)
{
	return seg->sysv ? shm_sysv_open(call, seg) : open_file(call, seg, flags);
}

/* Open SEG, whose name is known. */
static int open_named(struct call *call, struct segment *seg, const char *word, unsigned flags)
{
	int status;
	bool create = call->opt[MAKE_CREATE].count > 0;
	uint64_t size =
		call->opt[MAKE_SIZE].count > 0 ? (uint64_t)call->opt[MAKE_SIZE].num : SHM_PAGE;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	if (seg->sysv && seg->obj.sysv == SYSV_PRIVATE && call->verb->run != shm_run)
		return call_fail(call, ST_USAGE, 0,
			"%s always means a new segment; use the sysv:id=N that create prints",
			word);
	if (seg->obj.kind == OBJECT_FD && !fd_is_open(seg->obj.fd))
		return call_fail(call, ST_NOOBJ, 0, "%s: no such descriptor", word);
	/* Another may make or remove it between our two looks: then we look again. */
	for (int tries = 0; tries < 100; tries++) {
		status = try_open(call, seg, flags);
		if (status >= 0)
			return status;
		if (!create)
			return call_fail(call, ST_NOOBJ, 0, "%s: no such segment", word);
		status = segment_create(call, seg, size, mode);
		if (status >= 0)
			return status;
	}
	return call_fail(call, ST_EXISTS, 0, "%s: comes and goes", word);
}

int segment_open(struct call *call, struct segment **out, const char *word, unsigned flags)
{
	bool keep = call->host != NULL && (flags & SEGMENT_KEEP) != 0;
	struct segment *seg = *out = new_segment(call);
	flags &= ~(unsigned)SEGMENT_KEEP;
	if (seg == NULL)
		return call_error(call, errno, "open %s", word);
	if (keep && segment_recall(call, seg, word, flags))
		return 0;
	int status = name_it(call, seg, word);
	if (status == 0)
		status = open_named(call, seg, word, flags);
	if (status == 0 && keep)
		segment_offer(call, seg, word, flags);
	return status;
}

/* Is the name still that of what is open? */
static bool current(const struct segment *seg)
{
	struct stat a, b;
	if (seg->kept != NULL)
		return kept_current(&seg->kept->kept);
	if (seg->obj.kind == OBJECT_FD)
		return true;
	if (seg->sysv)
		return shm_sysv_current(seg, true);
	return fstat(seg->fd, &a) == 0 &&
		fstatat(seg->at.dirfd, seg->at.rel, &b,
			seg->obj.kind == OBJECT_POSIX ? AT_SYMLINK_NOFOLLOW : 0) == 0 &&
		a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Take the lock once. 0 or a status. */
static int take(struct call *call, struct segment *seg, int fd, bool shared, int64_t deadline)
{
	int r = lock_fcntl(fd, LOCK_OFD, shared, 0, 0, DEADLINE_NOW, NULL);
	if (r < 0 && errno == EAGAIN && deadline != DEADLINE_NOW)
		r = lock_fcntl(fd, LOCK_OFD, shared, 0, 0, deadline, &call->stop);
	if (r == 0)
		return 0;
	if (errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR)
		return call_error(call, errno, "lock %s", seg->obj.text);
	return call_waited(call, errno, "lock %s", seg->obj.text);
}

/* Another file has the name by now, or none. 0, -1, or a status. */
static int open_anew(struct call *call, struct segment *seg, unsigned flags)
{
	if (seg->kept == NULL) {
		call_close(call, seg->fd);
		seg->fd = -1;
		return try_open(call, seg, flags);
	}
	const char *word = seg->obj.text;
	lock_fcntl_free(seg->fd, LOCK_OFD, 0, 0);
	kept_drop(call, &seg->kept->kept, true);
	object_at_close(&seg->at);
	*seg = (struct segment){.at.dirfd = AT_FDCWD, .fd = -1, .id = -1};
	int status = name_it(call, seg, word);
	return status != 0 ? status : try_open(call, seg, flags);
}

int segment_lock(struct call *call, struct segment *seg, bool shared, unsigned flags)
{
	int64_t deadline = call_deadline(call);
	struct stat st;
	for (;;) {
		int status = 0, fd = seg->sysv ? shm_sysv_lockfile(call, seg, &status) : seg->fd;
		if (fd < 0)
			return status;
		status = take(call, seg, fd, shared, deadline);
		if (status != 0)
			return status;
		if (seg->sysv)
			seg->fd = fd;
		if (seg->kept != NULL)
			seg->kept->locked = true;
		if (current(seg))
			break;
		/* Removed or replaced while we waited: the name counts. */
		status = open_anew(call, seg, flags);
		if (status < 0)
			return call_fail(call, ST_NOOBJ, 0, "%s: was removed", seg->obj.text);
		if (status != 0)
			return status;
		if (call_stopped(call) != 0) /* it may be replaced again and again */
			return call_waited(call, EINTR, "lock %s", seg->obj.text);
	}
	if (!seg->sysv && fstat(seg->fd, &st) == 0)
		seg->size = (uint64_t)st.st_size;
	return 0;
}

void segment_unlock(struct call *call, struct segment *seg)
{
	(void)call;
	lock_fcntl_free(seg->fd, LOCK_OFD, 0, 0);
	if (seg->kept != NULL)
		seg->kept->locked = false;
}

void segment_waits(struct segment *seg)
{
	if (seg->kept != NULL)
		seg->kept->waits = lseek(seg->fd, 0, SEEK_SET) == 0;
}

int segment_fits(struct call *call, const struct segment *seg, uint64_t off, uint64_t len)
{
	if (off <= seg->size && len <= seg->size - off)
		return 0;
	return call_fail(call, ST_DATA, 0,
		"%s: %llu bytes at offset %llu do not fit: its size is %llu", seg->obj.text,
		(unsigned long long)len, (unsigned long long)off, (unsigned long long)seg->size);
}

/* The end of the process unmaps it for less than munmap(2). */
static void undo_map(void *arg, intptr_t ends)
{
	struct segment *seg = arg;
	if (seg->sysv)
		shmdt(seg->base);
	else if (seg->kept == NULL && !ends)
		munmap(seg->base, seg->maplen);
	shared_unguard(&seg->oldbus);
}

int segment_map(struct call *call, struct segment *seg, uint64_t off, size_t len, bool write)
{
	if (seg->sysv) {
		int status = shm_sysv_attach(call, seg, write);
		if (status != 0)
			return status;
	} else if (seg->kept != NULL) {
		if (segment_map_kept(seg, off, len, write) < 0)
			return call_error(call, errno, "map %s", seg->obj.text);
	} else {
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
		seg->from = off / page * page;
		seg->maplen = (size_t)(off - seg->from) + len;
		void *p = mmap(NULL, seg->maplen, write ? PROT_READ | PROT_WRITE : PROT_READ,
			MAP_SHARED, seg->fd, (off_t)seg->from);
		if (p == MAP_FAILED)
			return call_error(call, errno, "map %s", seg->obj.text);
		seg->base = p;
	}
	(void)shared_guard(&seg->oldbus);
	if (call_undo(call, undo_map, seg, call->ends) < 0)
		return call_error(call, errno, "map %s", seg->obj.text);
	return 0;
}

int segment_intact(struct call *call, const struct segment *seg, uint64_t end, bool removed)
{
	struct stat st;
	if (seg->sysv)
		return !removed || shm_sysv_current(seg, false)
			? 0
			: call_fail(call, ST_NOOBJ, 0, "%s: was removed", seg->obj.text);
	if (fstat(seg->fd, &st) < 0 || (uint64_t)st.st_size < end)
		return call_fail(
			call, ST_DATA, 0, "%s: the file was cut short while in use", seg->obj.text);
	fd_touch(seg->fd, &st);
	if (removed && st.st_nlink == 0 && !seg->nameless)
		return call_fail(call, ST_NOOBJ, 0, "%s: was removed", seg->obj.text);
	return 0;
}

/* Write zeros where the file system cannot allocate. */
static int fill(int fd, uint64_t from, uint64_t to)
{
	static const char zeros[4096];
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -1;
	/* What is inside already must stay. */
	for (uint64_t at = from < (uint64_t)st.st_size ? (uint64_t)st.st_size : from; at < to;) {
		size_t n = to - at < sizeof zeros ? (size_t)(to - at) : sizeof zeros;
		if (fd_pwrite(fd, zeros, n, (off_t)at) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static int allocate(int fd, uint64_t from, uint64_t to)
{
	int r;
	do
		r = fallocate(fd, 0, (off_t)from, (off_t)(to - from));
	while (r < 0 && errno == EINTR);
	return r < 0 && errno == EOPNOTSUPP ? fill(fd, from, to) : r;
}

int segment_back(struct call *call, const struct segment *seg, uint64_t from, uint64_t to)
{
	struct rlimit limit;
	struct statfs fs;
	struct stat st;
	if (seg->sysv || from >= to)
		return 0;
	if (seg->kept != NULL)
		st = seg->kept->kept.st;
	/* Nothing missing anywhere: the usual case, and asking page by page takes time. */
	if ((seg->kept != NULL || fstat(seg->fd, &st) == 0) && (uint64_t)st.st_size >= to &&
		(uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size)
		return 0;
	/* The kernel would say it by SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
		to > limit.rlim_cur)
		return call_fail(call, ST_LIMIT, 0,
			"%s: %llu bytes are more than files may have (ulimit -f): %llu",
			seg->obj.text, (unsigned long long)to, (unsigned long long)limit.rlim_cur);
	if (allocate(seg->fd, from, to) == 0)
		return 0;
	if (errno != ENOSPC || fstatfs(seg->fd, &fs) < 0)
		return call_error(call, errno, "allocate %llu bytes for %s",
			(unsigned long long)(to - from), seg->obj.text);
	return call_fail(call, ST_LIMIT, ENOSPC,
		"%s: %llu bytes do not fit, its file system has %llu free", seg->obj.text,
		(unsigned long long)(to - from),
		(unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize);
}
