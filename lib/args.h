/* lib/args.h: from words to values, and from records to text. All re-entrant: nothing is kept
 * between calls, and getopt's globals are not touched. */
#ifndef IPC_ARGS_H
#define IPC_ARGS_H

#include "call.h"

/* The table behind enum std: one meaning per letter for the whole toolbox. (lib/std.c) */
extern const struct opt std_opts[STD_N];

/* The applet called NAME ("ipc-lock", "lock", or its alias), the part behind the last '/' only.
 * *ALIAS is set when the name was the alias. NULL when there is none. */
const struct applet *args_applet(const char *name, bool *alias);
/* The verb called NAME; NULL when there is none. */
const struct verb *args_verb(const struct applet *applet, const char *name);
/* Choose call->verb from the words behind the applet's name and move *ARGV behind the verb word.
 * Returns -1, or the status to end with (help was printed, or a message). */
int args_choose(struct call *call, char *const **argv);
/* Parse ARGV (NULL-terminated, behind the verb) into call->std, opt, args and command as the verb's
 * record says. Returns -1 when the verb may run, else the status to end with. */
int args_parse(struct call *call, char *const *argv);

/* Are the words of ARGV, up to its end or "--", more operands than VERB takes? */
bool args_excess(const struct verb *verb, char *const *argv);

/* Next option of VERB, own and borrowed ones in display order; *I starts at 0. NULL at the end. */
const struct opt *args_next_opt(const struct verb *verb, unsigned *i);

/* --help of the toolbox, an applet, a verb (help.c). They write to call->out. */
void help_box(struct out *out);
void help_applet(struct out *out, const struct applet *applet);
void help_verb(struct out *out, const struct applet *applet, const struct verb *verb);
/* A usage line: "ipc-lock run [OPTIONS] OBJECT... -- CMD [ARG...]", wrapped when INDENT, the column it
 * begins at, is not 0. */
void help_usage(
	struct out *out, const struct applet *applet, const struct verb *verb, size_t indent);

/* ipcbox --spec: a line per applet, verb, option and operand, tab-separated (spec.c). */
void spec_dump(struct out *out);

#endif
