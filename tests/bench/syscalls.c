/* tests/bench/syscalls.c: NAME N: N times the one system call that an operation in shared memory or on a queue cannot do
 * without, and nothing else. Prints nothing.
 *
 *	syscalls futex N	wake nobody, as an add to a word does
 *	syscalls fstat N	look whether a kept file still has its name
 *	syscalls mq N		send one byte and take it out again
 *	syscalls flock N	lock and unlock
 *	syscalls both N		the same for flock(2) and fcntl(2) locks
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

static void both(int fd, int shared)
{
	struct flock take = {.l_type = F_WRLCK}, give = {.l_type = F_UNLCK};
	if (shared)
		fcntl(fd, F_OFD_SETLK, &take);
	flock(fd, LOCK_EX | LOCK_NB);
	flock(fd, LOCK_UN);
	if (shared)
		fcntl(fd, F_OFD_SETLK, &give);
}

static int queue(void)
{
	char name[40];
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 8};
	snprintf(name, sizeof name, "ipcbox-syscalls-%ld", (long)getpid());
	int q = (int)syscall(SYS_mq_open, name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr);
	syscall(SYS_mq_unlink, name);
	return q;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	const char *name = argv[1];
	long n = atol(argv[2]);
	uint32_t *word =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("syscalls", 0), q = strcmp(name, "mq") == 0 ? queue() : -1;
	struct stat st;
	char buf[8];
	if (strcmp(name, "mq") == 0 && q < 0)
		return 71;
	for (long i = 0; i < n; i++) {
		if (strcmp(name, "futex") == 0)
			syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
		else if (strcmp(name, "fstat") == 0)
			fstat(fd, &st);
		else if (q >= 0) {
			syscall(SYS_mq_timedsend, q, "x", 1, 0, NULL);
			syscall(SYS_mq_timedreceive, q, buf, sizeof buf, NULL, NULL);
		} else
			both(fd, strcmp(name, "both") == 0);
	}
	return 0;
}
