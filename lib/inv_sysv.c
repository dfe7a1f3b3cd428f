/* lib/inv_sysv.c: System V objects, from /proc/sysvipc (proc(5)), which lists them all, also those that
 * we may not read; what it leaves out is asked of each object where we may. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define FIELDS 16

union semun_arg {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* What all three have: the name is the key where there is one, else the id. */
static struct inv_object *add(struct inv *inv, enum inv_kind kind, enum inv_space space,
	const int64_t *f, int64_t uid, int64_t gid)
{
	int32_t key = (int32_t)f[0], id = (int32_t)f[1];
	const char *name = key != 0 ? inv_fmt(inv, "sysv:0x%08x", (unsigned)key)
				    : inv_fmt(inv, "sysv:id=%d", (int)id);
	struct inv_object *o = inv_add(inv, kind, INV_SYSV, name);
	if (o == NULL)
		return NULL;
	o->key = key;
	o->id = id;
	o->has_owner = o->has_mode = true;
	o->uid = (uid_t)uid;
	o->gid = (gid_t)gid;
	o->mode = (unsigned)f[2] & 0777;
	inv_key(inv, space, (uint32_t)id, 0, o);
	return o;
}

/* key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap */
static void one_shm(struct inv *inv, const int64_t *f)
{
	struct inv_object *o = add(inv, INV_SHM, SPACE_SHM, f, f[7], f[8]);
	if (o == NULL)
		return;
	o->size = f[3];
	o->used = f[6];
	o->unit = "attached";
	o->attached = (unsigned)f[6];
	o->creator = (pid_t)f[4];
	o->user[0] = (pid_t)f[5];
	o->user_at[0] = f[11] > f[12] ? f[11] : f[12];
	o->created = f[13];
	o->last = o->user_at[0];
	o->removed = (f[2] & 01000) != 0; /* SHM_DEST */
}

/* key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime */
static void one_msg(struct inv *inv, const int64_t *f)
{
	struct msqid_ds ds;
	struct inv_object *o = add(inv, INV_MQ, SPACE_MSG, f, f[7], f[8]);
	if (o == NULL)
		return;
	o->size = f[3];
	o->used = f[4];
	o->unit = "messages";
	o->lasting = f[4] > 0;
	o->user[0] = (pid_t)f[5];
	o->user[1] = (pid_t)f[6];
	o->user_at[0] = f[11];
	o->user_at[1] = f[12];
	o->created = f[13];
	o->last = f[11] > f[12] ? f[11] : f[12];
	if (msgctl(o->id, IPC_STAT, &ds) == 0 && ds.msg_qbytes > 0 &&
		(uint64_t)o->size >= ds.msg_qbytes / 10 * 9)
		inv_warn(inv, o,
			inv_fmt(inv, "%lld of %lu bytes full", (long long)o->size,
				(unsigned long)ds.msg_qbytes));
}

/* key semid perms nsems uid gid cuid cgid otime ctime */
static void one_sem(struct inv *inv, const int64_t *f)
{
	struct inv_object *o = add(inv, INV_SEM, SPACE_SEM, f, f[4], f[5]);
	if (o == NULL)
		return;
	o->created = f[9];
	o->last = f[8];
	o->user_at[0] = f[8];
	int n = (int)f[3];
	if (n == 1) {
		o->used = semctl(o->id, 0, GETVAL);
		o->unit = "value";
	} else {
		o->used = n;
		o->unit = "semaphores";
	}
	o->members = (unsigned)n;
	for (int i = 0; i < n; i++) {
		int up = semctl(o->id, i, GETNCNT), zero = semctl(o->id, i, GETZCNT);
		o->blocked += (unsigned)(up > 0 ? up : 0) + (unsigned)(zero > 0 ? zero : 0);
	}
}

static void each(
	struct inv *inv, const char *path, int nfields, void (*fn)(struct inv *, const int64_t *))
{
	char *text, *line, *save = NULL;
	size_t len;
	if (fd_slurp(AT_FDCWD, path, (size_t)1 << 28, &text, &len) < 0) {
		inv_unseen(inv, inv_fmt(inv, "System V objects: %s: %s", path, strerror(errno)));
		return;
	}
	line = strtok_r(text, "\n", &save);
	while (line != NULL && (line = strtok_r(NULL, "\n", &save)) != NULL) {
		int64_t f[FIELDS] = {0};
		int n = 0;
		for (char *p = line, *end; n < nfields; p = end, n++) {
			/* the modes are octal */
			f[n] = strtoll(p, &end, n == 2 ? 8 : 10);
			if (end == p)
				break;
		}
		if (n == nfields)
			fn(inv, f);
	}
	fd_slurp_free(text);
}

void inv_read_sysv(struct inv *inv)
{
	if (inv_wants(inv, INV_SHM))
		each(inv, "/proc/sysvipc/shm", 14, one_shm);
	if (inv_wants(inv, INV_MQ))
		each(inv, "/proc/sysvipc/msg", 14, one_msg);
	if (inv_wants(inv, INV_SEM))
		each(inv, "/proc/sysvipc/sem", 10, one_sem);
}
