/* applets/ipc-lock/ipc-lock.h: what the files of ipc-lock share. */
#ifndef IPC_LOCK_APPLET_H
#define IPC_LOCK_APPLET_H

#include "call.h"
#include "command.h"
#include "dotline.h"
#include "lock.h"
#include "proc.h"

enum {
	RUN_SHARED,
	RUN_EXCLUSIVE,
	RUN_FAMILY,
	RUN_RANGE,
	RUN_TREE,
	RUN_EXEC,
	RUN_SHARE_FD,
	RUN_REMOVE
};
enum { TEST_SHARED, TEST_FAMILY, TEST_RANGE };
enum { HOLD_SHARED, HOLD_EXCLUSIVE, HOLD_FAMILY };
enum {
	FLOCK_SHARED,
	FLOCK_EXCLUSIVE,
	FLOCK_E,
	FLOCK_UNLOCK,
	FLOCK_NONBLOCK,
	FLOCK_NB,
	FLOCK_TIMEOUT,
	FLOCK_WAIT,
	FLOCK_CLOSE,
	FLOCK_NO_FORK,
	FLOCK_FCNTL,
	FLOCK_START,
	FLOCK_LENGTH,
	FLOCK_FD,
	FLOCK_COMMAND,
	FLOCK_VERSION
};
int ipc_lock_run(struct call *call);
int ipc_lock_test(struct call *call);
int ipc_lock_stat(struct call *call);
int ipc_lock_acquire(struct call *call);
int ipc_lock_release(struct call *call);
int ipc_lock_flock(struct call *call);

enum family { FAMILY_BOTH, FAMILY_FLOCK, FAMILY_OFD, FAMILY_POSIX, FAMILY_DOTLOCK };

/* More objects than this in one call: usage error (the keeper's and spawn's tables). */
#define LOCKS_MAX 60

/* IPC_OBJECT and IPC_TOKEN (0: none) for CMD; NULL without memory. */
const char *const *make_env(struct call *call, int64_t token);

/* L's file allows no lock of the wanted families (EBADF, EISDIR): the message that says which would. */
int not_lockable(struct call *call, const struct lock *l, int errnum);
/* Why L is busy at STEP ("open" or "lock"), for messages; "" with -q. */
const char *busy_text(struct call *call, const struct lock *l, const char *step);
/* Fill L from the word of the command line. -1, or a status. */
int lock_parse(struct call *call, const char *text, struct lock *l);
/* --range START:LEN into every lock. -1, or a status. */
int range_parse(struct call *call, const char *text, struct lock *l);
/* The families of --family. */
unsigned family_mask(enum family family);
/* Open an existing lock file for looking: a description of its own, nothing made. A lease on it is waited
 * for until DEADLINE. 0 or -1. */
int lock_look(struct lock *l, int64_t deadline, const struct stop *stop);

/* The fencing token for who has just taken LOCKS: greater than that of every exclusive holder before. */
#define LOCK_XATTR "user.ipc.lock"
int64_t token_take(const struct lock *locks, unsigned n);
/* All tokens given out so far for the file are smaller; 0: it has none. */
int64_t token_now(int fd);

/* Who holds a lock, or waits for it. */
struct holder {
	struct holder *next;
	pid_t pid;
	unsigned families; /* LOCK_OFD ... */
	bool write;
	uint64_t start, end; /* end UINT64_MAX: to the end of the file */
	int64_t since;       /* CLOCK_REALTIME, seconds; 0: not known */
	const char *command;
	bool stopped; /* as by ^Z */
};
struct holders {
	struct holder *list;
	bool hidden; /* some processes could not be looked into */
};
/* The true holders of the file behind L->fd, from /proc. -1 with errno. */
int holders_find(struct call *call, const struct lock *l, struct holders *h);
/* Who waits for it, as far as the kernel shows. *UNSEEN: how many more. */
struct holder *waiters_find(struct call *call, const struct lock *l, unsigned *unseen);
/* The lines of /proc/locks about the file ST. The length of the whole, -1 with errno. */
ssize_t kernel_locks(const struct stat *st,
	void (*fn)(void *arg, bool waits, const struct proc_fd *lock), void *arg);
/* "held by 12 (sh -c ...) since ..." for messages; never NULL. */
const char *holders_text(struct call *call, const struct lock *l);

/* run --family dotlock */
int run_dotlock(struct call *call);
/* Who has it: 1 a live holder (or one that cannot be judged), 0 stale or no file, -1 with errno
 * (EBADMSG: not such a file). OWNER gets the first of its holders that is not dead. */
int dotlock_look(int dirfd, const char *rel, struct dotline *owner);

#endif
