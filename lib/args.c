/* lib/args.c: the parser. POSIX order: options end at the first operand or at "--".
 *
 * What surprises: a "--" before the operands only ends the options when the verb takes operands;
 * the next one then introduces CMD. In `ipc-signal run -- CMD`, which takes none, the first does.
 */
#include "args.h"

#include "num.h"

#include <errno.h>
#include <string.h>

static bool same_applet(const char *name, const char *word)
{
	return strcmp(name, word) == 0 ||
		(strncmp(name, "ipc-", 4) == 0 && strcmp(name + 4, word) == 0);
}

const struct applet *args_applet(const char *name, bool *alias)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;
	*alias = false;
	for (size_t i = 0; applets[i] != NULL; i++) {
		if (same_applet(applets[i]->name, base))
			return applets[i];
		if (applets[i]->alias != NULL && strcmp(applets[i]->alias, base) == 0) {
			*alias = true;
			return applets[i];
		}
	}
	return NULL;
}

const struct verb *args_verb(const struct applet *applet, const char *name)
{
	for (size_t i = 0; i < applet->nverbs; i++)
		if (applet->verbs[i].name != NULL && strcmp(applet->verbs[i].name, name) == 0)
			return &applet->verbs[i];
	return NULL;
}

const struct opt *args_next_opt(const struct verb *verb, unsigned *i)
{
	for (; *i < verb->nopts; (*i)++)
		if (verb->opts[*i].name != NULL || verb->opts[*i].letter != 0)
			return &verb->opts[(*i)++];
	/* The three that are always there come last. */
	for (unsigned s; (s = *i - (unsigned)verb->nopts) < STD_N; (*i)++) {
		unsigned id = s + 3 < STD_N ? s + 3 : s + 3 - STD_N;
		if (((verb->std | STD_ALWAYS) >> id & 1) != 0)
			return (*i)++, &std_opts[id];
	}
	return NULL;
}

int args_choose(struct call *call, char *const **argv)
{
	const struct applet *applet = call->applet;
	const char *word = (*argv)[0];
	if (applet->verbs[0].name == NULL) {
		call->verb = &applet->verbs[0];
		return -1;
	}
	call->verb = word != NULL ? args_verb(applet, word) : NULL;
	if (call->verb != NULL) {
		++*argv;
		return -1;
	}
	if (word != NULL && (strcmp(word, "--help") == 0 || (strcmp(word, "-h") == 0))) {
		help_applet(&call->out, applet);
		return ST_OK;
	}
	if (applet->fallback != NULL && word != NULL) {
		call->verb = applet->fallback;
		return -1;
	}
	if (word == NULL)
		return call_fail(
			call, ST_USAGE, 0, "a verb is missing; see %s --help", applet->name);
	return call_fail(call, ST_USAGE, 0, "%s: no such verb; see %s --help", word, applet->name);
}

/* Where the value of OPT is kept: VERB's own options by index, borrowed ones by enum std. */
static struct val *slot(struct call *call, const struct opt *opt)
{
	if (opt >= std_opts && opt < std_opts + STD_N)
		return &call->std[opt - std_opts];
	return &call->opt[opt - call->verb->opts];
}

static const char *in_range(int64_t n, int64_t min, int64_t max)
{
	if (min == 0 && max == 0)
		return NULL;
	return n < min ? "too small" : n > max ? "too large" : NULL;
}

static const char *choice(const char *s, const char *const *choices, int64_t *n)
{
	for (*n = 0; choices[*n] != NULL; ++*n)
		if (strcmp(s, choices[*n]) == 0)
			return NULL;
	return "not one of the choices";
}

/* S as an ARG kind into *N; NULL, or what is wrong with it. */
static const char *convert(enum arg arg, const char *s, int64_t min, int64_t max,
	const char *const *choices, int64_t *n)
{
	const char *why = NULL;
	uint64_t u;
	switch (arg) {
	case ARG_INT: why = num_int(s, n); break;
	case ARG_UINT:
		why = num_uint(s, &u);
		if (why == NULL && u > INT64_MAX)
			why = "too large";
		if (why == NULL)
			*n = (int64_t)u;
		break;
	case ARG_SIZE: why = num_size(s, n); break;
	case ARG_DURATION: why = num_duration(s, n); break;
	case ARG_MODE: why = num_mode(s, n); break;
	case ARG_SIGNAL: why = num_signal(s, n); break;
	case ARG_FD:
		why = num_int(s, n);
		if (why == NULL && (*n < 0 || *n > 1 << 20))
			why = "not a descriptor number";
		break;
	case ARG_PID:
		why = num_int(s, n);
		if (why == NULL && (*n <= 0 || *n > INT32_MAX))
			why = "not a process id";
		break;
	case ARG_USER: why = num_user(s, n); break;
	case ARG_CHOICE: return choice(s, choices, n);
	case ARG_NONE:
	case ARG_STR:
	case ARG_LIST:
	case ARG_PATH:
	case ARG_OBJECT:
	case ARG_COMMAND: return NULL;
	}
	return why != NULL ? why : in_range(*n, min, max);
}

static const char *choices_text(struct call *call, const char *const *choices)
{
	char *text = call_strdup(call, choices[0]);
	for (size_t i = 1; text != NULL && choices[i] != NULL; i++)
		text = call_fmt(call, "%s, %s", text, choices[i]);
	return text != NULL ? text : "";
}

static int bad_value(struct call *call, const char *what, const char *s, const char *why,
	enum arg arg, int64_t min, int64_t max, const char *const *choices)
{
	if (arg == ARG_CHOICE)
		return call_fail(call, ST_USAGE, 0, "%s: %s is not one of %s", what, s,
			choices_text(call, choices));
	if (strncmp(why, "too ", 4) == 0 && (min != 0 || max != 0) && max < INT64_MAX)
		return call_fail(call, ST_USAGE, 0, "%s: %s: %s (%lld to %lld)", what, s, why,
			(long long)min, (long long)max);
	return call_fail(call, ST_USAGE, 0, "%s: %s: %s", what, s, why);
}

static const char *opt_text(struct call *call, const struct opt *opt)
{
	const char *t = opt->name == NULL ? call_fmt(call, "-%c", opt->letter)
		: opt->letter == 0        ? call_fmt(call, "--%s", opt->name)
					  : call_fmt(call, "-%c/--%s", opt->letter, opt->name);
	return t != NULL ? t : "option";
}

static int set_opt(struct call *call, const struct opt *opt, const char *value)
{
	struct val *val = slot(call, opt);
	unsigned i = 0;
	for (const struct opt *o; opt->group != 0 && (o = args_next_opt(call->verb, &i)) != NULL;)
		if (o != opt && o->group == opt->group && slot(call, o)->count > 0)
			return call_fail(call, ST_USAGE, 0, "%s and %s exclude each other",
				opt_text(call, o), opt_text(call, opt));
	if (opt->arg != ARG_NONE) {
		const char *why =
			convert(opt->arg, value, opt->min, opt->max, opt->choices, &val->num);
		if (why != NULL)
			return bad_value(call, opt_text(call, opt), value, why, opt->arg, opt->min,
				opt->max, opt->choices);
	}
	if (opt->arg == ARG_LIST && val->count > 0)
		value = call_fmt(call, "%s,%s", val->str, value);
	if (opt->arg == ARG_LIST && value == NULL)
		return call_error(call, ENOMEM, "parse");
	val->str = value;
	val->count++;
	return -1;
}

/* The option that NAME (LEN bytes) means; a prefix that fits only one option counts, as in
 * getopt_long(3). *MANY is set when it fits several. */
static const struct opt *find_long(
	const struct verb *verb, const char *name, size_t len, bool *many)
{
	const struct opt *found = NULL, *o;
	*many = false;
	for (unsigned i = 0; (o = args_next_opt(verb, &i)) != NULL;) {
		if (o->name == NULL || strncmp(o->name, name, len) != 0)
			continue;
		if (o->name[len] == '\0') {
			*many = false;
			return o;
		}
		*many = *many || found != NULL;
		found = o;
	}
	return *many ? NULL : found;
}

static int long_opt(struct call *call, char *const **argv)
{
	const char *name = (*argv)[0] + 2, *eq = strchr(name, '=');
	size_t len = eq != NULL ? (size_t)(eq - name) : strlen(name);
	bool many;
	const struct opt *opt = find_long(call->verb, name, len, &many);
	if (opt == NULL)
		return call_fail(call, ST_USAGE, 0, "--%.*s: %s option; see --help", (int)len, name,
			many ? "ambiguous" : "no such");
	if (opt->arg == ARG_NONE && eq != NULL)
		return call_fail(call, ST_USAGE, 0, "--%s takes no value", opt->name);
	const char *value = eq != NULL ? eq + 1 : NULL;
	if (opt->arg != ARG_NONE && value == NULL) {
		value = *++*argv;
		if (value == NULL)
			return call_fail(call, ST_USAGE, 0, "--%s needs a value (%s)", opt->name,
				opt->metavar);
	}
	++*argv;
	return set_opt(call, opt, value);
}

static const struct opt *find_letter(const struct verb *verb, char letter)
{
	const struct opt *o;
	for (unsigned i = 0; (o = args_next_opt(verb, &i)) != NULL;)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int letters(struct call *call, char *const **argv)
{
	for (const char *p = **argv + 1; *p != '\0'; p++) {
		const struct opt *opt = find_letter(call->verb, *p);
		if (opt == NULL)
			return call_fail(call, ST_USAGE, 0, "-%c: no such option; see --help", *p);
		const char *value = NULL;
		if (opt->arg != ARG_NONE) {
			value = p[1] != '\0' ? p + 1 : *++*argv;
			if (value == NULL)
				return call_fail(call, ST_USAGE, 0, "-%c needs a value (%s)", *p,
					opt->metavar);
		}
		int status = set_opt(call, opt, value);
		if (status >= 0)
			return status;
		if (value != NULL)
			break;
	}
	++*argv;
	return -1;
}

static int options(struct call *call, char *const **argv)
{
	for (const char *word; (word = **argv) != NULL && word[0] == '-' && word[1] != '\0';) {
		if (strcmp(word, "--") == 0)
			return -1;
		int status = word[1] == '-' ? long_opt(call, argv) : letters(call, argv);
		if (status >= 0)
			return status;
	}
	return -1;
}

static unsigned count_words(char *const *argv, bool raw)
{
	unsigned n = 0;
	while (argv[n] != NULL && (raw || strcmp(argv[n], "--") != 0))
		n++;
	return n;
}

bool args_excess(const struct verb *verb, char *const *argv)
{
	unsigned most = 0;
	for (const struct operand *o = verb->operands; o != NULL && o->name != NULL; o++) {
		if (o->max == 0)
			return false;
		most += o->max;
	}
	return count_words(argv, false) > most;
}

/* How many of the N words operand SPEC takes: its minimum, and as much more as leaves the later
 * ones theirs. */
static unsigned share(const struct operand *spec, unsigned n)
{
	unsigned later = 0;
	for (const struct operand *o = spec + 1; o->name != NULL; o++)
		later += o->min;
	unsigned free = n > later ? n - later : 0;
	return spec->max != 0 && free > spec->max ? spec->max : free;
}

static int operands(struct call *call, char *const *words, unsigned n)
{
	static const struct operand none = {0};
	const struct operand *spec = call->verb->operands != NULL ? call->verb->operands : &none;
	unsigned need = 0;
	for (const struct operand *o = spec; o->name != NULL; o++) {
		if (n < need + o->min)
			return call_fail(call, ST_USAGE, 0, "%s is missing; see --help", o->name);
		need += o->min;
	}
	call->args = n < CALL_FEW ? call->few : call_alloc(call, (n + 1) * sizeof *call->args);
	if (call->args == NULL)
		return call_error(call, ENOMEM, "parse");
	for (; spec->name != NULL; spec++) {
		unsigned take = share(spec, n - call->nargs);
		for (; take > 0; take--) {
			struct val *val = &call->args[call->nargs];
			*val = (struct val){.count = 1, .str = words[call->nargs]};
			const char *why = convert(
				spec->arg, val->str, spec->lo, spec->hi, spec->choices, &val->num);
			if (why != NULL)
				return bad_value(call, spec->name, val->str, why, spec->arg,
					spec->lo, spec->hi, spec->choices);
			call->nargs++;
		}
	}
	if (call->nargs == n)
		return -1;
	const char *extra = words[call->nargs];
	return call_fail(call, ST_USAGE, 0, "%s: %s; see --help", extra,
		extra[0] == '-' && extra[1] != '\0' ? "options come before the first operand"
						    : "one operand too many");
}

int args_parse(struct call *call, char *const *argv)
{
	const struct verb *verb = call->verb;
	bool raw = (verb->flags & VERB_RAW) != 0;
	bool takes = verb->operands != NULL && verb->operands[0].name != NULL;
	int status = options(call, &argv);
	if (status >= 0)
		return status;
	if (call->std[STD_HELP].count > 0) {
		help_verb(&call->out, call->applet, verb);
		return ST_OK;
	}
	if (*argv != NULL && strcmp(*argv, "--") == 0 &&
		(takes || (verb->flags & VERB_COMMAND) == 0))
		argv++;
	unsigned n = count_words(argv, raw);
	status = operands(call, argv, n);
	if (status >= 0)
		return status;
	if (argv[n] != NULL && argv[n + 1] != NULL)
		call->command = argv + n + 1;
	if (argv[n] != NULL && (verb->flags & VERB_COMMAND) == 0)
		return call_fail(call, ST_USAGE, 0, "takes no command after --; see --help");
	if (call->command == NULL && (argv[n] != NULL || (verb->flags & VERB_NEEDS_COMMAND) != 0))
		return call_fail(call, ST_USAGE, 0, "-- CMD is missing; see --help");
	return -1;
}
