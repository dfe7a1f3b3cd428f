/* lib/sysv.h: System V names, for queues, semaphores and segments alike. */
#ifndef IPC_SYSV_H
#define IPC_SYSV_H

#include "object.h"

#include <sys/ipc.h>
#include <sys/types.h>

/* The key that OBJ (OBJECT_SYSV, any form but SYSV_ID) stands for: its number, IPC_PRIVATE, or for
 * PATH#C what ftok(3) makes of PATH and C, in musl and glibc alike. 0, or -1 with stat(2)'s errno or
 * EINVAL (a SYSV_ID has no key here). */
int sysv_key(const struct object *obj, key_t *key);

#endif
