/* lib/frame.h: records in a stream of bytes.
 *
 * A record is a line (default), a NUL-terminated string (-0), a block of N bytes (--record-size), or
 * whatever there is (--raw). The terminator is not part of the record. Bytes are never decoded, and
 * no record is cut silently: one that is longer than the limit is an error.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wait.h"

struct call;
struct out;

enum frame_kind { FRAME_LINES, FRAME_NULL, FRAME_SIZE, FRAME_RAW };
struct frame {
	enum frame_kind kind;
	size_t size; /* FRAME_SIZE */
};

/* The framing that -l, -0, --record-size and --raw ask for. */
struct frame frame_of(const struct call *call);

struct frame_reader {
	int fd;
	struct frame frame;
	size_t max; /* longest record accepted */
	char *buf;  /* malloc'ed, grows up to max + 1 */
	size_t cap, start, end, scanned;
	bool eof;
	bool unterminated; /* the last record ended with the stream, not with its terminator */
	int64_t deadline;
	const struct stop *stop; /* with a deadline or stop, reads wait through wait_fd */
};

/* Read records of at most MAX bytes from FD. Allocates on the first read. */
void frame_start(struct frame_reader *r, int fd, struct frame frame, size_t max);
void frame_end(struct frame_reader *r);
/* The next record in *REC, *LEN, valid until the next call. 1; 0 at the end; -1 with errno: EMSGSIZE
 * (record longer than max; nothing is consumed), EBADMSG (FRAME_SIZE: the stream ended inside a
 * block), ETIMEDOUT, EAGAIN, EINTR, or read(2)'s. FRAME_RAW gives what one read(2) gave, up to MAX;
 * frame_whole gives the whole stream as one record instead. */
int frame_read(struct frame_reader *r, char **rec, size_t *len);
/* True when frame_read can answer without a read(2): for batches under one lock. */
bool frame_ready(struct frame_reader *r);
/* The rest of the stream as one record; errors as frame_read. */
int frame_whole(struct frame_reader *r, char **rec, size_t *len);
/* Append REC and its terminator to OUT. FRAME_SIZE records of another length: -1 with errno EMSGSIZE. A line
 * or string with its own terminator inside is written as it is. */
int frame_put(struct out *out, struct frame frame, const void *rec, size_t len);

/* Where a verb's records come from: its operands from index FIRST on, or stdin when there are none.
 * With --raw, stdin is one record. */
struct records {
	struct call *call;
	unsigned next;
	bool operands, done;
	struct frame_reader reader;
};
void records_start(struct records *src, struct call *call, unsigned first, size_t max);
void records_end(struct records *src);
/* 1, 0 at the end, -1 with errno as frame_read (an operand longer than max: EMSGSIZE). */
int records_next(struct records *src, char **rec, size_t *len);
/* True when another record is there without waiting: for batches. */
bool records_ready(struct records *src);

#endif
