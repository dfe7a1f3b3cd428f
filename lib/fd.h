/* lib/fd.h: descriptors. Each is O_CLOEXEC from birth; errno survives closing. */
#ifndef IPC_FD_H
#define IPC_FD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

/* openat(2) with O_CLOEXEC | O_NOCTTY, restarted after EINTR, and never 0, 1 or 2: when the caller
 * was started with those closed, the descriptor is moved up. -1 with errno. */
int fd_open(int dirfd, const char *path, int flags, unsigned mode);
/* close(2), errno untouched; a negative FD is ignored. */
void fd_close(int fd);
/* A copy of FD at or above MIN, O_CLOEXEC. -1 with errno. */
int fd_dup(int fd, int min);
/* FD itself moved to a number from MIN on, or from 10 on where the limit is lower; or left where it is. */
int fd_raise(int fd, int min);
/* Read until LEN bytes or end of file; restarts after EINTR. Bytes read, or -1. */
ssize_t fd_read(int fd, void *buf, size_t len);
/* Write all LEN bytes; restarts after EINTR, waits (poll) when FD is non-blocking. 0 or -1. */
int fd_write(int fd, const void *buf, size_t len);
int fd_pwrite(int fd, const void *buf, size_t len, off_t off);
ssize_t fd_pread(int fd, void *buf, size_t len, off_t off);
/* Is FD open at all? */
bool fd_is_open(int fd);
/* O_NONBLOCK on or off. 0 or -1. */
int fd_nonblock(int fd, bool on);
/* The whole of a small file (also in /proc), NUL-terminated, freed by fd_slurp_free. -1 with errno;
 * EFBIG when it is larger than MAX. */
int fd_slurp(int dirfd, const char *path, size_t max, char **text, size_t *len);
void fd_slurp_free(char *text);
/* Open 0, 1 and 2 on /dev/null where they are closed, so that no object gets their numbers.
 * Returns a bit per descriptor that was closed, or -1. */
int fd_fill_std(void);
/* Is FD (0, 1 or 2) such a stand-in, not something that the caller opened? */
bool fd_was_closed(int fd);
/* Give the file FD room for SIZE bytes on its file system, as posix_fallocate(3) does, and go on after a
 * signal. 0, or an errno: ENOSPC, EFBIG, EIO ... */
int fd_allocate(int fd, off_t size);
/* ftruncate(2), gone on with after a signal. 0 or -1 with errno. */
int fd_truncate(int fd, off_t size);
/* Take the limit of open files up to the hard one: for those that keep a descriptor for each client. *OLD
 * gets what it was; all zero when it could not be asked. The limit that is in force now, or 0. prlimit(2) */
rlim_t fd_limit_raise(struct rlimit *old);
/* Put it back; nothing when OLD is all zero. 0, or -1 with errno. Safe between vfork(2) and exec. */
int fd_limit_restore(const struct rlimit *old);
/* Does errno E of a newer or special system call mean: do it another way? Not known (ENOSYS), not
 * for such files (EINVAL, EOPNOTSUPP), or refused by a filter of system calls (ENOSYS or EPERM). */
static inline bool fd_other_way(int e)
{
	return e == ENOSYS || e == EPERM || e == EINVAL || e == EOPNOTSUPP;
}
/* A file without a name, for reading and writing, empty: memfd_create(2), or in /dev/shm or /tmp
 * where that is refused. NAME is shown in /proc. -1 with errno. */
int fd_nameless(const char *name);
/* Close FROM and all above it. */
void fd_close_from(int from);
/* Take the pipe buffer of FD up to WANT bytes, halving on refusal; its size now, or -1. */
int fd_pipe_size(int fd, int want);

/* Note in the times of FD's file, which is ST, that it was used: what is only mapped leaves no trace
 * there. At most once a second; where that is not allowed it is left out. */
void fd_touch(int fd, const struct stat *st);

#endif
