/* ipc-event's own: the file's layout and what its verbs share. */
#ifndef IPC_EVENT_H
#define IPC_EVENT_H

#include "call.h"
#include "mapped.h"

enum { SET_AUTO };
enum { WAIT_AUTO, WAIT_SINCE, WAIT_LOCK };
enum { STAT_COLUMN };
enum stat_column { COLUMN_SEQ, COLUMN_STATE, COLUMN_KIND };

enum event_kind { KIND_OPEN, KIND_MANUAL, KIND_AUTO };

/* The mapped file. All but .bell is read and written under the header's lock. */
struct event {
	struct shared_head head;
	uint32_t bell; /* futex: moves with every set, pulse and removal */
	uint32_t kind; /* enum event_kind */
	uint32_t set;  /* manual: the state; auto: one set is there to be taken */
	uint32_t gone; /* removed: open it anew */
	uint64_t seq;  /* sets and pulses so far */
	uint64_t
		pulse; /* auto: the seq of a pulse that one waiter older than it may take; 0: none */
};

/* The event in M's mapping. */
static inline struct event *event_of(const struct mapped *m)
{
	return (struct event *)(void *)m->shared.base;
}

/* Its kind, read once; -1: none that there is. */
static inline int event_kind_of(const struct event *ev)
{
	uint32_t kind = __atomic_load_n(&ev->kind, __ATOMIC_RELAXED);
	return kind <= KIND_AUTO ? (int)kind : -1;
}

/* Open the event that WORD names and lock it; one that was removed meanwhile is opened anew. FLAGS as
 * for shared_open. 0 or a status. */
int event_open(struct call *call, struct mapped **opened, const char *word, int flags);
/* Open the event that WORD names for reading alone and copy it, except its head's lock, without taking
 * that. Its kind has been checked. 0 or a status. */
int event_look(struct call *call, struct mapped **opened, const char *word, struct event *copy);
/* The state has changed: write its checksum, for who finds it after another boot. Under the lock. */
void event_sign(struct event *ev);
/* Fix the kind: automatic when IS_AUTO, else manual when FINAL. 0; or a status, the lock given back. */
int event_kind(struct call *call, struct mapped *m, bool is_auto, bool final);

int event_wait(struct call *call); /* wait.c */
int event_stat(struct call *call); /* stat.c */

#endif
