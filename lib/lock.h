/* lib/lock.h: kernel locks with deadlines: one family on a descriptor, or named lock files, several
 * at once, all or none.
 *
 * flock(2) and fcntl(2) locks do not see each other on Linux, so a lock that is to exclude everyone
 * takes both: the OFD lock (fcntl, owned by the open file description as flock's is) and then the
 * flock. While waiting for one the other is not held, so a program that nests the two the other way
 * round cannot deadlock with us. On NFS and SMB flock is made of the same locks as fcntl's, and
 * taking both would be to wait for oneself: there only the OFD lock is taken.
 *
 * A lock lives as long as its open file description: until lock_release, or until the last
 * descriptor for it is closed (dup, fork and SCM_RIGHTS share it; POSIX locks differ, fcntl(2)).
 */
#ifndef IPC_LOCK_H
#define IPC_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "object.h"
#include "wait.h"

#define LOCK_OFD 1u
#define LOCK_FLOCK 2u
#define LOCK_POSIX 4u /* owned by the process: never close another descriptor of that file */

/* One family on FD. OFD and POSIX: LEN bytes from START, LEN 0 to the end of the file; exclusive
 * needs a writable, shared a readable descriptor (EBADF). 0; -1 with errno EAGAIN (DEADLINE_NOW),
 * ETIMEDOUT, EINTR (stop signal), EDEADLK (POSIX), ENOLCK ... Where the kernel or the file system has no
 * OFD locks, a whole file is locked by flock(2) instead; a range is EOPNOTSUPP. */
int lock_fcntl(int fd, unsigned family, bool shared, int64_t start, int64_t len, int64_t deadline,
	const struct stop *stop);
int lock_flock(int fd, bool shared, int64_t deadline, const struct stop *stop);
/* Give them back; errno is kept. */
void lock_fcntl_free(int fd, unsigned family, int64_t start, int64_t len);
void lock_flock_free(int fd);

/* A named lock. Set .obj (a WORD, FILE or FD object), .want, .shared and what else differs from 0;
 * .fd must be -1. The struct must not be moved once it is open (at.rel may point into it). */
struct lock {
	struct object obj;
	unsigned want; /* families; taken as far as the file allows, see lock_open */
	bool shared;
	bool named;         /* .want was asked for by name: an executable file loses none */
	bool exact;         /* create with exactly .mode; else mode & ~umask */
	unsigned mode;      /* for a file that is made; 0: 0600 in $IPC_DIR, 0666 elsewhere */
	int64_t start, len; /* range; with one, flock(2) is not taken */
	/* Filled in: */
	int fd;
	unsigned can, held;      /* families that can be taken, and are held */
	bool readable, writable; /* what fd is open for */
	bool twin; /* names the same file as another of the set: fd is -1, nothing held */
	struct object_at at;
	struct stat st;
};

/* Open L's file, made when it is missing (but not through a symbolic link to nothing: ELOOP). It is
 * opened for reading alone when that is enough, so that no watcher sees a writer and a program that
 * is locked can still be executed:
 *   - a shared lock needs to read, and flock(2) needs nothing;
 *   - an exclusive fcntl lock needs to write (fcntl(2)). A regular file with an execute bit is
 *     locked by flock(2) alone, unless the families were asked for by name.
 * What cannot be opened for writing, and a directory, is opened for reading too; L->can says what is
 * left of .want. A lease of another process on the file is waited for (lease.h). Nothing is read
 * from or written into the file. 0, or -1 with errno (EINVAL: an object that cannot be locked; EBADF:
 * a range or fcntl lock that this descriptor does not allow; EAGAIN, ETIMEDOUT, EINTR: the lease). */
int lock_open(struct lock *l, int64_t deadline, const struct stop *stop);
/* Is the name still that of the file that is open? True for FD objects. */
bool lock_current(const struct lock *l);
/* Take what L->can says on the open file. As lock_fcntl; nothing is held after -1. Where the kernel or
 * the file system has no OFD locks, flock(2) alone is taken when both were wanted. Where flock(2)
 * needs a file open for writing (NFS), the file is opened again under the same number. */
int lock_take(struct lock *l, int64_t deadline, const struct stop *stop);
/* Give back what is held, for all who share the description. */
void lock_release(struct lock *l);
/* lock_release is not implied: descriptors handed on keep the lock. */
void lock_close(struct lock *l);

/* Open and take LOCKS[0..N-1]: all or none, in one order for all processes (device and inode
 * number), each file once, and again from the start when a file was removed or replaced meanwhile.
 * 0; or -1 with errno as above, everything released and closed, *FAILED the one it failed for and
 * *STEP "open" or "lock" (either may be NULL). */
int lock_take_all(struct lock *locks, unsigned n, int64_t deadline, const struct stop *stop,
	struct lock **failed, const char **step);
/* Release and close all; unlock order is the reverse. */
void lock_release_all(struct lock *locks, unsigned n);

#endif
