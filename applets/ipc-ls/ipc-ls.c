/* ipc-ls: every IPC object on this machine in one list, with who holds it and who waits for it.
 *
 * It looks and changes nothing: no queue is read, no FIFO opened, no socket that has a server connected
 * to, no file system mounted. Holders come from what /proc shows at that moment.
 *
 * What surprises: without privilege, /proc hides what other users' processes hold. What could not be
 * seen is said on stderr, and no verdict is given where an unseen process might hold the object.
 * "Stale" is a verdict with a reason, not an order: a queue that scripts use in turn has no holder in
 * between. A name without a holder that still carries messages, jobs or a state is not stale.
 */
#include "ls.h"

#include "num.h"
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* For the completions, in the order of the page. */
static const char *const column_names[] = {"kind", "name", "path", "owner", "uid", "gid", "mode",
	"size", "use", "created", "used", "users", "holders", "waiters", "state", "peer", "stale",
	"warning", "note", "id", "key", "inode", NULL};

static const struct opt opts[] = {
	[LS_KIND] = {.letter = 't',
		.name = "kind",
		.arg = ARG_LIST,
		.metavar = "KINDS",
		.choices = inv_kind_names,
		.help = "only these: mq,shm,sem,sock,fifo,pipe,lock,... or all"},
	[LS_OUTPUT] = {.letter = 'o',
		.name = "output",
		.arg = ARG_LIST,
		.metavar = "COLUMNS",
		.choices = column_names,
		.help = "these columns; +COLUMNS adds some"},
	[LS_BYTES] = {.letter = 'b', .name = "bytes", .help = "sizes in bytes"},
	[LS_NOHEADINGS] = {.name = "noheadings", .help = "no line of headings"},
	[LS_OWNER] = {.letter = 'u',
		.name = "owner",
		.arg = ARG_USER,
		.metavar = "USER",
		.help = "only objects that USER owns"},
	[LS_STALE] = {.name = "stale", .help = "only stale objects"},
	[LS_OLDER] = {.name = "older",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.min = 0,
		.max = INT64_MAX,
		.help = "only what was last used DUR ago or before"},
	[LS_PID] = {.name = "pid",
		.arg = ARG_PID,
		.metavar = "PID",
		.help = "only what process PID holds or waits for"},
	[LS_WATCH] = {.name = "watch", .help = "go on: redraw, or log changes when piped"},
	[LS_INTERVAL] = {.name = "interval",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.min = 10000000,
		.max = INT64_MAX,
		.help = "look every DUR with --watch (default 1s)"},
};

static int run_ls(struct call *call);

static const struct verb verbs[] = {
	{.name = NULL,
		.summary = "list every IPC object, its holders and waiters",
		OPTS(opts),
		.std = STD(JSON) | STD(TIMEOUT) | STD(CONFLICT),
		/* Not VERB_INPROC: a shell's own descriptors belong into the list. */
		.example = "ipc-ls -t shm,sem,mq --stale",
		.example_says = "shows what programs that are gone have left behind, and why",
		.run = run_ls},
};

const struct applet ipc_ls = {.name = "ipc-ls",
	.summary = "list every IPC object, its holders and waiters",
	VERBS(verbs)};

static bool wanted(const struct ls *ls, const struct inv *inv, const struct inv_object *o)
{
	const struct val *opt = ls->call->opt;
	if (!inv_is(o, ls->kinds))
		return false;
	if (opt[LS_OWNER].count > 0 && !(o->has_owner && o->uid == (uid_t)opt[LS_OWNER].num))
		return false;
	if (opt[LS_STALE].count > 0 && o->stale == NULL)
		return false;
	if (opt[LS_OLDER].count > 0) {
		int64_t at = o->last > o->created ? o->last : o->created;
		if (at == 0 || inv->now - at < opt[LS_OLDER].num / NS_PER_S)
			return false;
	}
	for (unsigned i = 0; opt[LS_PID].count > 0; i++) {
		if (i == o->nuses)
			return false;
		if (o->uses[i].proc->pid == (pid_t)opt[LS_PID].num)
			break;
	}
	return true;
}

static int order(const void *a, const void *b)
{
	const struct inv_object *x = *(struct inv_object *const *)a,
				*y = *(struct inv_object *const *)b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->make != y->make)
		return x->make < y->make ? -1 : 1;
	int r = strcmp(x->name, y->name);
	if (r != 0)
		return r;
	return x->ino != y->ino ? (x->ino < y->ino ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

static void say_unseen(struct ls *ls, const struct inv *inv)
{
	for (unsigned i = 0; i < inv->nunseen; i++)
		call_warn(ls->call, 0, "not seen: %s", inv->unseen[i]);
	for (unsigned i = 0; i < inv->nwarnings; i++)
		call_warn(ls->call, 0, "%s", inv->warnings[i]);
	ls->quiet = true;
}

int ls_look(struct ls *ls, struct rows *rows)
{
	struct inv *inv = inv_new(ls->call, ls->kinds);
	*rows = (struct rows){.inv = inv};
	if (inv == NULL)
		return call_error(ls->call, ENOMEM, "look");
	if (inv_read(inv) < 0)
		return call_error(ls->call, errno, "look into /proc");
	for (size_t i = 0; i < inv->n; i++)
		if (wanted(ls, inv, inv->objects[i]))
			inv->objects[rows->n++] = inv->objects[i];
	rows->v = inv->objects;
	if (rows->n > 1)
		qsort(rows->v, rows->n, sizeof *rows->v, order);
	if (!ls->quiet)
		say_unseen(ls, inv);
	return 0;
}

/* The size of the terminal that stdout is, if it is one. */
static void find_terminal(struct ls *ls)
{
	struct winsize ws;
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM"),
		   *columns = getenv("COLUMNS");
	int64_t n;
	if (!isatty(ls->call->out.fd))
		return;
	ls->width = 80;
	ls->rows = 24;
	if (ioctl(ls->call->out.fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0) {
		ls->width = ws.ws_col;
		ls->rows = ws.ws_row > 0 ? ws.ws_row : 24;
	}
	if (columns != NULL && num_int(columns, &n) == NULL && n >= 20 && n <= 10000)
		ls->width = (unsigned)n;
	ls->color = (no_color == NULL || *no_color == '\0') &&
		(term == NULL || strcmp(term, "dumb") != 0);
}

static int list_once(struct ls *ls)
{
	struct rows rows;
	int status = ls_look(ls, &rows);
	if (status != 0)
		return status;
	if (ls->call->std[STD_JSON].count == 0)
		return ls_table(ls, &rows, 0, false);
	struct json j;
	json_start(&j, &ls->call->out);
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < rows.n; i++)
		ls_json_object(ls, &j, rows.inv, rows.v[i], NULL);
	json_close(&j, ']');
	return ST_OK;
}

static int run_ls(struct call *call)
{
	const struct val *opt = call->opt;
	char bad[32] = "";
	struct ls ls = {.call = call,
		.kinds = INV_ALL & ~(1u << INV_PIPE),
		.bytes = opt[LS_BYTES].count > 0};
	const char *why =
		opt[LS_KIND].count > 0 ? inv_parse_kinds(opt[LS_KIND].str, &ls.kinds, bad) : NULL;
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "-t: %s: %s", bad, why);
	why = ls_parse_columns(&ls, opt[LS_OUTPUT].count > 0 ? opt[LS_OUTPUT].str : "+", bad);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "-o: %s: %s", bad, why);
	if (opt[LS_WATCH].count == 0 &&
		(opt[LS_INTERVAL].count > 0 || call->std[STD_TIMEOUT].count > 0))
		return call_fail(call, ST_USAGE, 0, "-w and --interval go with --watch");
	if (opt[LS_PID].count > 0 && kill((pid_t)opt[LS_PID].num, 0) < 0 && errno == ESRCH)
		return call_fail(call, ST_NOOBJ, 0, "--pid %lld: no such process",
			(long long)opt[LS_PID].num);
	find_terminal(&ls);
	return opt[LS_WATCH].count > 0 ? ls_watch(&ls) : list_once(&ls);
}
