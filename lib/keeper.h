/* lib/keeper.h: kernel locks that live exactly as long as a command, whoever is killed.
 *
 * A supervisor that holds a lock and hands no descriptor on leaks nothing to the command's
 * background children, but loses the lock when it is killed by SIGKILL while the command still runs.
 * The keeper closes that hole: a second process that shares the locks' open file descriptions, waits
 * for the end of the command (poll(2) on its pidfd) and then ends. It is born from the command's own
 * process before exec, so at no instant does the command run without it:
 *
 *	struct keeper k;
 *	struct spawn s = {.argv = argv};
 *	keeper_with(&k, &s, fds, nfds);          // fds: O_CLOEXEC descriptors of the locks
 *	status = spawn_call(call, &s, &pid);
 *	... wait for pid, release the locks (LOCK_UN, F_UNLCK act for all who share them) ...
 *	keeper_end(&k);                          // on every path behind spawn
 *
 * It costs one clone(2) that shares our memory (CLONE_VM, a stack of its own inside struct keeper,
 * raw system calls only), so K must stay where it is, and not be freed, until keeper_end. It has its
 * own session, blocks every signal and keeps no descriptor but the locks and the pidfd, so that
 * neither ^C nor a signal to the group ends it and no file, pipe or terminal is held open by it.
 * It is our child, next to the command: waitpid(-1) sees it. In ps it is called KEEPER_NAME.
 */
#ifndef IPC_KEEPER_H
#define IPC_KEEPER_H

#include <stddef.h>
#include <sys/types.h>

struct spawn;

#define KEEPER_NAME "ipc-keeper"
#define KEEPER_MAX 64

struct keeper {
	volatile pid_t pid; /* 0: not running */
	unsigned nfds;
	int fds[KEEPER_MAX];
	_Alignas(16) unsigned char stack[4096];
};

/* Have S start a keeper for FDS. NFDS above KEEPER_MAX: -1 with EINVAL. */
int keeper_with(struct keeper *k, struct spawn *s, const int *fds, size_t nfds);
/* A keeper for a process that is none of our children: PIDFD's. It has memory of its own, keeps FDS and
 * PIDFD, and goes on when we end; *PID is it. It has let go of everything else when we return, so that
 * nobody waits for its end of a pipe. 0 or -1 with errno. The caller reaps nothing: it ends after us. */
int keeper_detach(int pidfd, const int *fds, size_t nfds, pid_t *pid);
/* Kill it and reap it; nothing when it never ran. */
void keeper_end(struct keeper *k);

#endif
