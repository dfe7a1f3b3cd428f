/* tests/contract/contract.c: a third host, beside main.c and bash's, that holds verbs to the contract: whatever
 * a verb does, the process it ran in is afterwards as it was. Usage:
 *
 *	contract FILE      run the cases in FILE (tests/contract/cases says how they are written)
 *	contract --verbs   check the records, and call every verb with --help and with a wrong option
 *	contract --refuse KIND AT WHICH REPORT APPLET VERB [ARG...]
 *			   run a verb once while the C library refuses something (refuse.h), see disturbed.c
 *
 * Each case is run twice in this one process. Before and after, everything a verb could leave behind is
 * written down as text and compared: descriptors and what they are open on, signal mask, handlers, timers,
 * umask, directory, environment, limits, children, threads, mapped files. With LeakSanitizer linked in, a leak
 * check follows each run. Prints "ok N - TEXT" or "not ok N - TEXT" and what differs.
 */
#define _GNU_SOURCE
#include "contract.h"

#include "args.h"
#include "fd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 64

static int tests, failures;
static FILE *report; /* our stdout, kept out of the way of the verbs' */

/* ---- running a verb as a host does */

int host(char *const *argv, struct stop stop)
{
	struct call call;
	bool alias = false;
	int status = -1;
	memset(&call, 0, offsetof(struct call, out) + offsetof(struct out, buf));
	call.stop = stop;
	call.in = 0;
	call.out.fd = 1;
	call.err = 2;
	call.applet = args_applet(argv[0], &alias);
	if (call.applet == NULL)
		return -1;
	argv++;
	if (alias)
		call.verb = call.applet->fallback;
	else
		status = args_choose(&call, &argv);
	if (status < 0)
		status = args_parse(&call, argv);
	if (status < 0)
		status = call.verb->run(&call);
	int flushed = call_flush(&call);
	call_unwind(&call, 0);
	return flushed != 0 && status == ST_OK ? flushed : status;
}

/* Files in the place of 0, 1 and 2, once and for all: each run finds them empty, and at their start. */
static void redirect(const char *input)
{
	static const char *const names[] = {".stdin", ".stdout", ".stderr"};
	for (int fd = 0; fd < 3; fd++) {
		int file = open(names[fd], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (file < 0 || dup2(file, fd) < 0)
			exit(70);
		close(file);
	}
	if (fd_write(0, input, strlen(input)) < 0 || lseek(0, 0, SEEK_SET) != 0)
		exit(70);
}

static void show_file(const char *name)
{
	char text[2000];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	fprintf(report, "# %s: %s\n", name, text);
	close(fd);
}

/* Run ARGV and compare; WANT is the status, -1 any. */
static void check(char *const *argv, const char *input, int want, const char *text)
{
	redirect(input);
	char *before = snapshot();
	int status = host(argv, (struct stop){0});
	int leaks = memory_leaks();
	char *after = snapshot();
	bool same = strcmp(before, after) == 0,
	     good = (want < 0 || status == want) && same && !leaks;
	fprintf(report, "%s %d - %s\n", good ? "ok" : "not ok", ++tests, text);
	if (!good) {
		failures++;
		fprintf(report, "# status %d, expected %d%s\n", status, want,
			leaks ? ", memory leaks" : "");
		show_difference(report, before, after);
		show_file(".stderr");
	}
	fflush(report);
	free(before);
	free(after);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- cases from a file */

/* Split LINE at blanks; '...' keeps them in a word. */
static int split(char *line, char **words)
{
	int n = 0;
	for (char *p = line; n < WORDS_MAX - 1;) {
		p += strspn(p, " \t");
		if (*p == '\0')
			break;
		const char *stop = *p == '\'' ? "'" : " \t";
		words[n++] = p += *p == '\'';
		p += strcspn(p, stop);
		if (*p != '\0')
			*p++ = '\0';
	}
	words[n] = NULL;
	return n;
}

/* "in TEXT": \n is a newline. */
static char *input_of(const char *s)
{
	char *text = strdup(s), *to = text;
	if (text == NULL)
		exit(70);
	for (const char *p = text; *p != '\0'; to++) {
		bool newline = p[0] == '\\' && p[1] == 'n';
		*to = newline ? '\n' : *p;
		p += newline ? 2 : 1;
	}
	*to = '\0';
	return text;
}

/* "$FILE" is the first line of FILE. */
static char *from_file(char *word, char *buf, int size)
{
	FILE *f = word[0] == '$' ? fopen(word + 1, "re") : NULL;
	if (f == NULL)
		return word;
	if (fgets(buf, size, f) == NULL)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
	return buf;
}

static void run_case(char *line, const char *input)
{
	char text[1000], *words[WORDS_MAX], lines[WORDS_MAX][80];
	snprintf(text, sizeof text, "%s", line);
	int n = split(line, words);
	if (n < 2)
		return;
	for (int i = 1; i < n; i++)
		words[i] = from_file(words[i], lines[i], sizeof lines[i]);
	char *second = strchr(words[0], ',');
	int first = atoi(words[0]);
	check(words + 1, input, first, text);
	char *again = NULL;
	if (asprintf(&again, "%s (again)", text) < 0)
		exit(70);
	check(words + 1, input, second != NULL ? atoi(second + 1) : first, again);
	free(again);
}

static int run_file(FILE *f)
{
	char *line = NULL, *input = strdup("");
	size_t cap = 0;
	while (getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (strncmp(line, "setup ", 6) == 0) {
			fflush(report);
			if (system(line + 6) != 0) { // NOLINT: a fixture is a line of shell
				fprintf(report, "not ok %d - %s\n", ++tests, line);
				failures++;
			}
		} else if (strncmp(line, "in ", 3) == 0) {
			free(input);
			input = input_of(line + 3);
		} else {
			run_case(line, input != NULL ? input : "");
			free(input);
			input = strdup("");
		}
	}
	free(input);
	free(line);
	fclose(f);
	return 0;
}

/* ---- the records */

static void expect(bool good, const struct applet *a, const struct verb *v, const char *what)
{
	tests++;
	if (good)
		return;
	failures++;
	fprintf(report, "not ok %d - %s %s: %s\n", tests, a->name, v->name != NULL ? v->name : "",
		what);
}

static void check_verb(const struct applet *a, const struct verb *v)
{
	expect(v->run != NULL, a, v, "no run function");
	expect(v->nopts <= OPTS_MAX, a, v, "more options than OPTS_MAX");
	expect((v->flags & VERB_INPROC) == 0 ||
			(v->flags & (VERB_SPAWNS | VERB_NEEDS_COMMAND)) == 0,
		a, v, "in-process, and starts processes");
	expect((v->flags & VERB_NEEDS_COMMAND) == 0 || (v->flags & VERB_COMMAND) != 0, a, v,
		"needs a command, but takes none");
	expect((v->example == NULL) == (v->example_says == NULL), a, v, "half an example");
	expect(v->std >> STD_N == 0, a, v, "borrows an option that does not exist");
	if (v->name == NULL || args_verb(a, v->name) != v)
		return;
	char text[200];
	const char *name = v->name;
	snprintf(text, sizeof text, "%s %s --help", a->name, name);
	check((char *const[]){(char *)a->name, (char *)name, "--help", NULL}, "", ST_OK, text);
	snprintf(text, sizeof text, "%s %s --no-such-option", a->name, name);
	check((char *const[]){(char *)a->name, (char *)name, "--no-such-option", NULL}, "",
		(v->flags & VERB_RAW) != 0 ? -1 : ST_USAGE, text);
}

static void check_verbs(void)
{
	for (size_t i = 0; applets[i] != NULL; i++) {
		const struct applet *a = applets[i];
		for (size_t k = 0; k < a->nverbs; k++)
			check_verb(a, &a->verbs[k]);
		check((char *const[]){(char *)a->name, "--help", NULL}, "", ST_OK, a->name);
	}
}

int main(int argc, char **argv)
{
	if (argc > 6 && strcmp(argv[1], "--refuse") == 0 && disturbed != NULL)
		return disturbed(argv + 2);
	bool verbs = argc == 2 && strcmp(argv[1], "--verbs") == 0;
	FILE *cases = argc == 2 && !verbs ? fopen(argv[1], "re") : NULL;
	if (!verbs && cases == NULL) {
		fputs("usage: contract FILE | --verbs\n", stderr);
		return 64;
	}
	int keep = fcntl(1, F_DUPFD_CLOEXEC, 100);
	report = keep >= 0 ? fdopen(keep, "w") : NULL;
	if (report == NULL)
		return 70;
	signal(SIGPIPE, SIG_IGN); // NOLINT: as main.c does
	if (verbs)
		check_verbs();
	else
		run_file(cases);
	fprintf(report, "1..%d\n", tests);
	fclose(report);
	return failures > 0;
}
