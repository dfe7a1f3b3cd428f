/* lib/inventory.h: every IPC object that can be seen from here, with who holds it and who waits for it.
 *
 * Holders are what /proc shows now: open descriptors, shared mappings, locks in fdinfo. Pids that objects
 * carry (who made it, who used it last, who once took a lock) are looked at for the verdict only,
 * never taken for holders. All processes are read in one pass; objects are found by hash, so the cost
 * grows with the number of descriptors plus the number of objects.
 *
 *	struct inv *inv = inv_new(call, INV_ALL);
 *	inv_seed(inv, "./x", 1u << INV_LOCK);   // also what nobody has open
 *	inv_read(inv);
 *	for (size_t i = 0; i < inv->n; i++) ... inv->objects[i] ...
 *
 * All memory is the inventory's; it is given back by inv_free, or when the call ends.
 */
#ifndef IPC_INVENTORY_H
#define IPC_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "call.h"

enum inv_kind {
	INV_MQ,
	INV_SHM,
	INV_SEM,
	INV_SOCK,
	INV_FIFO,
	INV_PIPE,
	INV_LOCK,
	INV_MEMFD,
	INV_EVENTFD,
	INV_RING,
	INV_EVENT,
	INV_BARRIER,
	INV_SPOOL,
	INV_DOOR,
	INV_FDSTORE,
	INV_KINDS
};
#define INV_ALL ((1u << INV_KINDS) - 1)
extern const char *const inv_kind_names[INV_KINDS + 1];

/* Whose names an object goes by. */
enum inv_make { INV_POSIX, INV_SYSV, INV_WORD, INV_FILE, INV_ABSTRACT, INV_UNNAMED };

struct inv_proc {
	pid_t pid;
	bool hidden; /* its descriptors may not be looked at */
	bool used;   /* it holds or waits for something: .command is set */
	const char *command;
};

enum inv_how { INV_FD, INV_MAP, INV_LOCKED, INV_WAIT };

struct inv_use {
	const struct inv_proc *proc;
	enum inv_how how;
	int fd;             /* INV_FD, INV_LOCKED; else -1 */
	bool reads, writes; /* INV_FD on a FIFO or pipe */
	bool idle;      /* INV_FD, INV_MAP: a shell only keeps it for its next call (lib/host.h) */
	char lock;      /* INV_LOCKED: 'F' flock, 'O' OFD, 'P' POSIX */
	bool exclusive; /* of the lock */
	uint64_t start, end; /* its range, UINT64_MAX: to the end */
	const char *what;    /* INV_WAIT: the system call */
};

/* Free only with proof: the kernel's (a lease on the file, a segment's count), or two looks at
 * all processes. */
enum inv_hold { INV_UNKNOWN, INV_FREE, INV_HELD };
extern const char *const inv_hold_names[];

struct inv_object {
	enum inv_kind kind;
	enum inv_make make;
	const char *name;  /* as the applets take it, where it has such a name */
	const char *path;  /* the file, or NULL */
	const char *state; /* sockets: listening, connected, unconnected; events: set ...; NULL */
	dev_t dev;         /* of the file */
	ino_t ino;         /* of the file or socket, 0 unknown */
	ino_t file;        /* of the file, for sockets, too; 0: none */
	ino_t peer;        /* of the socket at the other end, 0: none */
	int32_t id, key;   /* System V */
	int type;          /* SOCK_STREAM ...; 0 */
	bool has_owner, has_mode;
	uid_t uid;
	gid_t gid;
	unsigned mode;         /* permission bits */
	int64_t size;          /* bytes, -1 unknown */
	int64_t used;          /* of .unit; -1 unknown */
	int64_t room;          /* that many fit; -1 no limit or unknown */
	const char *unit;      /* "messages", "bytes", "value", "slots" ...; NULL */
	int64_t created, last; /* seconds of CLOCK_REALTIME; 0 unknown */
	pid_t creator;         /* as the object itself says; 0 unknown */
	pid_t user[2];         /* who used it last, likewise */
	int64_t user_at[2];    /* and when */
	bool bound;            /* a file that a live socket stands behind */
	bool removed;          /* it has lost its name and goes with its last holder */
	bool seeded;           /* asked for by inv_seed */
	bool last_boot;        /* not used since the machine was started */
	bool lasting;          /* it carries something that its users would miss */
	unsigned attached;     /* System V segments: the kernel's count */
	unsigned locks;        /* locks on it that /proc/locks tells of */
	unsigned blocked;      /* waiters that the kernel counts */
	struct inv_use *uses;
	unsigned nuses, cap;
	unsigned nlocks;           /* of the uses, by how */
	unsigned nwaiters, nholds; /* processes that wait; that have it open or mapped */
	unsigned nidle;            /* those of the latter that keep it idle */
	unsigned members;          /* System V sets: how many semaphores */
	bool again;                /* the second look at the processes found a user */
	enum inv_hold hold;        /* does anybody have it? */
	const char *why;           /* what that rests on: what was seen, or could not be */
	bool hidden;               /* it may have holders that we are not allowed to see */
	const char *stale;         /* free, and why nobody needs it any more; else NULL */
	const char *warn;          /* what its owner should know, or NULL */
};

struct inv {
	struct call *call;
	unsigned kinds; /* bits by enum inv_kind: what is wanted */
	struct inv_object **objects;
	size_t n, cap;
	struct inv_proc **procs; /* sorted by pid */
	size_t nprocs, procs_cap;
	unsigned nhidden;       /* processes that we may not look into */
	unsigned nsilent;       /* processes whose system calls we may not look at */
	bool blind;             /* there may be processes that /proc does not show */
	bool unsettled;         /* processes came and went faster than we could look */
	const char *unseen[16]; /* what else could not be seen, a phrase each */
	unsigned nunseen;
	const char *warnings[8]; /* about the machine, a phrase each */
	unsigned nwarnings;
	int64_t now; /* CLOCK_REALTIME, seconds */
	int64_t booted;
	uint64_t ns_ipc, ns_net, ns_mnt; /* inodes of our name spaces */
	bool own_pids;                   /* ours is the first pid name space */
	bool removes;                    /* logind removes its users' objects at logout */
	bool lost;                       /* memory ran out: the list is not whole */
	int err;                         /* ENFILE, EMFILE: descriptors did */
	void *priv;
};

/* An empty inventory for objects of KINDS, freed when the call ends. NULL with ENOMEM. */
struct inv *inv_new(struct call *call, unsigned kinds);
void inv_free(struct inv *inv);
/* Put the file PATH into the list, held or not, before inv_read. A symbolic link is not followed. KIND: what a
 * plain file shall be taken for that does not say what it is (INV_KINDS: nothing). *FOUND is it. 0; or -1
 * with errno: ENOENT, ELOOP (a symbolic link), EBADMSG (no IPC object) ... */
int inv_seed(struct inv *inv, const char *path, enum inv_kind kind, struct inv_object **found);
/* Look at everything, once. 0, or -1 with errno. */
int inv_read(struct inv *inv);

/* A copy of S that lives as long as INV. */
const char *inv_text(struct inv *inv, const char *s, size_t len);
/* N zeroed elements of SIZE bytes, likewise; NULL: no memory. */
void *inv_array(struct inv *inv, size_t n, size_t size);
/* The name of user UID, asked for once. */
const char *inv_user(struct inv *inv, uid_t uid);
/* The socket at the other end of O, or NULL. */
struct inv_object *inv_peer(struct inv *inv, const struct inv_object *o);
/* Does somebody hold or wait for O, seen or only counted by the kernel? */
bool inv_live(const struct inv_object *o);
/* Does somebody have O, for all that we know? Not who keeps an idle handle only. */
bool inv_used(const struct inv_object *o);
/* Does use U make its process a holder? Who merely has a lock file open is none, nor who keeps an idle handle. */
bool inv_holds(const struct inv_object *o, const struct inv_use *u);
/* Open the regular file DIRFD/NAME for reading; a link, a FIFO, a device or a directory is not
 * opened. -1 with errno. */
int inv_open_at(int dirfd, const char *name, struct stat *st);
/* Is there nobody behind the socket file PATH, not even in another network name space? */
bool inv_refused(const char *path);
/* Bit mask of kinds from "mq,shm,posix,..."; NULL, or what is wrong, with the word in BAD. */
const char *inv_parse_kinds(const char *list, unsigned *kinds, char bad[32]);
/* Is O one of KINDS? What has locks on it counts as a lock, too. */
bool inv_is(const struct inv_object *o, unsigned kinds);

#endif
