/* lib/lease.c: see lease.h.
 *
 * What surprises: O_NONBLOCK means two things to open(2). For a FIFO it means "do not wait for the
 * other end", which is always wanted here; for a leased file it means "fail with EAGAIN", which is
 * not. Only a leased file gives EAGAIN, so that alone makes us open it again without O_NONBLOCK.
 */
#define _GNU_SOURCE
#include "lease.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>

int lease_open(int dirfd, const char *path, int flags, mode_t mode, int64_t deadline,
	const struct stop *stop)
{
	struct wait_timer t;
	int fd = fd_open(dirfd, path, flags | O_NONBLOCK, mode);
	if (fd >= 0 || errno != EAGAIN || deadline == DEADLINE_NOW)
		return fd;
	if (wait_timer_start(&t, deadline, stop) < 0)
		return -1;
	do
		fd = openat(dirfd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
	while (fd < 0 && errno == EINTR && !wait_timer_due(&t));
	wait_timer_stop(&t);
	return fd < 0 || fd > 2 ? fd : fd_raise(fd, 3);
}
