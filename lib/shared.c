/* lib/shared.c: see shared.h.
 *
 * What surprises: the SIGBUS handler puts a private page of zeros where the file has ended and lets
 * the code go on; the code then finds out by shared_intact(). It needs no state, so there is none.
 */
#define _GNU_SOURCE
#include "shared.h"

#include "fd.h"
#include "lease.h"
#include "lock.h"
#include "newfile.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PATIENCE (5 * NS_PER_S) /* others hold the lock of the boot id for microseconds */

_Static_assert(sizeof(struct shared_head) == 64, "the header is part of the file format");

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)4095;
	if (info->si_code == BUS_ADRERR &&
		mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
			MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return;
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigaction(sig, &dfl, NULL);
}

int shared_guard(struct sigaction *old)
{
	struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	return sigaction(SIGBUS, &act, old);
}

void shared_unguard(const struct sigaction *old)
{
	sigaction(SIGBUS, old, NULL);
}

static int bad(int e)
{
	errno = e;
	return -1;
}

static uint32_t my_pidns(void)
{
	uint32_t n = proc_pidns();
	return n != 0 ? n : SHARED_PIDNS_MANY;
}

static int map(struct shared *s, int flags)
{
	int prot = (flags & SHARED_RDONLY) != 0 ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, s->size, prot, MAP_SHARED, s->fd, 0);
	if (p == MAP_FAILED)
		return -1;
	s->base = p;
	s->rdonly = (flags & SHARED_RDONLY) != 0;
	return shared_resume(s);
}

int shared_resume(struct shared *s)
{
	if (shared_guard(&s->oldbus) < 0)
		return -1;
	s->active = true;
	return s->rdonly ? 0 : futex_robust_start(&s->robust);
}

void shared_pause(struct shared *s)
{
	futex_robust_end(&s->robust);
	if (s->active)
		shared_unguard(&s->oldbus);
	s->active = false;
}

void shared_close(void *arg, intptr_t unused)
{
	struct shared *s = arg;
	int e = errno;
	(void)unused;
	futex_robust_end(&s->robust);
	if (s->base != NULL)
		munmap(s->base, s->size);
	shared_pause(s);
	fd_close(s->fd);
	s->base = NULL;
	s->fd = -1;
	errno = e;
}

static const unsigned char no_boot[16];

static bool same_boot(const unsigned char a[16], const unsigned char b[16])
{
	return memcmp(a, b, sizeof no_boot) == 0;
}

/* What is kept in memory does not outlive the boot. */
static bool in_memory(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	uint32_t type = (uint32_t)fs.f_type;
	return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

/* Without the boot's id, S->boot is zeros and ERR says why: may the file be used all the same? */
static int without_boot(struct shared *s, int err)
{
	if (in_memory(s->fd))
		return 0;
	s->lacks = PROC_BOOT_ID;
	return bad(err);
}

/* Before we can hold the lock: from now on its word may name a process of our pid namespace. */
static void join_pidns(struct shared *s)
{
	uint32_t mine = my_pidns();
	if (__atomic_load_n(&s->head->pidns, __ATOMIC_ACQUIRE) != mine)
		__atomic_store_n(&s->head->pidns, SHARED_PIDNS_MANY, __ATOMIC_RELEASE);
}

static int take_over(struct shared *s, bool unknown)
{
	/* Who may open the file may hold this lock, too: not for ever. */
	if (lock_flock(s->fd, false, wait_until(PATIENCE), NULL) < 0)
		return -1;
	if (unknown || same_boot(s->head->boot, no_boot)) {
		memcpy(s->head->boot, s->boot, sizeof s->boot);
	} else if (!same_boot(s->head->boot, s->boot)) {
		if (s->head->lock != 0) /* its owner died with the machine: have it repaired */
			__atomic_store_n(&s->head->lock, FUTEX_OWNER_DIED, __ATOMIC_RELEASE);
		__atomic_store_n(&s->head->pidns, my_pidns(), __ATOMIC_RELEASE);
		memcpy(s->head->boot, s->boot, sizeof s->boot);
		s->rebooted = true;
	}
	return flock(s->fd, LOCK_UN);
}

int shared_adopt(struct shared *s)
{
	if (take_over(s, false) < 0)
		return -1;
	join_pidns(s);
	return 0;
}

/* Locks and waiters of before the last boot are void: their processes are gone. Who does not know the
 * boot leaves zeros, so that nobody takes his own lock for one of before. */
static int forget_last_boot(struct shared *s, const struct shared_type *type, int err)
{
	bool unknown = same_boot(s->boot, no_boot);
	if (unknown && without_boot(s, err) < 0)
		return -1;
	if (same_boot(s->head->boot, s->boot)) {
		join_pidns(s);
		return 0;
	}
	if (type->fleeting && !unknown && !same_boot(s->head->boot, no_boot)) {
		s->rebooted = true;
		return 0;
	}
	if (take_over(s, unknown) < 0)
		return -1;
	join_pidns(s);
	return 0;
}

static int check(struct shared *s, const struct shared_type *type, int flags, int booterr)
{
	struct stat st;
	if (fstat(s->fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return bad(S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP);
	if (st.st_size < (off_t)type->min || st.st_size < (off_t)sizeof(struct shared_head))
		return bad(EBADMSG);
	if (st.st_size > PTRDIFF_MAX)
		return bad(EOVERFLOW);
	s->size = (size_t)st.st_size;
	if (map(s, flags) < 0)
		return -1;
	if (strncmp(s->head->magic, type->magic, sizeof s->head->magic) != 0)
		return bad(EBADMSG);
	uint32_t version = s->head->version, oldest = type->oldest;
	if (version > type->version || version < (oldest != 0 ? oldest : type->version) ||
		s->head->abi != SHARED_ABI)
		return bad(EPROTONOSUPPORT);
	if (s->head->size != s->size)
		return bad(EBADMSG);
	if ((flags & SHARED_RDONLY) != 0)
		return 0;
	fd_touch(s->fd, &st);
	return forget_last_boot(s, type, booterr);
}

static int create(struct shared *s, int dirfd, const char *path, const struct shared_type *type,
	size_t size, unsigned mode, void (*init)(void *, size_t, void *), void *arg, int booterr)
{
	struct newfile file;
	if (size > PTRDIFF_MAX)
		return bad(EOVERFLOW);
	if (newfile_open(&file, dirfd, path, mode) < 0)
		return -1;
	s->fd = file.fd;
	s->size = size;
	int r = same_boot(s->boot, no_boot) ? without_boot(s, booterr) : 0;
	int e = r == 0 ? fd_allocate(file.fd, (off_t)size) : 0;
	if (r == 0)
		r = e != 0 ? bad(e) : map(s, 0);
	if (r == 0) {
		memcpy(s->head->magic, type->magic, strnlen(type->magic, sizeof s->head->magic));
		s->head->version = type->version;
		s->head->abi = SHARED_ABI;
		s->head->size = size;
		memcpy(s->head->boot, s->boot, sizeof s->boot);
		s->head->pidns = my_pidns();
		if (init != NULL)
			init(s->base, size, arg);
		r = newfile_link(&file);
	}
	newfile_end(&file, &s->fd);
	s->created = r == 0;
	return r;
}

int shared_open(struct shared *s, int dirfd, const char *path, const struct shared_type *type,
	int flags, size_t size, unsigned mode, void (*init)(void *, size_t, void *), void *arg)
{
	unsigned char boot[16] = {0};
	/* Before the file is open: so this never needs one descriptor more than the file itself. */
	int booterr = (flags & SHARED_RDONLY) == 0 && proc_boot_bytes(boot) < 0 ? errno : 0;
	/* Another may create or remove it between our two looks: then we look again. */
	for (int tries = 0;; tries++) {
		int r = -1;
		*s = (struct shared){.fd = -1};
		memcpy(s->boot, boot, sizeof boot);
		errno = ENOENT;
		if ((flags & SHARED_EXCL) == 0) {
			s->fd = lease_open(dirfd, path,
				(flags & SHARED_RDONLY) != 0 ? O_RDONLY : O_RDWR, 0, DEADLINE_NONE,
				NULL);
			r = s->fd < 0 ? -1 : check(s, type, flags, booterr);
		}
		if (r < 0 && s->fd < 0 && errno == ENOENT && (flags & SHARED_CREATE) != 0)
			r = create(s, dirfd, path, type, size, mode, init, arg, booterr);
		if (r == 0)
			return 0;
		shared_close(s, 0);
		if (errno != EEXIST || (flags & SHARED_EXCL) != 0 || tries >= 100)
			return -1;
		if (newfile_dangling(dirfd, path))
			return bad(ELOOP);
	}
}

bool shared_intact(const struct shared *s)
{
	struct stat st;
	/* Nobody is told that it was cut short when that cannot be seen. */
	return (fstat(s->fd, &st) < 0 || st.st_size >= (off_t)s->size) &&
		__atomic_load_n(&s->head->size, __ATOMIC_RELAXED) == s->size;
}

/* Where the file has ended the word is zero for ever, which may be what is expected; and nobody wakes us. */
int shared_wait(struct shared *s, const uint32_t *word, uint32_t expected, int64_t deadline,
	const struct stop *stop)
{
	for (;;) {
		int64_t now = wait_now(), look = now + NS_PER_S;
		if (deadline != DEADLINE_NOW && now >= deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		int r = futex_wait(word, expected, look < deadline ? look : deadline, stop),
		    e = errno;
		if (!shared_intact(s)) {
			errno = EBADMSG;
			return -1;
		}
		errno = e;
		if (r == 0 || e != ETIMEDOUT ||
			(deadline != DEADLINE_NONE && wait_now() >= deadline))
			return r;
	}
}

int shared_lock(struct shared *s, int64_t deadline, const struct stop *stop)
{
	return futex_lock(&s->robust, &s->head->lock, deadline, stop);
}

void shared_unlock(struct shared *s)
{
	futex_unlock(&s->robust, &s->head->lock);
}

uint32_t shared_lock_word(const struct shared *s)
{
	return __atomic_load_n(&s->head->lock, __ATOMIC_RELAXED);
}

pid_t shared_holder(uint32_t word)
{
	return (pid_t)(word & FUTEX_TID_MASK);
}

static int is_open(void *arg, const struct proc_fd *fd)
{
	(void)arg;
	(void)fd;
	return 1;
}

bool shared_holder_gone(const struct shared *s, uint32_t word)
{
	struct stat st;
	bool hidden = false;
	pid_t pid = shared_holder(word);
	uint32_t mine = my_pidns();
	if (pid == 0 || mine == SHARED_PIDNS_MANY ||
		__atomic_load_n(&s->head->pidns, __ATOMIC_ACQUIRE) != mine)
		return false;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return true;
	return proc_ours() && fstat(s->fd, &st) == 0 &&
		proc_pid_fds(pid, &st, false, is_open, NULL, &hidden) == 0 && !hidden;
}

void shared_void_lock(struct shared *s, uint32_t word)
{
	if (shared_holder(word) != 0)
		__atomic_compare_exchange_n(&s->head->lock, &word, FUTEX_OWNER_DIED | FUTEX_WAITERS,
			false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

bool shared_current(const struct shared *s, int dirfd, const char *path)
{
	struct stat a, b;
	return fstat(s->fd, &a) == 0 && fstatat(dirfd, path, &b, 0) == 0 && a.st_dev == b.st_dev &&
		a.st_ino == b.st_ino;
}
