/* ipc-bench's own: how a mechanism is described, what the players of a measurement share, and what comes
 * out of it. */
#ifndef IPC_BENCH_H
#define IPC_BENCH_H

#include "call.h"
#include "futex.h"

#include <sys/types.h>

enum {
	OPT_MECHANISMS,
	OPT_SIZES,
	OPT_PATTERN,
	OPT_RECEIVERS,
	OPT_TIME,
	OPT_QUICK,
	OPT_PIN,
	OPT_ONE_CPU,
	OPT_SVG,
	OPT_LIST
};

/* What is measured: an answer to each message; messages in a row to one; to each of several; to any one
 * of several. */
enum pattern { REQUEST, STREAM, BROADCAST, QUEUE, NPATTERNS };

#define MAX_RECEIVERS 16
#define PLAYERS (MAX_RECEIVERS + 1) /* the driver is number 0 */
#define MAX_SIZES 16
#define MAX_MESSAGE (INT64_C(1) << 24)
#define NOISY 0.10  /* a confidence interval wider than this is said */
#define NARROW 0.02 /* and one narrower ends the measurement */
#define MAX_BATCHES 512

struct bench;

/* One way for messages, made before the players are. What is not used stays -1, NULL or 0. */
struct chan {
	struct bench *b;
	int in, out; /* its read end and its write end */
	int file;    /* a file that goes along */
	int id;      /* System V */
	pid_t guard; /* removes .id should we be killed */
	void *mem;   /* shared memory of .size bytes */
	size_t size;
	unsigned from, to; /* players; a queue has many at one end */
};

#define M_QUEUE 1 /* several receivers may take from one channel */
#define M_POLLS 2 /* burns a processor while it waits */

/* One mechanism. Its functions return 0, or -1 with errno and bench_step's word for the step. */
struct mech {
	const char *name, *label;
	const char *what;   /* for --list */
	const char *applet; /* who offers it to scripts */
	const char *good;   /* why one would take it */
	unsigned flags;
	/* In the parent: make a way there and one back for messages of b->size. */
	int (*open)(struct bench *b, struct chan *to, struct chan *back);
	int (*join)(struct chan *c); /* in each player, before anything is sent; may be NULL */
	int (*send)(struct chan *c, const unsigned char *msg, size_t size);
	int (*recv)(struct chan *c, unsigned char *msg, size_t size);
	/* In place of send and recv, where a question and its answer are one thing. */
	int (*call)(struct bench *b);
	int (*serve)(struct bench *b);
	const struct slots_way *way; /* mech_shared.c: how one side waits for the other */
};

extern const struct mech *const mechs[]; /* from simple to intricate, NULL at the end */
extern const struct mech mech_pipe, mech_fifo, mech_stream, mech_dgram, mech_seqpacket, mech_tcp,
	mech_sendfd, mech_mq, mech_sysv, mech_ring, mech_futex, mech_spin, mech_eventfd,
	mech_signal, mech_file, mech_door;
#define MAX_MECHS 16

/* What one measurement gives. */
struct result {
	bool done;
	char why[112];                        /* why it was not done */
	uint64_t samples, p50, p90, p99, max; /* REQUEST: round trips, ns */
	double rate;                          /* the others: messages delivered a second */
	double spread; /* half the width of the 95 % confidence interval, as a part of the value */
	unsigned batches;
};

/* Mapped by all players of a measurement. */
struct control {
	uint32_t ready;   /* futex: players that have joined */
	uint32_t batch;   /* messages in the batch that comes */
	uint32_t taken;   /* QUEUE: how many of them somebody has */
	uint32_t over;    /* the driver is done, and .result is whole */
	int err;          /* the first failure */
	const char *step; /* where: a literal, at the same place in all of us */
	pid_t pid[PLAYERS];
	struct result result;
};

struct bench {
	struct call *call;
	const struct mech *mech; /* this measurement: */
	enum pattern pattern;
	size_t size;
	unsigned receivers; /* players besides the driver */
	unsigned me;        /* which player this process is */
	int64_t budget;     /* ns */
	struct control *ctl;
	unsigned char *msg; /* room for a message, with a long in front */
	char why[112];      /* a limit that open() met */
	struct chan to[MAX_RECEIVERS], back[MAX_RECEIVERS];
	unsigned nchans;
	pid_t pids[PLAYERS];
	struct futex_robust robust;
	/* The whole run: */
	const struct mech *const *mechs; /* chosen */
	unsigned nmechs, nsizes, workers;
	size_t sizes[MAX_SIZES];
	bool wanted[NPATTERNS], given; /* given: by --pattern */
	enum pattern chief;            /* what bars and order go by */
	bool pin, one_cpu, quick;
	unsigned total, finished; /* measurements, for the progress */
	int64_t started, drawn;
	bool tty, draw;
	struct result *results; /* by bench_result */
};

struct result *bench_result(const struct bench *b, unsigned size, unsigned mech, enum pattern p);
/* Note the step that failed in this player; returns -1. */
int bench_step(struct bench *b, const char *step);

/* cell.c: one measurement. 0 with *R filled in (also when it could not be done: r->why); else a status
 * with its message: we were stopped. */
int cell_run(struct bench *b, struct result *r);

/* play.c: what the players do, in processes of their own. ARG is the struct bench. */
int play_driver(void *arg);
int play_receiver(void *arg);

/* stats.c */
#define HIST_SLOTS 4608
struct hist {
	uint64_t count, max;
	uint32_t n[HIST_SLOTS];
};
void hist_add(struct hist *h, uint64_t value);
/* The value that PART (0..1) of all are not above, to 0.5 %. */
uint64_t hist_at(const struct hist *h, double part);
struct series {
	unsigned n;
	double v[MAX_BATCHES];
};
double series_median(const struct series *s);
/* Half the width of the 95 % confidence interval of the mean, as a part of it; 1 for fewer than 3. */
double series_spread(const struct series *s);
double stats_log10(double x);

/* progress.c */
void bench_progress_start(struct bench *b);
void bench_progress(struct bench *b);
void bench_progress_end(struct bench *b);
/* When the next picture is due; DEADLINE_NONE when none is drawn. */
int64_t bench_progress_due(const struct bench *b);

/* report.c, json.c, svg.c */
void report_table(const struct bench *b);
void report_json(const struct bench *b);
int svg_write(const struct bench *b, int fd);
const char *pattern_name(enum pattern p);
/* Three digits: "0.123", "12.3", "1230"; with units "1.23k". */
void show_number(double v, bool units, char buf[16]);
/* The machine in a few words: kernel, processors, model. */
const char *machine_text(const struct bench *b);
/* How the processors were given out. */
const char *pin_text(const struct bench *b);
/* The number that PATTERN is judged by, greater is better: round trips or messages a second; 0 none. */
double result_score(const struct result *r, enum pattern p);

/* advice.c */
struct advice {
	const struct mech *mech; /* NULL: nothing was measured that could be recommended */
	char text[640];
};
void advice_for(const struct bench *b, unsigned size, enum pattern p, struct advice *a);
/* How many measurements were too noisy, out of *ALL. */
unsigned noisy_results(const struct bench *b, unsigned *all);

#endif
