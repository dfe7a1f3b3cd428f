/* applets/ipc-ls/watch.c: --watch. In a terminal the table is drawn over the last one; else each change is a
 * line: "=" what was there at first, "+" new, "-" gone, "~" changed. No event of the kernel tells of all
 * these objects, so it looks every --interval. */
#define _GNU_SOURCE
#include "ls.h"

#include "num.h"
#include "wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static const enum column watched[] = {
	COL_OWNER, COL_MODE, COL_SIZE, COL_USE, COL_USERS, COL_STATE, COL_STALE, COL_WARNING};
#define NWATCHED (sizeof watched / sizeof *watched)

/* As the rows are sorted: are these the same object? */
static int compare(const struct inv_object *a, const struct inv_object *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->make != b->make)
		return a->make < b->make ? -1 : 1;
	int r = strcmp(a->name, b->name);
	if (r != 0)
		return r;
	return a->ino != b->ino ? (a->ino < b->ino ? -1 : 1) : (a->id > b->id) - (a->id < b->id);
}

static void log_object(
	struct ls *ls, struct inv *inv, const struct inv_object *o, char sign, const char *event)
{
	struct out *out = &ls->call->out;
	char time[32];
	if (ls->call->std[STD_JSON].count > 0) {
		struct json j;
		json_start(&j, out);
		ls_json_object(ls, &j, inv, o, event);
		return;
	}
	out_fmt(out, "%s %c %s %s", num_time_text(inv->now, time), sign, inv_kind_names[o->kind],
		ls_clean(inv, o->name));
	for (size_t i = 0; sign != '-' && i < NWATCHED; i++) {
		const char *s = ls_clean(inv, ls_cell(ls, inv, o, watched[i]));
		if (*s != '\0')
			out_fmt(out, "%s%s: %s", i == 0 ? "  " : "; ", ls_columns[watched[i]].name,
				s);
	}
	out_char(out, '\n');
}

static void log_change(struct ls *ls, struct inv *was, const struct inv_object *old,
	struct inv *inv, const struct inv_object *o)
{
	struct out *out = &ls->call->out;
	char time[32];
	bool changed = false, json = ls->call->std[STD_JSON].count > 0;
	for (size_t i = 0; i < NWATCHED; i++) {
		const char *a = ls_clean(inv, ls_cell(ls, was, old, watched[i]));
		const char *b = ls_clean(inv, ls_cell(ls, inv, o, watched[i]));
		if (strcmp(a, b) == 0)
			continue;
		if (!changed && json) {
			log_object(ls, inv, o, '~', "changed");
			return;
		}
		if (!changed)
			out_fmt(out, "%s ~ %s %s  ", num_time_text(inv->now, time),
				inv_kind_names[o->kind], ls_clean(inv, o->name));
		out_fmt(out, "%s%s: %s -> %s", changed ? "; " : "", ls_columns[watched[i]].name,
			*a != '\0' ? a : "-", *b != '\0' ? b : "-");
		changed = true;
	}
	if (changed)
		out_char(out, '\n');
}

static void log_changes(struct ls *ls, const struct rows *was, const struct rows *now)
{
	size_t i = 0, k = 0;
	while (i < was->n || k < now->n) {
		int c = i == was->n ? 1 : k == now->n ? -1 : compare(was->v[i], now->v[k]);
		if (c < 0) {
			log_object(ls, now->inv, was->v[i++], '-', "gone");
		} else if (c > 0) {
			log_object(ls, now->inv, now->v[k++], was->inv == NULL ? '=' : '+',
				was->inv == NULL ? "present" : "new");
		} else {
			log_change(ls, was->inv, was->v[i], now->inv, now->v[k]);
			i++;
			k++;
		}
	}
}

static int redraw(struct ls *ls, const struct rows *rows)
{
	struct out *out = &ls->call->out;
	struct winsize ws;
	char time[32];
	if (ioctl(out->fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 && ws.ws_row > 3) {
		ls->width = ws.ws_col;
		ls->rows = ws.ws_row;
	}
	unsigned max = ls->rows > 4 ? ls->rows - 3 : 1;
	out_str(out, "\033[H");
	int status = ls_table(ls, rows, max, true);
	if (rows->n > max)
		out_fmt(out, "... %zu more, ", rows->n - max);
	out_fmt(out, "%zu objects, %s\033[K\n\033[J", rows->n, num_time_text(rows->inv->now, time));
	return status;
}

static void undo_screen(void *arg, intptr_t n)
{
	(void)n;
	screen_leave(arg);
}

/* Wait for the next look. -1, or a status when it is the end. */
static int next_look(struct ls *ls, struct screen *screen, int64_t next, int64_t deadline)
{
	struct call *call = ls->call;
	enum screen_key key = screen_wait(screen, next < deadline ? next : deadline, &call->stop);
	bool late = wait_now() >= deadline;
	if (key == SCREEN_TIME && !late)
		return -1;
	screen_leave(screen);
	return key == SCREEN_QUIT       ? ST_OK
		: key == SCREEN_STOPPED ? call_waited(call, EINTR, "watch")
					: call_waited(call, wait_expired(deadline), "watch");
}

int ls_watch(struct ls *ls)
{
	struct call *call = ls->call;
	struct rows was = {.inv = NULL}, now;
	int64_t interval = call->opt[LS_INTERVAL].count > 0 ? call->opt[LS_INTERVAL].num : NS_PER_S;
	int64_t deadline = call_deadline(call);
	bool draws = ls->width > 0 && call->std[STD_JSON].count == 0;
	struct screen *screen = call_alloc(call, sizeof *screen);
	if (screen == NULL || call_undo(call, undo_screen, screen, 0) < 0)
		return call_error(call, ENOMEM, "watch");
	for (;;) {
		int64_t next = wait_until(interval);
		int status = ls_look(ls, &now);
		if (status == 0 && draws) {
			screen_enter(screen, call->out.fd);
			status = redraw(ls, &now);
		}
		if (status == 0 && !draws)
			log_changes(ls, &was, &now);
		if (status == 0)
			status = call_flush(call);
		if (was.inv != NULL)
			inv_free(was.inv);
		was = now;
		if (status != 0)
			return status;
		status = next_look(ls, screen, next, deadline);
		if (status >= 0)
			return status;
	}
}
