/* lib/applet.h: what an applet says about itself. Data only.
 *
 * One `static const` record per applet feeds the parser, --help, --spec, the completions and the
 * check of the man pages. Options that many verbs share (-w, -n, -l, -0, -J ...) are not written
 * out by each verb: a verb names them in .std, and lib/args.c holds the one table of them, so that
 * a letter cannot mean two things.
 */
#ifndef IPC_APPLET_H
#define IPC_APPLET_H

#include <stddef.h>
#include <stdint.h>

enum arg {
	ARG_NONE,     /* a flag */
	ARG_STR,      /* any text */
	ARG_INT,      /* int64, decimal or 0x..., within min..max (both 0: any) */
	ARG_UINT,     /* as ARG_INT, but never negative */
	ARG_SIZE,     /* bytes, suffixes K M G T (1024) */
	ARG_DURATION, /* seconds with fraction, suffixes ms s m h d; val.num is nanoseconds */
	ARG_MODE,     /* octal file mode 0..07777 */
	ARG_SIGNAL,   /* signal name with or without SIG, RTMIN+n, or number */
	ARG_FD,       /* descriptor number */
	ARG_PID,      /* process id > 0 */
	ARG_USER,     /* user name or number */
	ARG_CHOICE,   /* one of .choices; val.num is its index */
	ARG_LIST,     /* text; given twice the values are joined with commas */
	ARG_PATH,     /* a file name */
	ARG_OBJECT,   /* an object as in ipcbox(1), OBJECTS */
	ARG_COMMAND,  /* a command name (completion only) */
};

struct opt {
	char letter;      /* 'w', or 0 */
	const char *name; /* "timeout", or NULL; an entry with neither is a hole */
	enum arg arg;
	unsigned char group; /* of one non-zero group at most one option may be given */
	const char *metavar; /* "DUR" */
	int64_t min, max;    /* numbers: checked unless both are 0 */
	const char *const *choices;
	const char *help; /* one line, small first letter, no full stop */
};

struct operand {
	const char *name; /* "OBJECT"; NULL ends the array */
	enum arg arg;
	unsigned min, max; /* how many; max 0: any number (one such operand per verb) */
	int64_t lo, hi;    /* numbers: range, as in struct opt */
	const char *const *choices;
	const char *help;
};

/* Options every verb may borrow by naming them in .std; their values are in call->std[]. */
enum std {
	STD_HELP,
	STD_QUIET,
	STD_VERBOSE, /* these three are always there */
	STD_TIMEOUT,
	STD_NONBLOCK,
	STD_CONFLICT,
	STD_LINES,
	STD_NULL,
	STD_RECORD_SIZE,
	STD_RAW,
	STD_COUNT,
	STD_FOLLOW,
	STD_MODE,
	STD_JSON,
	STD_PROGRESS,
	STD_READY_FD,
	STD_PIDFILE,
	STD_N
};
#define STD(x) (1u << STD_##x)
#define STD_ALWAYS (STD(HELP) | STD(QUIET) | STD(VERBOSE))
#define STD_WAIT (STD(TIMEOUT) | STD(NONBLOCK) | STD(CONFLICT))
#define STD_FRAME (STD(LINES) | STD(NULL) | STD(RECORD_SIZE) | STD(RAW))

enum verb_flags {
	VERB_INPROC =
		1, /* may run inside a shell, unless CMD is given: short, or waits through lib/wait */
	VERB_SPAWNS = 2,        /* starts processes: always a process of its own */
	VERB_COMMAND = 4,       /* takes -- CMD [ARG...] */
	VERB_NEEDS_COMMAND = 8, /* ... and cannot do without */
	VERB_GRACEFUL = 16,     /* HUP, INT, TERM are caught: the verb cleans up and returns */
	VERB_RAW = 32,          /* all after the options is operands, "--" included */
	VERB_HIDDEN = 64,       /* left out of the applet's list of verbs */
	VERB_SILENT =
		128, /* writes no more than messages: a shell that runs it need not mind SIGPIPE */
	VERB_SMALL =
		256, /* all that it prints fits call->out: a shell that receives it needs no file */
};

struct call;

struct verb {
	const char *name; /* NULL: the applet has this one verb and no verb word */
	const char *summary;
	const char *usage; /* NULL: made from the record; else lines after "ipc-x verb " */
	const struct opt *opts;
	size_t nopts; /* holes allowed: opts is indexed by the applet's own enum */
	const struct operand *operands;
	unsigned std;
	unsigned flags;
	const char *example;       /* one command line shown by --help */
	const char *example_says;  /* what it does */
	int (*run)(struct call *); /* returns an exit status, never exits */
};

#define OPTS(a) .opts = (a), .nopts = sizeof(a) / sizeof *(a)
#define OPTS_MAX 40

struct applet {
	const char *name; /* "ipc-lock" */
	const char *summary;
	const char *kind; /* suffix of its objects in $IPC_DIR ("lock"), or NULL */
	const struct verb *verbs;
	size_t nverbs;
	const struct verb *fallback; /* when the first word is no verb, or NULL */
	const char *alias;           /* another name it answers to ("flock"), always .fallback */
};

#define VERBS(a) .verbs = (a), .nverbs = sizeof(a) / sizeof *(a)

/* The applets in display order, ending with NULL (applets/table.c). */
extern const struct applet *const applets[];

#endif
