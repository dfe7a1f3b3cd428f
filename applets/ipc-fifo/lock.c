/* applets/ipc-fifo/lock.c: the writers' lock. See fifo.h.
 *
 * Locks of fcntl(2) on bytes of the FIFO's inode; the bytes do not exist and need not. A writer of
 * short records takes one byte, its own by its pid, for each write(2): any number of them go on at
 * once. A writer of long records takes them all. It would never see them all free while others are
 * busy, so it takes the gate (byte 0) first, and the others wait at a gate that is shut.
 *
 * flock(2) is no good here: readers, who may not write, can take no other kind and have it for
 * themselves.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "lock.h"

#include <errno.h>
#include <fcntl.h>

#define GATE 0
#define TURNS 1 /* first byte behind the gate */

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#endif

static int take(int fd, int64_t start, int64_t len, int64_t deadline, const struct stop *stop)
{
	int r = lock_fcntl(fd, LOCK_OFD, false, start, len, DEADLINE_NOW, NULL);
	if (r == 0 || errno != EAGAIN || deadline == DEADLINE_NOW)
		return r;
	return lock_fcntl(fd, LOCK_OFD, false, start, len, deadline, stop);
}

static bool gate_shut(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = GATE, .l_len = 1};
	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* To the end of the file: no byte is without an owner. */
static int take_all(int fd, int64_t deadline, const struct stop *stop)
{
	if (take(fd, GATE, 1, deadline, stop) < 0)
		return -1;
	if (take(fd, TURNS, 0, deadline, stop) == 0)
		return 0;
	fifo_unlock(fd);
	return -1;
}

int fifo_lock(int fd, int turn, int64_t deadline, const struct stop *stop)
{
	if (turn == 0)
		return take_all(fd, deadline, stop);
	if (gate_shut(fd)) {
		if (take(fd, GATE, 1, deadline, stop) < 0)
			return -1;
		lock_fcntl_free(fd, LOCK_OFD, GATE, 1);
	}
	return take(fd, turn, 1, deadline, stop);
}

void fifo_unlock(int fd)
{
	lock_fcntl_free(fd, LOCK_OFD, 0, 0);
}
