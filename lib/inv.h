/* lib/inv.h: what the files of lib/inventory share; for nobody else. */
#ifndef IPC_INV_H
#define IPC_INV_H

#include "inventory.h"
#include "proc.h"

/* One object may be found by several keys: a socket by its own inode and by that of its path. */
enum inv_space {
	SPACE_FILE, /* device, inode */
	SPACE_SOCK, /* inode */
	SPACE_PIPE,
	SPACE_EVENTFD,
	SPACE_MSG, /* id */
	SPACE_SEM,
	SPACE_SHM,
	SPACE_LOCK,   /* device and inode as /proc/locks writes them */
	SPACE_LOCKED, /* inode: some file of that inode is locked */
	SPACE_SHARED, /* device, inode: some process maps it shared */
	SPACE_ENTRY,  /* device, inode: a name in a directory that was read */
	SPACE_READ,   /* device, inode of that directory */
	SPACE_PASSED, /* device, inode: looked at, none of ours */
};

struct inv_slot {
	uint64_t a, b;
	unsigned space; /* + 1; 0: free */
	struct inv_object *o;
};

struct inv_chunk;

/* One that sleeps for a lock of a file which nobody was seen to hold yet. */
struct inv_late {
	struct inv_late *next;
	struct inv_proc *proc;
	const char *what;
	dev_t dev;
	ino_t ino;
};

/* Has any process semaphores to undo? From best to worst. */
enum inv_undo { UNDO_UNASKED, UNDO_NONE, UNDO_SOME, UNDO_UNKNOWN };

struct inv_priv {
	struct inv_chunk *chunks;
	struct inv_slot *slots;
	size_t nslots, used;
	struct lock_line *lines; /* of /proc/locks */
	size_t nlines;
	struct inv_late *late;
	bool second;          /* this is the second look: it notes users, and names none */
	struct inv_use spare; /* what inv_use gives then */
	bool looked_again;
	enum inv_undo undo;
	struct {
		uid_t uid;
		const char *name;
	} users[16];
	unsigned nusers;
};

static inline struct inv_priv *inv_priv(struct inv *inv)
{
	return inv->priv;
}

/* Memory of the inventory: zeroed; NULL sets inv->lost. */
void *inv_alloc(struct inv *inv, size_t size);
const char *inv_fmt(struct inv *inv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Is there room for one more element of SIZE bytes behind N in *ARRAY? Makes it. */
bool inv_grow(struct inv *inv, void *array, size_t n, size_t *cap, size_t size);

struct inv_object *inv_find(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b);
bool inv_known(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b);
/* O, which may be NULL, is found by this key from now on. */
void inv_key(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b, struct inv_object *o);
/* A new object in the list, unknown in all but this. NULL: no memory. */
struct inv_object *inv_add(
	struct inv *inv, enum inv_kind kind, enum inv_make make, const char *name);
/* The facts that a file has. */
void inv_stat(struct inv_object *o, const struct stat *st);
/* statx(2)'s birth time into .created. */
void inv_birth(struct inv_object *o, int dirfd, const char *name);

/* PROC uses O. The uses of one process come in a row. */
struct inv_use *inv_use(
	struct inv *inv, struct inv_object *o, struct inv_proc *proc, enum inv_how how);

/* After a failed open(2): what was not seen for want of descriptors must not pass for nothing. */
void inv_ran_out(struct inv *inv);
void inv_unseen(struct inv *inv, const char *what);
void inv_warning(struct inv *inv, const char *what);
/* Add PHRASE to what O's owner should know. */
void inv_warn(struct inv *inv, struct inv_object *o, const char *phrase);
/* A number from a small file in /proc or /sys, or OTHERWISE. */
int64_t inv_number(const char *path, int64_t otherwise);

static inline bool inv_wants(const struct inv *inv, enum inv_kind kind)
{
	return (inv->kinds >> kind & 1) != 0;
}

void inv_read_sysv(struct inv *inv);    /* inv_sysv.c */
void inv_read_posix(struct inv *inv);   /* inv_posix.c */
void inv_read_sockets(struct inv *inv); /* inv_sock.c */
void inv_read_dir(struct inv *inv);     /* inv_toolbox.c: $IPC_DIR */
void inv_read_locks(struct inv *inv);   /* inv_lock.c: /proc/locks */
int inv_scan(struct inv *inv);          /* inv_procs.c: the processes */
void inv_scan_again(struct inv *inv);   /* inv_procs.c: .again of what somebody uses */
/* Has the process that left PID in an object at second AT ended? A pid that was given out
 * again since does not count. */
bool inv_gone(const struct inv *inv, pid_t pid, int64_t at);
void inv_hold(struct inv *inv, struct inv_object *o); /* inv_hold.c: .hold and .why */
void inv_match_locks(struct inv *inv);     /* inv_lock.c: what no process was seen to hold */
void inv_resolve_sockets(struct inv *inv); /* inv_sock.c: relative names, by their holders */
void inv_judge(struct inv *inv);           /* inv_judge.c */

/* A POSIX queue that is the file ST, open as FD (-1: may not be opened). */
struct inv_object *inv_add_mq(struct inv *inv, const char *name, int fd, const struct stat *st);
struct inv_object *inv_add_memfd(struct inv *inv, const char *path, const struct stat *st);
/* A file of /dev/shm, open as FD or -1. */
struct inv_object *inv_add_shm(
	struct inv *inv, const char *name, int fd, const struct stat *st, bool removed);
/* The toolbox file or spool behind FD, known by what stands in it; NULL: none. NAME as it shall
 * be shown. */
struct inv_object *inv_sniff(struct inv *inv, int fd, const char *name, const struct stat *st);
/* The locks of descriptor FD, DIRFD/fdinfo/FD, of the file that PATH names. */
struct inv_object *inv_fd_locks(struct inv *inv, struct inv_proc *proc, int procfd, int fd,
	const char *path, const struct stat *st);

/* inv_name.c: PATH, or the name that the file ST has by now when it had none at first. */
const char *inv_linked_name(struct inv *inv, const char *path, const struct stat *st);

/* ---- inv_wait.c: what the threads of a process sleep in */
struct inv_fdmap {
	int fd;
	struct inv_object *o;
};
struct inv_range {
	uint64_t from, to;
	dev_t dev;
	ino_t ino;
	struct inv_object *o;
};
struct inv_looks { /* what is known of the process at hand */
	struct inv_proc *proc;
	int procfd;
	struct inv_fdmap *fds; /* descriptors that are objects */
	size_t nfds, fds_cap;
	struct inv_range *maps; /* shared mappings that are */
	size_t nmaps, maps_cap;
	char *buf;       /* 64 KiB */
	uint64_t ns_ipc; /* its name space, 0 not asked for yet */
};
/* inv_scan.c: its descriptors. False: they may not be looked at. */
bool inv_scan_fds(struct inv *inv, struct inv_looks *l);
/* Is the process at hand in our IPC name space? The ids of another one mean other objects. */
bool inv_same_ipc(const struct inv *inv, struct inv_looks *l);
#define INV_BUF 65536
/* ---- inv_maps.c */
void inv_scan_maps(struct inv *inv, struct inv_looks *l);
/* Once the descriptors are known, which may have led to new objects. */
void inv_use_maps(struct inv *inv, struct inv_looks *l);
void inv_waits(struct inv *inv, struct inv_looks *l);
/* Read what fits of DIRFD/PATH, NUL-terminated; its length or -1. */
ssize_t inv_slurp(int dirfd, const char *path, char *buf, size_t size);
/* Open PATH for reading, but only if it is of TYPE (S_IFREG or S_IFDIR): what lies in a
 * directory of another user may be a FIFO or a device, which is changed by being opened. FOLLOW:
 * only for links of /proc. *ST is what was opened. -1 with errno: ELOOP, EBADMSG: something
 * else. */
int inv_open(int dirfd, const char *path, mode_t type, bool follow, struct stat *st);
/* inv_slurp for a file in such a directory; INO: only this one, 0: any. */
ssize_t inv_slurp_file(int dirfd, const char *path, ino_t ino, char *buf, size_t size);

#endif
