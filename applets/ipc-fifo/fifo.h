/* applets/ipc-fifo/fifo.h: what the verbs of ipc-fifo share. */
#ifndef IPC_FIFO_H
#define IPC_FIFO_H

#include "call.h"
#include "object.h"

#include <signal.h>
#include <sys/stat.h>

/* The options of the verbs, by call->opt[]. */
enum { WRITE_LOCK, WRITE_CAPACITY, WRITE_N };
enum { READ_UNTIL, READ_UNLINK, READ_CAPACITY, READ_N };
enum { TEE_CAPACITY, TEE_N };

int fifo_create(struct call *call);
int fifo_write(struct call *call);
int fifo_read(struct call *call);
int fifo_tee(struct call *call);
int fifo_stat(struct call *call);
int fifo_rm(struct call *call);

struct fifo {
	struct object obj;
	struct object_at at;
	const char *name; /* as the user wrote it */
	struct stat st;   /* once it was looked at */
	int fd;           /* once it is open */
};

/* Find the FIFO that TEXT names (PATH, file:PATH, NAME, fd:N when FD_TOO). 0 or a status; what it
 * takes is given back when the call ends. */
int fifo_find(struct call *call, const char *text, bool fd_too, bool create_dir, struct fifo *f);
/* Give back now what fifo_find took: for verbs with many operands. */
void fifo_forget(struct call *call, struct fifo *f);
/* Fill .st and see that it is a FIFO. */
int fifo_look(struct call *call, struct fifo *f);
/* "regular file" and so on. */
const char *fifo_type(mode_t mode);
/* Open the read end. Never waits: a reader sleeps in poll until somebody writes. */
int fifo_open_read(struct call *call, struct fifo *f);
/* Open the write end, O_NONBLOCK, waiting for a reader until DEADLINE. */
int fifo_open_write(struct call *call, struct fifo *f, int64_t deadline);
/* A further read end of the same FIFO, not registered with the call; -1 with errno. */
int fifo_again(const struct fifo *f);
/* Set the capacity that V (-S) asks for. */
int fifo_capacity(struct call *call, const struct fifo *f, const struct val *v);
/* Bytes that lie in the FIFO behind the write end FD and have no reader any more. */
int fifo_unread(int fd);
/* Has the open FIFO lost its name? */
bool fifo_removed(const struct fifo *f);
/* Unlink F if the name still means the FIFO that F was when it was looked at. 0; 1: it is gone or
 * another; -1 with errno. */
int fifo_unlink(struct fifo *f);

/* In place of F's read end a fresh one, which sleeps until a writer comes. 0 or a status. */
int fifo_reopen(struct call *call, struct fifo *f);
/* The status when a wait for input ended with errno E. MOVED: something has come before, which is
 * enough with -n. */
int fifo_silent(struct call *call, const struct fifo *f, int e, bool moved);

/* Read whole records (records.c) from F, leaving those that follow to the next reader. */
int fifo_records(struct call *call, struct fifo *f);

/* A pipe of our own, empty (scratch.c). */
struct fifo_scratch {
	int out, in; /* ends to read from and to write to */
	int *slots;  /* its capacity, 0: not known */
	int own;
};
/* *P must stay where it is. What it takes is given back when the call ends, or kept by the host. 0 or -1. */
int fifo_scratch(struct call *call, struct fifo_scratch *p);

/* Sleeping until more is written to a FIFO that has something in it (more.c). Zeroed, .fd -1. */
struct fifo_more {
	bool started;
	int fd, signals;
	sigset_t old, mask;
	struct stop stop; /* to be waited with from then on */
};
/* Watch the read end FD, an open file description of our own. What was written before is not
 * reported. 0 or -1 with errno. */
int fifo_more_start(struct fifo_more *m, struct call *call, int fd);
/* Wait for a write, or for the last writer to go, since the last wait. 0 or -1 as wait_poll. */
int fifo_more_wait(struct fifo_more *m, int64_t deadline);
/* Watch no more. */
void fifo_more_end(struct fifo_more *m);

/* The writers' lock (lock.c) on FD. TURN > 0, a number of the process's own (its pid): held together
 * by any number of writers, each for one write(2). TURN 0: keeps all others out. 0, or -1 with errno
 * ETIMEDOUT, EAGAIN, EINTR, or fcntl(2)'s. */
int fifo_lock(int fd, int turn, int64_t deadline, const struct stop *stop);
void fifo_unlock(int fd);

#endif
