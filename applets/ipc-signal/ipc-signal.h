/* What the verbs of ipc-signal share. */
#ifndef IPC_SIGNAL_H
#define IPC_SIGNAL_H

#include "call.h"
#include "task.h"

enum { SEND_VALUE, SEND_GROUP, SEND_HANDLED };
enum { WAIT_FORMAT };
enum { STOP_SIGNAL, STOP_GRACE, STOP_GROUP, STOP_TREE };
enum { RUN_SIGNAL, RUN_GRACE, RUN_MAP, RUN_ALL, RUN_FOREGROUND };
enum { LS_ID };

#define GRACE (10 * NS_PER_S) /* unless --grace says otherwise */

/* The operands of CALL as a set of signals. 0, or a status. */
int wanted_signals(struct call *call, uint64_t *set);

#endif
