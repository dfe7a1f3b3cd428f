/* lib/spawn.c: see spawn.h. Between vfork and exec the child shares our memory: it only makes
 * system calls, and writes nothing but its own stack frame and *child. */
#define _GNU_SOURCE
#include "spawn.h"

#include "apart.h"
#include "sig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What the child needs, all prepared before the fork. */
struct child {
	const struct spawn *s;
	char **envp;
	char **sh_argv; /* {"/bin/sh", path, args...} for scripts without #! */
	char *path;     /* room for DIR/NAME */
	int *from;      /* per entry of .fds: where its descriptor is now, PLACED when done */
	size_t *uses;   /* per descriptor up to .top: how many entries are still made from it */
	int top;        /* the highest .to */
	pid_t parent;
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
	while (*a == *b && *a != '=' && *a != '\0') {
		a++;
		b++;
	}
	return (*a == '=' || *a == '\0') && (*b == '=' || *b == '\0');
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

static int prepare_fds(struct child *c, const struct spawn *s)
{
	if (s->nfds == 0)
		return 0;
	for (size_t i = 0; i < s->nfds; i++)
		c->top = s->fds[i].to > c->top ? s->fds[i].to : c->top;
	c->from = malloc(s->nfds * sizeof *c->from);
	c->uses = calloc((size_t)c->top + 1, sizeof *c->uses);
	if (c->from == NULL || c->uses == NULL)
		return ENOMEM;
	for (size_t i = 0; i < s->nfds; i++) {
		c->from[i] = s->fds[i].from >= 0 ? s->fds[i].from : -1;
		if (c->from[i] >= 0 && c->from[i] <= c->top)
			c->uses[c->from[i]]++;
	}
	return 0;
}

static int prepare(struct child *c, const struct spawn *s)
{
	size_t argc = count((const char *const *)s->argv);
	const char *path = getenv("PATH");
	*c = (struct child){.s = s};
	c->parent = getpid();
	c->envp = s->env != NULL ? make_env(s) : environ;
	c->sh_argv = malloc((argc + 2) * sizeof *c->sh_argv);
	c->path = malloc((path != NULL ? strlen(path) : 16) + strlen(s->argv[0]) + 16);
	if (c->envp == NULL || c->sh_argv == NULL || c->path == NULL)
		return ENOMEM;
	return prepare_fds(c, s);
}

static void finish(struct child *c)
{
	if (c->envp != environ)
		free(c->envp);
	free(c->sh_argv);
	free(c->path);
	free(c->from);
	free(c->uses);
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

#define PLACED (-2)

/* Is the descriptor that entry I shall replace still needed for another one? */
static bool is_source(const struct child *c, size_t i)
{
	int to = c->s->fds[i].to;
	return c->uses[to] > (c->from[i] == to ? 1 : 0);
}

static int place(struct child *c, size_t i)
{
	int from = c->from[i], to = c->s->fds[i].to;
	c->from[i] = PLACED;
	if (from < 0) {
		close(to);
		return 0;
	}
	if (from <= c->top)
		c->uses[from]--;
	return (from == to ? fcntl(to, F_SETFD, 0) : dup2(from, to)) < 0 ? errno : 0;
}

/* Entries wait for each other in a ring: keep what the first one will replace elsewhere. */
static int break_ring(struct child *c)
{
	const struct spawn *s = c->s;
	size_t i = 0;
	while (c->from[i] == PLACED)
		i++;
	int to = s->fds[i].to, aside = fcntl(to, F_DUPFD_CLOEXEC, c->top + 1);
	if (aside < 0)
		return errno;
	for (size_t k = 0; k < s->nfds; k++)
		if (c->from[k] == to)
			c->from[k] = aside;
	c->uses[to] = 0;
	return 0;
}

/* Each goes to its place as soon as no other one has its source there. Walking up and down in turn
 * moves a row of neighbours in one pass, whichever way it goes. */
static int move_fds(struct child *c)
{
	size_t n = c->s->nfds, left = n;
	int err = 0;
	for (bool up = true; left > 0 && err == 0; up = !up) {
		size_t before = left;
		for (size_t k = 0; k < n && err == 0; k++) {
			size_t i = up ? k : n - 1 - k;
			if (c->from[i] == PLACED || is_source(c, i))
				continue;
			err = place(c, i);
			left--;
		}
		if (left == before)
			err = break_ring(c);
	}
	return err;
}

/* exec resets caught signals, but one that is pending must not run our handler in the memory that
 * we share: those a host may have caught go back to their default before the mask opens. */
static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGURG,
	SIGCHLD, SIGWINCH, SIGCONT, SIGPIPE};
#define NCAUGHT (sizeof caught / sizeof *caught)

static void default_actions(void)
{
	struct sigaction act, dfl = {.sa_handler = SIG_DFL};
	for (size_t i = 0; i < NCAUGHT; i++)
		if (sigaction(caught[i], NULL, &act) == 0 && act.sa_handler != SIG_DFL &&
			(act.sa_handler != SIG_IGN || caught[i] == SIGPIPE))
			sigaction(caught[i], &dfl, NULL);
}

static void reset_signals(void)
{
	default_actions();
	sig_change(SIG_SETMASK, 0, NULL);
}

/* What .flags say; 0 or an errno. */
static int settle(unsigned flags, pid_t group, pid_t parent)
{
	if ((flags & SPAWN_DIE) != 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0L, 0L, 0L);
		if (getppid() != parent)
			raise(SIGKILL);
	}
	if ((flags & SPAWN_SESSION) != 0 && setsid() < 0)
		return errno;
	bool moves = group != 0 || (flags & SPAWN_GROUP) != 0;
	return moves && setpgid(0, group) < 0 ? errno : 0;
}

/* The part that the child does before exec; 0 or an errno. */
static int become(struct child *c)
{
	int err = settle(c->s->flags, c->s->group, c->parent);
	if (err == 0)
		err = move_fds(c);
	if (err == 0)
		reset_signals();
	return err;
}

/* Added to an errno: execve(2) gave it. */
#define EXECED 0x10000

static int start(void *arg)
{
	struct child *c = arg;
	int err = c->s->hook != NULL ? c->s->hook(c->s->hook_arg) : 0;
	if (err == 0)
		err = become(c);
	return err != 0 ? err : search_exec(c) | EXECED;
}

void spawn_reap(pid_t pid)
{
	int st;
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
}

void spawn_kill(pid_t pid)
{
	if (kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	spawn_reap(pid);
}

int spawn(const struct spawn *s, pid_t *pid, int *execed)
{
	struct child c;
	uint64_t old;
	int err = prepare(&c, s);
	*execed = 0;
	*pid = -1;
	if (err == 0) {
		/* Until it has reset them, the child must not run our handlers. By system call: musl's
		 * function would give the mask back without RTMIN. */
		sig_change(SIG_BLOCK, SIG_ALL, &old);
		err = apart(start, &c, c.top, pid);
		if (err < 0)
			err = errno;
		*execed = (err & EXECED) != 0;
		err &= ~EXECED;
		if (*pid > 0 && err != 0)
			spawn_reap(*pid);
		sig_change(SIG_SETMASK, old, NULL);
	}
	finish(&c);
	return err;
}

int spawn_exec(const struct spawn *s, int *execed)
{
	struct child c;
	struct sigaction acts[NCAUGHT];
	uint64_t mask;
	int err = prepare(&c, s);
	/* When it fails we are still here, and as we were. */
	sig_change(SIG_BLOCK, 0, &mask);
	for (size_t i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], NULL, &acts[i]);
	if (err == 0)
		err = become(&c);
	*execed = err == 0;
	if (err == 0)
		err = search_exec(&c);
	for (size_t i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], &acts[i], NULL);
	sig_change(SIG_SETMASK, mask, NULL);
	finish(&c);
	return err;
}

int spawn_fork(int (*fn)(void *arg), void *arg, unsigned flags, pid_t *pid)
{
	uint64_t old;
	pid_t parent = getpid();
	/* Until it has reset them, the child must not run our handlers. */
	sig_change(SIG_BLOCK, SIG_ALL, &old);
	*pid = fork();
	if (*pid == 0) {
		default_actions();
		int bad = settle(flags, 0, parent);
		sig_change(SIG_SETMASK, old, NULL);
		_exit(bad != 0 ? 127 : fn(arg));
	}
	int err = *pid < 0 ? errno : 0;
	sig_change(SIG_SETMASK, old, NULL);
	return err;
}
