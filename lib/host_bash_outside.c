/* lib/host_bash_outside.c: verbs that start processes or serve, as processes of their own.
 *
 * The child is made and waited for by bash's own functions, as any command's is: so job control (^Z, fg), the
 * SIGCHLD trap, wait and the statuses of other children are bash's matter, and nothing of it can be stolen.
 */
#define _GNU_SOURCE
#include <config.h>

#include <sys/types.h>

#include <shell.h>

#include <builtins.h>

#include <common.h>

#include <jobs.h>

#include "host_bash.h"
#include "status.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void restore_original_signals(void);
extern void reset_terminating_signals(void);
extern void setup_async_signals(void);
extern int variable_context, evalnest, sourcenest;
extern char *find_user_command(const char *);

/* The program in the shared object's directory, or in bin beside its lib/bash. */
static char *beside(const char *below)
{
	Dl_info info;
	char *path;
	if (dladdr((void *)(uintptr_t)beside, &info) == 0 || info.dli_fname == NULL)
		return NULL;
	const char *slash = strrchr(info.dli_fname, '/');
	int n = slash != NULL
		? asprintf(&path, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, below)
		: asprintf(&path, "./%s", below);
	if (n < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

/* From malloc(3); NULL when there is none. */
static char *program(void)
{
	const char *given = get_string_value("IPCBOX");
	if (given != NULL && *given != '\0')
		return strdup(given);
	char *path = beside("ipcbox");
	if (path == NULL)
		path = beside("../../bin/ipcbox");
	return path != NULL ? path : find_user_command("ipcbox");
}

static char *line_of(char *const *argv)
{
	size_t len = 1;
	for (char *const *p = argv; *p != NULL; p++)
		len += strlen(*p) + 1;
	char *line = xmalloc(len), *to = line;
	for (char *const *p = argv; *p != NULL; p++)
		to += sprintf(to, "%s%s", p == argv ? "" : " ", *p);
	return line;
}

/* How deep in functions, eval and source the shell was when it forked. */
static struct depth {
	int context, eval, source;
} forked;

void outside_child(void)
{
	forked = (struct depth){variable_context, evalnest, sourcenest};
}

/* Then the program takes its place, as bash does with programs: $! is the program, and who kills it kills no
 * go-between. */
bool outside_alone(void)
{
	int how = subshell_environment;
	return (how & SUBSHELL_FORK) != 0 && (how & (SUBSHELL_ASYNC | SUBSHELL_PIPE)) != 0 &&
		(how & (SUBSHELL_PAREN | SUBSHELL_COMSUB | SUBSHELL_PROCSUB | SUBSHELL_COPROC)) ==
		0 &&
		forked.context == variable_context && forked.eval == evalnest &&
		forked.source == sourcenest;
}

static void become(const char *path, char *const *argv)
{
	reset_terminating_signals();
	restore_original_signals();
	if ((subshell_environment & SUBSHELL_ASYNC) != 0 && job_control == 0)
		setup_async_signals();
	execve(path, argv, export_env);
	int e = errno;
	dprintf(2, "%s: %s: %s\n", argv[0], path, strerror(e));
	_exit(e == ENOENT ? ST_NOCMD : ST_NOEXEC);
}

static int start(const char *path, char *const *argv)
{
	maybe_make_export_env();
	if (outside_alone())
		become(path, argv);
	/* Exits, or jumps away, when it cannot fork: as for any command. */
	pid_t pid = make_child(line_of(argv), 0);
	if (pid == 0)
		become(path, argv);
	stop_pipeline(0, NULL);
	return wait_for(pid, 0);
}

int outside(const char *applet, char *const *words)
{
	size_t n = 0;
	while (words[n] != NULL)
		n++;
	char *path = program();
	if (path == NULL || access(path, X_OK) != 0) {
		builtin_error(
			"no ipcbox beside the loaded object nor in PATH; set IPCBOX to its path");
		free(path);
		return ST_NOCMD;
	}
	char **argv = xmalloc((n + 2) * sizeof *argv);
	argv[0] = (char *)(uintptr_t)applet;
	memcpy(argv + 1, words, (n + 1) * sizeof *argv);
	int status = start(path, argv);
	free(argv);
	free(path);
	return status;
}
