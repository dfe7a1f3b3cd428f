/* ipc-shm run: a segment for CMD, as a path and a descriptor; also one without a name. */
#define _GNU_SOURCE
#include "shm.h"

#include "command.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

/* A new memfd that cannot shrink, so that nobody who maps it can be hurt. 0 or a status. */
static int make_memfd(struct call *call, struct segment **out, const char *word)
{
	struct segment *seg = *out = call_alloc(call, sizeof *seg);
	if (seg == NULL)
		return call_error(call, errno, "make %s", word);
	*seg = (struct segment){.at.dirfd = AT_FDCWD, .id = -1, .writable = true};
	seg->obj = (struct object){.kind = OBJECT_FD, .text = word};
	if (call->opt[MAKE_SIZE].count == 0)
		return call_fail(call, ST_USAGE, 0, "%s: how large? -S BYTES is missing", word);
	seg->fd = memfd_create(word + strlen("memfd:"), MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (seg->fd < 0 || call_own(call, seg->fd) < 0)
		return call_error(call, errno, "make %s", word);
	seg->size = (uint64_t)call->opt[MAKE_SIZE].num;
	int status = segment_back(call, seg, 0, seg->size);
	if (status != 0)
		return status;
	mode_t mode = call->std[STD_MODE].count > 0 ? (mode_t)call->std[STD_MODE].num : 0600;
	if (fchmod(seg->fd, mode) < 0 || fcntl(seg->fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return call_error(call, errno, "make %s", word);
	return 0;
}

/* A new System V segment that goes with the last process that has it attached, whoever is killed. */
static int make_private(struct call *call, struct segment *seg)
{
	if (call->opt[MAKE_SIZE].count == 0)
		return call_fail(
			call, ST_USAGE, 0, "%s: how large? -S BYTES is missing", seg->obj.text);
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	int status = shm_sysv_create(call, seg, (uint64_t)call->opt[MAKE_SIZE].num, mode);
	if (status != 0)
		return status;
	status = segment_map(call, seg, 0, 1, true);
	if (shmctl(seg->id, IPC_RMID, NULL) < 0 && status == 0)
		status = call_error(call, errno, "mark %s for removal", seg->obj.text);
	return status;
}

static int open_for(struct call *call, struct segment **seg, const char *word)
{
	if (strncmp(word, "memfd:", 6) == 0)
		return make_memfd(call, seg, word);
	if (call->opt[MAKE_SIZE].count > 0 && call->opt[MAKE_CREATE].count == 0 &&
		strcmp(word, "sysv:private") != 0)
		return call_fail(
			call, ST_USAGE, 0, "-S needs --create, memfd:NAME or sysv:private");
	if (strcmp(word, "sysv:private") != 0)
		return segment_open(call, seg, word, SEGMENT_EITHER);
	int status = segment_name(call, seg, word);
	return status != 0 ? status : make_private(call, *seg);
}

static void undo_lockfile(void *path, intptr_t n)
{
	(void)n;
	(void)unlink(path);
}

/* Variables for CMD; with a file also the descriptor: a number that is free here. */
static int make_env(struct call *call, struct segment *seg, const char **env, struct spawn_fd *pass)
{
	const char *object = seg->obj.text;
	unsigned n = 0;
	if (seg->sysv) {
		env[n++] = call_fmt(call, "IPC_SHM_ID=%d", seg->id);
		env[n++] = "IPC_SHM_FD";
		env[n++] = "IPC_SHM_PATH";
		if (seg->obj.sysv == SYSV_PRIVATE)
			object = call_fmt(call, "sysv:id=%d", seg->id);
	} else {
		int to = call_own(call, fd_dup(seg->fd, 3));
		if (to < 0)
			return call_error(call, errno, "hand on %s", seg->obj.text);
		*pass = (struct spawn_fd){seg->fd, to};
		env[n++] = call_fmt(call, "IPC_SHM_FD=%d", to);
		env[n++] = call_fmt(call, "IPC_SHM_PATH=/proc/self/fd/%d", to);
		env[n++] = "IPC_SHM_ID";
		if (seg->obj.kind == OBJECT_FD)
			object = call_fmt(call, "fd:%d", to);
	}
	env[n++] = call_fmt(call, "IPC_SHM_SIZE=%llu", (unsigned long long)seg->size);
	env[n++] = object != NULL ? call_fmt(call, "IPC_OBJECT=%s", object) : NULL;
	for (unsigned i = 0; i < n; i++)
		if (env[i] == NULL)
			return call_error(call, ENOMEM, "run %s", call->command[0]);
	env[n] = NULL;
	return 0;
}

int shm_run(struct call *call)
{
	struct segment *seg = NULL;
	struct spawn_fd pass = {-1, -1};
	const char *env[8];
	int status = open_for(call, &seg, call->args[0].str);
	if (status == 0 && seg != NULL)
		status = make_env(call, seg, env, &pass);
	if (status != 0 || seg == NULL)
		return status;
	if (seg->sysv && seg->obj.sysv == SYSV_PRIVATE) {
		char *path = shm_sysv_lockpath(call, seg->id);
		if (path != NULL)
			call_undo(call, undo_lockfile, path, 0);
	}
	struct command cmd = {.spawn = {.argv = call->command,
				      .env = env,
				      .fds = &pass,
				      .nfds = seg->sysv ? 0 : 1}};
	return command_run(call, &cmd);
}
