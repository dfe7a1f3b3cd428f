/* applets/ipc-bench/ipc-bench.c: how fast is each mechanism here, and which one to take?
 *
 * Promises: all mechanisms are measured alike: two processes (or one and several), the same sizes, every
 * byte copied in and out, a warm-up, batches until the confidence interval is narrow; what could not be
 * measured says why, what is too noisy says so. Nothing is left behind, whoever is killed.
 *
 * What surprises: the processes that measure are forks of this one, see play.c, so that the numbers are
 * those of a plain C program. For a shell script the start of a process costs more than most of them.
 *
 * Limits: messages up to 16 MiB, one machine. Files and FIFOs lie in $TMPDIR, whose file system counts.
 */
#define _GNU_SOURCE
#include "bench.h"

#include "newfile.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int bench_run(struct call *call);

static const char *const patterns[] = {[REQUEST] = "request",
	[STREAM] = "stream",
	[BROADCAST] = "broadcast",
	[QUEUE] = "queue",
	NULL};

static const char *const names[] = {"pipe", "fifo", "stream", "seqpacket", "dgram", "tcp", "mq",
	"sysv", "ring", "futex", "eventfd", "signal", "spin", "file", "sendfd", "door", NULL};
const struct mech *const mechs[] = {&mech_pipe, &mech_fifo, &mech_stream, &mech_seqpacket,
	&mech_dgram, &mech_tcp, &mech_mq, &mech_sysv, &mech_ring, &mech_futex, &mech_eventfd,
	&mech_signal, &mech_spin, &mech_file, &mech_sendfd, &mech_door, NULL};

static const struct opt opts[] = {
	[OPT_MECHANISMS] = {.letter = 't',
		.name = "type",
		.arg = ARG_LIST,
		.metavar = "MECHANISM,...",
		.choices = names,
		.help = "measure these only; --list names them"},
	[OPT_SIZES] = {.letter = 'S',
		.name = "size",
		.arg = ARG_LIST,
		.metavar = "BYTES,...",
		.help = "sizes of messages (default: 64,4K,64K)"},
	[OPT_PATTERN] = {.name = "pattern",
		.arg = ARG_CHOICE,
		.metavar = "PATTERN",
		.choices = patterns,
		.help = "recommend for request, stream, broadcast or queue"},
	[OPT_RECEIVERS] = {.letter = 'j',
		.name = "receivers",
		.arg = ARG_UINT,
		.metavar = "N",
		.min = 1,
		.max = MAX_RECEIVERS,
		.help = "receivers of broadcast and queue (default: 3)"},
	[OPT_TIME] = {.name = "time",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.min = 1000000,
		.max = INT64_C(86400) * 1000000000,
		.help = "spend about DUR in all, or less (default: 8s)"},
	[OPT_QUICK] = {.name = "quick", .help = "rough numbers, in a second or two"},
	[OPT_PIN] = {.name = "pin", .group = 1, .help = "each process stays on its own processor"},
	[OPT_ONE_CPU] = {.name = "one-cpu", .group = 1, .help = "all processes on one processor"},
	[OPT_SVG] = {.name = "svg",
		.arg = ARG_PATH,
		.metavar = "FILE",
		.help = "draw a plot into FILE"},
	[OPT_LIST] = {.name = "list", .help = "print the mechanisms, measure nothing"},
};

static const struct verb verbs[] = {
	{.name = NULL,
		.summary = "measure each mechanism, and recommend one",
		OPTS(opts),
		.std = STD(JSON) | STD(PROGRESS),
		.flags = VERB_SPAWNS | VERB_GRACEFUL,
		.example = "ipc-bench -t pipe,stream,mq -S 64 --pattern queue",
		.example_says = "which one feeds three workers with 64 bytes each best?",
		.run = bench_run},
};

const struct applet ipc_bench = {
	.name = "ipc-bench",
	.summary = "latency and throughput of every mechanism on this machine",
	VERBS(verbs),
};

#define CELL_TIME (500 * NS_PER_MS) /* at most, unless --time says more */
#define RUN_TIME (8 * NS_PER_S)     /* doubled where the machine is noisy */
#define QUICK_TIME (12 * NS_PER_MS) /* a measurement of --quick */
#define LEAST_TIME (2 * NS_PER_MS)

struct result *bench_result(const struct bench *b, unsigned size, unsigned mech, enum pattern p)
{
	return &b->results[(size * b->nmechs + mech) * NPATTERNS + p];
}

/* ---- options */

/* The next word of the list at *AT; NULL at its end or without memory (*BAD then). */
static char *next_word(struct call *call, const char **at, bool *bad)
{
	if (**at == '\0')
		return NULL;
	size_t len = strcspn(*at, ",");
	char *word = call_fmt(call, "%.*s", (int)len, *at);
	*bad = word == NULL;
	*at += len;
	*at += **at == ',';
	return word;
}

static const struct mech *find_mech(const char *name)
{
	for (unsigned i = 0; mechs[i] != NULL; i++)
		if (strcmp(mechs[i]->name, name) == 0)
			return mechs[i];
	return NULL;
}

/* The mechanisms of -t, in the order of the list of all, whatever the order and the doubles given. */
static int choose_mechs(struct call *call, struct bench *b)
{
	const struct mech **chosen = call_alloc(call, sizeof mechs);
	bool want[MAX_MECHS] = {false}, all = call->opt[OPT_MECHANISMS].count == 0, bad = false;
	const char *at = all ? "" : call->opt[OPT_MECHANISMS].str, *word;
	while ((word = next_word(call, &at, &bad)) != NULL) {
		const struct mech *m = find_mech(word);
		if (m == NULL)
			return call_fail(call, ST_USAGE, 0,
				"-t/--type: %s: no such mechanism; see --list", word);
		for (unsigned i = 0; i < MAX_MECHS; i++)
			want[i] |= mechs[i] == m;
	}
	if (chosen == NULL || bad)
		return call_error(call, ENOMEM, "prepare");
	for (unsigned i = 0; i < MAX_MECHS; i++)
		if (all || want[i])
			chosen[b->nmechs++] = mechs[i];
	b->mechs = chosen;
	return b->nmechs > 0 ? 0 : call_fail(call, ST_USAGE, 0, "-t/--type: no mechanism given");
}

static int choose_sizes(struct call *call, struct bench *b)
{
	bool given = call->opt[OPT_SIZES].count > 0, bad = false;
	const char *at = given ? call->opt[OPT_SIZES].str : b->quick ? "64,4K" : "64,4K,64K", *word;
	while ((word = next_word(call, &at, &bad)) != NULL) {
		int64_t n;
		const char *why = num_size(word, &n);
		if (why != NULL)
			return call_fail(call, ST_USAGE, 0, "-S/--size: %s: %s", word, why);
		if (n < 1 || n > MAX_MESSAGE)
			return call_fail(
				call, ST_USAGE, 0, "-S/--size: %s: not from 1 to 16M", word);
		if (b->nsizes == MAX_SIZES)
			return call_fail(
				call, ST_USAGE, 0, "-S/--size: more than %d sizes", MAX_SIZES);
		b->sizes[b->nsizes++] = (size_t)n;
	}
	if (bad)
		return call_error(call, ENOMEM, "prepare");
	return b->nsizes > 0 ? 0 : call_fail(call, ST_USAGE, 0, "-S/--size: no size given");
}

static void choose_patterns(struct call *call, struct bench *b)
{
	b->given = call->opt[OPT_PATTERN].count > 0;
	b->chief = b->given ? (enum pattern)call->opt[OPT_PATTERN].num : REQUEST;
	b->wanted[REQUEST] = b->wanted[STREAM] = b->wanted[b->chief] = true;
	b->workers = 3;
	if (call->opt[OPT_RECEIVERS].count > 0)
		b->workers = (unsigned)call->opt[OPT_RECEIVERS].num;
	for (enum pattern p = 0; p < NPATTERNS; p++)
		b->total += b->wanted[p] ? b->nmechs * b->nsizes : 0;
}

/* How long one measurement may take. */
static void choose_time(struct call *call, struct bench *b)
{
	bool given = call->opt[OPT_TIME].count > 0;
	int64_t whole = given ? call->opt[OPT_TIME].num : RUN_TIME;
	b->budget = whole / b->total;
	if (!given && b->budget > CELL_TIME)
		b->budget = CELL_TIME;
	if (!given && b->quick)
		b->budget = QUICK_TIME;
	if (b->budget < LEAST_TIME)
		b->budget = LEAST_TIME;
}

/* ---- running */

static void unmap_control(void *arg, intptr_t size)
{
	munmap(arg, (size_t)size);
}

static int prepare(struct call *call, struct bench *b)
{
	size_t most = 0;
	for (unsigned i = 0; i < b->nsizes; i++)
		most = b->sizes[i] > most ? b->sizes[i] : most;
	unsigned char *room = call_alloc(call, most + 64);
	b->results =
		call_alloc(call, (size_t)b->nsizes * b->nmechs * NPATTERNS * sizeof *b->results);
	if (room == NULL || b->results == NULL)
		return call_error(call, ENOMEM, "prepare");
	b->msg = room + 64;
	memset(b->msg - sizeof(long), 'x', sizeof(long));
	b->ctl = mmap(
		NULL, sizeof *b->ctl, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b->ctl == MAP_FAILED)
		return call_error(call, errno, "map shared memory");
	call_undo(call, unmap_control, b->ctl, sizeof *b->ctl);
	return 0;
}

static int run_one(struct bench *b, unsigned size, unsigned mech, enum pattern p)
{
	struct result *r = bench_result(b, size, mech, p);
	char text[16];
	b->mech = b->mechs[mech];
	b->size = b->sizes[size];
	b->pattern = p;
	bench_progress(b);
	int status = cell_run(b, r);
	b->finished++;
	if (status != 0)
		return status;
	show_number(r->spread * 100, false, text);
	if (r->done)
		call_note(b->call, 1, "%s, %zu bytes, %s: %u batches, +-%s%%", b->mech->name,
			b->size, pattern_name(p), r->batches, text);
	else
		call_note(b->call, 1, "%s, %zu bytes, %s: %s", b->mech->name, b->size,
			pattern_name(p), r->why);
	return 0;
}

static int run_all(struct bench *b)
{
	int status = 0;
	bench_progress_start(b);
	for (unsigned s = 0; s < b->nsizes && status == 0; s++)
		for (unsigned m = 0; m < b->nmechs && status == 0; m++)
			for (enum pattern p = 0; p < NPATTERNS && status == 0; p++)
				if (b->wanted[p])
					status = run_one(b, s, m, p);
	bench_progress_end(b);
	return status;
}

/* Where the plot goes: a file that gets its name when it is whole; or, when there is something else by
 * that name (a device, a FIFO, a symbolic link), that itself. */
struct plot_file {
	struct newfile file;
	bool whole;
};

static void drop_svg(void *arg, intptr_t unused)
{
	(void)unused;
	newfile_end(arg, NULL);
}

/* Begun before anything is measured, so that a name that cannot be written costs no time. */
static int open_svg(struct call *call, struct plot_file **f)
{
	const char *path = call->opt[OPT_SVG].str;
	struct stat st;
	*f = call_alloc(call, sizeof **f);
	if (*f == NULL)
		return call_error(call, ENOMEM, "prepare");
	(*f)->whole = lstat(path, &st) < 0 || S_ISREG(st.st_mode);
	int bad = 0;
	if ((*f)->whole)
		bad = newfile_open(&(*f)->file, AT_FDCWD, path, 0644);
	else
		bad = (*f)->file.fd = call_open(call, AT_FDCWD, path, O_WRONLY | O_NONBLOCK, 0);
	if (bad < 0 && (errno == ENOENT || errno == ENOTDIR))
		return call_fail(call, ST_EXISTS, errno, "create %s", path);
	if (bad < 0)
		return call_error(call, errno, "create %s", path);
	if ((*f)->whole)
		call_undo(call, drop_svg, &(*f)->file, 0);
	return 0;
}

static int write_svg(struct bench *b, struct plot_file *f)
{
	if (!f->whole)
		(void)!ftruncate(f->file.fd, 0); /* devices and pipes have nothing to cut */
	if (svg_write(b, f->file.fd) < 0 || (f->whole && newfile_replace(&f->file) < 0))
		return call_error(b->call, errno, "write %s", b->call->opt[OPT_SVG].str);
	return 0;
}

static int put_list(struct call *call)
{
	struct table t;
	table_start(&t, 3, 0);
	for (unsigned i = 0; mechs[i] != NULL; i++) {
		table_cell(&t, mechs[i]->name);
		table_cell(&t, mechs[i]->applet != NULL ? mechs[i]->applet : "-");
		table_cell(&t, mechs[i]->what);
	}
	return table_end(&t, &call->out) < 0 ? call_stdout_error(call, call->out.err) : ST_OK;
}

static int report(struct call *call, struct bench *b, struct plot_file *svg)
{
	unsigned all, noisy = noisy_results(b, &all);
	if (call->std[STD_JSON].count > 0)
		report_json(b);
	else
		report_table(b);
	int status = call_flush(call);
	if (status == 0 && svg != NULL)
		status = write_svg(b, svg);
	if (noisy > 0)
		call_warn(call, 0,
			"the machine is too noisy: %u of %u measurements are uncertain by more than 10 %%; "
			"try an idle machine, --pin, or a longer --time",
			noisy, all);
	if (status == 0 && all == 0)
		return call_fail(call, ST_LIMIT, 0, "nothing could be measured: %s",
			bench_result(b, 0, 0, b->chief)->why);
	return status;
}

static int bench_run(struct call *call)
{
	struct plot_file *svg = NULL;
	if (call->opt[OPT_LIST].count > 0)
		return put_list(call);
	struct bench *b = call_alloc(call, sizeof *b);
	if (b == NULL)
		return call_error(call, ENOMEM, "prepare");
	b->call = call;
	b->pin = call->opt[OPT_PIN].count > 0;
	b->one_cpu = call->opt[OPT_ONE_CPU].count > 0;
	b->quick = call->opt[OPT_QUICK].count > 0;
	int status = choose_mechs(call, b);
	if (status == 0)
		status = choose_sizes(call, b);
	if (status != 0)
		return status;
	choose_patterns(call, b);
	choose_time(call, b);
	if (call->opt[OPT_SVG].count > 0)
		status = open_svg(call, &svg);
	if (status == 0)
		status = prepare(call, b);
	if (status == 0)
		status = run_all(b);
	return status != 0 ? status : report(call, b, svg);
}
