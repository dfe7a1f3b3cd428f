/* lib/num.h: numbers as people write them: integers, sizes, durations, modes, signals. The parsers
 * return NULL, or one phrase saying what is wrong ("not a number"), never printing anything. */
#ifndef IPC_NUM_H
#define IPC_NUM_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal, 0x hexadecimal, optional sign; the whole string or nothing. */
const char *num_int(const char *s, int64_t *n);
/* The same up to 2^64-1, without sign. */
const char *num_uint(const char *s, uint64_t *n);
/* Bytes: a number with an optional fraction and suffix K M G T (powers of 1024; "KiB", "kB", "B" too). */
const char *num_size(const char *s, int64_t *n);
/* Nanoseconds from "1.5", "200ms", "2m", "1h", "3d", "1w", "inf" (INT64_MAX); seconds without suffix. */
const char *num_duration(const char *s, int64_t *ns);
/* Octal permission bits. */
const char *num_mode(const char *s, int64_t *mode);
/* Signal number from "TERM", "SIGTERM", "RTMIN+3", "15". RTMIN is the system's (glibc's) 34,
 * whatever libc we are linked with (signal(7): musl says 35). 0 is allowed: the null signal. */
const char *num_signal(const char *s, int64_t *sig);
/* User id from a name in passwd(5) or a number; groups likewise. The files are read directly, so
 * that a static binary needs no NSS. */
const char *num_user(const char *s, int64_t *uid);
const char *num_group(const char *s, int64_t *gid);
/* Names for ids, or the number as text. */
void num_user_name(unsigned uid, char *buf, size_t size);

#define NUM_BUF 24
/* "TERM", "RTMIN+3", or the number. Returns BUF. */
const char *num_signal_name(int sig, char buf[NUM_BUF]);
/* "4.0K", "17M": at most four significant characters and a suffix. */
const char *num_show_size(uint64_t bytes, char buf[NUM_BUF]);
/* "250ms", "1.5s", "2m05s", "3h10m". */
const char *num_show_duration(int64_t ns, char buf[NUM_BUF]);

/* N, not negative, as a size in memory or a long: what is more than there can be is the most that there can be. */
static inline size_t num_to_size(int64_t n)
{
	return (uint64_t)n > SIZE_MAX ? SIZE_MAX : (size_t)n;
}

static inline long num_to_long(int64_t n)
{
	return n > LONG_MAX ? LONG_MAX : (long)n;
}

#define NUM_SIGRTMIN 34
#define NUM_SIGRTMAX 64

/* SECONDS since the Epoch as ISO 8601 in universal time ("2026-11-21T08:00:00Z"; what localtime(3) needs would
 * stay mapped). Fills and returns BUF, empty when no such year can be written. gmtime_r(3), strftime(3) */
const char *num_time_text(int64_t seconds, char buf[32]);

#endif
