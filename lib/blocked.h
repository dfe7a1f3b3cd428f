/* lib/blocked.h: the system call that a thread sleeps in, as proc_pid_syscall(5) shows it. The forms that a
 * call has on 32 bit (socketcall(2), ipc(2), fcntl64, 64-bit times) are given as the plain call. */
#ifndef IPC_BLOCKED_H
#define IPC_BLOCKED_H

#include <stdint.h>
#include <sys/types.h>

enum blocked_form {
	BLOCKED_FD,     /* the first argument is a descriptor */
	BLOCKED_FLOCK,  /* ... that waits for a lock: flock(2) */
	BLOCKED_POSIX,  /* ... F_SETLKW */
	BLOCKED_OFD,    /* ... F_OFD_SETLKW */
	BLOCKED_FUTEX,  /* an address */
	BLOCKED_SEM,    /* an id */
	BLOCKED_MSGRCV, /* an id */
	BLOCKED_MSGSND, /* an id */
	BLOCKED_POLL,   /* an array of struct pollfd */
	BLOCKED_SELECT, /* bit sets */
	BLOCKED_EPOLL,  /* an epoll descriptor */
	BLOCKED_OPEN,   /* a directory and a path: a FIFO's other end is missing */
};

struct blocked {
	enum blocked_form form;
	const char *name; /* of the call, a constant: "futex", "semop" */
	uint64_t arg[6];
};

/* Read DIRFD/PATH, the file syscall of a thread of PID. 1: B is filled in. 0: the thread runs, sleeps in
 * another call, or is of a program of another word size, whose numbers mean other calls. -1 with errno. */
int blocked_in(struct blocked *b, pid_t pid, int dirfd, const char *path);

#endif
