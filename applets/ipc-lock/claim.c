/* applets/ipc-lock/claim.c: who took a lock when, and the fencing token, in an extended attribute of
 * the lock file. It is written only while the lock is held exclusively, so it needs no lock of its
 * own, and is believed only as far as /proc agrees. Where the file system has no user attributes,
 * or we may not write them, the token follows the clock alone.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "num.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static uint64_t number(char **p)
{
	char *end = *p + strcspn(*p, " ");
	int64_t n = 0;
	if (*end == ' ')
		*end++ = '\0';
	if (num_int(*p, &n) != NULL || n < 0)
		n = 0;
	*p = end;
	return (uint64_t)n;
}

void claim_read(int fd, struct claim *c)
{
	char text[160], *p = text;
	ssize_t n = fgetxattr(fd, LOCK_XATTR, text, sizeof text - 1);
	*c = (struct claim){0};
	if (n <= 0)
		return;
	text[n] = '\0';
	c->token = number(&p);
	uint64_t pid = number(&p), since = number(&p);
	c->pid = pid <= INT32_MAX ? (pid_t)pid : 0;
	c->since = (int64_t)since;
	size_t len = strnlen(p, sizeof c->command - 1);
	for (size_t i = 0; i < len; i++)
		c->command[i] = (unsigned char)p[i] < 0x20 || p[i] == 0x7f ? '?' : p[i];
}

/* The command in a few words: the file system keeps a short attribute with the inode. */
static void words(char *buf, size_t size, char *const *argv)
{
	size_t len = 0;
	for (; *argv != NULL && len + 2 < size; argv++)
		len += (size_t)snprintf(
			buf + len, size - len, "%s%s", len > 0 ? " " : "", *argv);
	if (*argv != NULL || len >= size)
		memcpy(buf + size - 4, "...", 4);
}

static uint64_t stored(int fd)
{
	struct claim c;
	claim_read(fd, &c);
	return c.token;
}

uint64_t claim_take(struct lock *locks, unsigned n, char *const *argv)
{
	char command[40], text[128];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t token = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	for (unsigned i = 0; i < n; i++) {
		uint64_t last = locks[i].fd >= 0 ? stored(locks[i].fd) : 0;
		if (last >= token && last < INT64_MAX)
			token = last + 1;
	}
	words(command, sizeof command, argv);
	int len = snprintf(text, sizeof text, "%llu %ld %lld %s", (unsigned long long)token,
		(long)getpid(), (long long)now.tv_sec, command);
	for (unsigned i = 0; i < n; i++)
		if (locks[i].fd >= 0)
			(void)fsetxattr(locks[i].fd, LOCK_XATTR, text, (size_t)len, 0);
	return token;
}
