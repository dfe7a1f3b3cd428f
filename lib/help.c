/* lib/help.c: --help, made from the records. Lines fit 80 columns; help goes to stdout. */
#include "args.h"

#include <stdio.h>
#include <string.h>

void help_box(struct out *out)
{
	out_str(out,
		"usage: ipcbox APPLET [VERB] [OPTIONS] [OBJECT...] [-- CMD [ARG...]]\n"
		"       ipcbox --list | --install [-s] DIR | --spec | --version\n"
		"       ipcbox help APPLET [VERB]\n\n"
		"Inter-process communication for shell scripts. Each applet also runs by its own\n"
		"name, through a link. The applets:\n\n");
	for (size_t i = 0; applets[i] != NULL; i++)
		out_fmt(out, "  %-12s %s\n", applets[i]->name, applets[i]->summary);
	out_str(out,
		"\nexample: ipc-lock run -w 10 /run/lock/backup -- tar -cf /srv/b.tar /home\n"
		"         runs tar alone, or exits with 124 after ten seconds\n");
}

static void operand_words(struct out *out, const struct operand *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		const char *dots = o->max != 1 ? "..." : "";
		out_fmt(out, o->min == 0 ? " [%s%s]" : " %s%s", o->name, dots);
	}
}

void help_usage(struct out *out, const struct applet *applet, const struct verb *verb)
{
	if (verb == applet->fallback && applet->alias != NULL)
		out_str(out, applet->alias);
	else if (verb->name != NULL)
		out_fmt(out, "%s %s", applet->name, verb->name);
	else
		out_str(out, applet->name);
	if (verb->usage != NULL) {
		out_fmt(out, " %s\n", verb->usage);
		return;
	}
	out_str(out, " [OPTIONS]");
	operand_words(out, verb->operands);
	if ((verb->flags & VERB_NEEDS_COMMAND) != 0)
		out_str(out, " -- CMD [ARG...]");
	else if ((verb->flags & VERB_COMMAND) != 0)
		out_str(out, " [-- CMD [ARG...]]");
	out_char(out, '\n');
}

void help_applet(struct out *out, const struct applet *applet)
{
	if (applet->verbs[0].name == NULL) {
		help_verb(out, applet, &applet->verbs[0]);
		return;
	}
	out_fmt(out, "%s: %s\n\n", applet->name, applet->summary);
	for (size_t i = 0; i < applet->nverbs; i++) {
		const struct verb *v = &applet->verbs[i];
		if ((v->flags & VERB_HIDDEN) != 0)
			continue;
		out_str(out, i == 0 ? "usage: " : "       ");
		help_usage(out, applet, v);
	}
	out_char(out, '\n');
	for (size_t i = 0; i < applet->nverbs; i++)
		if ((applet->verbs[i].flags & VERB_HIDDEN) == 0)
			out_fmt(out, "  %-9s %s\n", applet->verbs[i].name,
				applet->verbs[i].summary);
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
	if (strlen(left) > 22)
		out_fmt(out, "  %s\n  %-22s %s\n", left, "", o->help);
	else
		out_fmt(out, "  %-22s %s\n", left, o->help);
}

void help_verb(struct out *out, const struct applet *applet, const struct verb *verb)
{
	const struct opt *o;
	out_str(out, "usage: ");
	help_usage(out, applet, verb);
	out_fmt(out, "%s\n\n", verb->summary);
	for (const struct operand *p = verb->operands; p != NULL && p->name != NULL; p++)
		if (p->help != NULL)
			out_fmt(out, "  %-22s %s\n", p->name, p->help);
	for (unsigned i = 0; (o = args_next_opt(verb, &i)) != NULL;)
		opt_line(out, o);
	if (verb->example != NULL)
		out_fmt(out, "\nexample: %s\n         %s\n", verb->example, verb->example_says);
}
