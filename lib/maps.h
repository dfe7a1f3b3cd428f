/* lib/maps.h: who has a file or a System V segment mapped, from /proc/PID/maps (proc_pid_maps(5)).
 * Other users' processes are invisible without privilege: say "not visible" rather than "nobody".
 */
#ifndef IPC_MAPS_H
#define IPC_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a line of maps says of the thing: its device as text ("fe:01", "*" for any) and its inode, which
 * for a System V segment is its id. */
struct maps_key {
	char dev[24];
	uint64_t inode;
	bool sysv; /* the path must begin with /SYSV */
};

/* The key of the file FD, found by mapping a byte of it: overlay and btrfs show other numbers in maps
 * than in stat(2). FD must be readable and not empty. 0 or -1. */
int maps_file(int fd, struct maps_key *key);
/* The key of System V segment ID. */
void maps_sysv(int id, struct maps_key *key);
/* Call FN once for each process, this one excepted, that has it mapped, until it returns non-zero.
 * *HIDDEN (may be NULL) is set when some process could not be looked into. 0, FN's value, or -1. */
int maps_each(const struct maps_key *key, int (*fn)(void *arg, pid_t pid), void *arg, bool *hidden);

#endif
