/* ipc-barrier's own: the file's layout and what its verbs share. */
#ifndef IPC_BARRIER_H
#define IPC_BARRIER_H

#include "call.h"
#include "mapped.h"

#define BARRIER_MAX 65536 /* parties */

/* One that waits. */
struct party {
	uint32_t word; /* futex_hold: the kernel writes here when the party dies */
	int32_t pid;   /* of the ipc-barrier that waits */
	int32_t owner; /* who called it: the party that people know */
	uint32_t pad;
	uint64_t start;   /* of the owner, so that a recycled pid is not taken for it */
	char command[40]; /* of the owner */
};

/* The mapped file: the head, then two banks of .parties slots. Generation G uses bank G % 2, so that
 * those released by one generation can still read their bank while the next one gathers. */
struct barrier_file {
	struct shared_head head;
	uint32_t parties;       /* -c N of the first comer; fixed */
	uint32_t arrived;       /* in this generation: slots 0 to arrived-1 are taken */
	uint32_t gen;           /* moves when a generation is released or broken */
	uint32_t gone;          /* removed: open it anew */
	uint32_t leading;       /* all are here and the leader runs its CMD */
	uint32_t broken;        /* generations broken so far */
	atomic_u64 outcome[16]; /* a bit per generation, of the last 1024: it was broken */
	struct party party[];
};

/* One process's view. How many parties there are was read once and checked: the file may be changed
 * by whoever can write it, so its own number is only compared with this one. */
struct barrier {
	struct mapped *m;
	struct barrier_file *f;
	uint32_t parties;
};

/* Slot I, below b->parties, of generation GEN. */
static inline struct party *barrier_party(const struct barrier *b, uint32_t gen, uint32_t i)
{
	return &b->f->party[(size_t)(gen & 1) * b->parties + i];
}

/* How many have arrived, read once: never more than there are slots. */
static inline uint32_t barrier_arrived(const struct barrier *b)
{
	uint32_t n = __atomic_load_n(&b->f->arrived, __ATOMIC_ACQUIRE);
	return n < b->parties ? n : b->parties;
}

/* Do the file's numbers still agree with what was checked? */
static inline bool barrier_intact(const struct barrier *b)
{
	return __atomic_load_n(&b->f->parties, __ATOMIC_RELAXED) == b->parties &&
		__atomic_load_n(&b->f->arrived, __ATOMIC_RELAXED) <= b->parties;
}

/* Open the barrier that WORD names and lock it; PARTIES > 0 makes it when it is missing. One that was
 * removed meanwhile is opened anew. Its numbers have been checked. 0 or a status. */
int barrier_open(struct call *call, struct barrier *b, const char *word, uint32_t parties);
/* Lock it again. 0 or a status: 65 when its numbers have changed, the lock given back. */
int barrier_lock(struct call *call, struct barrier *b);
/* End the generation that gathers: released, or broken. Under the lock, which is given back; wakes all. */
void barrier_end(struct barrier *b, bool broken);
/* Was generation GEN broken? */
bool barrier_was_broken(const struct barrier *b, uint32_t gen);
/* A slot whose party has died; -1: none. */
int64_t barrier_dead(const struct barrier *b);

int barrier_wait(struct call *call); /* wait.c */

#endif
