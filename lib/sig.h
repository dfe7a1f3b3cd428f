/* lib/sig.h: signals by system call. glibc hides the numbers 32 and 33 from its callers and musl 32
 * to 34, so that the signal which programs linked with glibc call SIGRTMIN can neither be blocked
 * nor waited for through musl's functions, nor be kept in a sigset_t that they returned. Here a set
 * is a number with a bit for each of the 64 signals, as the kernel and /proc/PID/status write it.
 */
#ifndef IPC_SIG_H
#define IPC_SIG_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SIG_BIT(sig) (UINT64_C(1) << ((sig)-1))
#define SIG_ALL UINT64_MAX

/* rt_sigprocmask(2): HOW is SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK. *OLD, when not NULL, gets what
 * was blocked before (nothing, when this fails). 0, or -1 with errno. */
int sig_change(int how, uint64_t set, uint64_t *old);
/* rt_sigtimedwait(2): take one pending signal of SET, which must be blocked, or wait for one until
 * DEADLINE (lib/wait.h). Returns its number, or -1 with ETIMEDOUT, EAGAIN (DEADLINE_NOW) or another
 * errno; restarts after EINTR. */
int sig_take(uint64_t set, siginfo_t *info, int64_t deadline);
/* signalfd(2), O_CLOEXEC: readable while a signal of SET, which must be blocked, is pending. -1 with
 * errno. */
int sig_fd(uint64_t set);
/* Those signals of SET that are ignored now. */
uint64_t sig_ignored(uint64_t set);

/* What sigqueue(3) would send: SI_QUEUE with VALUE, from us. */
void sig_info(siginfo_t *info, int sig, int value);
/* pidfd_send_signal(2). INFO NULL: as kill(2) sends. 0, or -1 with errno. */
int sig_send(int pidfd, int sig, const siginfo_t *info);
/* Send to our own child PID, which has not been waited for, so that its number is still its own. INFO as above. 0, or -1
 * with errno. */
int sig_send_child(pid_t pid, int sig, const siginfo_t *info);
/* Send to the process group PGRP in one step, so that no member can fork out of reach. PIDFD is its
 * leader's, or -1 when that is not at hand. Before Linux 6.9 neither INFO nor anything to group 1,
 * which kill(2) cannot name, can be sent: -1 with EOPNOTSUPP. 0, or -1 with errno. */
int sig_send_group(int pidfd, pid_t pgrp, int sig, const siginfo_t *info);

#endif
