/* lib/mqdir.h: the directory that POSIX message queues are files of, mq_overview(7). */
#ifndef IPC_MQDIR_H
#define IPC_MQDIR_H

#define MQDIR_MAGIC 0x19800202 /* statfs(2)'s .f_type of that file system */

/* The directory of our IPC name space's queues, O_CLOEXEC: mounted nowhere where we may do that
 * (CAP_SYS_ADMIN), else /dev/mqueue. A file of it that is opened is a queue descriptor. -1 with EPERM:
 * neither can be had; or with EMFILE, ENFILE or ENOMEM. */
int mqdir_open(void);

#endif
