/* lib/proc.h: who holds what, read from /proc. What other users' processes do is invisible without
 * privilege: callers say "not visible" rather than "nobody".
 */
#ifndef IPC_PROC_H
#define IPC_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A process, named so that a recycled pid cannot be taken for it. */
struct proc_id {
	pid_t pid;
	uint64_t start; /* clock ticks after boot: field 22 of /proc/PID/stat, proc(5) */
};
/* Start time of PID; 0 when it is gone. */
uint64_t proc_start(pid_t pid);
/* The same in nanoseconds of CLOCK_BOOTTIME; -1 when it is gone. */
int64_t proc_started_ns(pid_t pid);
/* Is ID still the process it was? Dead only with proof: the kernel knows no such process in our pid
 * namespace, or /proc, which is that of our namespace, shows a zombie or another process with that
 * number. What cannot be looked at (no descriptor left, no /proc, hidepid), and an ID whose start time
 * nobody could read (0), is unknown, which everybody treats as alive. A pid of another pid namespace must not be asked for. */
enum proc_life { PROC_DEAD, PROC_UNKNOWN, PROC_ALIVE };
enum proc_life proc_life(struct proc_id id);
/* Is /proc a procfs of our own pid namespace? Else its numbers mean other processes to us. */
bool proc_ours(void);
/* Does /proc show all processes that there are? Not in a pid namespace of our own, nor with hidepid. */
bool proc_shows_all(void);
/* The number of our pid namespace, or 0 when it cannot be read. No two that exist have the same. */
uint32_t proc_pidns(void);
/* The parent of PID; 0 when it has none that we see, or is gone. NAME gets the name of PID's program (comm),
 * "" when it is gone. */
pid_t proc_parent(pid_t pid, char name[16]);
/* The boot's id, 36 characters. 0; or -1 with errno, and "": then nobody knows which boot this is, and
 * nothing may be taken for left over from an earlier one. */
#define PROC_BOOT_ID "/proc/sys/kernel/random/boot_id"
int proc_boot_id(char buf[40]);
/* The same as 16 bytes, as files hold it; -1 with errno, and zeros. */
int proc_boot_bytes(unsigned char id[16]);
/* The command of PID: its arguments joined by blanks, cut at SIZE with "...", control characters
 * shown as ?; its name in brackets when it has none; "?" when not visible. Returns BUF. */
const char *proc_command(pid_t pid, char *buf, size_t size);
/* Is PID stopped, as by ^Z? It keeps what it holds, and does nothing until it goes on. */
bool proc_stopped(pid_t pid);

/* Call FN for every process that has the file ST open (device and inode), once for each, with one
 * of its descriptors. LOCKED: instead once for each lock that a process holds on it through one of
 * its descriptors (the "lock:" lines of fdinfo, which name the true holders of OFD and flock locks
 * where /proc/locks has -1 or a dead pid; whoever shares the open file description holds it too).
 * Stops when FN returns non-zero. *HIDDEN (may be NULL) is set when some process could not be
 * looked into, or there may be some that /proc does not show. 0 or FN's value, -1 with errno. */
struct proc_fd {
	pid_t pid;
	int fd;
	char lock;           /* 'F' flock, 'O' OFD, 'P' POSIX; 0 none */
	bool write;          /* the lock is exclusive */
	uint64_t start, end; /* range of the lock; end UINT64_MAX: to the end of the file */
};
int proc_each_fd(const struct stat *st, bool locked, int (*fn)(void *arg, const struct proc_fd *fd),
	void *arg, bool *hidden);
/* The same for one process; a pid that is gone has nothing open. */
int proc_pid_fds(pid_t pid, const struct stat *st, bool locked,
	int (*fn)(void *arg, const struct proc_fd *fd), void *arg, bool *hidden);
/* The file position of descriptor FD of PID; -1 when that cannot be seen. */
int64_t proc_fd_pos(pid_t pid, int fd);
/* Has PID the file ST open, and each descriptor of it stands at POS? */
bool proc_stands(pid_t pid, const struct stat *st, int64_t pos);
/* Read one lock as /proc/locks and fdinfo show it, from behind the "1:": "FLOCK  ADVISORY  WRITE
 * 47 fe:00:1234 0 EOF". DEV_INO gets "fe:00:1234". What follows it, or NULL: not such a line. */
const char *proc_parse_lock(const char *line, struct proc_fd *found, char dev_ino[48]);

#endif
