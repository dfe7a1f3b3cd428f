/* tests/fuzz/proc.c: what is read from /proc, whatever it says. The readers open files in /proc; here openat(2) gives
 * them the input in their place, so that they are the very functions that the applets use.
 *
 * Input: the text of the file.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "applets/ipc-lock/ipc-lock.h"
#include "proc.h"
#include "task.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int text = -1; /* stands for every file below /proc */

/* ld's --wrap (see the Makefile) leads all calls of openat(2) here. */
int __real_openat(int dirfd, const char *path, int flags, ...);
int __wrap_openat(int dirfd, const char *path, int flags, ...);

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = va_arg(ap, mode_t);
	va_end(ap);
	bool file = (flags & O_DIRECTORY) == 0 &&
		(strncmp(path, "/proc/", 6) == 0 || strncmp(path, "fdinfo/", 7) == 0);
	if (text < 0 || !file)
		return __real_openat(dirfd, path, flags, mode);
	char self[40];
	snprintf(self, sizeof self, "/proc/self/fd/%d", text);
	return __real_openat(AT_FDCWD, self, flags);
}

static int count(void *arg, const struct proc_fd *fd)
{
	unsigned *n = arg;
	FUZZ_HOLDS(fd->lock == 'F' || fd->lock == 'O' || fd->lock == 'P');
	return ++*n > 10000;
}

static void each_lock(void *arg, bool waits, const struct proc_fd *fd)
{
	(void)waits;
	(void)count(arg, fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[16], boot[40], command[300];
	struct task task;
	struct task_signals signals;
	struct stat st;
	unsigned n = 0;
	int before = fuzz_next_fd();
	text = fuzz_memfd(data, size);
	FUZZ_HOLDS(fstat(text, &st) == 0);
	(void)proc_start(getpid());
	(void)proc_started_ns(getpid());
	(void)proc_life((struct proc_id){getpid(), 1});
	(void)proc_parent(getpid(), name);
	FUZZ_HOLDS(strlen(name) < sizeof name);
	(void)proc_boot_id(boot);
	FUZZ_HOLDS(strlen(boot) < sizeof boot);
	for (size_t room = 8; room <= sizeof command; room = room * 3 + 1) {
		const char *s = proc_command(getpid(), command, room);
		FUZZ_HOLDS(strlen(s) < room);
		for (; *s != '\0'; s++)
			FUZZ_HOLDS((unsigned char)*s >= ' ' && *s != 0x7f);
	}
	(void)task_read(getpid(), &task);
	(void)task_signals(getpid(), &signals);
	(void)proc_pid_fds(getpid(), &st, true, count, &n, NULL);
	(void)kernel_locks(&st, each_lock, &n);
	close(text);
	text = -1;
	FUZZ_HOLDS(fuzz_next_fd() == before);
	return 0;
}
