/* applets/ipc-lock/run.c: run. */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

_Static_assert(LOCKS_MAX <= KEEPER_MAX, "one keeper keeps all");

struct taken {
	struct lock *locks;
	unsigned n;
	bool remove; /* the files, while they are still ours */
	bool leave;  /* the lock to whoever else has its descriptor */
};

static void give_back(void *arg)
{
	struct taken *t = arg;
	for (unsigned i = 0; i < t->n && t->remove; i++) {
		struct lock *l = &t->locks[i];
		if (l->held != 0 && l->obj.kind != OBJECT_FD)
			(void)object_unlink(l->at.dirfd, l->at.rel, &l->st,
				S_ISDIR(l->st.st_mode) ? AT_REMOVEDIR : 0);
	}
	for (unsigned i = t->n; i-- > 0;) {
		if (!t->leave)
			lock_release(&t->locks[i]);
		lock_close(&t->locks[i]);
	}
	t->n = 0;
}

static void undo_give_back(void *arg, intptr_t n)
{
	(void)n;
	give_back(arg);
}

int not_lockable(struct call *call, const struct lock *l, int errnum)
{
	const char *text = l->obj.text;
	if (errnum == EISDIR)
		return call_fail(call, ST_PERM, 0,
			"%s: is a directory: it has no fcntl locks; --family flock can lock it",
			text);
	return call_fail(call, ST_PERM, 0,
		l->shared ? "%s: a shared fcntl lock needs a file that may be read; "
			    "--family flock does not"
			  : "%s: not writable: an exclusive fcntl lock needs a file that may be "
			    "written; --family flock does not",
		text);
}

const char *busy_text(struct call *call, const struct lock *l, const char *step)
{
	if (call->std[STD_QUIET].count > 0)
		return "";
	return step[0] == 'o' ? "another process has a lease on it" : holders_text(call, l);
}

/* Say why L could not be taken. */
static int refused(struct call *call, struct lock *l, const char *step, int errnum)
{
	const char *text = l->obj.text;
	errnum = call_expired(call, errnum);
	if (errnum == EAGAIN || errnum == ETIMEDOUT) {
		const char *why = busy_text(call, l, step);
		return call_fail(call, errnum == EAGAIN ? ST_BUSY : ST_TIMEOUT, 0, "%s: %s%s %s",
			text, errnum == EAGAIN ? "busy" : "timed out",
			strncmp(why, "its ", 4) == 0 ? ";" : ":", why);
	}
	if (errnum == EDEADLK)
		return call_fail(call, ST_BUSY, errnum, "lock %s", text);
	if (l->obj.kind == OBJECT_FD && errnum == EBADF && !fd_is_open(l->obj.fd))
		return call_fail(call, ST_NOOBJ, 0,
			"%s: no such descriptor here (some shells keep theirs from commands); "
			"name the file instead: ipc-lock run FILE -- CMD",
			text);
	if (errnum == EBADF || errnum == EISDIR)
		return not_lockable(call, l, errnum);
	int status = step[0] == 'o' ? call_place_error(call, &l->obj, "lock", errnum) : -1;
	return status >= 0 ? status : call_error(call, errnum, "%s %s", step, text);
}

/* The words of the command line into T. -1, or a status. */
static int prepare(struct call *call, struct taken *t, enum family family)
{
	t->locks = call_alloc(call, call->nargs * sizeof *t->locks);
	if (t->locks == NULL)
		return call_error(call, ENOMEM, "lock");
	for (unsigned i = 0; i < call->nargs; i++) {
		struct lock *l = &t->locks[i];
		int status = lock_parse(call, call->args[i].str, l);
		if (status < 0 && call->opt[RUN_RANGE].count > 0)
			status = range_parse(call, call->opt[RUN_RANGE].str, l);
		if (status >= 0)
			return status;
		l->want = family_mask(family);
		l->shared = call->opt[RUN_SHARED].count > 0;
		l->named = call->opt[RUN_FAMILY].count > 0;
		l->exact = call->std[STD_MODE].count > 0;
		l->mode = (unsigned)call->std[STD_MODE].num;
	}
	return -1;
}

static const char *joined(struct call *call)
{
	const char *text = call->args[0].str;
	for (unsigned i = 1; i < call->nargs && text != NULL; i++)
		text = call_fmt(call, "%s %s", text, call->args[i].str);
	return text;
}

const char *const *make_env(struct call *call, int64_t token)
{
	const char **env = call_alloc(call, 3 * sizeof *env);
	const char *text = joined(call);
	if (env == NULL || text == NULL)
		return NULL;
	env[0] = call_fmt(call, "IPC_OBJECT=%s", text);
	env[1] = token == 0 ? "IPC_TOKEN" : call_fmt(call, "IPC_TOKEN=%lld", (long long)token);
	return env[0] != NULL && env[1] != NULL ? env : NULL;
}

static void hand_on(const struct taken *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->locks[i].fd >= 0)
			fcntl(t->locks[i].fd, F_SETFD, 0);
}

static int run_held(struct call *call, struct taken *t, bool posix)
{
	int fds[LOCKS_MAX];
	struct command cmd = {.locks = fds, .ended = give_back, .arg = t};
	bool exec = call->opt[RUN_EXEC].count > 0;
	cmd.tree = call->opt[RUN_TREE].count > 0;
	t->leave = call->opt[RUN_SHARE_FD].count > 0;
	cmd.spawn.argv = call->command;
	cmd.spawn.env =
		make_env(call, call->opt[RUN_RANGE].count > 0 ? 0 : token_take(t->locks, t->n));
	if (cmd.spawn.env == NULL)
		return call_error(call, ENOMEM, "lock");
	if (exec || cmd.tree || t->leave) {
		hand_on(t);
	} else if (!posix) {
		for (unsigned i = 0; i < t->n; i++)
			if (t->locks[i].fd >= 0)
				fds[cmd.nlocks++] = t->locks[i].fd;
	}
	return exec ? command_exec(call, &cmd) : command_run(call, &cmd);
}

static int bad_options(struct call *call, enum family family)
{
	if (call->nargs > LOCKS_MAX)
		return call_fail(
			call, ST_USAGE, 0, "%u objects: at most %d", call->nargs, LOCKS_MAX);
	if (call->opt[RUN_EXEC].count > 0 && call->opt[RUN_REMOVE].count > 0)
		return call_fail(call, ST_USAGE, 0, "--exec leaves nobody to --remove the file");
	if (family == FAMILY_POSIX && call->opt[RUN_SHARE_FD].count > 0)
		return call_fail(call, ST_USAGE, 0, "a POSIX lock is not shared by descriptor");
	if (family == FAMILY_FLOCK && call->opt[RUN_RANGE].count > 0)
		return call_fail(call, ST_USAGE, 0, "flock has no ranges");
	if (family != FAMILY_DOTLOCK)
		return -1;
	if (call->opt[RUN_SHARED].count > 0 || call->opt[RUN_RANGE].count > 0 ||
		call->opt[RUN_SHARE_FD].count > 0)
		return call_fail(
			call, ST_USAGE, 0, "a lock file has no --shared, --range or --share-fd");
	return -1;
}

static int take_all(struct call *call, struct taken *t, struct lock **failed, const char **step)
{
	int64_t deadline = call_deadline(call);
	if (call_says_waits(call)) {
		if (lock_take_all(t->locks, call->nargs, DEADLINE_NOW, &call->stop, failed, step) ==
			0)
			return 0;
		if (errno != EAGAIN)
			return -1;
		call_waits(call, "waiting for %s: %s", (*failed)->obj.text,
			busy_text(call, *failed, *step));
	}
	return lock_take_all(t->locks, call->nargs, deadline, &call->stop, failed, step);
}

int ipc_lock_run(struct call *call)
{
	enum family family = (enum family)call->opt[RUN_FAMILY].num;
	struct taken *t = call_alloc(call, sizeof *t);
	const char *step = "lock";
	struct lock *failed = NULL;
	int status = bad_options(call, family);
	if (status < 0 && family == FAMILY_DOTLOCK)
		return run_dotlock(call);
	if (status >= 0)
		return status;
	if (t == NULL)
		return call_error(call, ENOMEM, "lock");
	status = prepare(call, t, family);
	if (status >= 0)
		return status;
	if (take_all(call, t, &failed, &step) < 0)
		return refused(call, failed, step, errno);
	t->remove = call->opt[RUN_REMOVE].count > 0;
	t->n = call->nargs;
	call_undo(call, undo_give_back, t, 0);
	for (unsigned i = 0; i < t->n; i++)
		call_place_old(call, &t->locks[i].obj, "lock", t->locks[i].at.old);
	for (unsigned i = 0; i < t->n; i++)
		if (family == FAMILY_BOTH && !t->locks[i].twin &&
			t->locks[i].held != (LOCK_OFD | LOCK_FLOCK))
			call_note(call, 1, "%s: only the %s lock is taken", t->locks[i].obj.text,
				t->locks[i].held == LOCK_FLOCK ? "flock(2)" : "fcntl(2)");
	return run_held(call, t, family == FAMILY_POSIX);
}
