/* lib/lease.h: leases (fcntl(2), F_SETLEASE): opening a file that another process has one on;
 * and a lease of our own as the kernel's proof that nobody else has a file open or mapped. */
#ifndef IPC_LEASE_H
#define IPC_LEASE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wait.h"

/* Open as openat(2), never waiting for a FIFO's other end. When the file is under a lease that
 * stands against FLAGS, wait until its holder gives it up, or the kernel takes it away after
 * /proc/sys/fs/lease-break-time seconds. A descriptor; or -1 with errno: EAGAIN (DEADLINE_NOW and a
 * lease), ETIMEDOUT, EINTR (a stop signal), open(2)'s. */
int lease_open(int dirfd, const char *path, int flags, mode_t mode, int64_t deadline,
	const struct stop *stop);

/* The proof that only the open file description of FD, which must be our own, has its regular
 * file: the kernel grants a write lease only when nobody else, in any namespace, has it open
 * or mapped, nor holds a descriptor in flight. It stands until lease_release, which must come
 * soon: who opens the file sleeps until then, or gets EAGAIN with O_NONBLOCK. 0; or -1 with
 * errno: EAGAIN somebody else has it; all else: this file gives no such proof (it is not ours,
 * no regular file, or other hosts may have it). */
struct lease {
	int fd;
	sigset_t mask;
	bool pending;
};
int lease_take(struct lease *l, int fd);
void lease_release(struct lease *l);

#endif
