/* lib/host_bash.c: the bash host. Built only into ipcbox.so, which a bash loads with
 *
 *	enable -f build/ipcbox.so ipc-event ipc-lock ...	# ipcbox --bash prints the line
 *
 * Verbs that carry VERB_INPROC then run inside the shell: no fork, no exec. All others, and those that were
 * given a CMD, run as the external ipcbox (host_bash_outside.c). What a verb prints can be received into
 * a variable (host_bash_into.c). Objects stay open from call to call (host.h).
 *
 * What surprises: bash finds a builtin by the symbol NAME_struct, and "ipc-lock_struct" is no C identifier;
 * the assembler takes it in quotes. Nothing may be left behind that points into this object when `enable -d`
 * unmaps it: the contract (no atexit, threads, handlers) sees to that for the applets, the unload hook for
 * what is kept, and the C library itself for the handler of fork(2).
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
#include "hold.h"
#include "host_bash.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	struct host host;
	unsigned loaded; /* how many names */
	bool watching;   /* fork(2) */
} shell = {.host = {.trapped = shell_trapped, .masked = shell_masked}};

/* What the parent holds is the parent's: its descriptors are closed at once, so that no background subshell
 * keeps a lock. */
static void in_child(void)
{
	host_drop(&shell.host, true);
	hold_child(&shell.host);
	sink_close();
	outside_child();
}

/* The words behind the applet's name, with two places in front. */
struct words {
	char **argv;
	char *few[32];
};

static bool words_of(struct words *w, WORD_LIST *list)
{
	size_t n = 0, i = 0;
	for (WORD_LIST *l = list; l != NULL; l = l->next)
		n++;
	w->argv = n < 32 ? w->few : malloc((n + 1) * sizeof *w->argv);
	if (w->argv == NULL)
		return false;
	for (; list != NULL; list = list->next)
		w->argv[i++] = list->word->word;
	w->argv[i] = NULL;
	return true;
}

static void words_free(struct words *w)
{
	if (w->argv != w->few)
		free(w->argv);
}

static bool is_into(char *const *argv)
{
	return argv[0] != NULL && argv[0][0] == '-' && (argv[0][1] == 'v' || argv[0][1] == 'a') &&
		argv[0][2] == '\0' && argv[1] != NULL && into_name(argv[1]);
}

static struct into into_of(char *const *argv)
{
	return (struct into){.name = argv[1], .array = argv[0][1] == 'a'};
}

/* `ipc-x -v VAR VERB ...`. Where the first word need not be a verb, as for ipc-lock, test and stat might be
 * commands to run. */
static bool into_before(const struct applet *applet, char *const **argv, struct into *into)
{
	if (!is_into(*argv) || (*argv)[2] == NULL)
		return false;
	const struct verb *verb = args_verb(applet, (*argv)[2]);
	if (verb == NULL || (applet->fallback != NULL && (verb->flags & VERB_SILENT) == 0))
		return false;
	*into = into_of(*argv);
	*argv += 2;
	return true;
}

/* The output buffer is left as it is. */
static void clear(struct call *call, const struct applet *applet)
{
	memset(call, 0, offsetof(struct call, out) + offsetof(struct out, buf));
	call->applet = applet;
	call->err = 2;
	call->out.fd = 1;
	call->stop.signal = shell_stopped;
	call->host = &shell.host;
	call->ends = outside_alone();
}

static void fresh(struct call *call)
{
	const struct verb *verb = call->verb;
	call_unwind(call, 0);
	clear(call, call->applet);
	call->verb = verb;
}

/* Does AT lie behind the first operand, where no option does? */
static bool behind(char *const *argv, char *const *at, const struct call *call)
{
	for (; call->nargs > 0 && argv < at; argv++)
		if (*argv == call->args[0].str)
			return true;
	return false;
}

/* Parse ARGV, behind the verb. Where that is a usage error, `-v VAR` among the options may be meant for us:
 * so no words lose a meaning that they have for the program. -1, or a status. */
static int parse(struct call *call, char **argv, struct into *into)
{
	char **at = argv;
	while (*at != NULL && strcmp(*at, "--") != 0 && !is_into(at))
		at++;
	if (into->name != NULL || *at == NULL || !is_into(at))
		return args_parse(call, argv);
	int status = ST_USAGE;
	call->err = -1;                       /* in silence */
	if (!args_excess(call->verb, at + 1)) /* else it cannot be right */
		status = args_parse(call, argv);
	call->err = 2;
	if (status < 0)
		return status;
	struct into wanted = into_of(at);
	char *letter = at[0], *name = at[1], **end = at + 2;
	fresh(call);
	while (*end != NULL)
		end++;
	memmove(at, at + 2, (size_t)(end - (at + 2) + 1) * sizeof *at);
	call->err = -1;
	status = args_parse(call, argv);
	call->err = 2;
	if ((status < 0 && !behind(argv, at, call)) || call->std[STD_HELP].count > 0) {
		*into = wanted;
		return status;
	}
	/* Not that either: say what is wrong with the words as they were. */
	memmove(at + 2, at, (size_t)(end - (at + 2) + 1) * sizeof *at);
	at[0] = letter;
	at[1] = name;
	fresh(call);
	return args_parse(call, argv);
}

static int refused_into(struct call *call, const struct into *into, const char *why)
{
	return call_fail(call, ST_USAGE, 0, "-%c %s: %s", into->array ? 'a' : 'v', into->name, why);
}

static int run_verb(struct call *call, const struct into *into)
{
	struct sigaction old, ignore = {.sa_handler = SIG_IGN};
	bool small = (call->verb->flags & VERB_SMALL) != 0;
	bool silent = (call->verb->flags & VERB_SILENT) != 0;
	/* Who receives into a variable may still write to a pipe that is no stdout, such as a FIFO. */
	bool guard = !(silent || (small && into->name != NULL)) ||
		call->std[STD_VERBOSE].count > 0 || call->std[STD_READY_FD].count > 0;
	if (into->name != NULL) {
		/* What is small stays in the buffer: no file to look after. */
		call->out.fd = small ? -1 : sink_open();
		if (!small && call->out.fd < 0)
			return call_error(call, errno, "receive into %s", into->name);
	}
	shell.host.into = into->name != NULL;
	shell.host.batch = into->array;
	int filled = into->name != NULL || silent ? 0 : shell_fill_std();
	if (guard)
		sigaction(SIGPIPE, &ignore, &old);
	int status = call->verb->run(call);
	if (status >= 0 && into->name == NULL) {
		int flushed = call_flush(call);
		if (flushed != 0 && (status == ST_OK || status == ST_NO))
			status = flushed;
	}
	if (status == ST_OK && into->name != NULL && call->starved)
		status = call_error(call, ENOMEM, "receive into %s", into->name);
	if (guard)
		sigaction(SIGPIPE, &old, NULL);
	shell_unfill_std(filled);
	/* What a handle showed may be why: the next call opens it anew. */
	if (status != ST_OK && status != ST_NO && status != ST_BUSY && status != ST_TIMEOUT)
		host_distrust(&shell.host);
	return status;
}

/* -1 when the verb is not one for this process. */
static int in_process(struct call *call, char *const *words, struct into *into)
{
	char *const *argv = words;
	bool before = into_before(call->applet, &argv, into);
	int status = args_choose(call, &argv);
	if (status < 0 && (call->verb->flags & VERB_INPROC) == 0)
		return before ? refused_into(call, into, "this verb does not run in the shell")
			      : ST_ELSEWHERE;
	if (status < 0)
		status = parse(call, (char **)(uintptr_t)argv, into);
	if (status < 0 && call->command != NULL)
		return into->name != NULL ? refused_into(call, into, "does not go with a command")
					  : ST_ELSEWHERE;
	if (status >= 0) {
		int flushed = call_flush(call);
		into->name = NULL;
		return flushed != 0 && status == ST_OK ? flushed : status;
	}
	if (into->name != NULL && !into_usable(into)) {
		into->name = NULL;
		return ST_USAGE;
	}
	return run_verb(call, into);
}

static int run_as(const struct applet *applet, WORD_LIST *list)
{
	struct call call;
	struct words w;
	struct into into = {0};
	char *text = NULL;
	size_t len = 0;
	if (!words_of(&w, list)) {
		builtin_error("%s", strerror(ENOMEM));
		return ST_LIMIT;
	}
	clear(&call, applet);
	if (__fpending(stdout) > 0)
		fflush(stdout);
	int status = in_process(&call, w.argv, &into);
	if (status >= 0 && into.name != NULL) {
		text = sink_take(call.out.fd, call.out.buf, call.out.len, &len);
		if (text == NULL)
			status = call_error(&call, errno, "receive into %s", into.name);
	}
	call_unwind(&call, 0);
	if (status == ST_ELSEWHERE)
		status = into.name != NULL
			? refused_into(&call, &into, "this object is not for the shell itself")
			: outside(applet->name, w.argv);
	words_free(&w);
	/* What came before a failure is given, but a failure with nothing leaves the variable as it was. */
	if (text == NULL || (status != ST_OK && len == 0)) {
		free(text);
		return status;
	}
	int assigned = into_assign(&into, &call, text, len);
	return status == ST_OK ? assigned : status;
}

/* ---- loading */

static char *no_help[] = {"Inter-process communication: see --help.", NULL};

/* The lines of the applet's help, for `help ipc-x`. */
static char **help_lines(const struct applet *applet)
{
	struct out out = {.fd = sink_open()};
	size_t len, n = 0;
	if (out.fd < 0)
		return no_help;
	help_applet(&out, applet);
	char *text = sink_take(out.fd, out.buf, out.len, &len);
	if (text == NULL)
		return no_help;
	text[len] = '\0';
	for (char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	char **lines = malloc((n + 1) * sizeof *lines);
	if (lines == NULL) {
		free(text);
		return no_help;
	}
	char *p = text;
	for (size_t i = 0; i < n; i++) {
		lines[i] = p;
		p = strchr(p, '\n');
		*p++ = '\0';
	}
	lines[n] = NULL;
	return lines;
}

static int load(struct builtin *b, const struct applet *applet)
{
	if (!shell.watching && pthread_atfork(NULL, NULL, in_child) != 0)
		return 0;
	shell.watching = true;
	if (b->long_doc == no_help)
		b->long_doc = help_lines(applet);
	shell.loaded++;
	return 1;
}

static void unload(struct builtin *b)
{
	char **lines = (char **)(uintptr_t)b->long_doc;
	if (lines != no_help) {
		free(lines[0]);
		free(lines);
	}
	b->long_doc = no_help;
	if (--shell.loaded > 0)
		return;
	host_drop(&shell.host, false);
	hold_release(&shell.host, shell.host.held);
	sink_close();
}

/* GNU as wants such a name in quotes; clang puts them there itself. */
#ifdef __clang__
#define SYMBOL(text) text
#else
#define SYMBOL(text) "\"" text "\""
#endif
#define PUBLIC __attribute__((visibility("default")))

#define BUILTIN(text, id)                                                                  \
	extern const struct applet id;                                                     \
	static int id##_builtin(WORD_LIST *list)                                           \
	{                                                                                  \
		return run_as(&id, list);                                                  \
	}                                                                                  \
	extern struct builtin id##_struct __asm__(SYMBOL(text "_struct"));                 \
	PUBLIC struct builtin id##_struct = {text, id##_builtin, BUILTIN_ENABLED, no_help, \
		text " [-v VAR | -a ARRAY] VERB [OPTION]... [ARG]...", 0};                 \
	int id##_load(char *name) __asm__(SYMBOL(text "_builtin_load"));                   \
	PUBLIC int id##_load(char *name)                                                   \
	{                                                                                  \
		(void)name;                                                                \
		return load(&id##_struct, &id);                                            \
	}                                                                                  \
	void id##_unload(char *name) __asm__(SYMBOL(text "_builtin_unload"));              \
	PUBLIC void id##_unload(char *name)                                                \
	{                                                                                  \
		(void)name;                                                                \
		unload(&id##_struct);                                                      \
	}

/* One line BUILTIN("ipc-lock", ipc_lock) per applet, made from the files' names. */
#include "builtins.inc"
