/* ipc-signal hold, release: between two waits of a shell that has loaded the applets a signal would run the
 * shell's trap, or kill it. What is held stays blocked there, so that the next wait finds it. */
#include "ipc-signal.h"

#include "hold.h"
#include "num.h"
#include "sig.h"

#include <errno.h>

int wanted_signals(struct call *call, uint64_t *set)
{
	char name[NUM_BUF];
	*set = 0;
	for (unsigned i = 0; i < call->nargs; i++) {
		int sig = (int)call->args[i].num;
		if (sig == 0)
			return call_fail(call, ST_USAGE, 0, "signal 0 is never received");
		if (sig == SIGKILL || sig == SIGSTOP)
			return call_fail(call, ST_USAGE, 0, "%s cannot be waited for",
				num_signal_name(sig, name));
		*set |= SIG_BIT(sig);
	}
	return 0;
}

int signal_hold(struct call *call)
{
	/* The shell learns of its children by CHLD; URG ends what a verb waits for in time (lib/wait.h). */
	static const uint64_t needed = SIG_BIT(SIGCHLD) | SIG_BIT(SIGURG);
	uint64_t set;
	int status = wanted_signals(call, &set);
	if (status != 0)
		return status;
	if (call->host == NULL)
		return call_fail(call, ST_USAGE, 0,
			"nobody would hold them: load the applets into bash (ipcbox --bash)");
	if ((set & needed) != 0)
		return call_fail(call, ST_USAGE, 0, "the shell cannot do without CHLD and URG");
	if (hold_keep(call, set) < 0)
		return call_error(call, errno, "block signals");
	return ST_OK;
}

int signal_release(struct call *call)
{
	uint64_t set, held = call->host != NULL ? call->host->held : 0;
	char name[NUM_BUF];
	int status = wanted_signals(call, &set);
	if (status != 0)
		return status;
	for (int sig = 1; sig <= 64; sig++)
		if ((set & ~held & SIG_BIT(sig)) != 0)
			return call_fail(
				call, ST_NOOBJ, 0, "%s is not held", num_signal_name(sig, name));
	if (call->host != NULL)
		hold_release(call->host, call->nargs > 0 ? set : held);
	return ST_OK;
}
