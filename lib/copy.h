/* lib/copy.h: moving a stream of bytes from one descriptor to another at the speed the kernel
 * allows: splice(2) where a pipe is on either side, sendfile(2)/copy_file_range(2) from files, large
 * read/write otherwise; and the progress bar for it.
 */
#ifndef IPC_COPY_H
#define IPC_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "wait.h"

/* Progress on stderr: a line redrawn a few times a second when ERR is a terminal ("1.2G  850M/s
 * [=====>    ] 48%  ETA 2s"), a line every few seconds when it is not. */
struct progress {
	int fd;         /* where to draw; -1: nowhere */
	bool tty;       /* redraw in place */
	uint64_t done;  /* bytes so far */
	uint64_t total; /* expected, 0: unknown */
	int64_t started, drawn;
	int64_t since;   /* the rate is of what has passed since then, a second or more ago */
	uint64_t passed; /* .done at that time */
	double rate;     /* bytes a second, now */
};
/* ON: draw at all. */
void progress_start(struct progress *p, int fd, bool on, uint64_t total);
void progress_add(struct progress *p, uint64_t bytes);
/* When the next line is to be drawn though nothing passes; DEADLINE_NONE: never. P may be NULL. */
int64_t progress_due(const struct progress *p);
/* The last state, with the mean rate, and a newline. */
void progress_end(struct progress *p);

struct copy {
	int in, out;
	uint64_t max;              /* stop after so many bytes; UINT64_MAX: until end of file */
	int64_t idle;              /* ns without a byte after which it gives up; DEADLINE_NONE */
	const struct stop *stop;   /* may be NULL */
	struct progress *progress; /* may be NULL */
	bool as_is;                /* leave the capacity of pipes alone */
	uint64_t done;             /* bytes moved */
	bool out_failed;           /* the error came from the OUT side */
};
/* Copy until end of file, .max, or an error. 0 at the end; -1 with errno (EPIPE, ENOSPC, ETIMEDOUT,
 * EINTR when a stop signal came ...). Pipes on either side are enlarged as by copy_pipe, to
 * 256 KiB where both are pipes, unless .as_is. With .stop or
 * .idle it sleeps in wait_poll only; otherwise it just blocks. */
int copy_stream(struct copy *c);
/* Enlarge the pipe FD to 1 MiB as far as allowed; one whose size is not the default any more (somebody
 * has chosen it) is left as it is. */
void copy_pipe(int fd);

#endif
