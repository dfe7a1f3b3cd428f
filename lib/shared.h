/* lib/shared.h: mapped files with a header, shared by processes that need not trust each other's
 * care: magic, version, ABI and size are checked at open, creation is atomic (a file is complete
 * before it has a name), death inside the lock is noticed, and a file that is cut short under us is
 * an error and no SIGBUS. What lies behind the header is the applet's: it must check every offset.
 */
#ifndef IPC_SHARED_H
#define IPC_SHARED_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "futex.h"

/* The first 64 bytes of every such file. */
struct shared_head {
	char magic[8];    /* "ipcring" and the like, NUL-padded */
	uint32_t version; /* of the layout that follows */
	uint32_t abi;     /* SHARED_ABI: byte order and pointer-free word sizes */
	atomic_u64 size;  /* of the whole file */
	uint32_t lock;    /* futex_lock */
	uint32_t repairs; /* how often a dead owner's work was repaired */
	unsigned char
		boot[16]; /* boot id at the last open: locks and waiters of another boot are void */
	uint32_t pidns;   /* the pid namespace of all that had it open for writing in this boot */
	uint32_t check;   /* crc32c of what an applet believes after a boot; its own affair */
	unsigned char spare[8];
};
#define SHARED_ABI 0x01020304u
#define SHARED_PIDNS_MANY UINT32_MAX /* of several, or not known: pids in the file prove nothing */

struct shared_type {
	const char *magic; /* at most 8 bytes */
	uint32_t version;
	size_t min;      /* smallest valid file size */
	uint32_t oldest; /* the oldest version that is read; 0: .version */
	bool fleeting; /* after a boot the applet decides: the file is opened as it is, .rebooted */
};

struct shared {
	int fd;
	size_t size;
	union {
		struct shared_head *head;
		unsigned char *base;
	};
	struct futex_robust robust;
	struct sigaction oldbus;
	bool rdonly, active;
	bool created; /* by this call */
	bool rebooted; /* first open after a boot: the applet resets waiters' counts (the lock is reset) */
	const char *lacks;      /* what an open that failed could not read to judge the file */
	unsigned char boot[16]; /* this boot's id; zeros: not known */
};

#define SHARED_CREATE 1 /* make it when it is missing */
#define SHARED_EXCL 2   /* with CREATE: it must be missing, EEXIST else */
#define SHARED_RDONLY 4 /* map for reading; locks cannot be taken */

/* Open DIRFD/PATH, or make it: SIZE bytes (allocated, so that no store can meet a full file system),
 * exact MODE, header filled in, INIT(base, size, arg) called, then linked to its name. S is to be
 * given to shared_close. 0; -1 with errno: ENOENT, EEXIST, EBADMSG (not such a file, or damaged),
 * EPROTONOSUPPORT (another version or ABI), EISDIR/ENOTSUP (not a regular file), ELOOP (a symbolic link to nothing), ENOSPC,
 * EOVERFLOW (does not fit into the address space), mmap(2)'s.
 * When the boot's id cannot be read, nobody knows whether the file's lock is of this boot: a file in memory (tmpfs)
 * is, any other one is not opened for writing, nor made: S->lacks then names what is missing, errno says why.
 * The path must not be a symbolic link to be created; an existing one is followed. */
int shared_open(struct shared *s, int dirfd, const char *path, const struct shared_type *type,
	int flags, size_t size, unsigned mode, void (*init)(void *base, size_t size, void *arg),
	void *arg);
/* For .fleeting: take a file of an earlier boot into this one; its lock is void. 0 or -1, errno. */
int shared_adopt(struct shared *s);
/* Unmap, close, give back SIGBUS and the robust list. As an undo: call_undo(call, shared_close, s, 0). */
void shared_close(void *arg, intptr_t unused);
/* Take what belongs to a process as a whole (the SIGBUS handler, the robust list) back for the time that S is
 * open but not in use, and again. shared_resume: 0 or -1 with errno. */
void shared_pause(struct shared *s);
int shared_resume(struct shared *s);
/* Lock the header's lock. As futex_lock: 0, or -1 with EOWNERDEAD when taken from the dead (the
 * caller repairs, and counts it in head->repairs), ETIMEDOUT, EAGAIN, EINTR. */
int shared_lock(struct shared *s, int64_t deadline, const struct stop *stop);
void shared_unlock(struct shared *s);
/* What stands in the lock's word now, and the thread id that it names; 0: nobody. */
uint32_t shared_lock_word(const struct shared *s);
pid_t shared_holder(uint32_t word);
/* Is it proved that the holder that WORD names does not hold it? All who opened the file for writing are of our
 * pid namespace, and there is no such process, or it has not got the file open (the file is damaged, or was
 * copied while it was locked). What cannot be looked at is no proof. */
bool shared_holder_gone(const struct shared *s, uint32_t word);
/* Say that the holder that WORD names is dead, which the caller has made sure of: the next one repairs. Nothing
 * happens when another has the lock by now, or nobody. */
void shared_void_lock(struct shared *s, uint32_t word);
/* For mappings without a header, made by the caller: from here until shared_unguard, touching what a file
 * no longer holds (it was cut short) meets zeros and no SIGBUS; the caller finds out by fstat(2), and
 * that a store finds room by fallocate(2) before it. 0, or -1 as sigaction(2). */
int shared_guard(struct sigaction *old);
void shared_unguard(const struct sigaction *old);
/* False when the file is shorter than the mapping: then SIGBUS may have been swallowed, and what
 * was read is void. False too when its header gives another size by now. One fstat(2). */
bool shared_intact(const struct shared *s);
/* futex_wait on a word of S. -1 also with EBADMSG: S is not intact, which is noticed within a
 * second. ETIMEDOUT after DEADLINE also when the word changes all the time. */
int shared_wait(struct shared *s, const uint32_t *word, uint32_t expected, int64_t deadline,
	const struct stop *stop);
/* Does DIRFD/PATH still name this very file (it may have been removed and made anew)? */
bool shared_current(const struct shared *s, int dirfd, const char *path);

#endif
