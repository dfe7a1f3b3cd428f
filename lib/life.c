/* lib/life.c: what proc.h says about life and death, and about which boot, pid namespace and /proc are
 * ours. Death is said only with proof; see proc_life.
 */
#define _GNU_SOURCE
#include "proc.h"

#include "fd.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FIRST_PIDNS 0xeffffffcu /* the kernel's PROC_PID_INIT_INO: no process is outside of it */

bool proc_ours(void)
{
	char text[2048], *end;
	struct statfs fs;
	int fd = fd_open(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
	if (fd < 0)
		return false;
	bool procfs = fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
	ssize_t n = procfs ? fd_read(fd, text, sizeof text - 1) : -1;
	fd_close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* One number: there is no namespace between that of this /proc and ours. */
	const char *p = strstr(text, "\nNSpid:\t");
	if (p == NULL &&
		(p = strstr(text, "\nPid:\t")) == NULL) /* a kernel without pid namespaces */
		return false;
	return strtol(strchr(p, '\t'), &end, 10) == (long)getpid() && *end == '\n';
}

uint32_t proc_pidns(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 0;
}

bool proc_shows_all(void)
{
	if (proc_pidns() != FIRST_PIDNS || !proc_ours())
		return false;
	/* hidepid hides the process that there always is, too; and we are not it. */
	return access("/proc/1/stat", F_OK) == 0;
}

enum proc_life proc_life(struct proc_id id)
{
	struct task t;
	if (id.pid <= 0)
		return PROC_UNKNOWN;
	/* The kernel itself says so, whatever /proc shows. */
	if (kill(id.pid, 0) < 0 && errno == ESRCH)
		return PROC_DEAD;
	if (task_read(id.pid, &t) < 0)
		return PROC_UNKNOWN;
	/* A zombie whose other threads go on is alive. */
	if (id.start == 0 && !t.ended)
		return PROC_UNKNOWN;
	if (t.id.start == id.start && !t.ended)
		return PROC_ALIVE;
	return proc_ours() ? PROC_DEAD : PROC_UNKNOWN;
}

int proc_boot_id(char buf[40])
{
	int fd = fd_open(AT_FDCWD, PROC_BOOT_ID, O_RDONLY, 0);
	ssize_t n = fd >= 0 ? fd_read(fd, buf, 39) : -1;
	fd_close(fd);
	if (n >= 0) {
		buf[n] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		if (strlen(buf) == 36)
			return 0;
		errno = EPROTO;
	}
	buf[0] = '\0';
	return -1;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int proc_boot_bytes(unsigned char id[16])
{
	char text[40];
	memset(id, 0, 16);
	if (proc_boot_id(text) < 0)
		return -1;
	for (unsigned i = 0, n = 0; text[i] != '\0' && n < 32; i++)
		if (hex(text[i]) >= 0) {
			id[n / 2] = (unsigned char)(id[n / 2] << 4 | hex(text[i]));
			n++;
		}
	return 0;
}
