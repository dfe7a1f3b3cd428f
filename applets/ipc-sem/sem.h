/* ipc-sem's own: what its files share. */
#ifndef IPC_SEM_H
#define IPC_SEM_H

#include "call.h"
#include "object.h"
#include "psem.h"
#include "spawn.h"

#include <sys/stat.h>

enum { OPT_TAKE, OPT_OWNER, OPT_INDEX, OPT_VALUE, OPT_EXCL, OPT_JOBS, OPT_N };

/* More slots than this are a usage error: looking at them costs a system call each. */
#define SLOTS_MAX 4096
/* So many may be taken at once by a verb that leaves a keeper for each. */
#define GUARDED_MAX 16

enum sem_kind { SEM_SLOTS, SEM_POSIX, SEM_SYSV };

struct sem {
	struct call *call;
	struct object obj;
	enum sem_kind kind;
	const char *text;
	bool kept; /* posix and slots: by the host, not ours to close */
	/* SEM_SLOTS */
	struct object_at at;
	int fd;          /* the gate's, the turn's, and of slots that nobody else holds for us */
	int hold;        /* what a shell holds its slots by; -1: fd */
	bool removed;    /* it had lost its name at the last look */
	unsigned n, top; /* how many slots; none at or above top was ever taken */
	int ino;         /* inotify(7), -1: none */
	unsigned taken;  /* at the last look for free ones */
	unsigned held;   /* how many we hold */
	/* SEM_POSIX */
	struct psem posix;
	/* SEM_SYSV */
	int id;
	unsigned short index;
	/* SEM_SLOTS: those that we hold, last for the sake of pages never touched */
	uint16_t slot[SLOTS_MAX];
};

/* The semaphore that the first operand names, opened. Made when CREATE: with VALUE, and for EXCL it must be
 * new. *MADE (may be NULL): it was. NULL with *STATUS and the message written. Closed by the host. */
#define SEM_CREATE 1u
#define SEM_EXCL 2u
#define SEM_READ 4u
#define SEM_CREATE_SLOTS \
	8u /* made when it is missing and of slots: what counts is made by who knows the value */
#define SEM_NAME 16u /* its name is wanted as well: no handle that a host keeps will do */
struct sem *sem_open_word(struct call *call, const char *word, unsigned flags, unsigned value,
	bool *made, int *status);

/* Close it before the host does. */
void sem_shut(struct sem *s);
/* WORD is gone: a host need not keep what it meant. */
void sem_forget(struct call *call, const char *word);

/* ---- slots.c: a file of slots. -1 with errno where nothing else is said. */

/* What stands in the file for a slot: hints, believed as far as /proc and the locks agree. */
struct claim {
	int64_t since; /* CLOCK_REALTIME, seconds */
	int32_t pid;   /* the one that took it, or the keeper of an owner's slot */
	int32_t owner; /* the process that a keeper holds it for, or pid: a shell that holds it itself; 0: none */
	int32_t keeper; /* of run: the end of it is the end of the slot's use; 0: none yet */
	char command[108];
};

int slots_open(struct sem *s, unsigned flags, unsigned n, bool *made); /* EBADMSG: no such file */
void slots_close(struct sem *s);
/* Bytes of the file, far beyond its end. No two are neighbours: the kernel makes one lock of two that
 * touch, and splitting it wakes all waiters. */
#define SLOTS_GATE ((int64_t)1 << 40)
#define SLOTS_NEXT (SLOTS_GATE - 2)
#define SLOTS_TURN (SLOTS_GATE + 2)
#define SLOTS_BYTE0 (SLOTS_GATE + 4)
/* The gate: held by whoever looks for slots, for microseconds. */
int slots_gate(struct sem *s);
void slots_ungate(struct sem *s);
/* Take slots if they are free, as slots_take, whoever waits. EAGAIN: they are not. Under the gate. */
int slots_pick(struct sem *s, unsigned k, const int *fds, int32_t owner);
/* The same, with the gate. */
int slots_try(struct sem *s, unsigned k, const int *fds, int32_t owner);
/* Write who has the turn: we, or nobody. */
void slots_name_first(struct sem *s, bool ours);
/* Is it certain that who has the turn is stopped by a signal? */
bool slots_first_stopped(struct sem *s);
/* Take K slots for S->fd, for S->hold if there is one, or one each for FDS when not NULL. OWNER as in a claim.
 * ETIMEDOUT, EAGAIN, EINTR; ENOENT: the file was removed; ERANGE: there are not so many. */
int slots_take(struct sem *s, unsigned k, const int *fds, int32_t owner, int64_t deadline);
/* Give back all that S->fd holds, and wake who waits. */
void slots_give(struct sem *s);
void slots_ring(int fd);
int slots_claim(struct sem *s, unsigned slot, pid_t pid, pid_t owner);
/* KEEPER keeps the slots that we hold. */
void slots_kept(struct sem *s, pid_t keeper);
bool slots_claimed(struct sem *s, unsigned slot, struct claim *c);
/* Is SLOT taken? 1, 0, -1. */
int slots_taken(struct sem *s, unsigned slot);
/* How many are taken: -1 with errno. */
int slots_count(struct sem *s);
int slots_resize(struct sem *s, unsigned n);
int slots_zero(struct sem *s, int64_t deadline);
/* Another description of S's file. */
int slots_reopen(struct sem *s);
/* Which byte of the file is the lock of a slot. */
int64_t slots_byte(unsigned slot);

/* ---- watch.c: sleep until slots may have changed */
#define PIDFDS 64
struct watch {
	struct pollfd p[1 + PIDFDS]; /* inotify, holders */
	pid_t pid[1 + PIDFDS];       /* whose pidfd that is */
	nfds_t n;
	pid_t ended[PIDFDS]; /* zombies, which hold nothing */
	unsigned nended;
	int64_t start, pause;
};
void watch_start(struct watch *w);
/* Until something may have changed since the last look; HOLDERS: since that of slots_take. 0; -1 with
 * ETIMEDOUT, EAGAIN, EINTR. */
int watch_wait(struct watch *w, struct sem *s, bool holders, int64_t deadline);

/* ---- shell.c: what a shell, our process, keeps: S->fd, from call to call ... */
bool shell_recall(struct sem *s, unsigned how);
void shell_offer(struct sem *s, unsigned how);
/* Others tell by the position of a kept descriptor whether its process waits. */
void shell_sleeps(const struct sem *s, bool yes);
/* ... and the slots that it holds itself. A status. */
int shell_take(struct sem *s, unsigned k, int64_t deadline);
/* -1: it holds none of the semaphore that the first operand names; S: that one, opened, or NULL: by its word alone. */
int shell_post(struct call *call, struct sem *s, unsigned k);

/* ---- guard.c: slots held for a process that is not our child. A status. */
int guard_take(struct sem *s, unsigned k, pid_t owner, int64_t deadline);
int guard_post(struct sem *s, unsigned k, pid_t owner);

/* ---- sysv.c: -1 with errno */
int sysv_open(struct sem *s, unsigned flags, unsigned value, bool *made); /* a status */
int sysv_op(struct sem *s, int op, bool undo, int64_t deadline);
int sysv_value(struct sem *s);
int sysv_set(struct sem *s, unsigned n);
int sysv_remove(struct sem *s);
/* Wait for the maker of a new one to have given it its value, in so far as that can be seen. */
void sysv_settle(struct sem *s);
int sysv_each(int (*fn)(void *arg, int id), void *arg);

/* ---- the verbs in files of their own */
int sem_run(struct call *call);
int sem_stat(struct call *call);
int sem_ls(struct call *call);

/* Say how taking K ended with ERRNUM. */
/* With -v: what is waited for, and who holds it. */
void sem_says_waits(struct sem *s);
int sem_waited(struct sem *s, unsigned k, int errnum);

#endif
