/* lib/call_place.c: messages about the directory that a bare word lies in (object.h). */
#define _GNU_SOURCE
#include "call.h"
#include "num.h"
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *user(struct call *call, uid_t uid)
{
	char name[64];
	num_user_name(uid, name, sizeof name);
	return call_fmt(call, "%s", name);
}

/* The directory PATH is there, and is not one that we may trust. */
static int not_ours(struct call *call, const char *word, const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return call_error(call, errno, "%s: look at %s", word, path);
	if (S_ISLNK(st.st_mode))
		return call_fail(call, ST_PERM, 0,
			"%s: %s is a symbolic link that user %s made; set IPC_DIR to a directory of "
			"your own",
			word, path, user(call, st.st_uid));
	if (st.st_uid != geteuid())
		return call_fail(call, ST_PERM, 0,
			"%s: %s belongs to user %s, not to you (user %s); set IPC_DIR to a directory "
			"of your own",
			word, path, user(call, st.st_uid), user(call, geteuid()));
	return call_fail(call, ST_PERM, 0,
		"%s: other users can write into %s (mode %04o); chmod go-w it, or set IPC_DIR to "
		"another directory",
		word, path, (unsigned)st.st_mode & 07777);
}

int call_place_error(struct call *call, const struct object *obj, const char *kind, int errnum)
{
	char path[OBJECT_DIR_MAX];
	if (obj->kind != OBJECT_WORD)
		return -1;
	if (errnum == EDESTADDRREQ)
		return call_fail(call, ST_USAGE, 0,
			"%s: a %s of this name lies in the home directory, but HOME is not set; "
			"name it by a path: ./%s",
			obj->text, kind, obj->text);
	int fd = object_dir(kind, false), e = errno;
	if (fd >= 0) {
		close(fd);
		return -1;
	}
	if (object_dir_path(kind, path) == NULL)
		return call_error(call, errno, "%s: its directory", obj->text);
	if (e == EPERM)
		return not_ours(call, obj->text, path);
	/* It could not be made, in somebody else's home. */
	if (e == ENOENT && errnum == EPERM)
		return call_fail(call, ST_PERM, 0,
			"%s: %s is not made, since what is above it belongs to another user; set "
			"IPC_DIR, or name it by a path: ./%s",
			obj->text, path, obj->text);
	return call_error(call, e, "%s: open its directory %s%s", obj->text, path,
		getenv("IPC_DIR") != NULL ? " (IPC_DIR)" : "");
}

void call_place_old(struct call *call, const struct object *obj, const char *kind, bool old)
{
	char path[OBJECT_DIR_MAX], at[OBJECT_DIR_MAX];
	if (old && object_dir_path(kind, path) != NULL &&
		object_path(obj, kind, at, sizeof at) != NULL)
		call_warn(call, 0, "%s: found as %s; the next version looks in %s only", obj->text,
			at, path);
}
