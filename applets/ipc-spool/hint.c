/* applets/ipc-spool/hint.c: sleeping until there may be something to do.
 *
 * inotify(7) is a hint and nothing more: events get lost when its queue overflows, come late or not at all from
 * other hosts of a network file system, and cannot be had when the user's instances are used up. So whoever waits
 * looks again after a bounded time in any case, and looks once between arming and sleeping.
 *
 * What is watched: the counter's times, which whoever has brought a job to new/ or delayed/ touches; and cur/, which a job leaves when it is done, and where the lease of a worker that dies is
 * closed: leases are the only descriptors open for writing there.
 */
#define _GNU_SOURCE
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* inotify takes paths; the descriptor's own link in /proc is one that cannot be swapped. */
static int watch(int hint, int fd, const char *rel, uint32_t mask)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fd, rel);
	return inotify_add_watch(hint, path, mask | IN_DONT_FOLLOW);
}

int hint_open_new(struct spool *sp)
{
	int fd = call_own(sp->call, inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
	if (fd >= 0 && watch(fd, sp->root, "seq", IN_ATTRIB) < 0) {
		call_close(sp->call, fd);
		return -1;
	}
	return fd;
}

int hint_add_cur(struct spool *sp, int fd)
{
	return watch(fd, sp->root, "cur", IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE) < 0 ? -1 : 0;
}

int hint_open(struct spool *sp)
{
	int fd = hint_open_new(sp);
	if (fd >= 0 && hint_add_cur(sp, fd) < 0) {
		call_close(sp->call, fd);
		return -1;
	}
	return fd;
}

bool hint_drain(int fd)
{
	char buf[4096];
	bool any = false;
	while (fd >= 0 && read(fd, buf, sizeof buf) > 0)
		any = true;
	return any;
}

int64_t hint_deadline(const struct spool *sp, int fd, int64_t due)
{
	int64_t at = wait_now() + (fd >= 0 ? RECHECK : RECHECK_BLIND), ms = 0;
	if (due != INT64_MAX) {
		ms = due - now_ms();
		if (ms < RECHECK / NS_PER_MS && wait_now() + (ms > 0 ? ms : 1) * NS_PER_MS < at)
			at = wait_now() + (ms > 0 ? ms : 1) * NS_PER_MS;
	}
	if (sp->again && wait_now() + NS_PER_S < at)
		at = wait_now() + NS_PER_S;
	return sp->deadline < at ? sp->deadline : at;
}

int hint_wait(struct spool *sp, int fd, int64_t due)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (sp->deadline != DEADLINE_NONE && sp->deadline <= wait_now()) {
		errno = wait_expired(sp->deadline);
		return -1;
	}
	if (wait_poll(&p, 1, hint_deadline(sp, fd, due), &sp->call->stop) < 0) {
		if (errno != ETIMEDOUT)
			return -1;
		if (sp->deadline <= wait_now())
			return -1;
	}
	hint_drain(fd);
	return 0;
}
