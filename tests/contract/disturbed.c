/* tests/contract/disturbed.c: contract --refuse KIND AT WHICH REPORT APPLET VERB [ARG...]
 *
 * Runs the verb once, as main.c does, while the C library refuses its AT'th request of KIND ("memory" or "calls") with
 * error WHICH of its list. stdin, stdout, stderr and the status are the verb's. REPORT is a file that gets
 *
 *	requests N	how many there were
 *	refused TEXT	what was refused, when it came to that
 *	# left: TEXT	what the process has now, and had not before
 *	# gone: TEXT	what it had
 *	leak		when memory is lost (in a build with LeakSanitizer)
 *
 * and which is not there when the process was killed, or became another program.
 */
#define _GNU_SOURCE
#include "args.h"
#include "contract.h"
#include "refuse.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;
static const timer_t *volatile rouse_timer;

/* As in main.c. */
static void on_stop(int sig)
{
	static const struct itimerspec soon = {
		.it_value = {0, 5000000}, .it_interval = {0, 5000000}};
	stop_signal = sig;
	if (rouse_timer != NULL)
		timer_settime(*rouse_timer, 0, &soon, NULL);
}

static int stopped(void *arg)
{
	(void)arg;
	return stop_signal;
}

static void rouse(void *arg, const timer_t *timer)
{
	(void)arg;
	rouse_timer = timer;
}

static struct stop catch_stop(sigset_t *mask)
{
	static const int sigs[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction act = {.sa_handler = on_stop};
	sigset_t block;
	sigemptyset(&block);
	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++) {
		sigaction(sigs[i], &act, NULL);
		sigaddset(&block, sigs[i]);
	}
	sigprocmask(SIG_BLOCK, &block, mask);
	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
		sigdelset(mask, sigs[i]);
	return (struct stop){.signal = stopped, .mask = mask, .rouse = rouse};
}

/* Does the verb ask for stop signals? Else they end it as they end any program. */
static bool graceful(char *const *argv)
{
	bool alias;
	const struct applet *applet = args_applet(argv[0], &alias);
	const struct verb *verb = applet == NULL ? NULL
		: applet->verbs[0].name == NULL  ? &applet->verbs[0]
		: argv[1] != NULL                ? args_verb(applet, argv[1])
						 : NULL;
	return verb != NULL && (verb->flags & VERB_GRACEFUL) != 0;
}

int disturbed(char **argv)
{
	enum refuse_kind kind = strcmp(argv[0], "memory") == 0 ? REFUSE_MEMORY : REFUSE_CALLS;
	unsigned long at = strtoul(argv[1], NULL, 10), which = strtoul(argv[2], NULL, 10);
	const char *path = argv[3];
	sigset_t mask;
	struct stop stop = {0};
	argv += 4;
	signal(SIGPIPE, SIG_IGN); // NOLINT: as main.c does
	if (graceful(argv))
		stop = catch_stop(&mask);
	char *before = snapshot();
	refuse_begin(kind, at, (unsigned)which);
	int status = host(argv, stop);
	unsigned long requests = refuse_end();
	char *after = snapshot();
	FILE *report = fopen(path, "we");
	if (report == NULL)
		return 70;
	fprintf(report, "requests %lu\n", requests);
	if (refuse_what() != NULL)
		fprintf(report, "refused %s\n", refuse_what());
	show_difference(report, before, after);
	free(before);
	free(after);
	if (memory_leaks())
		fprintf(report, "leak\n");
	fclose(report);
	return status >= 0 ? status : 70;
}
