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

int spawn_failed(struct call *call, const char *argv0, int errnum, int execed)
{
	if (!execed && errnum == EAGAIN) /* fork(2): RLIMIT_NPROC, pids.max, pid_max */
		return call_fail(call, ST_EARLY, 0,
			"start %s: no more processes allowed; see ulimit -u", argv0);
	if (!execed)
		return call_fail(call, ST_EARLY, errnum, "start %s", argv0);
	return call_fail(
		call, errnum == ENOENT ? ST_NOCMD : ST_NOEXEC, errnum, "execute %s", argv0);
}

int spawn_call(struct call *call, const struct spawn *s, pid_t *pid)
{
	int execed, err = spawn(s, pid, &execed);
	return err == 0 ? 0 : spawn_failed(call, s->argv[0], err, execed);
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
