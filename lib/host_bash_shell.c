/* lib/host_bash_shell.c: what is the shell's own: its signals, traps and mask, and its standard descriptors. */
#define _GNU_SOURCE
#include <config.h>

#include <sys/types.h>

#include <shell.h>

#include "fd.h"
#include "host_bash.h"
#include "sig.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

extern volatile sig_atomic_t terminating_signal;
extern int pending_traps[];
extern sigset_t top_level_mask;
extern int signal_is_trapped(int sig);

/* A verb that waits is interrupted by what interrupts the wait builtin: bash's handlers have run, and left
 * their word, when a system call returns EINTR. */
int shell_stopped(void *arg)
{
	(void)arg;
	if (terminating_signal != 0)
		return terminating_signal;
	if (interrupt_state != 0)
		return SIGINT;
	for (int sig = 1; sig < NSIG; sig++)
		if (pending_traps[sig] != 0 && sig != SIGCHLD)
			return sig;
	return 0;
}

bool shell_trapped(int sig)
{
	return signal_is_trapped(sig) != 0;
}

/* top_level_mask is what bash sets in its children, and in itself when it has given up a command. */
void shell_masked(uint64_t set, bool on)
{
	for (int sig = 1; sig < NSIG; sig++)
		if ((set & SIG_BIT(sig)) != 0 && on)
			sigaddset(&top_level_mask, sig);
		else if ((set & SIG_BIT(sig)) != 0)
			sigdelset(&top_level_mask, sig);
}

int shell_fill_std(void)
{
	struct pollfd std[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
	if (poll(std, 3, 0) <= 0 ||
		((std[0].revents | std[1].revents | std[2].revents) & POLLNVAL) == 0)
		return 0;
	return fd_fill_std();
}

void shell_unfill_std(int filled)
{
	for (int fd = 0; filled > 0 && fd < 3; fd++)
		if ((filled >> fd & 1) != 0)
			close(fd);
}
