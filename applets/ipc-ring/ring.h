/* ipc-ring's own: the file's layout, and the operations on it. */
#ifndef IPC_RING_H
#define IPC_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "mapped.h"

/* Everything that must change together. Two of them stand in the file; .active tells which is valid, so
 * that one store publishes any change and a process that is killed before it has changed nothing. */
struct ring_state {
	atomic_u64 tail; /* bytes ever put: records lie from head to tail, modulo the capacity */
	atomic_u64 head; /* bytes ever taken or dropped */
	atomic_u64 puts, gets, drops; /* records */
	uint64_t spare[3];
};

/* The mapped file: 512 bytes, then the data. */
struct ring_file {
	struct shared_head head;
	uint32_t active; /* 0 or 1 */
	uint32_t closed; /* no more puts */
	uint32_t gone;   /* removed: open it anew */
	uint32_t pad0[13];
	/* Futexes. A sleeper moves _sleep before it sleeps on _bell; who has found nobody asleep need not
	 * ring again until _sleep has moved. So sleepers that were killed cost one wake-up at most. */
	uint32_t data_bell, data_sleep, pad1[14];
	uint32_t space_bell, space_sleep, pad2[14];
	struct ring_state state[2];
	unsigned char pad3[128];
	unsigned char data[];
};

#define RING_HEADER 4 /* a record is its length, its bytes, and padding to 8 */
#define RING_MIN 64
#define RING_MAX (INT64_C(1) << 40)
#define RING_DEFAULT (1 << 20)

/* One process's view. What is read from the mapping is checked and kept here. */
struct ring {
	struct mapped *m;
	struct ring_file *f;
	uint64_t cap;
	struct ring_state s;            /* the valid state, while locked */
	unsigned turn;                  /* which of the two it was */
	uint32_t data_idle, space_idle; /* _sleep at which nobody was asleep */
	unsigned spin;                  /* how long looking before sleeping has paid lately */
	bool locked;
};

#define RING_OLD \
	0x100 /* one of an earlier boot, too: .m->shared.rebooted then, and no lock is to be taken */
/* Open the ring that WORD names; FLAGS of shared_open and RING_OLD, SIZE of the data when it is made.
 * 0 or a status: 65 for a ring of an earlier boot. */
int ring_open(struct call *call, struct ring *r, const char *word, int flags, uint64_t size);
/* Lock it and read its state. 0 or a status (65 damaged, 66 removed ...). */
int ring_lock(struct call *call, struct ring *r, int64_t deadline);
void ring_unlock(struct ring *r);
/* Open it for reading alone and copy its state, without the lock. 0 or a status. */
int ring_look(struct call *call, struct ring *r, const char *word);
/* Was it last used in an earlier boot? */
bool ring_is_old(const struct ring *r);
/* Make r->s, as changed by the caller, the ring's state. Under the lock. */
void ring_publish(struct ring *r);

/* The bytes that a record of LEN bytes takes. */
static inline uint64_t ring_need(uint64_t len)
{
	return (RING_HEADER + len + 7) & ~UINT64_C(7);
}
static inline uint64_t ring_free(const struct ring *r)
{
	return r->cap - (r->s.tail - r->s.head);
}
/* The longest record that fits into the ring at all. */
static inline uint64_t ring_longest(const struct ring *r)
{
	uint64_t most = r->cap - RING_HEADER;
	return most < UINT32_MAX - 16 ? most : UINT32_MAX - 16;
}
/* Append a record to r->s, not yet published; the space must be there. */
void ring_append(struct ring *r, const void *rec, size_t len);
/* The length of the oldest record; -1: none, -2: the ring is damaged. */
int64_t ring_next(const struct ring *r);
/* Copy the oldest record, of LEN bytes, to TO and take it from r->s. TO has room for LEN + 7. */
void ring_take(struct ring *r, void *to, size_t len);

enum ring_what { RING_DATA, RING_SPACE };
/* Wake who waits for WHAT, if anybody. Not under the lock. */
void ring_wake(struct ring *r, enum ring_what what);
/* Unlock, and wait until WHAT may be there; then lock again. 0 or a status. */
int ring_wait(struct call *call, struct ring *r, enum ring_what what, int64_t deadline);

int ring_put(struct call *call);  /* put.c */
int ring_get(struct call *call);  /* get.c */
int ring_old(struct call *call);  /* old.c: get --old */
int ring_stat(struct call *call); /* stat.c */

enum { CREATE_EXCL, CREATE_SIZE };
enum { PUT_FULL, PUT_CREATE, PUT_SIZE };
enum ring_full { FULL_BLOCK, FULL_FAIL, FULL_DROP };
enum { GET_BATCH, GET_CREATE, GET_SIZE, GET_OLD };

#endif
