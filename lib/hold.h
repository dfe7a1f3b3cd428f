/* lib/hold.h: signals that are blocked for the length of a call, in order to be taken one by one, and those that
 * a shell which loaded the applets keeps blocked from call to call.
 *
 * What nobody has taken when they are let through again goes to the shell's trap; where the shell has none it is
 * dropped, since the shell, or we, would die of it. What does not end a process by default (CHLD, WINCH ...) is
 * always left to the shell.
 */
#ifndef IPC_HOLD_H
#define IPC_HOLD_H

#include "call.h"

/* Block SET until the call ends; when the process ends with the call, until then: a signal that comes behind the
 * last one we took must not kill us on the way out. If a shell's SIGCHLD was among them, the shell is told again,
 * so that it looks for its children whatever we took. 0, or a status. */
int hold_for_call(struct call *call, uint64_t set);

/* Keep SET blocked from now on: CALL has a host. What was blocked by others before is not ours to let through,
 * and no part of host->held. 0, or -1 with errno. */
int hold_keep(struct call *call, uint64_t set);
/* Let through those of SET that hold_keep() has blocked. */
void hold_release(struct host *host, uint64_t set);
/* In a child of fork(2), which is about to go back to the shell's mask: commands and subshells hold nothing. */
void hold_child(struct host *host);

#endif
