/* lib/out.h: buffered output to a descriptor, and the two shapes that lists come in: tables for
 * people, JSON for programs. Errors are kept (out->err) and reported once, by the flush.
 */
#ifndef IPC_OUT_H
#define IPC_OUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUT_SIZE 8192

struct out {
	int fd;
	int err; /* first errno of a failed write(2), 0 if none */
	size_t len;
	char buf[OUT_SIZE];
};

/* Append LEN bytes of DATA, writing out when the buffer is full. Anything longer than the buffer
 * is written straight. Returns 0, or -1 once a write has failed (out->err says why). */
int out_put(struct out *out, const void *data, size_t len);
int out_str(struct out *out, const char *s);
int out_char(struct out *out, char c);
/* printf(3) into the buffer, of any length. */
int out_fmt(struct out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Write what is buffered; restarts after EINTR and short writes. 0 or -1. */
int out_flush(struct out *out);

/* The length of the UTF-8 sequence at S (RFC 3629) of at most LEFT bytes, 0 when it is none. */
size_t out_utf8(const void *s, size_t left);
/* Copy LEN bytes of S to DST, which has room for 4 * LEN + 1, so that they cannot drive a terminal: control
 * characters become ^X, those of the upper half (C1, as UTF-8 or as single bytes) \xNN. Other bytes stay as they
 * are. Terminated; the length is returned. */
size_t out_plain(char *dst, const char *s, size_t len);
/* S made plain, and a newline: for names that others have chosen, where people read them. */
int out_plain_line(struct out *out, const char *s);

/* JSON (RFC 8259). Commas are put where they belong. Strings may hold any bytes: those that are
 * not UTF-8 become \udcNN, which Python's surrogateescape reads back. Control characters are escaped. */
struct json {
	struct out *out;
	unsigned depth;
	uint64_t used; /* bit per depth: something was written there */
};
void json_start(struct json *j, struct out *out);
/* Open an object ('{') or array ('['), KEY NULL inside arrays and at the top. */
void json_open(struct json *j, const char *key, char kind);
void json_close(struct json *j, char kind);
void json_str(struct json *j, const char *key, const char *s); /* NULL s: null */
void json_bytes(struct json *j, const char *key, const void *p, size_t len);
void json_int(struct json *j, const char *key, int64_t n);
void json_uint(struct json *j, const char *key, uint64_t n);
void json_bool(struct json *j, const char *key, bool b);
void json_null(struct json *j, const char *key);
/* Seconds with nanosecond fraction from NS nanoseconds. */
void json_seconds(struct json *j, const char *key, int64_t ns);

/* A table whose columns fit their widest cell; the last column is not padded. Cells are copied.
 * Control characters in cells are shown as ^X or \xNN, so that no name can drive a terminal. */
struct table {
	unsigned ncols, nrows, cap;
	char **cells;
	unsigned right; /* bit per column: aligned to the right */
	int err;        /* ENOMEM met on the way */
};
void table_start(struct table *t, unsigned ncols, unsigned right);
void table_cell(struct table *t, const char *s); /* next cell, left to right, row by row */
void table_fmt(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Print and free. Returns 0 or -1 as out_put; -1 with out->err ENOMEM when cells were lost. */
int table_end(struct table *t, struct out *out);

#endif
