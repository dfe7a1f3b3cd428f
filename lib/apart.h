/* lib/apart.h: a short piece of work in a child of vfork(2), and its result.
 *
 * The child shares our memory and runs alone until it ends or execs. An emulator (qemu-user), valgrind
 * and the thread sanitizer make a copy of the memory instead: there the result comes through a pipe.
 */
#ifndef IPC_APART_H
#define IPC_APART_H

#include <sys/types.h>

/* Run FN(ARG) in a child, *PID (-1: none was made). FN makes system calls only, and may close or
 * replace any descriptor up to TOP. Returns when FN has returned or has called execve(2), with:
 * FN's result, positive: the child ends with status 127; 0: FN has returned 0 and the child ends with
 * status 0, or FN has exec'ed, or a signal has killed it; -1 with errno: no child runs. The
 * caller blocks all signals before, and waits for the child whenever *PID is positive. */
int apart(int (*fn)(void *arg), void *arg, int top, pid_t *pid);

#endif
