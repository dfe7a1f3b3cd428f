/* lib/host_bash.c: the bash host. Built only into ipcbox.so, which a bash loads with
 *
 *	enable -f build/ipcbox.so ipc-event ipc-lock ...
 *
 * Verbs that carry VERB_INPROC then run inside the shell: no fork, no exec. All others, and those that were
 * given a CMD, run as the external ipcbox: the one that $IPCBOX names, else the one beside the object, else the
 * one in ../../bin, as for PREFIX/lib/bash/ipcbox.so.
 *
 * What surprises: bash finds a builtin by the symbol NAME_struct, and "ipc-lock_struct" is no C identifier;
 * the assembler takes it in quotes. Bash's SIGCHLD handler reaps every child, so SIGCHLD is blocked from the
 * fork of an external one until it has been waited for. Nothing may be left behind that points into this
 * object, since `enable -d` unmaps it: the contract (no atexit, threads, handlers) sees to that.
 * Licence: bash's headers are GPLv3+, and so is what is built with them. It is no part of ipcbox itself.
 */
#define _GNU_SOURCE
#include <config.h>

#include <sys/types.h>

#include <shell.h>

#include <builtins.h>

#include <common.h>

#include "args.h"
#include "call.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern volatile sig_atomic_t terminating_signal;
extern void restore_original_signals(void);

/* A verb that waits is interrupted by what would interrupt a builtin: bash's handlers have run, and left
 * their word, when a system call returns EINTR. */
static int stopped(void *arg)
{
	(void)arg;
	if (terminating_signal != 0)
		return terminating_signal;
	return interrupt_state != 0 ? SIGINT : 0;
}

static char **words(const char *name, WORD_LIST *list)
{
	size_t n = 0;
	for (WORD_LIST *l = list; l != NULL; l = l->next)
		n++;
	char **argv = malloc((n + 2) * sizeof *argv);
	if (argv == NULL)
		return NULL;
	argv[0] = (char *)(uintptr_t)name;
	n = 1;
	for (; list != NULL; list = list->next)
		argv[n++] = list->word->word;
	argv[n] = NULL;
	return argv;
}

/* The external program into BUF; NULL when there is none. */
static const char *external_path(char *buf, size_t size)
{
	const char *path = get_string_value("IPCBOX");
	if (path != NULL && *path != '\0')
		return path;
	Dl_info info;
	if (dladdr((void *)(uintptr_t)external_path, &info) == 0)
		return NULL;
	const char *slash = strrchr(info.dli_fname, '/');
	const char *dir = slash != NULL ? info.dli_fname : ".";
	int len = slash != NULL ? (int)(slash - info.dli_fname) : 1;
	static const char *const places[] = {"ipcbox", "../../bin/ipcbox"};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int n = snprintf(buf, size, "%.*s/%s", len, dir, places[i]);
		if (n > 0 && (size_t)n < size && access(buf, X_OK) == 0)
			return buf;
	}
	return NULL;
}

static int external(char **argv)
{
	char buf[4096];
	sigset_t chld, old;
	int status = 0;
	const char *path = external_path(buf, sizeof buf);
	if (path == NULL || access(path, X_OK) != 0) {
		builtin_error(
			"no ipcbox beside the loaded object, nor in ../../bin; set IPCBOX to its path");
		return ST_NOCMD;
	}
	maybe_make_export_env();
	fflush(stdout);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	pid_t pid = fork();
	if (pid == 0) {
		restore_original_signals();
		sigprocmask(SIG_SETMASK, &old, NULL);
		execve(path, argv, export_env);
		_exit(errno == ENOENT ? ST_NOCMD : ST_NOEXEC);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0) {
		builtin_error("fork: %s", strerror(errno));
		return ST_EARLY;
	}
	return wait_status(status);
}

/* -1 when the verb is not one for this process. */
static int in_process(struct call *call, char *const *argv)
{
	bool alias;
	call->applet = args_applet(argv[0], &alias);
	if (call->applet == NULL)
		return -1;
	argv++;
	int status = args_choose(call, &argv);
	if (status < 0 && (call->verb->flags & VERB_INPROC) == 0)
		return -1;
	if (status < 0)
		status = args_parse(call, argv);
	if (status < 0 && call->command != NULL)
		return -1;
	if (status < 0)
		status = call->verb->run(call);
	int flushed = call_flush(call);
	return flushed != 0 && (status == ST_OK || status == ST_NO) ? flushed : status;
}

static int run_as(const char *name, WORD_LIST *list)
{
	struct call call;
	struct sigaction old, ignore = {.sa_handler = SIG_IGN};
	char **argv = words(name, list);
	if (argv == NULL)
		return ST_LIMIT;
	memset(&call, 0, offsetof(struct call, out) + offsetof(struct out, buf));
	call.out.fd = 1;
	call.err = 2;
	call.stop.signal = stopped;
	fflush(stdout);
	sigaction(SIGPIPE, &ignore, &old);
	int status = in_process(&call, argv);
	call_unwind(&call, 0);
	sigaction(SIGPIPE, &old, NULL);
	if (status < 0)
		status = external(argv);
	free(argv);
	return status;
}

static char *const long_doc[] = {
	"Inter-process communication: see ipcbox(1), and --help of each applet and verb.", NULL};

/* GNU as wants such a name in quotes; clang puts them there itself. */
#ifdef __clang__
#define SYMBOL(text) text "_struct"
#else
#define SYMBOL(text) "\"" text "_struct\""
#endif

#define BUILTIN(text, id)                                                     \
	static int id##_builtin(WORD_LIST *list)                              \
	{                                                                     \
		return run_as(text, list);                                    \
	}                                                                     \
	extern struct builtin id##_struct __asm__(SYMBOL(text));              \
	__attribute__((visibility("default"))) struct builtin id##_struct = { \
		text, id##_builtin, BUILTIN_ENABLED, long_doc, text " [VERB] [ARG...]", 0};

/* One line BUILTIN("ipc-lock", ipc_lock) per applet, made from the files' names. */
#include "builtins.inc"
