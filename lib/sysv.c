/* lib/sysv.c: see sysv.h. */
#define _GNU_SOURCE
#include "sysv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* PATH#C without its last two characters, stat(2)ed. */
static int stat_path(const char *name, struct stat *st)
{
	char *path = strdup(name);
	if (path == NULL)
		return -1;
	path[strlen(path) - 2] = '\0';
	int r = stat(path, st);
	int saved = errno;
	free(path);
	errno = saved;
	return r;
}

int sysv_key(const struct object *obj, key_t *key)
{
	struct stat st;
	*key = obj->sysv == SYSV_PRIVATE ? IPC_PRIVATE : (key_t)obj->key;
	if (obj->kind != OBJECT_SYSV || obj->sysv == SYSV_ID) {
		errno = EINVAL;
		return -1;
	}
	if (obj->sysv != SYSV_FTOK)
		return 0;
	if (stat_path(obj->name, &st) < 0)
		return -1;
	*key = (key_t)(((unsigned)obj->key & 0xff) << 24 | ((unsigned)st.st_dev & 0xff) << 16 |
		((unsigned)st.st_ino & 0xffff));
	return 0;
}
