/* applets/ipc-sem/sysv.c: System V semaphores, sysvipc(7). Making one and giving it its value are two
 * steps; ours is the maker's first semop(2), which sets sem_otime, by which others see it. */
#define _GNU_SOURCE
#include "sem.h"

#include "sysv.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

/* EINVAL: it was gone before we began. */
static int gone(int errnum)
{
	return errnum == EINVAL ? EIDRM : errnum;
}

static int sysv_make(struct sem *s, key_t key, unsigned mode, unsigned value)
{
	s->id = semget(key, s->index + 1, IPC_CREAT | IPC_EXCL | (int)(mode & 0777));
	if (s->id < 0)
		return -1;
	/* A semop by 0 passes at once, and sets sem_otime as well. */
	struct sembuf op = {.sem_num = s->index, .sem_op = (short)value};
	int r;
	do
		r = semop(s->id, &op, 1);
	while (r < 0 && errno == EINTR);
	if (r == 0 || errno == EACCES)
		return 0;
	int e = errno;
	semctl(s->id, 0, IPC_RMID);
	errno = e;
	return -1;
}

static int check_index(struct sem *s)
{
	struct semid_ds ds = {0};
	union semun un = {.buf = &ds};
	if (semctl(s->id, 0, IPC_STAT, un) < 0)
		return errno == EACCES ? 0 : call_error(s->call, gone(errno), "open %s", s->text);
	if (s->index >= ds.sem_nsems)
		return call_fail(s->call, ST_NOOBJ, 0, "%s: --index %u: the set has %lu semaphores",
			s->text, s->index, (unsigned long)ds.sem_nsems);
	return 0;
}

int sysv_open(struct sem *s, unsigned flags, unsigned value, bool *made)
{
	struct call *call = s->call;
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0600;
	key_t key;
	*made = false;
	s->index = (unsigned short)call->opt[OPT_INDEX].num;
	if (s->obj.sysv == SYSV_ID) {
		if ((flags & SEM_EXCL) != 0)
			return call_fail(call, ST_USAGE, 0,
				"%s: the kernel chooses ids; give a key", s->text);
		s->id = s->obj.key;
		return check_index(s);
	}
	if (value > INT16_MAX)
		return call_fail(call, ST_LIMIT, 0,
			"%s: a System V semaphore goes up to 32767 (semvmx)", s->text);
	if (sysv_key(&s->obj, &key) < 0)
		return call_error(call, errno, "%s: make the key", s->text);
	for (;;) {
		if ((flags & SEM_EXCL) == 0 && key != IPC_PRIVATE) {
			s->id = semget(key, 0, 0);
			if (s->id >= 0)
				return check_index(s);
			if (errno != ENOENT || (flags & SEM_CREATE) == 0)
				return call_error(call, errno, "open %s", s->text);
		}
		if (sysv_make(s, key, mode, value) == 0) {
			*made = true;
			return 0;
		}
		if (errno != EEXIST || (flags & SEM_EXCL) != 0)
			return errno == ENOSPC
				? call_fail(call, ST_LIMIT, errno,
					  "create %s: too many sets or semaphores (kernel.sem; "
					  "ipcs -s lists them)",
					  s->text)
				: call_error(call, errno, "create %s", s->text);
	}
}

void sysv_settle(struct sem *s)
{
	struct semid_ds ds = {0};
	union semun un = {.buf = &ds};
	/* Between semget(2) and the first semop(2) or SETVAL a maker needs no second. */
	while (semctl(s->id, 0, IPC_STAT, un) == 0 && ds.sem_otime == 0 &&
		time(NULL) <= ds.sem_ctime + 1 && semctl(s->id, s->index, GETVAL) == 0)
		if (wait_poll(NULL, 0, wait_until(5 * NS_PER_MS), &s->call->stop) < 0 &&
			errno != ETIMEDOUT)
			return;
}

int sysv_op(struct sem *s, int op, bool undo, int64_t deadline)
{
	struct sembuf b = {.sem_num = s->index, .sem_op = (short)op};
	struct timespec ts;
	if (undo)
		b.sem_flg |= SEM_UNDO;
	if (deadline == DEADLINE_NOW)
		b.sem_flg |= IPC_NOWAIT;
	for (;;) {
		struct timespec *left = deadline == DEADLINE_NOW ? NULL : wait_left(deadline, &ts);
		if (semtimedop(s->id, &b, 1, left) == 0)
			return 0;
		if (errno == EAGAIN)
			errno = wait_expired(deadline);
		errno = gone(errno);
		if (errno != EINTR || wait_stopped(&s->call->stop) != 0)
			return -1;
	}
}

int sysv_value(struct sem *s)
{
	int r = semctl(s->id, s->index, GETVAL);
	errno = gone(errno);
	return r;
}

int sysv_set(struct sem *s, unsigned n)
{
	union semun un = {.val = (int)n};
	int r = semctl(s->id, s->index, SETVAL, un);
	errno = gone(errno);
	return r;
}

int sysv_remove(struct sem *s)
{
	int r = semctl(s->id, 0, IPC_RMID);
	errno = gone(errno);
	return r;
}

int sysv_each(int (*fn)(void *arg, int id), void *arg)
{
	struct seminfo info;
	struct semid_ds ds = {0};
	union semun un = {.info = &info}, at = {.buf = &ds};
	int top = semctl(0, 0, SEM_INFO, un);
	for (int i = 0; i <= top; i++) {
		int id = semctl(i, 0, SEM_STAT_ANY, at);
		if (id >= 0 && fn(arg, id) != 0)
			break;
	}
	return top < 0 ? -1 : 0;
}
