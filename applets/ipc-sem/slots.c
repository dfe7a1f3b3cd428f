/* applets/ipc-sem/slots.c: a file of slots, the kind of semaphore that no death can upset.
 *
 * A slot is a byte far beyond the end of the file, and who holds the OFD lock (fcntl(2)) of that byte
 * has the slot: the kernel takes it back when the last descriptor of the holder is closed, however
 * that comes about. In the file stand only how many slots there are, and hints about who took them.
 *
 * Whoever looks for free slots holds one more byte, the gate, for microseconds. How they queue is said in
 * queue.c.
 *
 * The first sleeps in poll(2) on pidfds of the holders: a holder's process, or its keeper, ends with the
 * use of the slot. When that lasts longer, inotify(7) joins, which sees all else: a change of how many
 * there are, the removal, the closing of a description that no claim told of. Not at once, since
 * closing an inotify descriptor costs ten milliseconds. The kernel tells of a close an instant before it
 * drops the locks, hence a few looks more after each event.
 */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"
#include "lease.h"
#include "lock.h"
#include "newfile.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

#define PATIENCE (10 * NS_PER_S) /* nobody holds the gate for more than an instant */

struct head {
	char magic[8];
	uint32_t version, abi;
	uint32_t n, top;
	uint32_t bell;
	struct first {
		uint32_t pid, start; /* of who has the turn: the low half of its start time */
	} first;
	uint32_t spare[7];
};
_Static_assert(sizeof(struct head) == 64, "the file's format");
_Static_assert(sizeof(struct claim) == 128, "the file's format");
#define MAGIC "ipcsem"
#define VERSION 1u
#define ABI 0x01020304u

static off_t claim_at(unsigned slot)
{
	return (off_t)(sizeof(struct head) + slot * sizeof(struct claim));
}

int64_t slots_byte(unsigned slot)
{
	return SLOTS_BYTE0 + slot;
}

static int bad(int e)
{
	errno = e;
	return -1;
}

/* Read and check the header. */
static int look(struct sem *s)
{
	struct head h;
	struct stat st;
	if (fstat(s->fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return bad(EBADMSG);
	ssize_t got = fd_pread(s->fd, &h, sizeof h, 0);
	if (got < 0)
		return -1;
	if (got != sizeof h || memcmp(h.magic, MAGIC "\0", 8) != 0 || h.version != VERSION ||
		h.abi != ABI || h.n > SLOTS_MAX || h.top > SLOTS_MAX)
		return bad(EBADMSG);
	s->removed = st.st_nlink == 0;
	s->n = h.n;
	s->top = h.top > h.n ? h.top : h.n;
	return 0;
}

static int create(struct sem *s, unsigned n)
{
	struct call *call = s->call;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	struct head h = {.magic = MAGIC, .version = VERSION, .abi = ABI, .n = n, .top = n};
	struct newfile f;
	if (newfile_open(&f, s->at.dirfd, s->at.rel, mode) < 0)
		return -1;
	int r = fd_pwrite(f.fd, &h, sizeof h, 0);
	if (r == 0)
		r = newfile_link(&f);
	newfile_end(&f, r == 0 ? &s->fd : NULL);
	return r;
}

static int open_file(struct sem *s, unsigned flags, unsigned n, bool *made)
{
	int how = ((flags & SEM_READ) != 0 ? O_RDONLY : O_RDWR);
	for (;;) {
		s->fd = -1;
		*made = false;
		if ((flags & SEM_EXCL) == 0) {
			s->fd = lease_open(s->at.dirfd, s->at.rel, how, 0, DEADLINE_NONE, NULL);
			if (s->fd >= 0 || errno != ENOENT || (flags & SEM_CREATE) == 0)
				return s->fd < 0 ? -1 : 0;
		}
		if (create(s, n) == 0) {
			*made = true;
			return 0;
		}
		if (errno != EEXIST || (flags & SEM_EXCL) != 0)
			return -1;
		if (newfile_dangling(s->at.dirfd, s->at.rel))
			return bad(ELOOP);
	}
}

int slots_open(struct sem *s, unsigned flags, unsigned n, bool *made)
{
	bool keep = s->call->host != NULL && (flags & (SEM_EXCL | SEM_NAME)) == 0;
	*made = false;
	s->at.dirfd = AT_FDCWD;
	s->fd = -1;
	if (keep && shell_recall(s, flags & SEM_READ))
		return look(s);
	if (object_at(&s->obj, "sem", (flags & SEM_CREATE) != 0, &s->at) < 0)
		return -1;
	call_place_old(s->call, &s->obj, "sem", s->at.old);
	if (open_file(s, flags, n, made) < 0 || look(s) < 0)
		return -1;
	if (keep)
		shell_offer(s, flags & SEM_READ);
	return 0;
}

void slots_close(struct sem *s)
{
	if (!s->kept)
		fd_close(s->fd);
	fd_close(s->ino);
	s->fd = s->ino = -1;
	object_at_close(&s->at);
}

int slots_reopen(struct sem *s)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
	return fd_open(AT_FDCWD, path, O_RDWR | O_NONBLOCK, 0);
}

int slots_gate(struct sem *s)
{
	if (lock_fcntl(s->fd, LOCK_OFD, false, SLOTS_GATE, 1, wait_until(PATIENCE),
		    &s->call->stop) < 0)
		return errno == ETIMEDOUT ? bad(EDEADLK) : -1;
	if (look(s) == 0)
		return 0;
	slots_ungate(s);
	return -1;
}

void slots_ungate(struct sem *s)
{
	lock_fcntl_free(s->fd, LOCK_OFD, SLOTS_GATE, 1);
}

/* Is one of LEN slots from SLOT on taken by another description? */
static int any_taken(struct sem *s, unsigned slot, unsigned len)
{
	struct flock fl = {.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = SLOTS_BYTE0 + slot,
		.l_len = len};
	return fcntl(s->fd, F_OFD_GETLK, &fl) < 0 ? -1 : fl.l_type != F_UNLCK;
}

int slots_taken(struct sem *s, unsigned slot)
{
	return any_taken(s, slot, 1);
}

int slots_count(struct sem *s)
{
	int count = 0, r = any_taken(s, 0, SLOTS_MAX);
	for (unsigned i = 0; r > 0 && i < s->top; i++) {
		int taken = slots_taken(s, i);
		if (taken < 0)
			return -1;
		count += taken;
	}
	return r < 0 ? -1 : count;
}

/* The slots to take: K free ones below n, if no more than n are taken then. Under the gate. */
static int choose(struct sem *s, unsigned k)
{
	unsigned taken = 0;
	int any = any_taken(s, 0, SLOTS_MAX);
	s->held = 0;
	s->taken = 0;
	if (any < 0)
		return -1;
	for (unsigned i = 0; i < s->top && (any != 0 || s->held < k); i++) {
		int r = any == 0 ? 0 : slots_taken(s, i);
		if (r < 0)
			return -1;
		taken += r > 0;
		if (r == 0 && i < s->n && s->held < k)
			s->slot[s->held++] = (uint16_t)i;
	}
	s->taken = taken;
	if (s->held == k && taken + k <= s->n)
		return 0;
	s->held = 0;
	return bad(k > s->n ? ERANGE : EAGAIN);
}

int slots_pick(struct sem *s, unsigned k, const int *fds, int32_t owner)
{
	if (choose(s, k) < 0)
		return -1;
	for (unsigned i = 0; i < k; i++) {
		int fd = fds != NULL ? fds[i] : s->hold >= 0 ? s->hold : s->fd;
		if (lock_fcntl(fd, LOCK_OFD, false, SLOTS_BYTE0 + s->slot[i], 1, DEADLINE_NOW,
			    NULL) == 0)
			continue;
		/* Somebody locks the file by himself, without the gate. */
		int e = errno;
		while (i-- > 0)
			lock_fcntl_free(
				fds != NULL ? fds[i] : fd, LOCK_OFD, SLOTS_BYTE0 + s->slot[i], 1);
		s->held = 0;
		return bad(e);
	}
	for (unsigned i = 0; i < k; i++)
		(void)slots_claim(s, s->slot[i], getpid(), owner);
	return 0;
}

int slots_claim(struct sem *s, unsigned slot, pid_t pid, pid_t owner)
{
	char *const *argv = s->call->command;
	struct claim c = {.pid = pid, .owner = owner};
	struct timespec now;
	size_t len = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	c.since = now.tv_sec;
	for (; argv != NULL && *argv != NULL && len + 2 < sizeof c.command; argv++)
		len += (size_t)snprintf(
			c.command + len, sizeof c.command - len, "%s%s", len > 0 ? " " : "", *argv);
	return fd_pwrite(s->fd, &c, sizeof c, claim_at(slot));
}

void slots_kept(struct sem *s, pid_t keeper)
{
	int32_t pid = keeper;
	for (unsigned i = 0; i < s->held; i++)
		(void)fd_pwrite(s->fd, &pid, sizeof pid,
			claim_at(s->slot[i]) + (off_t)offsetof(struct claim, keeper));
}

bool slots_claimed(struct sem *s, unsigned slot, struct claim *c)
{
	if (fd_pread(s->fd, c, sizeof *c, claim_at(slot)) != sizeof *c)
		return false;
	c->command[sizeof c->command - 1] = '\0';
	for (char *p = c->command; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return c->pid > 0;
}

void slots_ring(int fd)
{
	uint32_t bell = 1;
	int e = errno;
	(void)fd_pwrite(fd, &bell, sizeof bell, offsetof(struct head, bell));
	errno = e;
}

void slots_give(struct sem *s)
{
	for (unsigned i = 0; i < s->held; i++)
		lock_fcntl_free(s->fd, LOCK_OFD, SLOTS_BYTE0 + s->slot[i], 1);
	if (s->held > 0)
		slots_ring(s->fd);
	s->held = 0;
}

int slots_try(struct sem *s, unsigned k, const int *fds, int32_t owner)
{
	if (slots_gate(s) < 0)
		return -1;
	int r = s->removed ? bad(ENOENT) : slots_pick(s, k, fds, owner);
	slots_ungate(s);
	return r;
}

void slots_name_first(struct sem *s, bool ours)
{
	struct first f = {0};
	if (ours)
		f = (struct first){(uint32_t)getpid(), (uint32_t)proc_start(getpid())};
	(void)fd_pwrite(s->fd, &f, sizeof f, offsetof(struct head, first));
}

bool slots_first_stopped(struct sem *s)
{
	struct first f;
	struct task t;
	return fd_pread(s->fd, &f, sizeof f, offsetof(struct head, first)) == sizeof f &&
		f.pid > 0 && f.pid <= INT32_MAX && task_read((pid_t)f.pid, &t) == 0 &&
		t.state == 'T' && (uint32_t)t.id.start == f.start;
}

int slots_resize(struct sem *s, unsigned n)
{
	if (slots_gate(s) < 0)
		return -1;
	unsigned top = s->top > n ? s->top : n;
	while (top > n && slots_taken(s, top - 1) == 0)
		top--;
	uint32_t words[2] = {n, top};
	int r = fd_pwrite(s->fd, words, sizeof words, offsetof(struct head, n));
	slots_ungate(s);
	return r;
}

int slots_zero(struct sem *s, int64_t deadline)
{
	struct watch w;
	int r;
	watch_start(&w);
	shell_sleeps(s, true);
	for (;;) {
		int count = look(s) < 0 ? -1 : slots_count(s);
		r = count < 0 ? -1 : s->removed ? bad(ENOENT) : 0;
		if (r < 0 || (unsigned)count >= s->n ||
			(r = watch_wait(&w, s, false, deadline)) < 0)
			break;
	}
	shell_sleeps(s, false);
	return r;
}
