/* lib/lease.h: opening a file while another process has a lease on it (fcntl(2), F_SETLEASE). */
#ifndef IPC_LEASE_H
#define IPC_LEASE_H

#include <stdint.h>
#include <sys/types.h>

#include "wait.h"

/* Open as openat(2), never waiting for a FIFO's other end. When the file is under a lease that
 * stands against FLAGS, wait until its holder gives it up, or the kernel takes it away after
 * /proc/sys/fs/lease-break-time seconds. A descriptor; or -1 with errno: EAGAIN (DEADLINE_NOW and a
 * lease), ETIMEDOUT, EINTR (a stop signal), open(2)'s. */
int lease_open(int dirfd, const char *path, int flags, mode_t mode, int64_t deadline,
	const struct stop *stop);

#endif
