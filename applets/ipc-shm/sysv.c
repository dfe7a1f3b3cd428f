/* ipc-shm: System V segments (sysvipc(7)), and the lock that they have not got.
 *
 * A segment has no descriptor to lock and no spare byte, so that readers and writers lock a file
 * beside it: /dev/shm/.ipc-shm-NS-ID.lock, NS the IPC namespace, for whoever may read the segment.
 */
#define _GNU_SOURCE
#include "shm.h"

#include "fd.h"
#include "newfile.h"
#include "sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

/* The id behind the name. -1 with errno. */
static int find(const struct segment *seg)
{
	key_t key;
	if (seg->obj.sysv == SYSV_ID)
		return seg->obj.key;
	if (sysv_key(&seg->obj, &key) < 0)
		return -1;
	if (key == IPC_PRIVATE) {
		errno = ENOENT;
		return -1;
	}
	return shmget(key, 0, 0);
}

int shm_sysv_open(struct call *call, struct segment *seg)
{
	struct shmid_ds ds;
	const char *word = seg->obj.text;
	seg->writable = true; /* shmat(2) will tell */
	seg->id = find(seg);
	if (seg->id < 0 && errno == ENOENT && seg->obj.sysv != SYSV_FTOK)
		return -1;
	if (seg->id < 0 && seg->obj.sysv == SYSV_FTOK && errno == ENOENT)
		return access(call_fmt(call, "%.*s",
				      (int)(strrchr(seg->obj.name, '#') - seg->obj.name),
				      seg->obj.name),
			       F_OK) == 0
			? -1
			: call_fail(call, ST_NOOBJ, 0, "%s: no such file to make a key of", word);
	if (seg->id < 0)
		return call_error(call, errno, "find %s", word);
	if (shmctl(seg->id, IPC_STAT, &ds) < 0) {
		if (errno == EINVAL || errno == EIDRM)
			return -1;
		return call_error(call, errno, "look at %s", word);
	}
	seg->size = ds.shm_segsz;
	return 0;
}

/* A number from /proc/sys/kernel, as text. */
static const char *limit(struct call *call, const char *name)
{
	char *text;
	size_t len;
	const char *path = call_fmt(call, "/proc/sys/kernel/%s", name);
	if (path == NULL || fd_slurp(-1, path, 256, &text, &len) < 0)
		return "unknown";
	const char *copy = call_fmt(call, "%.*s", (int)strcspn(text, "\n"), text);
	fd_slurp_free(text);
	return copy != NULL ? copy : "unknown";
}

int shm_sysv_create(struct call *call, struct segment *seg, uint64_t size, unsigned mode)
{
	key_t key;
	const char *word = seg->obj.text;
	if (seg->obj.sysv == SYSV_ID)
		return call_fail(
			call, ST_NOOBJ, 0, "%s: no such segment, and the kernel chooses ids", word);
	if (sysv_key(&seg->obj, &key) < 0)
		return call_error(call, errno, "make a key of %s", word);
	if (size > SIZE_MAX)
		return call_fail(call, ST_LIMIT, 0,
			"%s: %llu bytes do not fit into the memory of a %zu-bit program", word,
			(unsigned long long)size, sizeof(void *) * 8);
	seg->id = shmget(key, (size_t)size, IPC_CREAT | IPC_EXCL | (int)(mode & 0777));
	if (seg->id >= 0) {
		seg->size = size;
		seg->created = seg->writable = true;
		return 0;
	}
	switch (errno) {
	case EEXIST: return -1;
	case EINVAL:
		return call_fail(call, ST_LIMIT, 0,
			"%s: %llu bytes are more than kernel.shmmax: %s", word,
			(unsigned long long)size, limit(call, "shmmax"));
	case ENOSPC:
		return call_fail(call, ST_LIMIT, ENOSPC,
			"make %s: kernel.shmmni is %s segments, kernel.shmall %s pages", word,
			limit(call, "shmmni"), limit(call, "shmall"));
	case ENOMEM:
		return call_fail(call, ST_LIMIT, ENOMEM, "%s: no memory for %llu bytes", word,
			(unsigned long long)size);
	default: return call_error(call, errno, "make %s", word);
	}
}

int shm_sysv_attach(struct call *call, struct segment *seg, bool write)
{
	void *p = shmat(seg->id, NULL, write ? 0 : SHM_RDONLY);
	if (p == (void *)-1)
		return errno == EINVAL || errno == EIDRM
			? call_fail(call, ST_NOOBJ, 0, "%s: was removed", seg->obj.text)
			: call_error(call, errno, "attach %s", seg->obj.text);
	seg->base = p;
	seg->from = 0;
	seg->maplen = (size_t)seg->size;
	return 0;
}

bool shm_sysv_current(const struct segment *seg, bool doomed)
{
	struct shmid_ds ds;
	int id = seg->obj.sysv == SYSV_PRIVATE ? seg->id : find(seg);
	return id == seg->id && shmctl(id, IPC_STAT, &ds) == 0 &&
		(doomed || (ds.shm_perm.mode & SHM_DEST) == 0);
}

char *shm_sysv_lockpath(struct call *call, int id)
{
	struct stat ns;
	if (stat("/proc/self/ns/ipc", &ns) < 0)
		ns.st_ino = 0;
	return call_fmt(call, SHM_DIR "/" SHM_LOCK_PREFIX "%llx-%d.lock",
		(unsigned long long)ns.st_ino, id);
}

/* Make it, for those who may read the segment. -1 with errno EEXIST when another was faster. */
static int make_lockfile(const char *path, const struct shmid_ds *ds)
{
	struct newfile f;
	int fd = -1;
	unsigned mode = ds->shm_perm.mode & 0777;
	bool owner = geteuid() == ds->shm_perm.uid || geteuid() == 0;
	mode = owner ? 0600 | (mode & 040) * 3 / 2 | (mode & 04) * 3 / 2 : 0666;
	if (newfile_open(&f, AT_FDCWD, path, mode) < 0)
		return -1;
	if (fchown(f.fd, geteuid() == 0 ? ds->shm_perm.uid : (uid_t)-1, ds->shm_perm.gid) < 0)
		errno = 0; /* not in that group: the owner then sees whose it is */
	int r = newfile_link(&f);
	newfile_end(&f, r == 0 ? &fd : NULL);
	return fd;
}

/* Anybody may put a file there first; only one of those who share the segment is believed. */
static bool trusted(int fd, const struct shmid_ds *ds)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == ds->shm_perm.uid ||
		st.st_uid == ds->shm_perm.cuid || (ds->shm_perm.mode & 06) != 0 ||
		((ds->shm_perm.mode & 060) != 0 && st.st_gid == ds->shm_perm.gid);
}

int shm_sysv_lockfile(struct call *call, const struct segment *seg, int *status)
{
	struct shmid_ds ds;
	const char *path = shm_sysv_lockpath(call, seg->id);
	if (path == NULL || shmctl(seg->id, IPC_STAT, &ds) < 0) {
		*status = call_error(
			call, path == NULL ? ENOMEM : errno, "look at %s", seg->obj.text);
		return -1;
	}
	for (;;) {
		int fd = fd_open(AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
		if (fd < 0 && errno == ENOENT)
			fd = make_lockfile(path, &ds);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0 || call_own(call, fd) < 0) {
			*status = call_error(
				call, errno, "open %s, the lock of %s", path, seg->obj.text);
			return -1;
		}
		if (trusted(fd, &ds))
			return fd;
		*status = call_fail(call, ST_PERM, 0, "%s, the lock of %s, belongs to a stranger",
			path, seg->obj.text);
		return -1;
	}
}

int shm_sysv_rm(struct call *call, struct segment *seg)
{
	struct shmid_ds ds;
	int status = shm_sysv_open(call, seg);
	if (status < 0)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such segment", seg->obj.text);
	if (status != 0)
		return status;
	if (shmctl(seg->id, IPC_RMID, NULL) < 0)
		return call_error(call, errno, "remove %s", seg->obj.text);
	/* While others have it attached it can still be had by its id, and its lock is in use. */
	const char *path = shm_sysv_lockpath(call, seg->id);
	if (path != NULL && shmctl(seg->id, IPC_STAT, &ds) < 0)
		(void)unlink(path);
	return 0;
}
