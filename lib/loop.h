/* lib/loop.h: the epoll(7) loop of servers: descriptors, timers, signals, children. No globals; one
 * struct loop per server.
 *
 * Callbacks run one after the other and must not block. In a callback any watch, timer or child may
 * be removed and freed, its own included: events of the same round that are still to come for it are
 * dropped. A stop signal of the host is given to .stopped, each one that comes.
 *
 *	struct loop loop;
 *	if (loop_start(&loop, &call->stop) < 0) ...
 *	call_undo(call, undo_loop, &loop, 0);     // loop_end()
 *	loop.stopped = on_stop;
 *	loop_add(&loop, &watch, EPOLLIN);
 *	r = loop_run(&loop);                      // until loop_quit()
 */
#ifndef IPC_LOOP_H
#define IPC_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "wait.h"

struct loop;

/* A descriptor. The owner keeps the struct alive (and FD open) until loop_remove(). */
struct loop_watch {
	int fd;
	void (*ready)(struct loop *loop, struct loop_watch *w, uint32_t events);
	uint32_t events;         /* what is waited for now; by the loop */
	bool added, always;      /* by the loop. always: a file, which epoll does not take, is
				    * ready whenever asked for */
	struct loop_watch *next; /* among those */
};

/* A timer: DUE is called once when .at has come. Set again by loop_at(). */
struct loop_timer {
	int64_t at; /* CLOCK_MONOTONIC, as wait_now() */
	void (*due)(struct loop *loop, struct loop_timer *t);
	size_t slot; /* place in the heap + 1; 0: not set */
};

/* A child process. ENDED is called once with its wait status (-1: unknown) after it was reaped. */
struct loop_child {
	pid_t pid;
	void (*ended)(struct loop *loop, struct loop_child *c, int wstatus);
	struct loop_watch watch; /* its descriptor of wait_pidfd() */
	struct loop_child *
		next; /* by the loop: those that SIGCHLD tells of, where pidfd_open(2) is refused */
};

/* A signal as data: blocked while the loop lives. */
struct loop_signal {
	int sig;
	void (*came)(struct loop *loop, struct loop_signal *s);
	struct loop_watch watch; /* signalfd(2) */
	sigset_t old;
};

#define LOOP_BATCH 64

struct loop {
	int epfd;
	const struct stop *stop;
	void (*stopped)(struct loop *loop, int sig); /* NULL: a stop signal ends the loop */
	void *arg;                                   /* the server's own */
	bool quit;
	int stop_seen;
	struct loop_timer **heap;
	size_t ntimers, cap;
	struct loop_watch *files;
	size_t nfiles; /* watches in .files with events on */
	sigset_t mask; /* while waiting */
	struct epoll_event batch[LOOP_BATCH];
	int nbatch, ibatch;
	struct loop_child *children; /* without a pidfd */
	struct loop_signal chld;     /* for them; .sig 0: not taken yet */
	bool ignored_chld; /* SIGCHLD was, and is again behind loop_end(): children could not be waited for */
};

/* 0 or -1. STOP may be NULL. A SIGCHLD that is ignored has its default action until loop_end(): as it is, the
 * kernel would throw the statuses of children away, and give their numbers to others at once. */
int loop_start(struct loop *loop, const struct stop *stop);
/* Free what the loop holds; watches are the owners'. */
void loop_end(struct loop *loop);
/* Until loop_quit() was called or a stop signal came that nobody takes (-1, EINTR). 0 or -1. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

/* Wait for EVENTS (EPOLLIN, EPOLLOUT, EPOLLRDHUP; EPOLLHUP and EPOLLERR come unasked, also with 0) on
 * W->fd; again with other events to change them. Level-triggered. 0 or -1. */
int loop_add(struct loop *loop, struct loop_watch *w, uint32_t events);
/* No more events for W; does not close. Before close(2). */
void loop_remove(struct loop *loop, struct loop_watch *w);

/* Call T->due at AT (CLOCK_MONOTONIC; DEADLINE_NONE: never). 0; -1 ENOMEM. */
int loop_at(struct loop *loop, struct loop_timer *t, int64_t at);
void loop_cancel(struct loop *loop, struct loop_timer *t);

/* Watch child C->pid of ours, just spawned. 0, or -1 with errno: it is not watched then. */
int loop_child(struct loop *loop, struct loop_child *c);
void loop_child_forget(struct loop *loop, struct loop_child *c);

/* Take signal S->sig (not a stop signal) as an event. Blocked until loop_signal_end(). 0 or -1. */
int loop_signal(struct loop *loop, struct loop_signal *s);
void loop_signal_end(struct loop *loop, struct loop_signal *s);

/* Bytes that wait to be written: allocated when there are some, freed when there are none, so that
 * an idle client costs nothing. */
struct buf {
	char *data;
	size_t start, len, cap;
};
static inline char *buf_at(const struct buf *b)
{
	return b->data + b->start;
}
/* Append; 0 or -1 ENOMEM. The caller keeps .len within its bounds. */
int buf_add(struct buf *b, const void *data, size_t len);
/* LEN bytes at the front are done with. */
void buf_take(struct buf *b, size_t len);
void buf_free(struct buf *b);

/* write(2) that never blocks, whatever kind FD is and without touching its flags, which it shares with other
 * processes: bytes written, or -1 with EAGAIN and so on. A pipe without room, a stopped terminal: EAGAIN. */
ssize_t loop_write(int fd, const void *data, size_t len);

#endif
