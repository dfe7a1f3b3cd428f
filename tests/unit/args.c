/* tests/unit/args.c: the parser, on a record of its own. */
#define _GNU_SOURCE
#include "args.h"

#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { O_FLAG, O_NUM, O_CHOICE, O_LIST, O_A, O_B };
static const char *const colours[] = {"red", "green", NULL};
static const struct opt opts[] = {
	[O_FLAG] = {.letter = 'x', .name = "exclusive", .help = "h"},
	[O_NUM] = {.letter = 'j',
		.name = "jobs",
		.arg = ARG_INT,
		.metavar = "N",
		.min = 1,
		.max = 9,
		.help = "h"},
	[O_CHOICE] = {.name = "colour",
		.arg = ARG_CHOICE,
		.metavar = "C",
		.choices = colours,
		.help = "h"},
	[O_LIST] = {.letter = 'T', .arg = ARG_LIST, .metavar = "L", .help = "h"},
	[O_A] = {.name = "alpha", .group = 1, .help = "h"},
	[O_B] = {.name = "alternate", .group = 1, .help = "h"},
};
static const struct operand one_many[] = {{.name = "A", .arg = ARG_STR, .min = 1, .max = 1},
	{.name = "N", .arg = ARG_INT, .lo = 0, .hi = 5, .max = 0}, {0}};
static const struct operand many_one[] = {
	{.name = "SRC", .min = 1, .max = 0}, {.name = "DST", .min = 1, .max = 1}, {0}};
static const struct verb verbs[] = {
	{.name = "do",
		.operands = one_many,
		OPTS(opts),
		.std = STD_WAIT | STD_FRAME,
		.flags = VERB_COMMAND},
	{.name = "bare", .flags = VERB_COMMAND | VERB_NEEDS_COMMAND},
	{.name = "move", .operands = many_one},
	{.name = "raw", .operands = many_one, .flags = VERB_RAW},
};
static const struct applet applet = {.name = "ipc-t", VERBS(verbs)};

#define WORDS(...) ((char *const[]){(char *)__VA_ARGS__, NULL})

static struct call *call;

/* The status of parsing WORDS as verb WHICH; -1: may run. */
static int parse(int which, char *const *words)
{
	if (call != NULL) {
		call_unwind(call, 0);
		close(call->err);
		free(call);
	}
	call = calloc(1, sizeof *call);
	if (call == NULL)
		exit(70);
	call->applet = &applet;
	call->verb = &verbs[which];
	call->err = open("/dev/null", O_WRONLY | O_CLOEXEC);
	call->out.fd = call->err;
	return args_parse(call, words);
}

#define DO(...) parse(0, WORDS(__VA_ARGS__))

static void options(void)
{
	OK(DO("a") == -1 && call->nargs == 1 && call->command == NULL);
	OK(DO("-x", "a") == -1 && call->opt[O_FLAG].count == 1);
	OK(DO("-xx", "-x", "a") == -1 && call->opt[O_FLAG].count == 3);
	OK(DO("-xj3", "a") == -1 && call->opt[O_NUM].num == 3);
	OK(DO("-j", "3", "a") == -1 && call->opt[O_NUM].num == 3);
	OK(DO("--jobs=3", "a") == -1 && DO("--jobs", "3", "a") == -1 && DO("--jo", "3", "a") == -1);
	OK(DO("-w", "1.5", "a") == -1 && call->std[STD_TIMEOUT].num == 1500000000);
	OK(DO("-j", "-3", "a") == ST_USAGE && DO("-j", "10", "a") == ST_USAGE &&
		DO("-jx", "a") == ST_USAGE);
	OK(DO("-j") == ST_USAGE && DO("--jobs") == ST_USAGE && DO("--jobs=", "a") == ST_USAGE);
	OK(DO("--exclusive=1", "a") == ST_USAGE && DO("-y", "a") == ST_USAGE &&
		DO("--y", "a") == ST_USAGE);
	OK(DO("--colour", "green", "a") == -1 && call->opt[O_CHOICE].num == 1);
	OK(DO("--colour", "gree", "a") == ST_USAGE);
	OK(DO("-T", "a", "-Tb", "a") == -1 && strcmp(call->opt[O_LIST].str, "a,b") == 0);
	OK(DO("--al", "a") == ST_USAGE && DO("--alpha", "a") == -1);
	OK(DO("--alpha", "--alternate", "a") == ST_USAGE && DO("--alpha", "--alpha", "a") == -1);
	OK(DO("-l", "-0", "a") == ST_USAGE && DO("--record-size", "4", "--raw", "a") == ST_USAGE);
	OK(DO("--record-size", "0", "a") == ST_USAGE && DO("--record-size", "4K", "a") == -1);
	OK(DO("-E", "256", "a") == ST_USAGE && DO("-E", "-1", "a") == ST_USAGE &&
		DO("-E", "0", "a") == -1);
	OK(DO("-f", "a") == ST_USAGE); /* not borrowed */
	OK(DO("--help", "--nonsense") == ST_USAGE && DO("--help") == ST_OK && DO("-xh") == ST_OK);
}

static void operands(void)
{
	OK(parse(0, WORDS("-x")) == ST_USAGE);
	OK(DO("a", "1", "2", "5") == -1 && call->nargs == 4 && call->args[3].num == 5);
	OK(DO("a", "6") == ST_USAGE && DO("a", "x") == ST_USAGE && DO("a", "-1") == ST_USAGE);
	OK(DO("a", "-x") == ST_USAGE); /* options come first */
	OK(DO("--", "-x") == -1 && strcmp(call->args[0].str, "-x") == 0);
	OK(DO("-", "1") == -1 && strcmp(call->args[0].str, "-") == 0);
	OK(DO("") == -1 && call->nargs == 1);
	OK(parse(2, WORDS("a", "b")) == -1 && parse(2, WORDS("a")) == ST_USAGE);
	OK(parse(2, WORDS("a", "b", "c")) == -1 && call->nargs == 3);
	OK(parse(2, WORDS("--", "a", "b")) == -1 && call->nargs == 2);
	OK(parse(2, WORDS("a", "b", "--", "c")) == ST_USAGE); /* takes no command */
	OK(parse(3, WORDS("a", "--", "b")) == -1 && call->nargs == 3);
}

static void commands(void)
{
	OK(DO("a", "--", "cmd", "-x") == -1 && call->nargs == 1 &&
		strcmp(call->command[1], "-x") == 0);
	OK(DO("a", "--") == ST_USAGE);
	OK(DO("--", "a", "--", "cmd", "--", "x") == -1 && strcmp(call->command[1], "--") == 0);
	OK(DO("--", "a") == -1 && call->command == NULL);
	OK(parse(1, WORDS("--", "cmd")) == -1 && strcmp(call->command[0], "cmd") == 0);
	OK(parse(1, WORDS("cmd")) == ST_USAGE && parse(1, WORDS("--")) == ST_USAGE);
	OK(parse(1, WORDS("-q")) == ST_USAGE && parse(1, WORDS("-q", "--", "cmd")) == -1);
}

static void names(void)
{
	bool alias;
	OK(args_applet("no-such-applet", &alias) == NULL && args_applet("", &alias) == NULL);
	for (size_t i = 0; applets[i] != NULL; i++) {
		const struct applet *a = applets[i];
		OK(args_applet(a->name, &alias) == a && !alias);
		OK(args_applet(a->name + 4, &alias) == a && !alias);
		if (a->alias != NULL)
			OK(args_applet(a->alias, &alias) == a && alias);
	}
	OK(args_verb(&applet, "do") == &verbs[0] && args_verb(&applet, "d") == NULL);
}

void test_args(void)
{
	options();
	operands();
	commands();
	names();
	parse(0, WORDS("a"));
	call_unwind(call, 0);
	close(call->err);
	free(call);
	call = NULL;
}
