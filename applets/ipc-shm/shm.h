/* ipc-shm's own: a segment, whatever its kind, and what its verbs share. */
#ifndef IPC_SHM_H
#define IPC_SHM_H

#include "call.h"
#include "object.h"

#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>

/* Option indexes; those of MAKE are the same in every verb that has them. */
enum { MAKE_CREATE, MAKE_SIZE, MAKE_N };
enum { CREATE_EXCL = MAKE_N };
enum { COPY_OFFSET = MAKE_N, COPY_LENGTH, COPY_STRING };
enum { WORD_TYPE = MAKE_N };
enum { RESIZE_FORCE = MAKE_N };

#define SHM_DIR "/dev/shm"             /* where shm_open(3) keeps them, in musl and glibc alike */
#define SHM_LOCK_PREFIX ".ipc-shm-"    /* lock files of System V segments, in SHM_DIR */
#define SHM_SEM_PREFIX "sem."          /* named semaphores live there too */
#define SHM_BUFFER ((size_t)256 << 10) /* copied through a buffer that stays in the cache */
#define SHM_PAGE 4096u                 /* size of what --create makes without -S */

struct segment {
	struct object obj;
	struct object_at at; /* files: where the name is */
	bool sysv, writable, created;
	bool nameless; /* files: had no name already when it was opened, as a memfd has none */
	int fd;        /* files: the segment. -1 for System V */
	int id;        /* System V */
	uint64_t size;
	unsigned char *base; /* what is mapped: from byte .from on */
	uint64_t from;
	size_t maplen;
	struct sigaction oldbus;
	struct kept_segment *kept; /* files: a host keeps .fd and the mapping, which are not ours */
};

/* What a shell that has loaded us keeps of a segment from call to call: the file, and what was last mapped of it. */
struct kept_segment {
	struct kept kept;
	bool waits, locked;
	void *base;
	uint64_t from;
	size_t maplen;
	bool writable;
};

#define SEGMENT_WRITE 1  /* it must be writable */
#define SEGMENT_EITHER 2 /* writable if it can be */
#define SEGMENT_KEEP 4   /* a host may keep it open */

/* ---- segment.c */

/* Open the segment that WORD names; make it when it is missing and --create was given. *OUT, which lives
 * as long as the call, is set in any case (NULL without memory). 0; or a status with its message. */
int segment_open(struct call *call, struct segment **out, const char *word, unsigned flags);
/* Exclude others that write, SHARED, or read as well; look at name and size again. 0 or a status. */
int segment_lock(struct call *call, struct segment *seg, bool shared, unsigned flags);
void segment_unlock(struct call *call, struct segment *seg);
/* Map LEN bytes from OFF on (System V: all of it), guarded against SIGBUS until the call ends. SEG's
 * size must have been checked. 0 or a status. */
int segment_map(struct call *call, struct segment *seg, uint64_t off, size_t len, bool write);
/* The byte OFF in the mapping. */
static inline unsigned char *segment_at(const struct segment *seg, uint64_t off)
{
	return seg->base + (off - seg->from);
}
/* 65 when fewer than END bytes are there by now, 66 when it was removed and REMOVED asks, else 0. */
int segment_intact(struct call *call, const struct segment *seg, uint64_t end, bool removed);
/* LEN bytes at OFF must lie inside: 0 or 65. */
int segment_fits(struct call *call, const struct segment *seg, uint64_t off, uint64_t len);
/* Have memory or disk behind the bytes from FROM to TO, growing the file. 0 or a status. */
int segment_back(struct call *call, const struct segment *seg, uint64_t from, uint64_t to);
/* Close it now (a host would at the end); not one that is mapped. SEG may be NULL. */
void segment_close(struct call *call, struct segment *seg);
/* A parsed and named object, without opening it; *OUT as above. 0 or a status. */
int segment_name(struct call *call, struct segment **out, const char *word);

/* This call waits for another: no idle handle of a shell's. */
void segment_waits(struct segment *seg);

/* ---- kept.c */

/* Fill SEG with what the host has kept for WORD; false when there is nothing. */
bool segment_recall(struct call *call, struct segment *seg, const char *word, unsigned flags);
/* SEG, a file that is open and the call's: let the host have it. */
void segment_offer(struct call *call, struct segment *seg, const char *word, unsigned flags);
/* Have LEN bytes from OFF on mapped in it. -1 with errno. */
int segment_map_kept(struct segment *seg, uint64_t off, size_t len, bool write);
/* The name WORD is gone. */
void segment_forget(struct call *call, const char *word);
/* Does process PID hold the file ST only as an idle handle? */
bool segment_idle(pid_t pid, const struct stat *st);

/* ---- sysv.c */

int shm_sysv_open(struct call *call, struct segment *seg); /* sets .id and .size */
/* 0, -1 it exists, or a status. */
int shm_sysv_create(struct call *call, struct segment *seg, uint64_t size, unsigned mode);
int shm_sysv_attach(struct call *call, struct segment *seg, bool write);
/* The descriptor of the file whose lock stands for the segment's, owned by the call; -1 and *STATUS. */
int shm_sysv_lockfile(struct call *call, const struct segment *seg, int *status);
/* True while the name is still that segment's, DOOMED: even when it is marked for removal. */
bool shm_sysv_current(const struct segment *seg, bool doomed);
/* Where that file is; NULL without memory. */
char *shm_sysv_lockpath(struct call *call, int id);
int shm_sysv_rm(struct call *call, struct segment *seg);

/* ---- create.c */

/* Make the segment named in SEG. 0, -1 it exists, or a status. */
int segment_create(struct call *call, struct segment *seg, uint64_t size, unsigned mode);

/* ---- word.c: the typed words */

enum word_class { CLASS_UNSIGNED, CLASS_SIGNED, CLASS_FLOAT };
struct word_type {
	enum word_class is;
	unsigned width; /* bytes */
};
extern const char *const word_names[]; /* for --type */
struct word_type word_type(const struct call *call);
/* TEXT as the bits of a word; DELTA: what is to be added may be negative for unsigned words too. NULL,
 * or what is wrong with it. */
const char *word_parse(struct word_type type, const char *text, bool delta, uint64_t *bits);
void word_print(struct out *out, struct word_type type, uint64_t bits);
/* -1, 0, 1; 2 when they cannot be compared (NaN). */
int word_compare(struct word_type type, uint64_t a, uint64_t b);
uint64_t word_add(struct word_type type, uint64_t a, uint64_t b);
uint64_t word_load(const void *p, unsigned width);
/* Atomically: NEW in place of *OLD; else false and *OLD is what stands there. */
bool word_cas(void *p, unsigned width, uint64_t *old, uint64_t new);
/* The 32-bit word that waiters of the word at P sleep on. */
uint32_t *word_futex(void *p, unsigned width);

/* ---- a file each */
int shm_create(struct call *call);
int shm_resize(struct call *call);
int shm_write(struct call *call);
int shm_read(struct call *call);
int shm_get(struct call *call);
int shm_set(struct call *call);
int shm_add(struct call *call);
int shm_cas(struct call *call);
int shm_swap(struct call *call);
int shm_wait(struct call *call);
int shm_run(struct call *call);
int shm_stat(struct call *call);
int shm_ls(struct call *call);
int shm_rm(struct call *call);

#endif
