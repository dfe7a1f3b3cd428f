/* main.c: the process host. It finds the applet by argv[0], lends it stdin, stdout, stderr and the
 * stop signals, unwinds what it registered, and is the only place that exits.
 *
 * What surprises: SIGPIPE is ignored while a verb runs, so that EPIPE is an ordinary error and what
 * is to be cleaned up is. When it was stdout that lost its reader we then die of SIGPIPE after all, as
 * any filter does. A verb that ends with a CMD that was killed says so by its status, and we die of
 * the same signal. HUP, INT and TERM keep their default action except for VERB_GRACEFUL verbs, which
 * clean up first; then we die of it.
 */
#define _GNU_SOURCE
#include "lib/args.h"
#include "lib/call.h"
#include "lib/fd.h"
#include "lib/object.h"
#include "lib/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IPCBOX_VERSION
#define IPCBOX_VERSION "0.1"
#endif

static volatile sig_atomic_t stop_signal;
static const timer_t *volatile rouse_timer;

/* A signal that comes just before a system call that blocks would be seen only after it: the timer
 * then interrupts the call. timer_settime(2) is async-signal-safe. */
static void on_stop(int sig)
{
	static const struct itimerspec soon = {
		.it_value = {0, 5000000}, .it_interval = {0, 5000000}};
	int saved = errno;
	stop_signal = sig;
	if (rouse_timer != NULL)
		timer_settime(*rouse_timer, 0, &soon, NULL);
	errno = saved;
}

static void rouse(void *arg, const timer_t *timer)
{
	(void)arg;
	rouse_timer = timer;
}

static int stopped(void *arg)
{
	(void)arg;
	return stop_signal;
}

/* Catch the stop signals, except those that were ignored when we started (nohup), and block them
 * outside of waits. */
static void catch_stop(struct call *call, sigset_t *mask)
{
	static const int sigs[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction old, act = {.sa_handler = on_stop};
	sigset_t block;
	sigemptyset(&block);
	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++) {
		if (sigaction(sigs[i], NULL, &old) < 0 || old.sa_handler == SIG_IGN)
			continue;
		sigaction(sigs[i], &act, NULL);
		sigaddset(&block, sigs[i]);
	}
	sigprocmask(SIG_BLOCK, &block, mask);
	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
		sigdelset(mask, sigs[i]);
	call->stop = (struct stop){.signal = stopped, .mask = mask, .rouse = rouse};
}

/* Die of SIG, as CMD did, so that whoever waits for us sees it: a shell that got the same ^C stops its
 * script then. CMD has left a core when one was wanted; ours would say nothing. Returns when SIG
 * cannot kill us, as in the first process of a pid namespace. */
static void die_of(int sig)
{
	struct rlimit none = {0};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	(void)setrlimit(RLIMIT_CORE, &none);
	/* A core that is piped to a program has no limit. */
	(void)prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
	(void)sigaction(sig, &dfl, NULL);
	(void)kill(getpid(), sig);
	(void)sig_change(SIG_UNBLOCK, SIG_BIT(sig), NULL);
}

/* The exit status for what the call returned, unless we are to die of a signal. */
static int end(int status, const struct sigaction *sigpipe)
{
	if (status >= ST_DEATH) {
		die_of(status - ST_DEATH);
		return status - ST_DEATH + ST_SIGNAL;
	}
	/* It cleaned up first; whoever waits for us sees what it would have seen without that. */
	if (stop_signal != 0 && status == ST_SIGNAL + stop_signal)
		die_of(stop_signal);
	if (status == ST_SIGPIPE && sigpipe->sa_handler != SIG_IGN)
		die_of(SIGPIPE);
	return status;
}

/* Run the verb that ARGV names behind the applet's name. */
static int run(struct call *call, char *const *argv, sigset_t *mask)
{
	int status = call->verb != NULL ? -1 : args_choose(call, &argv);
	if (status < 0)
		status = args_parse(call, argv);
	if (status < 0) {
		if ((call->verb->flags & VERB_GRACEFUL) != 0)
			catch_stop(call, mask);
		status = call->verb->run(call);
	}
	int flushed = call_flush(call);
	return flushed != 0 && (status == ST_OK || status == ST_NO) ? flushed : status;
}

/* "ipcbox help APPLET [VERB]" */
static int help(struct call *call, char *const *argv)
{
	bool alias;
	if (argv[0] == NULL) {
		help_box(&call->out);
		return ST_OK;
	}
	const struct applet *applet = args_applet(argv[0], &alias);
	if (applet == NULL)
		return call_fail(
			call, ST_USAGE, 0, "%s: no such applet; see ipcbox --list", argv[0]);
	const struct verb *verb = argv[1] != NULL ? args_verb(applet, argv[1]) : NULL;
	if (argv[1] != NULL && verb == NULL)
		return call_fail(
			call, ST_USAGE, 0, "%s: %s has no such verb", argv[1], applet->name);
	if (verb != NULL)
		help_verb(&call->out, applet, verb);
	else
		help_applet(&call->out, applet);
	return ST_OK;
}

/* Make DIR/NAME a link to us, replacing an older link but never another thing. */
static int install_link(struct call *call, int dirfd, const char *dir, const char *self,
	const char *name, bool symbolic)
{
	struct stat st, us;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		bool ours =
			stat(self, &us) == 0 && us.st_dev == st.st_dev && us.st_ino == st.st_ino;
		if (!ours && !S_ISLNK(st.st_mode))
			return call_fail(call, ST_EXISTS, 0,
				"%s/%s exists and is not a link of ours", dir, name);
		if (unlinkat(dirfd, name, 0) < 0)
			return call_error(call, errno, "replace %s/%s", dir, name);
	}
	int r = symbolic ? symlinkat(self, dirfd, name) : linkat(AT_FDCWD, self, dirfd, name, 0);
	if (r < 0 && errno == EXDEV)
		return call_fail(call, ST_EXISTS, 0,
			"%s is on another file system than %s; use --install -s", dir, self);
	if (r < 0)
		return call_error(call, errno, "link %s/%s to %s", dir, name, self);
	return ST_OK;
}

/* The box itself, for `ipcbox --bash` and the like. It may be what we run from: a link to itself would lose it. */
static int install_box(
	struct call *call, int dirfd, const char *dir, const char *self, bool symbolic)
{
	struct stat st, us;
	if (fstatat(dirfd, "ipcbox", &st, AT_SYMLINK_NOFOLLOW) == 0 && stat(self, &us) == 0 &&
		st.st_dev == us.st_dev && st.st_ino == us.st_ino)
		return ST_OK;
	return install_link(call, dirfd, dir, self, "ipcbox", symbolic);
}

static int install(struct call *call, char *const *argv)
{
	char self[4096];
	bool symbolic = argv[0] != NULL && strcmp(argv[0], "-s") == 0;
	const char *dir = argv[symbolic ? 1 : 0];
	if (dir == NULL || *dir == '-' || argv[symbolic ? 2 : 1] != NULL)
		return call_fail(call, ST_USAGE, 0, "--install [-s] DIR");
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || n == (ssize_t)sizeof self - 1)
		return call_error(call, n < 0 ? errno : ENAMETOOLONG, "read /proc/self/exe");
	self[n] = '\0';
	int dirfd = call_open(call, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	if (dirfd < 0)
		return call_error(call, errno, "open %s", dir);
	int status = ST_OK;
	for (size_t i = 0; status == ST_OK && applets[i] != NULL; i++)
		status = install_link(call, dirfd, dir, self, applets[i]->name, symbolic);
	return status != ST_OK ? status : install_box(call, dirfd, dir, self, symbolic);
}

static int print_object(void *out, const char *name, const char *kind)
{
	(void)kind;
	out_fmt(out, "%s\n", name);
	return 0;
}

/* FILE, absolute, below the directory that we are in, when it can be read. */
static char *near_us(struct call *call, const char *self, const char *file)
{
	const char *slash = strrchr(self, '/');
	char *path = call_fmt(call, "%.*s/%s", (int)(slash - self), self, file);
	return path != NULL && access(path, R_OK) == 0 ? path : NULL;
}

/* S as one word of a shell. */
static void quoted(struct out *out, const char *s)
{
	out_char(out, '\'');
	for (; *s != '\0'; s++)
		if (*s == '\'')
			out_str(out, "'\\''");
		else
			out_char(out, *s);
	out_char(out, '\'');
}

/* The line that loads all applets into a bash. Once more does nothing: bash warns of each builtin that is loaded
 * again. */
static int print_bash(struct call *call)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || n == (ssize_t)sizeof self - 1)
		return call_error(call, n < 0 ? errno : ENAMETOOLONG, "read /proc/self/exe");
	self[n] = '\0';
	const char *path = near_us(call, self, "ipcbox.so");
	if (path == NULL)
		path = near_us(call, self, "../lib/bash/ipcbox.so");
	if (path == NULL) {
		/* The status of $(...) is lost in eval "$(...)": an empty line would be a success. */
		out_str(&call->out, "false\n");
		return call_fail(call, ST_NOOBJ, 0,
			"there is no ipcbox.so beside %s, nor in ../lib/bash: `make builtins` makes it "
			"where bash's headers are",
			self);
	}
	out_fmt(&call->out, "[[ $(type -t %s) == builtin ]] || enable -f ", applets[0]->name);
	quoted(&call->out, path);
	for (size_t i = 0; applets[i] != NULL; i++)
		out_fmt(&call->out, " %s", applets[i]->name);
	out_char(&call->out, '\n');
	return ST_OK;
}

/* The words that only the box itself knows. -1 when WORD is none of them. */
static int box(struct call *call, char *const *argv)
{
	const char *word = argv[0];
	if (word == NULL) {
		help_box(&call->out);
		return call_fail(call, ST_USAGE, 0, "an applet is missing");
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return help(call, argv + 1);
	if (strcmp(word, "--version") == 0) {
		out_str(&call->out, "ipcbox " IPCBOX_VERSION "\n");
		return ST_OK;
	}
	if (strcmp(word, "--list") == 0) {
		for (size_t i = 0; applets[i] != NULL; i++)
			out_fmt(&call->out, "%s\n", applets[i]->name);
		return ST_OK;
	}
	if (strcmp(word, "--spec") == 0) {
		spec_dump(&call->out);
		return ST_OK;
	}
	if (strcmp(word, "--bash") == 0)
		return print_bash(call);
	if (strcmp(word, "--objects") == 0) /* for the completions: names of live objects */
		return object_each(argv[1], print_object, &call->out) < 0
			? call_error(call, errno, "list objects")
			: ST_OK;
	return strcmp(word, "--install") == 0 ? install(call, argv + 1) : -1;
}

static int host(struct call *call, char *const *argv, sigset_t *mask)
{
	bool alias = false;
	const char *self = *argv != NULL ? *argv : "ipcbox";
	argv += *argv != NULL;
	call->applet = args_applet(self, &alias);
	if (call->applet == NULL) {
		int status = box(call, argv);
		if (status >= 0) {
			int flushed = call_flush(call);
			return status == ST_OK ? flushed : status;
		}
		self = *argv++;
		call->applet = args_applet(self, &alias);
		if (call->applet == NULL)
			return call_fail(
				call, ST_USAGE, 0, "%s: no such applet; see ipcbox --list", self);
	}
	call->alias = alias;
	if (alias)
		call->verb = call->applet->fallback;
	return run(call, argv, mask);
}

/* What most short verbs need: malloc(3) would cost them five system calls and three pages. */
#define NEAR 1024

int main(int argc, char **argv)
{
	struct call call;
	struct sigaction old;
	sigset_t mask;
	_Alignas(max_align_t) char near[NEAR];
	(void)argc;
	/* The output buffer is left as it is: a page that is not written to costs nothing. */
	memset(&call, 0, offsetof(struct call, undo));
	call.out.fd = 1;
	call.out.err = 0;
	call.out.len = 0;
	call.err = 2;
	call.ends = true;
	call.near = near;
	call.nnear = sizeof near;
	if (getauxval(AT_SECURE) != 0) /* set-user-ID: $IPC_DIR and argv are not ours to trust */
		return call_fail(&call, ST_PERM, 0, "refuses to run set-user-ID or set-group-ID");
	if (fd_fill_std() < 0)
		return ST_IO;
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &old);
	int status = host(&call, argv, &mask);
	call_unwind(&call, 0);
	return end(status, &old);
}
