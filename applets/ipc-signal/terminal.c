/* ipc-signal run: the process group of CMD, and the terminal.
 *
 * In the terminal's foreground CMD stays in our group, where the keyboard and /dev/tty reach it as they reach the
 * rest of our pipeline; nobody is ever put out of the foreground. Elsewhere CMD gets a group of its own, so that a
 * signal reaches all of it in one step. CMD is the leader of no group, so that setsid(1) need not fork.
 */
#define _GNU_SOURCE
#include "supervisor.h"

#include "fd.h"
#include "sig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Our controlling terminal, or -1. */
static int find_terminal(struct call *call)
{
	for (int fd = 0; fd <= 2; fd++)
		if (tcgetpgrp(fd) >= 0)
			return fd;
	int fd = call_open(call, AT_FDCWD, "/dev/tty", O_RDONLY | O_NOCTTY, 0);
	if (fd < 0 || tcgetpgrp(fd) >= 0)
		return fd;
	call_close(call, fd);
	return -1;
}

static bool in_foreground(const struct supervisor *s)
{
	return s->tty >= 0 && tcgetpgrp(s->tty) == getpgrp();
}

/* Its leader is a child of ours that has ended already, and is waited for when CMD has joined. Its pidfd names the
 * group from then on, whoever gets the number. */
static int make_group(struct supervisor *s)
{
	long pid = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid == 0)
		syscall(SYS_exit_group, 0L);
	if (pid < 0)
		return spawn_failed(s->call, s->call->command[0], errno, 0);
	s->group = (pid_t)pid;
	s->leader = call_own(s->call, wait_pidfd(s->group));
	if (setpgid(s->group, s->group) == 0)
		return 0;
	int e = errno;
	spawn_reap(s->group);
	return spawn_failed(s->call, s->call->command[0], e, 0);
}

int terminal_prepare(struct supervisor *s)
{
	s->tty = find_terminal(s->call);
	s->leader = -1;
	return in_foreground(s) ? 0 : make_group(s);
}

int terminal_spawn(struct supervisor *s)
{
	struct spawn spawn = {.argv = s->call->command, .flags = SPAWN_DIE, .group = s->group};
	int status = spawn_call(s->call, &spawn, &s->cmd);
	if (s->group > 0)
		spawn_reap(s->group);
	return status;
}

/* As long as CMD, which has not been waited for, is in a group, the group's number is its own. */
void terminal_signal_cmd(struct supervisor *s, int sig, const siginfo_t *info)
{
	pid_t pgrp = getpgid(s->cmd);
	unsigned denied;
	bool sent = false;
	if (pgrp == getpgrp())
		sent = task_signal_descendants(sig, info, TASK_INSIDE, &denied) > 0;
	else if (pgrp > 0 && pgrp == s->group)
		sent = sig_send_group(s->leader, pgrp, sig, info) == 0;
	else if (pgrp == s->cmd)
		sent = sig_send_group(-1, pgrp, sig, info) == 0;
	if (!sent) /* its group is not ours to signal, or not possible: a value, before Linux 6.9 */
		(void)sig_send_child(s->cmd, sig, info);
}

/* Is nobody in our group but us? */
static bool alone(void)
{
	struct task *list;
	size_t n, members = 0;
	if (task_list(&list, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		members += list[i].pgrp == getpgrp() && !list[i].ended;
	free(list);
	return members <= 1;
}

bool terminal_lend(struct supervisor *s)
{
	return s->group > 0 && !s->ended && in_foreground(s) && alone() &&
		tcsetpgrp(s->tty, s->group) == 0; /* TTOU is blocked */
}

void terminal_take_back(struct supervisor *s)
{
	if (s->group > 0 && s->tty >= 0 && tcgetpgrp(s->tty) == s->group)
		(void)tcsetpgrp(s->tty, getpgrp());
}

bool terminal_has_sent(const struct supervisor *s, int sig, const siginfo_t *info)
{
	static const uint64_t keys = SIG_BIT(SIGINT) | SIG_BIT(SIGQUIT) | SIG_BIT(SIGTSTP) |
		SIG_BIT(SIGWINCH) | SIG_BIT(SIGHUP) | SIG_BIT(SIGCONT) | SIG_BIT(SIGTTIN) |
		SIG_BIT(SIGTTOU);
	return s->group == 0 && info->si_code > 0 && (keys & SIG_BIT(sig)) != 0;
}

/* Take what is pending of SIGCONT and the stop from the keyboard. Were we continued? */
static bool continued(void)
{
	siginfo_t info;
	bool yes = false;
	for (int sig;
		(sig = sig_take(SIG_BIT(SIGTSTP) | SIG_BIT(SIGCONT), &info, DEADLINE_NOW)) > 0;)
		yes |= sig == SIGCONT;
	return yes;
}

void terminal_stop_with_cmd(struct supervisor *s, int sig)
{
	int ours = sig == SIGSTOP ? SIGTSTP : sig;
	if (s->tty < 0)
		return;
	/* It wanted the terminal just before we got it. */
	if ((sig == SIGTTIN || sig == SIGTTOU) && terminal_lend(s)) {
		terminal_signal_cmd(s, SIGCONT, NULL);
		return;
	}
	terminal_take_back(s);
	/* To stop after the SIGCONT that was meant for both of us would take it back. */
	bool on = continued();
	if (!on) {
		kill(getpid(), ours);
		sig_change(SIG_UNBLOCK, SIG_BIT(ours), NULL);
		sig_change(SIG_BLOCK, SIG_BIT(ours), NULL);
		on = continued();
	}
	if (!on && sig == SIGSTOP) /* nobody could continue us; whoever stopped CMD continues it */
		return;
	(void)terminal_lend(s);
	terminal_signal_cmd(s, SIGCONT, NULL);
}
