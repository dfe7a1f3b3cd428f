/* lib/dotline.h: the lines of a lock file of ipc-lock --family dotlock: who wrote one, and whether that
 * process still lives.
 *
 * A line is "PID START BOOT PIDNS SINCE HOST MACHINE": process, its start time, boot id, pid namespace,
 * seconds of the epoch, host, and 16 digits made of /etc/machine-id. Lines without MACHINE are older.
 */
#ifndef IPC_DOTLINE_H
#define IPC_DOTLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Who and where we are. What cannot be read is "" or 0. */
struct dotline_self {
	char boot[40], ns[32], host[72];
	char machine[20]; /* "" when there is no machine-id: then no other boot proves anything */
	uint64_t start;
	const char
		*lacks; /* the first file that a line needs and that could not be read, or NULL */
	int err;        /* errno of that */
};
void dotline_self(struct dotline_self *self);

struct dotline {
	pid_t pid;
	uint64_t start;
	int64_t since;
	char host[72];
	bool here;   /* of this boot and pid namespace: the pid means something */
	bool reboot; /* of another boot, and it is not known whether of this machine */
};
/* Append a line about ourselves to FD: nothing in SELF may be missing. 0, or -1 with errno. */
int dotline_add(int fd, const struct dotline_self *self);
/* Read LINE (without its newline, changed on the way) into D. 0 when its process is dead: it was of an
 * earlier boot of this machine, or proc_life() has proof. 1 when it lives or cannot be judged. -1: no such line. */
int dotline_judge(char *line, const struct dotline_self *self, struct dotline *d);

#endif
