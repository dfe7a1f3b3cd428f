/* lib/spec.c: the records as text, for the completions' generator, the man page check and whoever
 * wants to know. Tab-separated; empty fields are "-":
 *
 *	applet   APPLET KIND ALIAS SUMMARY
 *	verb     APPLET VERB FLAGS SUMMARY
 *	usage    APPLET VERB LINE
 *	option   APPLET VERB LETTER LONG METAVAR TYPE CHOICES HELP
 *	operand  APPLET VERB NAME TYPE MIN MAX CHOICES HELP
 */
#include "args.h"

/* Said like a flag of the verb: what runs when the first word is no verb. */
#define FALLBACK 512

static const char *type_name(enum arg arg)
{
	static const char *const names[] = {[ARG_NONE] = "flag",
		[ARG_STR] = "str",
		[ARG_INT] = "int",
		[ARG_UINT] = "uint",
		[ARG_SIZE] = "size",
		[ARG_DURATION] = "duration",
		[ARG_MODE] = "mode",
		[ARG_SIGNAL] = "signal",
		[ARG_FD] = "fd",
		[ARG_PID] = "pid",
		[ARG_USER] = "user",
		[ARG_CHOICE] = "choice",
		[ARG_LIST] = "list",
		[ARG_PATH] = "path",
		[ARG_OBJECT] = "object",
		[ARG_COMMAND] = "command"};
	return names[arg];
}

static const char *or_dash(const char *s)
{
	return s != NULL && *s != '\0' ? s : "-";
}

static void put_choices(struct out *out, const char *const *choices)
{
	if (choices == NULL) {
		out_char(out, '-');
		return;
	}
	for (size_t i = 0; choices[i] != NULL; i++) {
		if (i > 0)
			out_char(out, ',');
		out_str(out, choices[i]);
	}
}

static void put_flags(struct out *out, unsigned flags)
{
	static const char *const names[] = {"inproc", "spawns", "command", "needs-command",
		"graceful", "raw", "hidden", "silent", "small", "fallback"};
	bool any = false;
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if ((flags >> i & 1) != 0) {
			out_fmt(out, any ? ",%s" : "%s", names[i]);
			any = true;
		}
	if (!any)
		out_char(out, '-');
}

static void put_verb(struct out *out, const struct applet *a, const struct verb *v)
{
	const char *name = or_dash(v->name);
	const struct opt *o;
	out_fmt(out, "verb\t%s\t%s\t", a->name, name);
	put_flags(out, v->flags | (v == a->fallback ? FALLBACK : 0));
	out_fmt(out, "\t%s\nusage\t%s\t%s\t", v->summary, a->name, name);
	help_usage(out, a, v, 0);
	for (unsigned i = 0; (o = args_next_opt(v, &i)) != NULL;) {
		char letter[2] = {o->letter, '\0'};
		out_fmt(out, "option\t%s\t%s\t%s\t%s\t%s\t%s\t", a->name, name, or_dash(letter),
			or_dash(o->name), or_dash(o->metavar), type_name(o->arg));
		put_choices(out, o->choices);
		out_fmt(out, "\t%s\n", or_dash(o->help));
	}
	for (const struct operand *p = v->operands; p != NULL && p->name != NULL; p++) {
		out_fmt(out, "operand\t%s\t%s\t%s\t%s\t%u\t%u\t", a->name, name, p->name,
			type_name(p->arg), p->min, p->max);
		put_choices(out, p->choices);
		out_fmt(out, "\t%s\n", or_dash(p->help));
	}
}

void spec_dump(struct out *out)
{
	for (size_t i = 0; applets[i] != NULL; i++) {
		const struct applet *a = applets[i];
		out_fmt(out, "applet\t%s\t%s\t%s\t%s\n", a->name, or_dash(a->kind),
			or_dash(a->alias), a->summary);
		for (size_t v = 0; v < a->nverbs; v++)
			put_verb(out, a, &a->verbs[v]);
	}
}
