/* lib/host_bash.h: what the files of the bash host share; none of them is in the program. */
#ifndef IPC_HOST_BASH_H
#define IPC_HOST_BASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;

/* Where the output of a call goes that names a variable. */
struct into {
	const char *name; /* NULL: to stdout */
	bool array;
};

/* Names from the words of the command line: ipc-x -v VAR verb ..., ipc-x verb -v VAR .... */
bool into_name(const char *name);
/* Can NAME be assigned to? It is said when not. */
bool into_usable(const struct into *into);

/* The file that receives what a verb writes, of the shell's own and empty; -1 with errno. */
int sink_open(void);
/* Everything that was written to the sink FD (-1: nothing was) and, behind it, TAIL, in memory from malloc(3), with
 * room for one more byte. The sink is empty again. NULL with errno. */
char *sink_take(int fd, const char *tail, size_t tail_len, size_t *len);
void sink_close(void);

/* Assign TEXT, which is freed, as the records of CALL's framing: one value, or one element each. 0 or a status.
 * No memory of the call may be in use: bash may jump away. */
int into_assign(const struct into *into, struct call *call, char *text, size_t len);

/* For struct stop and struct host: has a signal come that ends what the shell waits for? Has it a trap for SIG?
 * The mask that it goes back to blocks SET, or not. */
int shell_stopped(void *arg);
bool shell_trapped(int sig);
void shell_masked(uint64_t set, bool on);
/* A verb of a shell with a closed stdin, stdout or stderr must not open its own files there, and then print into
 * them. To look takes half as long as a quick verb: not for one that prints nothing (call.c looks where a message
 * would go). Returns a bit for each that was filled. */
int shell_fill_std(void);
void shell_unfill_std(int filled);

/* A child of fork(2) has begun. */
void outside_child(void);
/* Is this process there for this one command alone, `ipc-x ... &` or one side of a pipe? */
bool outside_alone(void);
/* Run the program with APPLET's name and ARGV (behind it) as bash runs any other, and give its status. */
int outside(const char *applet, char *const *argv);

#endif
