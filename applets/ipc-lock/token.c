/* applets/ipc-lock/token.c: the fencing token: a number that grows from each exclusive holder to the
 * next, also when the clock is set back and over reboots, and hardly ever costs a write.
 *
 * The extended attribute LOCK_XATTR of the lock file is "BASE LIMIT BOOT": within boot BOOT a token
 * is BASE plus CLOCK_BOOTTIME in microseconds, which nobody can set back; no token of that boot
 * reaches LIMIT, which is moved on an hour at a time. A new boot begins behind LIMIT, or at the real time
 * if that is later. So the attribute is written once an hour at most (a write for each lock would
 * wait for the journal of the disk), and only by who holds the lock exclusively.
 *
 * Where there are no user attributes, or we may not write them, the token is the real time.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "num.h"
#include "proc.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#define RESERVE (INT64_C(3600) * 1000000)
#define TOKEN_MAX (INT64_MAX / 16 * 15) /* a mark beyond is no mark of ours */

struct mark {
	int64_t base, limit;
	char boot[16]; /* the beginning of the boot's id */
};

struct instant {
	int64_t boot, real;
	char id[40];
};

static int64_t microseconds(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void now_read(struct instant *now)
{
	now->boot = microseconds(CLOCK_BOOTTIME);
	now->real = microseconds(CLOCK_REALTIME);
	(void)proc_boot_id(now->id);
	now->id[13] = '\0';
}

static const char *cut(char **p)
{
	char *word = *p;
	*p += strcspn(word, " ");
	if (**p == ' ')
		*(*p)++ = '\0';
	return word;
}

/* False when there is none, or none that makes sense. */
static bool mark_read(int fd, struct mark *m)
{
	char text[96], *p = text;
	ssize_t n = fgetxattr(fd, LOCK_XATTR, text, sizeof text - 1);
	*m = (struct mark){0};
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (num_int(cut(&p), &m->base) != NULL || num_int(cut(&p), &m->limit) != NULL ||
		m->base < -TOKEN_MAX || m->limit < 0 || m->base > TOKEN_MAX ||
		m->limit > TOKEN_MAX) {
		*m = (struct mark){0};
		return false;
	}
	snprintf(m->boot, sizeof m->boot, "%.13s", p);
	return true;
}

static bool this_boot(const struct mark *m, const struct instant *now)
{
	return m->boot[0] != '\0' && strcmp(m->boot, now->id) == 0;
}

/* The token that M alone would give. */
static int64_t next_token(const struct mark *m, const struct instant *now)
{
	if (this_boot(m, now))
		return m->base + now->boot;
	return m->limit >= now->real ? m->limit + 1 : now->real;
}

static void mark_write(int fd, int64_t token, const struct instant *now)
{
	char text[96];
	int len = snprintf(text, sizeof text, "%lld %lld %s", (long long)(token - now->boot),
		(long long)(token + RESERVE), now->id);
	(void)fsetxattr(fd, LOCK_XATTR, text, (size_t)len, 0);
}

int64_t token_take(const struct lock *locks, unsigned n)
{
	struct mark marks[LOCKS_MAX];
	struct instant now;
	int64_t token = 0;
	now_read(&now);
	for (unsigned i = 0; i < n; i++) {
		if (locks[i].fd < 0)
			continue;
		mark_read(locks[i].fd, &marks[i]);
		int64_t next = next_token(&marks[i], &now);
		token = next > token ? next : token;
	}
	for (unsigned i = 0; i < n; i++) {
		/* Shared holders only read; theirs is behind every exclusive one before them. */
		if (locks[i].fd < 0 || locks[i].shared)
			continue;
		if (!this_boot(&marks[i], &now) || token != marks[i].base + now.boot ||
			token >= marks[i].limit)
			mark_write(locks[i].fd, token, &now);
	}
	return token;
}

int64_t token_now(int fd)
{
	struct mark m;
	struct instant now;
	now_read(&now);
	return mark_read(fd, &m) ? next_token(&m, &now) : 0;
}
