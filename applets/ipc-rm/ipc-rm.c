/* ipc-rm: remove IPC objects of every kind: by name, or those that nobody needs any more.
 *
 * An object that somebody holds or waits for stays (75) unless --force, or a yes at the terminal, says
 * otherwise; so does one that belongs to another user (77) unless --owner names him: root does not
 * remove others' objects by accident. A name that is a symbolic link is refused. What is looked at is
 * what is removed: device, inode and owner are compared again at the last moment.
 *
 * What surprises: a name such as posix:/x may be a queue, a segment and a semaphore at once; then -t must say
 * which. Nameless objects (abstract sockets, memfds, pipes) cannot be removed, they go with their last holder.
 */
#include "rm.h"

#include "fd.h"
#include "object.h"
#include "sysv.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct opt opts[] = {
	[RM_KIND] = {.letter = 't',
		.name = "kind",
		.arg = ARG_LIST,
		.metavar = "KINDS",
		.choices = inv_kind_names,
		.help = "only objects of these kinds, as ipc-ls shows them"},
	[RM_STALE] = {.name = "stale", .help = "those that nobody needs, as ipc-ls --stale"},
	[RM_DRY] = {.name = "dry-run", .help = "only say what would be removed"},
	[RM_FORCE] = {.name = "force", .help = "also what is in use; ask nothing"},
	[RM_OWNER] = {.letter = 'u',
		.name = "owner",
		.arg = ARG_USER,
		.metavar = "USER",
		.help = "USER's objects rather than our own"},
	[RM_OLDER] = {.name = "older",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.min = 0,
		.max = INT64_MAX,
		.help = "with --stale: last used DUR ago or before"},
};

static const struct operand operands[] = {
	{.name = "OBJECT", .arg = ARG_OBJECT, .min = 0, .help = "as ipc-ls names them"}, {0}};

static int run_rm(struct call *call);

static const struct verb verbs[] = {
	{.name = NULL,
		.summary = "remove IPC objects, or those that nobody needs",
		OPTS(opts),
		.operands = operands,
		.std = 0,
		.flags = VERB_SPAWNS, /* it may ask; and as for ipc-ls */
		.example = "ipc-rm --stale --dry-run",
		.example_says = "shows what would go, and why; without --dry-run it goes",
		.run = run_rm},
};

const struct applet ipc_rm = {.name = "ipc-rm",
	.summary = "remove IPC objects, or those that nobody needs",
	VERBS(verbs)};

static bool of_kind(const struct rm *rm, const struct inv_object *o)
{
	return (rm->kinds >> o->kind & 1) != 0;
}

static bool nameless(const struct inv_object *o)
{
	return o->make == INV_UNNAMED || o->make == INV_ABSTRACT;
}

/* "PID CMD" of one that uses O. */
static const char *someone(struct rm *rm, const struct inv_object *o)
{
	unsigned others = 0;
	const struct inv_proc *first = NULL;
	for (unsigned i = 0; i < o->nuses; i++) {
		if (o->uses[i].how != INV_WAIT && !inv_holds(o, &o->uses[i]))
			continue;
		if (first == NULL)
			first = o->uses[i].proc;
		else if (o->uses[i].proc != o->uses[i - 1].proc)
			others++;
	}
	if (first == NULL)
		return "a process that is not visible";
	const char *text = others > 0
		? call_fmt(rm->call, "%ld %.60s and %u more", (long)first->pid, first->command,
			  others)
		: call_fmt(rm->call, "%ld %.60s", (long)first->pid, first->command);
	return text != NULL ? text : "?";
}

/* S so that it cannot drive a terminal. */
static const char *plain(struct rm *rm, const char *s)
{
	size_t len = strlen(s);
	char *text = call_alloc(rm->call, 4 * len + 1);
	if (text == NULL)
		return "?";
	out_plain(text, s, len);
	return text;
}

/* Ask on the terminal. */
static bool agreed(struct rm *rm, const struct inv_object *o)
{
	struct call *call = rm->call;
	char text[600], answer = 0, c;
	if (!isatty(call->in) || !isatty(call->err))
		return false;
	int n = snprintf(text, sizeof text,
		"ipc-rm: %s %.200s is in use by %.200s; remove it? [y/N] ", inv_kind_names[o->kind],
		plain(rm, o->name), plain(rm, someone(rm, o)));
	(void)fd_write(call->err, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
	while (wait_fd(call->in, POLLIN, DEADLINE_NONE, &call->stop) > 0 &&
		fd_read(call->in, &c, 1) == 1 && c != '\n')
		answer = answer == 0 ? c : answer;
	return answer == 'y' || answer == 'Y';
}

/* May O go? 0 or a status. */
static int may_remove(struct rm *rm, const struct inv_object *o)
{
	struct call *call = rm->call;
	const char *kind = inv_kind_names[o->kind];
	if (nameless(o))
		return call_fail(call, ST_USAGE, 0,
			"%s %s has no name to remove: it goes with its last holder (%s)", kind,
			o->name, someone(rm, o));
	if (o->removed)
		return call_fail(call, ST_NOOBJ, 0,
			"%s %s: removed already, it goes with its last holder (%s)", kind, o->name,
			someone(rm, o));
	if (o->has_owner && o->uid != rm->owner) {
		const char *user = inv_user(rm->inv, o->uid);
		return call_fail(call, ST_PERM, 0,
			"%s %s belongs to %s; -u %s says that it is meant", kind, o->name, user,
			user);
	}
	if (rm->stale && o->stale == NULL)
		return call_fail(call, ST_BUSY, 0, "%s %s is not stale: %s%s", kind, o->name,
			o->hold == INV_UNKNOWN ? "who has it cannot be told: " : "",
			o->hold == INV_FREE ? "free, but it may be missed" : o->why);
	if (!inv_used(o) || rm->force)
		return 0;
	if (!rm->dry && agreed(rm, o))
		return 0;
	return call_fail(call, ST_BUSY, 0, "%s %s is in use by %s; --force removes it all the same",
		kind, o->name, someone(rm, o));
}

static int remove_one(struct rm *rm, const struct inv_object *o)
{
	struct call *call = rm->call;
	const char *kind = inv_kind_names[o->kind];
	int status = may_remove(rm, o);
	if (status == 0 && !rm->dry)
		status = rm_remove(rm, o);
	if (status != 0)
		return status;
	if (rm->dry || rm->stale || call->std[STD_VERBOSE].count > 0)
		out_fmt(&call->out, "%s %s %s%s%s\n", rm->dry ? "would remove" : "removed", kind,
			plain(rm, o->name), o->stale != NULL ? ": " : "",
			o->stale != NULL ? o->stale : "");
	return 0;
}

/* ---- by name */

static bool named(const struct inv_object *o, const struct object *ob, key_t key)
{
	switch (ob->kind) {
	case OBJECT_POSIX: return o->make == INV_POSIX && strcmp(o->name + 6, ob->name) == 0;
	case OBJECT_SYSV:
		return o->make == INV_SYSV &&
			(ob->sysv == SYSV_ID ? o->id == ob->key : o->key == key);
	case OBJECT_WORD:
		return (o->make == INV_WORD || o->make == INV_UNNAMED) &&
			strcmp(o->name, ob->name) == 0;
	case OBJECT_ABSTRACT: return o->make == INV_ABSTRACT && strcmp(o->name, ob->text) == 0;
	default: return false;
	}
}

static int file_failed(struct rm *rm, const char *word)
{
	switch (errno) {
	case ENOENT: return call_fail(rm->call, ST_NOOBJ, 0, "%s: no such object", word);
	case ELOOP:
		return call_fail(rm->call, ST_DATA, 0,
			"%s: a symbolic link, which is not followed; name what it leads to", word);
	case EBADMSG:
		return call_fail(rm->call, ST_DATA, 0,
			"%s: no IPC object that is known by itself or in use; -t lock or -t shm says what "
			"it is",
			word);
	default: return call_error(rm->call, errno, "look at %s", word);
	}
}

/* What a plain file is taken for: as -t says. */
static enum inv_kind plain_kind(const struct rm *rm)
{
	return !rm->by_kind                   ? INV_KINDS
		: rm->kinds == 1u << INV_LOCK ? INV_LOCK
		: rm->kinds == 1u << INV_SHM  ? INV_SHM
					      : INV_KINDS;
}

static const char *all_kinds(struct rm *rm, struct inv_object *const *found, unsigned n)
{
	const char *text = inv_kind_names[found[0]->kind];
	for (unsigned i = 1; i < n && text != NULL; i++)
		text = call_fmt(rm->call, "%s %s", text, inv_kind_names[found[i]->kind]);
	return text != NULL ? text : "?";
}

/* The objects that WORD names into FOUND: 0, or a status. */
#define FOUND_MAX 16
static int find(struct rm *rm, const char *word, struct inv_object **found, unsigned *n)
{
	struct call *call = rm->call;
	struct object ob;
	key_t key = 0;
	const char *why = object_parse(&ob, word);
	*n = 0;
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
	if (ob.kind == OBJECT_FILE || ob.kind == OBJECT_UNIX) {
		if (inv_seed(rm->inv, ob.name, plain_kind(rm), &found[0]) < 0)
			return file_failed(rm, word);
		*n = of_kind(rm, found[0]);
	} else if (ob.kind == OBJECT_TCP || ob.kind == OBJECT_UDP || ob.kind == OBJECT_VSOCK ||
		ob.kind == OBJECT_FD || (ob.kind == OBJECT_SYSV && ob.sysv == SYSV_PRIVATE)) {
		return call_fail(call, ST_USAGE, 0, "%s: has no name that could be removed", word);
	} else if (ob.kind == OBJECT_SYSV && ob.sysv != SYSV_ID && sysv_key(&ob, &key) < 0) {
		return call_error(call, errno, "look at %s", word);
	}
	for (size_t i = 0; i < rm->inv->n && *n < FOUND_MAX; i++) {
		struct inv_object *o = rm->inv->objects[i];
		if (named(o, &ob, key) && of_kind(rm, o) && !(o->removed && *n > 0))
			found[(*n)++] = o;
	}
	if (*n == 0)
		return call_fail(call, ST_NOOBJ, 0, "%s: no such object%s", word,
			rm->by_kind ? " of that kind" : "");
	if (*n > 1 && !rm->by_kind)
		return call_fail(call, ST_USAGE, 0,
			"%s: several objects have this name: %s; -t KIND says which, -t all takes them",
			word, all_kinds(rm, found, *n));
	return 0;
}

static int remove_named(struct rm *rm)
{
	struct inv_object *found[FOUND_MAX];
	int worst = 0;
	for (unsigned i = 0; i < rm->call->nargs; i++) {
		unsigned n;
		int status = find(rm, rm->call->args[i].str, found, &n);
		worst = status > worst ? status : worst;
		for (unsigned k = 0; status == 0 && k < n; k++) {
			int r = remove_one(rm, found[k]);
			worst = r > worst ? r : worst;
		}
	}
	return worst;
}

/* ---- --stale */

/* What is kept for want of proof, once for each reason; -v names each object. */
static void say_unknown(struct rm *rm, const struct inv_object *o)
{
	bool said = false;
	for (unsigned i = 0; i < rm->nwhys; i++)
		said = said || strcmp(rm->whys[i], o->why) == 0;
	if (said || rm->nwhys == sizeof rm->whys / sizeof *rm->whys) {
		call_note(rm->call, 1, "kept: %s %s: %s", inv_kind_names[o->kind],
			plain(rm, o->name), o->why);
		return;
	}
	rm->whys[rm->nwhys++] = o->why;
	call_warn(rm->call, 0, "%s %s is kept: who has it cannot be told: %s",
		inv_kind_names[o->kind], plain(rm, o->name), o->why);
}

static int remove_stale(struct rm *rm)
{
	const struct val *older = &rm->call->opt[RM_OLDER];
	int worst = 0;
	for (size_t i = 0; i < rm->inv->n; i++) {
		const struct inv_object *o = rm->inv->objects[i];
		int64_t at = o->last > o->created ? o->last : o->created;
		if (o->removed || nameless(o) || !of_kind(rm, o) || !o->has_owner ||
			o->uid != rm->owner ||
			(older->count > 0 && rm->inv->now - at < older->num / NS_PER_S))
			continue;
		if (o->hold == INV_UNKNOWN)
			say_unknown(rm, o);
		if (o->stale == NULL)
			continue;
		int r = remove_one(rm, o);
		worst = r > worst ? r : worst;
	}
	return worst;
}

static void say_unseen(struct rm *rm)
{
	for (unsigned i = 0; i < rm->inv->nunseen; i++)
		call_note(rm->call, 1, "not seen: %s", rm->inv->unseen[i]);
}

/* Plain files are known by their locks only after the scan; those that -t explains, and sockets and FIFOs
 * that nobody has open, must be in the list before it. */
static void seed(struct rm *rm)
{
	struct object ob;
	for (unsigned i = 0; i < rm->call->nargs; i++)
		if (object_parse(&ob, rm->call->args[i].str) == NULL &&
			(ob.kind == OBJECT_FILE || ob.kind == OBJECT_UNIX))
			(void)inv_seed(rm->inv, ob.name, plain_kind(rm), NULL);
}

static int run_rm(struct call *call)
{
	const struct val *opt = call->opt;
	char bad[32];
	struct rm rm = {.call = call,
		.kinds = INV_ALL,
		.by_kind = opt[RM_KIND].count > 0,
		.force = opt[RM_FORCE].count > 0,
		.dry = opt[RM_DRY].count > 0,
		.stale = opt[RM_STALE].count > 0,
		.owner = opt[RM_OWNER].count > 0 ? (uid_t)opt[RM_OWNER].num : geteuid()};
	const char *why = rm.by_kind ? inv_parse_kinds(opt[RM_KIND].str, &rm.kinds, bad) : NULL;
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "-t: %s: %s", bad, why);
	if (call->nargs == 0 && !rm.stale)
		return call_fail(call, ST_USAGE, 0, "name the objects, or say --stale");
	if (opt[RM_OLDER].count > 0 && (!rm.stale || call->nargs > 0))
		return call_fail(call, ST_USAGE, 0, "--older goes with --stale, not with objects");
	rm.inv = inv_new(call, INV_ALL);
	if (rm.inv == NULL)
		return call_error(call, ENOMEM, "look");
	seed(&rm);
	if (inv_read(rm.inv) < 0)
		return call_error(call, errno, "look into /proc");
	say_unseen(&rm);
	return call->nargs > 0 ? remove_named(&rm) : remove_stale(&rm);
}
