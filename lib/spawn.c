/* lib/spawn.c: see spawn.h. Between vfork and exec the child shares our memory: it only makes
 * system calls, and writes nothing but its own stack frame and *child. */
#define _GNU_SOURCE
#include "spawn.h"

#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What the child needs, all prepared before the fork. */
struct child {
	const struct spawn *s;
	char **envp;
	char **sh_argv; /* {"/bin/sh", path, args...} for scripts without #! */
	char *path;     /* room for DIR/NAME */
	int moved[SPAWN_MAX_FDS];
	pid_t parent;
	volatile int err, execed;
};

static size_t count(const char *const *list)
{
	size_t n = 0;
	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");
	return strncmp(a, b, len) == 0 && (b[len] == '=' || b[len] == '\0');
}

/* environ with the changes of S; allocated, its strings are not. */
static char **make_env(const struct spawn *s)
{
	size_t have = count((const char *const *)environ), add = count(s->env), n = 0;
	char **envp = malloc((have + add + 1) * sizeof *envp);
	if (envp == NULL)
		return NULL;
	for (size_t i = 0; i < have; i++) {
		bool changed = false;
		for (size_t k = 0; k < add && !changed; k++)
			changed = same_name(s->env[k], environ[i]);
		if (!changed)
			envp[n++] = environ[i];
	}
	for (size_t k = 0; k < add; k++)
		if (strchr(s->env[k], '=') != NULL)
			envp[n++] = (char *)(uintptr_t)s->env[k];
	envp[n] = NULL;
	return envp;
}

static int prepare(struct child *c, const struct spawn *s)
{
	size_t argc = count((const char *const *)s->argv);
	const char *path = getenv("PATH");
	*c = (struct child){.s = s};
	if (s->nfds > SPAWN_MAX_FDS)
		return EINVAL;
	c->parent = getpid();
	c->envp = s->env != NULL ? make_env(s) : environ;
	c->sh_argv = malloc((argc + 2) * sizeof *c->sh_argv);
	c->path = malloc((path != NULL ? strlen(path) : 16) + strlen(s->argv[0]) + 16);
	return c->envp == NULL || c->sh_argv == NULL || c->path == NULL ? ENOMEM : 0;
}

static void finish(struct child *c)
{
	if (c->envp != environ)
		free(c->envp);
	free(c->sh_argv);
	free(c->path);
}

static void try_exec(struct child *c, char *file)
{
	execve(file, c->s->argv, c->envp);
	if (errno != ENOEXEC)
		return;
	size_t n = 2;
	c->sh_argv[0] = (char *)(uintptr_t) "/bin/sh";
	c->sh_argv[1] = file;
	for (size_t i = 1; c->s->argv[i] != NULL; i++)
		c->sh_argv[n++] = c->s->argv[i];
	c->sh_argv[n] = NULL;
	execve("/bin/sh", c->sh_argv, c->envp);
	errno = ENOEXEC;
}

/* execvp(3) with the errno rules of POSIX shells: EACCES is kept when a later directory has none, but
 * only for a file that is there; a directory that we may not search has not got it. */
static int search_exec(struct child *c)
{
	char *name = c->s->argv[0];
	const char *dirs = getenv("PATH");
	int err = ENOENT;
	if (*name == '\0')
		return ENOENT;
	if (strchr(name, '/') != NULL) {
		try_exec(c, name);
		return errno;
	}
	if (dirs == NULL)
		dirs = "/bin:/usr/bin";
	for (;; dirs++) {
		size_t len = strcspn(dirs, ":");
		memcpy(c->path, dirs, len);
		c->path[len] = '/';
		strcpy(c->path + (len > 0 ? len + 1 : 0), name);
		try_exec(c, c->path);
		if (errno == EACCES)
			err = access(c->path, F_OK) == 0 ? EACCES : err;
		else if (errno != ENOENT && errno != ENOTDIR)
			return errno;
		dirs += len;
		if (*dirs == '\0')
			return err;
	}
}

/* Two passes, so that no target overwrites a source that is still to come. */
static int move_fds(struct child *c)
{
	const struct spawn *s = c->s;
	int top = 2;
	for (size_t i = 0; i < s->nfds; i++)
		top = s->fds[i].to > top ? s->fds[i].to : top;
	for (size_t i = 0; i < s->nfds; i++) {
		c->moved[i] = s->fds[i].from;
		if (c->moved[i] >= 0 &&
			(c->moved[i] = fcntl(c->moved[i], F_DUPFD_CLOEXEC, top + 1)) < 0)
			return errno;
	}
	for (size_t i = 0; i < s->nfds; i++) {
		if (c->moved[i] < 0)
			close(s->fds[i].to);
		else if (dup2(c->moved[i], s->fds[i].to) < 0)
			return errno;
	}
	return 0;
}

/* exec resets caught signals, but one that is pending must not run our handler in the memory that
 * we share: those a host may have caught go back to their default before the mask opens. */
static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGURG,
	SIGCHLD, SIGWINCH, SIGCONT, SIGPIPE};
#define NCAUGHT (sizeof caught / sizeof *caught)

static void reset_signals(void)
{
	struct sigaction act, dfl = {.sa_handler = SIG_DFL};
	sigset_t none;
	for (size_t i = 0; i < NCAUGHT; i++)
		if (sigaction(caught[i], NULL, &act) == 0 && act.sa_handler != SIG_DFL &&
			(act.sa_handler != SIG_IGN || caught[i] == SIGPIPE))
			sigaction(caught[i], &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The part that the child does before exec; 0 or an errno. */
static int become(struct child *c)
{
	if ((c->s->flags & SPAWN_DIE) != 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != c->parent)
			raise(SIGKILL);
	}
	if ((c->s->flags & SPAWN_SESSION) != 0 && setsid() < 0)
		return errno;
	if ((c->s->flags & SPAWN_GROUP) != 0 && setpgid(0, 0) < 0)
		return errno;
	int err = move_fds(c);
	if (err == 0)
		reset_signals();
	return err;
}

/* A function of its own, so that nothing of spawn() lives in the frame that both run in. */
static __attribute__((noinline)) pid_t fork_child(struct child *c)
{
	pid_t pid = vfork();
	if (pid != 0)
		return pid;
	c->err = c->s->hook != NULL ? c->s->hook(c->s->hook_arg) : 0;
	if (c->err == 0)
		c->err = become(c);
	if (c->err == 0) {
		c->execed = 1;
		c->err = search_exec(c);
	}
	_exit(127);
}

int spawn(const struct spawn *s, pid_t *pid, int *execed)
{
	struct child c;
	sigset_t all, old;
	int err = prepare(&c, s);
	*execed = 0;
	*pid = -1;
	if (err == 0) {
		/* Until it has reset them, the child must not run our handlers. */
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, &old);
		*pid = fork_child(&c);
		err = *pid < 0 ? errno : c.err;
		*execed = c.execed;
		if (*pid > 0 && err != 0) {
			int st;
			while (waitpid(*pid, &st, 0) < 0 && errno == EINTR)
				;
		}
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	finish(&c);
	return err;
}

int spawn_exec(const struct spawn *s)
{
	struct child c;
	struct sigaction acts[NCAUGHT];
	sigset_t mask;
	int err = prepare(&c, s);
	/* When it fails we are still here, and as we were. */
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (size_t i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], NULL, &acts[i]);
	if (err == 0)
		err = become(&c);
	if (err == 0)
		err = search_exec(&c);
	for (size_t i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], &acts[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	finish(&c);
	return err;
}

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
	if (wait_hold(&w) < 0)
		return call_fail(call, ST_EARLY, errno, "block signals");
	int status = spawn_call(call, s, &pid);
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
