/* lib/call_ready.c: how a verb that serves says that it is ready, and who it is: --ready-fd, $NOTIFY_SOCKET,
 * --pidfile. See call.h. */
#define _GNU_SOURCE
#include "call.h"
#include "fd.h"
#include "object.h"
#include "proc.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* sd_notify(3): one datagram to the socket that $NOTIFY_SOCKET names. */
static int notify(struct call *call, const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	if (name == NULL || (name[0] != '/' && name[0] != '@'))
		return 0;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	if (len >= sizeof sun.sun_path)
		return call_fail(call, ST_USAGE, 0, "$NOTIFY_SOCKET is longer than %zu bytes",
			sizeof sun.sun_path - 1);
	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd < 0 ||
		sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sun, size) < 0)
		call_warn(call, errno, "notify %s", name);
	fd_close(fd);
	return 0;
}

/* With LINE before --ready-fd's newline: whoever waits for that ignores what precedes it. */
static int ready(struct call *call, const char *line)
{
	if (call->std[STD_READY_FD].count > 0) {
		int fd = (int)call->std[STD_READY_FD].num;
		const char *text = call_fmt(call, "%s\n", line);
		if (text == NULL)
			return call_error(call, ENOMEM, "write --ready-fd %d", fd);
		if (fd_write(fd, text, strlen(text)) < 0 && errno != EPIPE)
			return call_error(call, errno, "write --ready-fd %d", fd);
		/* A shell that goes on has its own use for it. */
		if (fd > 2 && (call->host == NULL || call->ends))
			fd_close(fd);
	}
	return notify(call, "READY=1");
}

int call_ready(struct call *call)
{
	return ready(call, "");
}

struct pidfile {
	const char *path;
	struct stat st;
};

/* Another's who has taken over the name meanwhile stays. */
static void undo_pidfile(void *arg, intptr_t n)
{
	struct pidfile *p = arg;
	(void)n;
	(void)object_unlink(AT_FDCWD, p->path, &p->st, 0);
}

/* The process that FD, a pid file, names, if it lives and began before the file was written: 0 when there is none, so
 * that a number that was given to a later process does not count. */
static pid_t owner_of(int fd)
{
	char text[24];
	struct stat st;
	struct timespec real;
	struct task t;
	ssize_t n = fd_read(fd, text, sizeof text - 1);
	if (n <= 0 || fstat(fd, &st) < 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);
	if (pid <= 0 || pid > INT32_MAX || pid == getpid() ||
		(kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		return 0;
	if (task_read((pid_t)pid, &t) == 0 && t.ended)
		return 0;
	int64_t began = proc_started_ns((pid_t)pid);
	if (began < 0)
		return (pid_t)pid;
	struct timespec boot;
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	int64_t age = (int64_t)(boot.tv_sec - began / NS_PER_S);
	return real.tv_sec - age > st.st_mtim.tv_sec + 2 ? 0 : (pid_t)pid;
}

/* 0, or 75 when PATH is the pid file of a process that lives. */
static int pidfile_free(struct call *call, const char *path)
{
	char command[128];
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
	pid_t owner = fd >= 0 ? owner_of(fd) : 0;
	fd_close(fd);
	if (owner == 0)
		return 0;
	return call_fail(call, ST_BUSY, 0, "pidfile %s: in use by pid %ld (%s)", path, (long)owner,
		proc_command(owner, command, sizeof command));
}

int call_pidfile(struct call *call)
{
	if (call->std[STD_PIDFILE].count == 0)
		return 0;
	const char *path = call->std[STD_PIDFILE].str;
	int status = pidfile_free(call, path);
	if (status != 0)
		return status;
	char text[24];
	char *tmp = call_fmt(call, "%s.%ld", path, (long)getpid());
	struct pidfile *p = call_alloc(call, sizeof *p);
	char *copy = call_strdup(call, path);
	if (tmp == NULL || p == NULL || copy == NULL)
		return call_error(call, ENOMEM, "pidfile %s", path);
	int fd = fd_open(AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	if (fd < 0)
		return call_error(call, errno, "create %s", tmp);
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	int bad =
		fstat(fd, &p->st) < 0 || fd_write(fd, text, (size_t)n) < 0 || rename(tmp, path) < 0
		? errno
		: 0;
	fd_close(fd);
	if (bad != 0) {
		unlink(tmp);
		return call_error(call, bad, "write %s", path);
	}
	p->path = copy;
	return call_undo(call, undo_pidfile, p, 0) == 0
		? 0
		: call_error(call, ENOMEM, "pidfile %s", path);
}

int call_serving_at(struct call *call, const char *address)
{
	int status = call_pidfile(call);
	return status != 0 ? status : ready(call, address);
}

int call_serving(struct call *call)
{
	return call_serving_at(call, "");
}
