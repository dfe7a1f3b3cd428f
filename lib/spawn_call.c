/* lib/spawn_call.c: CMD on behalf of a verb: what went wrong is said, and its status is the verb's. See
 * spawn.h. */
#define _GNU_SOURCE
#include "call.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int report(struct call *call, const struct spawn *s, int err, int execed)
{
	if (!execed && err == EAGAIN) /* fork(2): RLIMIT_NPROC, pids.max, pid_max */
		return call_fail(call, ST_EARLY, 0,
			"start %s: no more processes allowed; see ulimit -u", s->argv[0]);
	if (!execed)
		return call_fail(call, ST_EARLY, err, "start %s", s->argv[0]);
	return call_fail(call, err == ENOENT ? ST_NOCMD : ST_NOEXEC, err, "execute %s", s->argv[0]);
}

int spawn_call(struct call *call, const struct spawn *s, pid_t *pid)
{
	int execed, err = spawn(s, pid, &execed);
	return err == 0 ? 0 : report(call, s, err, execed);
}

int spawn_run(struct call *call, const struct spawn *s)
{
	struct wait_signals w;
	pid_t pid;
	int wstatus;
	wait_hold(&w);
	int status = spawn_call(call, s, &pid);
	if (s->started != NULL)
		s->started(s->started_arg, status);
	if (status == 0) {
		bool group = (s->flags & (SPAWN_GROUP | SPAWN_SESSION)) != 0;
		status = wait_child(&w, pid, group, false, DEADLINE_NONE, &wstatus) == 0
			? wait_status(wstatus)
			: call_fail(call, ST_INTERNAL, errno, "wait for %s", s->argv[0]);
	}
	wait_release(&w);
	return status;
}

/* 0, or the errno that execve(2) would give for PATH. */
static int executable(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno;
	return S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : EACCES;
}

/* The same for NAME searched in the directories of PATH. */
static int search(const char *name)
{
	const char *dirs = getenv("PATH");
	int err = ENOENT;
	if (*name == '\0')
		return ENOENT;
	if (strchr(name, '/') != NULL)
		return executable(name);
	if (dirs == NULL)
		dirs = "/bin:/usr/bin";
	char *path = malloc(strlen(dirs) + strlen(name) + 2);
	if (path == NULL)
		return ENOMEM;
	for (;; dirs++) {
		size_t len = strcspn(dirs, ":");
		memcpy(path, dirs, len);
		path[len] = '/';
		strcpy(path + (len > 0 ? len + 1 : 0), name);
		int e = executable(path);
		err = e == 0 || e == EACCES ? e : err;
		dirs += len;
		if (e == 0 || *dirs == '\0')
			break;
	}
	free(path);
	return err;
}

int spawn_check(struct call *call, const char *name)
{
	int err = search(name);
	if (err == 0)
		return 0;
	return call_fail(call, err == EACCES ? ST_NOEXEC : ST_NOCMD, err, "execute %s", name);
}
