/* tests/fuzz/args.c: the argument parser over the records of all applets; no verb is run. Whatever the words,
 * it ends with a status or with values that are what the record promises: numbers in range, no more and no
 * fewer operands than asked for, a command where one is needed.
 *
 * Input: a byte for the applet, a byte for the verb (odd: the words choose it), then a word a line.
 */
#include "lib/host.h"

#include "args.h"

#include <stdlib.h>

#define WORDS_MAX 64

static void in_range(const struct opt *o, const struct val *v)
{
	if (v->count == 0)
		return;
	FUZZ_HOLDS(o->arg == ARG_NONE || v->str != NULL);
	if ((o->arg == ARG_INT || o->arg == ARG_UINT) && (o->min != 0 || o->max != 0))
		FUZZ_HOLDS(v->num >= o->min && v->num <= o->max);
	if (o->arg == ARG_UINT || o->arg == ARG_SIZE || o->arg == ARG_DURATION || o->arg == ARG_FD)
		FUZZ_HOLDS(v->num >= 0);
	if (o->arg == ARG_MODE)
		FUZZ_HOLDS(v->num >= 0 && v->num <= 07777);
	if (o->arg == ARG_PID)
		FUZZ_HOLDS(v->num > 0);
	if (o->arg == ARG_CHOICE)
		for (int64_t i = 0; i <= v->num; i++)
			FUZZ_HOLDS(o->choices[i] != NULL);
}

static void check(const struct call *call)
{
	const struct verb *verb = call->verb;
	unsigned least = 0, most = 0;
	bool any = false;
	for (size_t i = 0; i < verb->nopts; i++)
		in_range(&verb->opts[i], &call->opt[i]);
	for (unsigned i = 0; i < STD_N; i++)
		in_range(&std_opts[i], &call->std[i]);
	for (const struct operand *o = verb->operands; o != NULL && o->name != NULL; o++) {
		least += o->min;
		most += o->max;
		any = any || o->max == 0;
	}
	FUZZ_HOLDS(call->nargs >= least && (any || call->nargs <= most));
	for (unsigned i = 0; i < call->nargs; i++)
		FUZZ_HOLDS(call->args[i].str != NULL);
	FUZZ_HOLDS((verb->flags & VERB_NEEDS_COMMAND) == 0 ||
		(call->command != NULL && call->command[0] != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char *words[WORDS_MAX + 1];
	size_t n = 0, count = 0;
	int status = -1;
	while (applets[count] != NULL)
		count++;
	if (count == 0)
		return 0;
	struct call *call = fuzz_call();
	call->applet = applets[fuzz_byte(&in) % count];
	unsigned which = fuzz_byte(&in);
	while (n < WORDS_MAX && (words[n] = fuzz_line(&in)) != NULL)
		n++;
	words[n] = NULL;
	char *const *argv = words;
	if ((which & 1) != 0)
		status = args_choose(call, &argv);
	else
		call->verb = &call->applet->verbs[which / 2 % call->applet->nverbs];
	if (status < 0)
		status = args_parse(call, argv);
	FUZZ_HOLDS(status == -1 || status == ST_OK || status == ST_USAGE);
	if (status == -1)
		check(call);
	fuzz_call_end(call);
	for (size_t i = 0; i < n; i++)
		free(words[i]);
	return 0;
}
