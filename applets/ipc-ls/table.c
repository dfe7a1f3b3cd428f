/* applets/ipc-ls/table.c: the list for people. Without a terminal nothing is cut; in one, columns that may
 * be cut share what the others leave, the widest gives first. */
#include "ls.h"

#include <errno.h>
#include <string.h>

#define NARROW 8 /* a soft column is not made narrower */

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

static size_t width(const char *s)
{
	size_t n = 0;
	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

const char *ls_clean(struct inv *inv, const char *s)
{
	size_t len = strlen(s);
	char *plain = inv_array(inv, 4 * len + 1, 1);
	if (plain == NULL)
		return "?";
	out_plain(plain, s, len);
	return plain;
}

struct grid {
	const char **cells; /* row by row, headings first */
	size_t nrows;
	size_t widths[COL_N];
	bool shown[COL_N];
};

static const char *at(const struct ls *ls, const struct grid *g, size_t row, unsigned c)
{
	return g->cells[row * ls->ncols + c];
}

static bool fill(struct ls *ls, const struct rows *rows, size_t n, struct grid *g)
{
	bool head = ls->call->opt[LS_NOHEADINGS].count == 0;
	*g = (struct grid){.nrows = n + head};
	g->cells = inv_array(rows->inv, (g->nrows + 1) * ls->ncols, sizeof *g->cells);
	if (g->cells == NULL)
		return false;
	const char **cell = g->cells;
	for (unsigned c = 0; c < ls->ncols; c++) {
		const struct column_kind *kind = &ls_columns[ls->cols[c]];
		g->shown[c] = ls->chosen;
		if (head) {
			*cell++ = kind->head;
			g->widths[c] = width(kind->head);
		}
	}
	for (size_t i = 0; i < n; i++)
		for (unsigned c = 0; c < ls->ncols; c++) {
			const char *s = ls_cell(ls, rows->inv, rows->v[i], ls->cols[c]);
			size_t w;
			s = ls_clean(rows->inv, *s == '\0' && ls->chosen ? "-" : s);
			w = width(s);
			g->widths[c] = w > g->widths[c] ? w : g->widths[c];
			g->shown[c] = g->shown[c] || *s != '\0';
			*cell++ = s;
		}
	return true;
}

static void shrink(const struct ls *ls, struct grid *g)
{
	size_t total = 0;
	for (unsigned c = 0; c < ls->ncols; c++)
		total += g->shown[c] ? g->widths[c] + 1 : 0;
	for (; total > 0 && total - 1 > ls->width; total--) {
		unsigned widest = ls->ncols;
		for (unsigned c = 0; c < ls->ncols; c++)
			if (g->shown[c] && ls_columns[ls->cols[c]].soft && g->widths[c] > NARROW &&
				(widest == ls->ncols || g->widths[c] >= g->widths[widest]))
				widest = c;
		if (widest == ls->ncols)
			return;
		g->widths[widest]--;
	}
}

/* The first W characters of S, the last of them an ellipsis when there are more. */
static void put_cut(struct out *out, const char *s, size_t w)
{
	size_t n = 0, len = 0;
	if (width(s) <= w) {
		out_str(out, s);
		return;
	}
	for (; n + 1 < w && s[len] != '\0'; n++)
		do
			len++;
		while ((s[len] & 0xc0) == 0x80);
	out_put(out, s, len);
	out_str(out, "\xe2\x80\xa6");
}

/* The same, but that somebody WAITS is not cut off. */
static void put_users_cut(struct out *out, const char *s, size_t w, bool waits)
{
	static const char word[] = " waits";
	bool marks = waits && width(s) > w && w > sizeof word;
	put_cut(out, s, marks ? w - (sizeof word - 1) : w);
	if (marks)
		out_str(out, word);
}

/* Nobody holds it, as is usual between two holders. */
static bool idle_lock(const struct inv_object *o)
{
	return o->kind == INV_LOCK && o->creator == 0;
}

static const char *color_of(const struct ls *ls, enum column col, const struct inv_object *o)
{
	if (!ls->color)
		return NULL;
	if (o == NULL)
		return BOLD;
	if (col == COL_NOTE || col == COL_STALE || col == COL_WARNING)
		return o->stale != NULL && !idle_lock(o) ? RED : o->warn != NULL ? YELLOW : DIM;
	if (col == COL_WAITERS || (col == COL_USERS && o->nwaiters > 0))
		return YELLOW;
	if (col == COL_USERS || col == COL_HOLDERS)
		return GREEN;
	return NULL;
}

static void put_row(struct ls *ls, const struct grid *g, size_t row, const struct inv_object *o,
	const char *end)
{
	struct out *out = &ls->call->out;
	unsigned last = 0;
	bool first = true;
	/* No blanks behind the last cell that says something. */
	for (unsigned c = 0; c < ls->ncols; c++)
		if (g->shown[c] && *at(ls, g, row, c) != '\0')
			last = c;
	for (unsigned c = 0; c <= last; c++) {
		const struct column_kind *kind = &ls_columns[ls->cols[c]];
		const char *s = at(ls, g, row, c), *color = color_of(ls, ls->cols[c], o);
		if (!g->shown[c])
			continue;
		size_t w = width(s), pad = g->widths[c] > w ? g->widths[c] - w : 0;
		if (!first)
			out_char(out, ' ');
		first = false;
		for (size_t i = 0; kind->right && i < pad; i++)
			out_char(out, ' ');
		if (color != NULL && *s != '\0')
			out_str(out, color);
		put_users_cut(out, s, g->widths[c] < w ? g->widths[c] : w,
			o != NULL && ls->cols[c] == COL_USERS && o->nwaiters > 0);
		if (color != NULL && *s != '\0')
			out_str(out, PLAIN);
		for (size_t i = 0; !kind->right && c < last && i < pad; i++)
			out_char(out, ' ');
	}
	out_str(out, end);
}

int ls_table(struct ls *ls, const struct rows *rows, unsigned max, bool redraw)
{
	struct grid g;
	const char *end = redraw ? "\033[K\n" : "\n";
	bool head = ls->call->opt[LS_NOHEADINGS].count == 0;
	size_t n = max > 0 && rows->n > max ? max : rows->n;
	if (!fill(ls, rows, n, &g))
		return call_error(ls->call, ENOMEM, "print");
	if (n == 0 && !ls->chosen) /* headings alone tell that there is nothing */
		memset(g.shown, 1, sizeof g.shown);
	if (ls->width > 0)
		shrink(ls, &g);
	for (size_t i = 0; i < g.nrows; i++)
		put_row(ls, &g, i, head && i == 0 ? NULL : rows->v[i - head], end);
	return ls->call->out.err == 0 ? ST_OK : call_stdout_error(ls->call, ls->call->out.err);
}
