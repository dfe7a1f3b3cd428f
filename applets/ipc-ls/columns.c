/* applets/ipc-ls/columns.c: what stands in the cells. */
#define _GNU_SOURCE
#include "ls.h"

#include "num.h"
#include "proc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SHOWN 3 /* processes named in a cell; JSON names all */

const struct column_kind ls_columns[COL_N] = {
	[COL_KIND] = {"kind", "KIND", false, false},
	[COL_NAME] = {"name", "NAME", false, true},
	[COL_PATH] = {"path", "PATH", false, true},
	[COL_OWNER] = {"owner", "OWNER", false, false},
	[COL_UID] = {"uid", "UID", true, false},
	[COL_GID] = {"gid", "GID", true, false},
	[COL_MODE] = {"mode", "MODE", false, false},
	[COL_SIZE] = {"size", "SIZE", true, false},
	[COL_USE] = {"use", "USE", true, false},
	[COL_CREATED] = {"created", "CREATED", false, false},
	[COL_USED] = {"used", "USED", false, false},
	[COL_USERS] = {"users", "USERS", false, true},
	[COL_HOLDERS] = {"holders", "HOLDERS", false, true},
	[COL_WAITERS] = {"waiters", "WAITERS", false, true},
	[COL_VERDICT] = {"verdict", "VERDICT", false, false},
	[COL_WHY] = {"why", "WHY", false, true},
	[COL_STATE] = {"state", "STATE", false, false},
	[COL_PEER] = {"peer", "PEER", false, true},
	[COL_STALE] = {"stale", "STALE", false, true},
	[COL_WARNING] = {"warning", "WARNING", false, true},
	[COL_NOTE] = {"note", "NOTE", false, true},
	[COL_ID] = {"id", "ID", true, false},
	[COL_KEY] = {"key", "KEY", false, false},
	[COL_INODE] = {"inode", "INODE", true, false},
};

static const enum column usual[] = {COL_KIND, COL_NAME, COL_OWNER, COL_MODE, COL_SIZE, COL_USE,
	COL_VERDICT, COL_USERS, COL_NOTE};

const char *ls_parse_columns(struct ls *ls, const char *list, char bad[32])
{
	ls->chosen = *list != '+';
	if (!ls->chosen) {
		memcpy(ls->cols, usual, sizeof usual);
		ls->ncols = sizeof usual / sizeof *usual;
		if (*++list == '\0')
			return NULL;
	}
	for (;;) {
		size_t len = strcspn(list, ",");
		unsigned c = 0, i = 0;
		while (c < COL_N &&
			(strlen(ls_columns[c].name) != len ||
				strncmp(ls_columns[c].name, list, len) != 0))
			c++;
		if (c == COL_N) {
			snprintf(bad, 32, "%.*s", len < 31 ? (int)len : 31, list);
			return "no such column (kind name path owner uid gid mode size use created "
			       "used users holders waiters verdict why state peer stale warning note id "
			       "key inode)";
		}
		while (i < ls->ncols && ls->cols[i] != (enum column)c)
			i++;
		if (i == ls->ncols)
			ls->cols[ls->ncols++] = (enum column)c;
		if (list[len] == '\0')
			return NULL;
		list += len + 1;
	}
}

/* A cell that grows; cut when it is full, which the terminal would do anyway. */
struct text {
	char buf[400];
	size_t len;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, sizeof t->buf - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
	if (t->len >= sizeof t->buf)
		t->len = sizeof t->buf - 1;
}

/* "python3" of "/usr/bin/python3 -c ..." */
static void put_process(struct text *t, const struct inv_proc *proc, const char *what)
{
	const char *cmd = proc->command != NULL ? proc->command : "?";
	size_t len = cmd[0] == '[' ? strlen(cmd) : strcspn(cmd, " ");
	/* "postgres: walwriter": setproctitle(3) */
	bool title = len > 0 && cmd[len - 1] == ':';
	if (title)
		len = strlen(cmd);
	for (size_t i = len; cmd[0] != '[' && !title && i > 0; i--)
		if (cmd[i - 1] == '/') {
			cmd += i;
			len -= i;
			break;
		}
	put(t, "%s%ld %.*s%s%s", t->len > 0 ? ", " : "", (long)proc->pid, len < 40 ? (int)len : 40,
		cmd, proc_stopped(proc->pid) ? " stopped" : "", what);
}

static void put_users(struct text *t, const struct inv_object *o, bool waiters, const char *what)
{
	unsigned shown = 0, more = 0;
	for (unsigned i = 0; i < o->nuses; i++) {
		const struct inv_use *u = &o->uses[i];
		bool fits = waiters ? u->how == INV_WAIT : inv_holds(o, u);
		/* A process once, and its holding is said where it waits. */
		for (unsigned k = i; fits && k > 0 && o->uses[k - 1].proc == u->proc; k--)
			fits = waiters ? o->uses[k - 1].how != INV_WAIT
				       : !inv_holds(o, &o->uses[k - 1]);
		for (unsigned k = i + 1; fits && !waiters && *what != '\0' && k < o->nuses &&
			o->uses[k].proc == u->proc;
			k++)
			fits = o->uses[k].how != INV_WAIT;
		if (!fits)
			continue;
		if (shown < SHOWN) {
			put_process(t, u->proc, waiters ? what : "");
			shown++;
		} else {
			more++;
		}
	}
	if (more > 0)
		put(t, ", +%u", more);
}

static void put_note(struct text *t, const struct inv_object *o)
{
	if (o->stale != NULL)
		put(t, "stale: %s", o->stale);
	if (o->warn != NULL)
		put(t, "%s%s", t->len > 0 ? "; " : "", o->warn);
	if (o->state != NULL && t->len == 0 && strcmp(o->state, "listening") != 0 &&
		(o->kind == INV_SOCK || o->kind == INV_FIFO || o->removed))
		put(t, "%s", o->state);
}

static const struct unit {
	const char *unit, *shown;
} units[] = {{"messages", " msg"}, {"attached", " att"}, {"value", " val"}, {"count", " cnt"},
	{"semaphores", " sems"}, {"slots", " slots"}, {"parties", " here"}, {"backlog", " back"},
	{"packets", " pkts"}, {"records", " recs"}};

static void put_use(const struct ls *ls, struct text *t, const struct inv_object *o)
{
	char a[NUM_BUF], b[NUM_BUF];
	if (o->used < 0 || o->unit == NULL)
		return;
	if (strcmp(o->unit, "bytes") == 0 && !ls->bytes) {
		put(t, "%s", num_show_size((uint64_t)o->used, a));
		if (o->room >= 0)
			put(t, "/%s", num_show_size((uint64_t)o->room, b));
		return;
	}
	put(t, "%lld", (long long)o->used);
	if (o->room >= 0)
		put(t, "/%lld", (long long)o->room);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(units[i].unit, o->unit) == 0) {
			put(t, "%s", units[i].shown);
			return;
		}
	put(t, " %s", o->unit);
}

static void put_peer(struct text *t, struct inv *inv, const struct inv_object *o)
{
	const struct inv_object *peer = inv_peer(inv, o);
	if (o->peer == 0)
		return;
	put(t, "[%llu]", (unsigned long long)o->peer);
	if (peer != NULL && peer->nuses > 0) {
		struct text p = {.len = 0};
		put_process(&p, peer->uses[0].proc, "");
		put(t, " %s", p.buf);
	}
}

static void put_time(struct text *t, int64_t at)
{
	char buf[32];
	if (at > 0)
		put(t, "%s", num_time_text(at, buf));
}

static void put_size(const struct ls *ls, struct text *t, const struct inv_object *o)
{
	char buf[NUM_BUF];
	if (o->size >= 0 && ls->bytes)
		put(t, "%lld", (long long)o->size);
	else if (o->size >= 0)
		put(t, "%s", num_show_size((uint64_t)o->size, buf));
}

const char *ls_cell(
	const struct ls *ls, struct inv *inv, const struct inv_object *o, enum column col)
{
	struct text t = {.len = 0};
	t.buf[0] = '\0';
	switch (col) {
	case COL_KIND: return inv_kind_names[o->kind];
	case COL_NAME: return o->name;
	case COL_PATH: return o->path != NULL ? o->path : "";
	case COL_VERDICT: return inv_hold_names[o->hold];
	case COL_WHY: return o->why;
	case COL_STATE: return o->state != NULL ? o->state : "";
	case COL_STALE: return o->stale != NULL ? o->stale : "";
	case COL_WARNING: return o->warn != NULL ? o->warn : "";
	case COL_OWNER: return o->has_owner ? inv_user(inv, o->uid) : "";
	case COL_UID:
		if (o->has_owner)
			put(&t, "%u", o->uid);
		break;
	case COL_GID:
		if (o->has_owner && o->gid != (gid_t)-1)
			put(&t, "%u", o->gid);
		break;
	case COL_MODE:
		if (o->has_mode)
			put(&t, "%04o", o->mode);
		break;
	case COL_SIZE: put_size(ls, &t, o); break;
	case COL_USE: put_use(ls, &t, o); break;
	case COL_CREATED: put_time(&t, o->created); break;
	case COL_USED: put_time(&t, o->last); break;
	case COL_USERS:
		/* Who waits comes first: a narrow terminal cuts at the end. */
		put_users(&t, o, true, " waits");
		put_users(&t, o, false, "waits");
		break;
	case COL_HOLDERS: put_users(&t, o, false, ""); break;
	case COL_WAITERS: put_users(&t, o, true, ""); break;
	case COL_PEER: put_peer(&t, inv, o); break;
	case COL_NOTE: put_note(&t, o); break;
	case COL_ID:
		if (o->make == INV_SYSV)
			put(&t, "%d", o->id);
		break;
	case COL_KEY:
		if (o->make == INV_SYSV)
			put(&t, "0x%08x", (unsigned)o->key);
		break;
	case COL_INODE:
		if (o->ino != 0)
			put(&t, "%llu", (unsigned long long)o->ino);
		break;
	case COL_N: break;
	}
	return inv_text(inv, t.buf, t.len);
}
