/* lib/blocked.c: see blocked.h. */
#define _GNU_SOURCE
#include "blocked.h"

#include "fd.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Some are missing on some machines. */
static const struct sleep {
	long nr;
	enum blocked_form form;
	const char *name;
} sleeps[] = {
#ifdef SYS_futex
	{SYS_futex, BLOCKED_FUTEX, "futex"},
#endif
#ifdef SYS_futex_time64
	{SYS_futex_time64, BLOCKED_FUTEX, "futex"},
#endif
	{SYS_flock, BLOCKED_FLOCK, "flock"},
#ifdef SYS_fcntl
	{SYS_fcntl, BLOCKED_POSIX, "fcntl"},
#endif
#ifdef SYS_fcntl64
	{SYS_fcntl64, BLOCKED_POSIX, "fcntl"},
#endif
#ifdef SYS_semop
	{SYS_semop, BLOCKED_SEM, "semop"},
#endif
#ifdef SYS_semtimedop
	{SYS_semtimedop, BLOCKED_SEM, "semop"},
#endif
#ifdef SYS_semtimedop_time64
	{SYS_semtimedop_time64, BLOCKED_SEM, "semop"},
#endif
	{SYS_msgrcv, BLOCKED_MSGRCV, "msgrcv"},
	{SYS_msgsnd, BLOCKED_MSGSND, "msgsnd"},
#ifdef SYS_mq_timedreceive
	{SYS_mq_timedreceive, BLOCKED_FD, "mq_receive"},
	{SYS_mq_timedsend, BLOCKED_FD, "mq_send"},
#endif
#ifdef SYS_mq_timedreceive_time64
	{SYS_mq_timedreceive_time64, BLOCKED_FD, "mq_receive"},
	{SYS_mq_timedsend_time64, BLOCKED_FD, "mq_send"},
#endif
	{SYS_read, BLOCKED_FD, "read"},
	{SYS_readv, BLOCKED_FD, "read"},
	{SYS_write, BLOCKED_FD, "write"},
	{SYS_writev, BLOCKED_FD, "write"},
#ifdef SYS_accept
	{SYS_accept, BLOCKED_FD, "accept"},
#endif
	{SYS_accept4, BLOCKED_FD, "accept"},
	{SYS_connect, BLOCKED_FD, "connect"},
	{SYS_recvfrom, BLOCKED_FD, "recv"},
	{SYS_recvmsg, BLOCKED_FD, "recv"},
#ifdef SYS_recvmmsg
	{SYS_recvmmsg, BLOCKED_FD, "recv"},
#endif
#ifdef SYS_recvmmsg_time64
	{SYS_recvmmsg_time64, BLOCKED_FD, "recv"},
#endif
	{SYS_sendto, BLOCKED_FD, "send"},
	{SYS_sendmsg, BLOCKED_FD, "send"},
	{SYS_splice, BLOCKED_FD, "splice"},
	{SYS_sendfile, BLOCKED_FD, "sendfile"},
#ifdef SYS_sendfile64
	{SYS_sendfile64, BLOCKED_FD, "sendfile"},
#endif
#ifdef SYS_ppoll
	{SYS_ppoll, BLOCKED_POLL, "poll"},
	{SYS_pselect6, BLOCKED_SELECT, "select"},
#endif
#ifdef SYS_ppoll_time64
	{SYS_ppoll_time64, BLOCKED_POLL, "poll"},
	{SYS_pselect6_time64, BLOCKED_SELECT, "select"},
#endif
	{SYS_epoll_pwait, BLOCKED_EPOLL, "epoll"},
#ifdef SYS_epoll_pwait2
	{SYS_epoll_pwait2, BLOCKED_EPOLL, "epoll"},
#endif
#ifdef SYS_poll
	{SYS_poll, BLOCKED_POLL, "poll"},
#endif
#ifdef SYS_select
	{SYS_select, BLOCKED_SELECT, "select"},
#endif
#ifdef SYS__newselect
	{SYS__newselect, BLOCKED_SELECT, "select"},
#endif
#ifdef SYS_epoll_wait
	{SYS_epoll_wait, BLOCKED_EPOLL, "epoll"},
#endif
	{SYS_openat, BLOCKED_OPEN, "open"},
};

#ifdef SYS_ipc
/* ipc(2): which call, then its arguments. */
static long inside_ipc(struct blocked *b)
{
	static const long calls[] = {[1] = SYS_semtimedop_time64,
		[4] = SYS_semtimedop_time64,
		[11] = SYS_msgsnd,
		[12] = SYS_msgrcv};
	uint64_t which = b->arg[0] & 0xffff;
	memmove(b->arg, b->arg + 1, sizeof b->arg - sizeof *b->arg);
	return which < sizeof calls / sizeof *calls && calls[which] != 0 ? calls[which] : -1;
}
#endif

#ifdef SYS_socketcall
/* socketcall(2): which call, and where its arguments are. */
static long inside_socketcall(struct blocked *b, pid_t pid)
{
	static const long calls[] = {[3] = SYS_connect,
		[5] = SYS_accept4,
		[9] = SYS_sendto,
		[10] = SYS_recvfrom,
		[11] = SYS_sendto,
		[12] = SYS_recvfrom,
		[16] = SYS_sendmsg,
		[17] = SYS_recvmsg,
		[18] = SYS_accept4,
		[19] = SYS_recvmsg,
		[20] = SYS_sendmsg};
	uint64_t which = b->arg[0];
	unsigned long fd;
	struct iovec here = {&fd, sizeof fd}, there = {(void *)(uintptr_t)b->arg[1], sizeof fd};
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)sizeof fd)
		return -1;
	b->arg[0] = fd;
	return which < sizeof calls / sizeof *calls && calls[which] != 0 ? calls[which] : -1;
}
#endif

/* Calls that have another form are given in that form. */
static long plain(struct blocked *b, long nr, pid_t pid)
{
	(void)b;
	(void)pid;
#ifdef SYS_ipc
	if (nr == SYS_ipc)
		return inside_ipc(b);
#endif
#ifdef SYS_socketcall
	if (nr == SYS_socketcall)
		return inside_socketcall(b, pid);
#endif
#ifdef SYS_open
	if (nr == SYS_open) {
		memmove(b->arg + 1, b->arg, sizeof b->arg - sizeof *b->arg);
		b->arg[0] = (uint64_t)AT_FDCWD;
		return SYS_openat;
	}
#endif
	return nr;
}

/* "202 0x7f… … STACK PC": a stack above 4 GiB is a 64-bit program's. */
static bool other_word_size(uint64_t stack)
{
	return (stack > UINT32_MAX) != (sizeof(long) > sizeof(uint32_t));
}

/* fcntl(2) sleeps for a lock only. */
static bool for_lock(struct blocked *b)
{
	if (b->arg[1] == 38 /* F_OFD_SETLKW */)
		b->form = BLOCKED_OFD;
	if (b->form == BLOCKED_OFD || b->arg[1] == F_SETLKW)
		return true;
	return b->arg[1] == 7; /* F_SETLKW of 32 bit, where the C library's may be F_SETLKW64 */
}

int blocked_in(struct blocked *b, pid_t pid, int dirfd, const char *path)
{
	char text[256], *p;
	int fd = fd_open(dirfd, path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? -1 : fd_read(fd, text, sizeof text - 1);
	fd_close(fd);
	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return n < 0 ? -1 : 0;
	text[n] = '\0';
	long nr = strtol(text, &p, 10);
	for (unsigned i = 0; i < sizeof b->arg / sizeof *b->arg; i++)
		b->arg[i] = strtoull(p, &p, 16);
	if (other_word_size(strtoull(p, &p, 16)))
		return 0;
	nr = plain(b, nr, pid);
	for (size_t i = 0; i < sizeof sleeps / sizeof *sleeps; i++)
		if (sleeps[i].nr == nr) {
			b->form = sleeps[i].form;
			b->name = sleeps[i].name;
			return b->form != BLOCKED_POSIX || for_lock(b);
		}
	return 0;
}
