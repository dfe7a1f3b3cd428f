/* lib/help.c: --help, made from the records. Lines fit 80 columns; help goes to stdout. */
#include "args.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define LEFT 22 /* column of options and operands */

/* The words of TEXT, each behind a blank, from column COL on; further lines are indented by INDENT. What
 * stands in brackets is one word. INDENT 0: all on one line. Returns the column reached. */
static size_t wrapped(struct out *out, size_t col, size_t indent, const char *text)
{
	for (const char *end; *text != '\0'; text = end + strspn(end, " ")) {
		int depth = 0;
		for (end = text; *end != '\0' && (*end != ' ' || depth > 0); end++)
			depth += *end == '[' ? 1 : *end == ']' ? -1 : 0;
		size_t len = (size_t)(end - text);
		if (indent > 0 && col + 1 + len > WIDTH) {
			out_fmt(out, "\n%*s", (int)indent - 1, "");
			col = indent - 1;
		}
		out_char(out, ' ');
		out_put(out, text, len);
		col += 1 + len;
	}
	return col;
}

/* LEFT in its column of WIDE characters, and TEXT beside it. */
static void beside(struct out *out, const char *left, int wide, const char *text)
{
	size_t indent = (size_t)wide + 3;
	out_fmt(out, "  %-*s", wide, left);
	wrapped(out, indent - 1, indent, text);
	out_char(out, '\n');
}

void help_box(struct out *out)
{
	out_str(out,
		"usage: ipcbox APPLET [VERB] [OPTIONS] [OBJECT...] [-- CMD [ARG...]]\n"
		"       ipcbox --list | --install [-s] DIR | --spec | --bash | --version\n"
		"       ipcbox help APPLET [VERB]\n\n"
		"Inter-process communication for shell scripts. Each applet also runs by its own\n"
		"name, through a link. The applets:\n\n");
	for (size_t i = 0; applets[i] != NULL; i++)
		beside(out, applets[i]->name, 12, applets[i]->summary);
	out_str(out,
		"\nexample: ipc-lock run -w 10 /run/lock/backup -- tar -cf /srv/b.tar /home\n"
		"         runs tar alone, or exits with 124 after ten seconds\n");
}

static size_t operand_words(struct out *out, size_t col, size_t indent, const struct operand *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		char word[64];
		const char *dots = o->max != 1 ? "..." : "";
		snprintf(word, sizeof word, o->min == 0 ? "[%s%s]" : "%s%s", o->name, dots);
		col = wrapped(out, col, indent, word);
	}
	return col;
}

void help_usage(
	struct out *out, const struct applet *applet, const struct verb *verb, size_t indent)
{
	bool alias = verb == applet->fallback && applet->alias != NULL;
	const char *name = alias ? applet->alias : applet->name;
	out_str(out, name);
	size_t col = indent + strlen(name);
	if (indent > 0)
		indent += 8;
	if (!alias && verb->name != NULL)
		col = wrapped(out, col, indent, verb->name);
	if (verb->usage != NULL) {
		wrapped(out, col, indent, verb->usage);
		out_char(out, '\n');
		return;
	}
	col = operand_words(out, wrapped(out, col, indent, "[OPTIONS]"), indent, verb->operands);
	if ((verb->flags & VERB_NEEDS_COMMAND) != 0)
		wrapped(out, col, indent, "-- CMD [ARG...]");
	else if ((verb->flags & VERB_COMMAND) != 0)
		wrapped(out, col, indent, "[-- CMD [ARG...]]");
	out_char(out, '\n');
}

void help_applet(struct out *out, const struct applet *applet)
{
	if (applet->verbs[0].name == NULL) {
		help_verb(out, applet, &applet->verbs[0]);
		return;
	}
	out_fmt(out, "%s:", applet->name);
	wrapped(out, strlen(applet->name) + 1, 2, applet->summary);
	out_str(out, "\n\n");
	for (size_t i = 0; i < applet->nverbs; i++) {
		const struct verb *v = &applet->verbs[i];
		if ((v->flags & VERB_HIDDEN) != 0)
			continue;
		out_str(out, i == 0 ? "usage: " : "       ");
		help_usage(out, applet, v, 7);
	}
	out_char(out, '\n');
	for (size_t i = 0; i < applet->nverbs; i++)
		if ((applet->verbs[i].flags & VERB_HIDDEN) == 0)
			beside(out, applet->verbs[i].name, 9, applet->verbs[i].summary);
	const struct verb *v = &applet->verbs[0];
	if (v->example != NULL)
		out_fmt(out, "\nexample: %s\n         %s\n", v->example, v->example_says);
	out_fmt(out, "\nOptions of a verb: %s VERB --help. Manual: man %s\n", applet->name,
		applet->name);
}

static void opt_line(struct out *out, const struct opt *o)
{
	char left[64];
	const char *meta = o->arg == ARG_NONE ? "" : o->metavar;
	const char *gap = *meta != '\0' ? " " : "";
	if (o->name == NULL)
		snprintf(left, sizeof left, "-%c%s%s", o->letter, gap, meta);
	else if (o->letter == 0)
		snprintf(left, sizeof left, "    --%s%s%s", o->name, gap, meta);
	else
		snprintf(left, sizeof left, "-%c, --%s%s%s", o->letter, o->name, gap, meta);
	if (strlen(left) > LEFT) {
		out_fmt(out, "  %s\n", left);
		left[0] = '\0';
	}
	beside(out, left, LEFT, o->help);
}

void help_verb(struct out *out, const struct applet *applet, const struct verb *verb)
{
	const struct opt *o;
	out_str(out, "usage: ");
	help_usage(out, applet, verb, 7);
	out_fmt(out, "%s\n\n", verb->summary);
	for (const struct operand *p = verb->operands; p != NULL && p->name != NULL; p++)
		if (p->help != NULL)
			beside(out, p->name, LEFT, p->help);
	for (unsigned i = 0; (o = args_next_opt(verb, &i)) != NULL;)
		opt_line(out, o);
	if (verb->example != NULL)
		out_fmt(out, "\nexample: %s\n         %s\n", verb->example, verb->example_says);
}
