/* What the files of ipc-signal run share. */
#ifndef IPC_SUPERVISOR_H
#define IPC_SUPERVISOR_H

#include "command.h"
#include "ipc-signal.h"

#include <signal.h>

struct supervisor {
	struct call *call;
	uint64_t set, ignored; /* what we take; what was ignored when we started */
	pid_t cmd;
	pid_t group; /* made for CMD; 0: CMD is in ours */
	int leader;  /* pidfd of its leader, which has ended; -1: none */
	int tty;     /* our controlling terminal, or -1 */
	int wstatus;
	bool ended; /* CMD has */
	bool timed_out, killing, warned;
	int sig;            /* what asks to end */
	int64_t grace;      /* how long after asking we kill */
	int64_t kill_at;    /* DEADLINE_NONE as long as nobody was asked */
	int64_t limit;      /* -w */
	int64_t first_term; /* when we were first told to end, 0 before */
	uint8_t map[65];    /* what a signal is passed on as; 0: not at all */
};

/* Find the terminal, and make CMD's group unless ours is in the foreground. 0, or a status. */
int terminal_prepare(struct supervisor *s);
/* Start CMD there. 0, or a status. */
int terminal_spawn(struct supervisor *s);
/* To CMD, which has not been waited for, and all of its group. */
void terminal_signal_cmd(struct supervisor *s, int sig, const siginfo_t *info);
/* We were started in the background and are in the foreground now: CMD's group goes there, so that CMD can read, but
 * only when nobody else of our group would be put out. And back. */
bool terminal_lend(struct supervisor *s);
void terminal_take_back(struct supervisor *s);
/* Was SIG sent by the terminal to the whole of our group, and so to CMD too? */
bool terminal_has_sent(const struct supervisor *s, int sig, const siginfo_t *info);
/* CMD was stopped by SIG: so are we, as our shell's job control expects, and when we go on, CMD does. In an
 * orphaned group nobody could continue us; the kernel does not stop us then, and CMD goes on at once. */
void terminal_stop_with_cmd(struct supervisor *s, int sig);

#endif
