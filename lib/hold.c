/* lib/hold.c: see hold.h. */
#define _GNU_SOURCE
#include "hold.h"

#include "sig.h"

#include <errno.h>
#include <unistd.h>

/* Their default action ends no process. */
#define HARMLESS                                                                     \
	(SIG_BIT(SIGCHLD) | SIG_BIT(SIGCONT) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH) | \
		SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))

/* Take from those of SET, all blocked, that are pending what must not get through. */
static void drop(const struct host *host, uint64_t set)
{
	siginfo_t info;
	if (host != NULL)
		set &= ~HARMLESS;
	for (int sig = 1; host != NULL && sig <= 64; sig++)
		if ((set & SIG_BIT(sig)) != 0 && host->trapped(sig))
			set &= ~SIG_BIT(sig);
	while (set != 0 && sig_take(set, &info, DEADLINE_NOW) > 0)
		;
}

struct holding {
	const struct host *host;
	uint64_t set, before; /* what we blocked, and what was blocked before */
};

static void restore(void *arg, intptr_t n)
{
	const struct holding *h = arg;
	(void)n;
	drop(h->host, h->set & ~h->before);
	if (h->host != NULL && (h->set & SIG_BIT(SIGCHLD)) != 0)
		kill(getpid(), SIGCHLD);
	sig_change(SIG_SETMASK, h->before, NULL);
}

int hold_for_call(struct call *call, uint64_t set)
{
	struct holding *h = call_alloc(call, sizeof *h);
	if (h == NULL || sig_change(SIG_BLOCK, set, &h->before) < 0)
		return call_error(call, errno, "block signals");
	h->host = call->host;
	h->set = set;
	if (!call->ends && call_undo(call, restore, h, 0) < 0)
		return call_error(call, errno, "block signals");
	return 0;
}

int hold_keep(struct call *call, uint64_t set)
{
	struct host *host = call->host;
	uint64_t before;
	if (sig_change(SIG_BLOCK, set, &before) < 0)
		return -1;
	host->held |= set & ~before;
	host->masked(host->held, true);
	return 0;
}

void hold_release(struct host *host, uint64_t set)
{
	set &= host->held;
	drop(host, set);
	host->held &= ~set;
	host->masked(set, false);
	sig_change(SIG_UNBLOCK, set, NULL);
}

void hold_child(struct host *host)
{
	host->masked(host->held, false);
	host->held = 0;
}
