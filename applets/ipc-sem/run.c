/* applets/ipc-sem/run.c: run a command while it holds slots. */
#include "sem.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>

static int take(struct sem *s, unsigned k)
{
	struct call *call = s->call;
	int64_t deadline = call_deadline(call);
	if (s->kind == SEM_POSIX)
		return psem_wait(&s->posix, k, deadline, &call->stop);
	if (s->kind == SEM_SYSV)
		return sysv_op(s, -(int)k, true, deadline);
	return slots_take(s, k, NULL, 0, deadline);
}

static void give(struct sem *s, unsigned k)
{
	int r = 0;
	if (s->kind == SEM_SLOTS)
		slots_give(s);
	else if (s->kind == SEM_POSIX)
		r = psem_post(&s->posix, k);
	else
		r = sysv_op(s, (int)k, true, DEADLINE_NOW);
	if (r < 0)
		call_warn(s->call, errno, "%s: give back", s->text);
}

static const char *const *environment(struct sem *s, unsigned k)
{
	struct call *call = s->call;
	const char **env = call_alloc(call, 4 * sizeof *env);
	if (env == NULL)
		return NULL;
	env[0] = call_fmt(call, "IPC_OBJECT=%s", s->text);
	env[1] = s->kind == SEM_SLOTS ? call_fmt(call, "IPC_SLOT=%u", s->slot[0]) : "IPC_SLOT";
	env[2] = s->kind == SEM_SLOTS && k > 1 ? call_fmt(call, "IPC_SLOTS=%u", s->slot[0])
					       : "IPC_SLOTS";
	for (unsigned i = 1; i < k && s->kind == SEM_SLOTS && env[2] != NULL; i++)
		env[2] = call_fmt(call, "%s %u", env[2], s->slot[i]);
	return env[0] != NULL && env[1] != NULL && env[2] != NULL ? env : NULL;
}

struct use {
	struct sem *sem;
	unsigned k;
};

static void started(void *arg, pid_t keeper)
{
	struct use *u = arg;
	if (u->sem->kind == SEM_SLOTS)
		slots_kept(u->sem, keeper);
}

static void ended(void *arg)
{
	struct use *u = arg;
	give(u->sem, u->k);
}

/* CMD's life, from start to end. Slots stay with a keeper when we are killed; the others are not given
 * back (POSIX), or given back by the kernel while CMD runs, so that it goes with us (System V). */
static int command(struct sem *s, unsigned k)
{
	struct call *call = s->call;
	struct use use = {s, k};
	struct command cmd = {.spawn = {.argv = call->command, .env = environment(s, k)},
		.locks = &s->fd,
		.nlocks = s->kind == SEM_SLOTS,
		.started = started,
		.ended = ended,
		.arg = &use};
	if (cmd.spawn.env == NULL)
		return call_error(call, ENOMEM, "run %s", call->command[0]);
	if (s->kind == SEM_SYSV)
		cmd.spawn.flags |= SPAWN_DIE;
	return command_run(call, &cmd);
}

int sem_run(struct call *call)
{
	int status;
	bool made, jobs = call->opt[OPT_JOBS].count > 0;
	unsigned n = jobs ? (unsigned)call->opt[OPT_JOBS].num : 1;
	unsigned k = call->opt[OPT_TAKE].count > 0 ? (unsigned)call->opt[OPT_TAKE].num : 1;
	struct sem *s = sem_open_word(
		call, call->args[0].str, jobs ? SEM_CREATE : SEM_CREATE_SLOTS, n, &made, &status);
	if (s == NULL)
		return status;
	if (jobs && s->kind == SEM_SLOTS && s->n != n && slots_resize(s, n) < 0)
		return sem_waited(s, n, errno);
	if (s->kind == SEM_SYSV && call_deadline(call) == DEADLINE_NOW)
		sysv_settle(s);
	if (take(s, k) < 0)
		return sem_waited(s, k, errno);
	status = command(s, k);
	return status;
}
