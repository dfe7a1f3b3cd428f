/* applets/ipc-pipe/run.c: from the words to running, joined commands.
 *
 * What surprises: a command may hold the word "--" itself (`grep -- -x`): then --sep names another word
 * to part the commands. The command line is taken as it is otherwise: no shell, no quoting.
 */
#define _GNU_SOURCE
#include "fd.h"
#include "pipe.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What all the pipes of one run may take together: the kernel counts the pages of a user's pipes
 * (pipe(7), pipe-user-pages-soft: 64 MiB) and starves his other pipes once they are used up. */
#define PIPES_TOTAL (16 << 20)
#define PIPE_WANT (1 << 20)
#define SOCKET_WANT (1 << 20)

static int too_few(struct call *call, const struct run *run, const char *sep)
{
	if (run->n == 1)
		return call_fail(
			call, ST_USAGE, 0, "one command only; put '%s' between the commands", sep);
	return call_fail(call, ST_USAGE, 0, "-d joins two commands, not %zu", run->n);
}

int pipe_split(struct call *call, struct run *run)
{
	const char *sep = call->opt[RUN_SEP].count > 0 ? call->opt[RUN_SEP].str : "--";
	char **words = call_alloc(call, (call->nargs + 1) * sizeof *words);
	if (words == NULL)
		return call_error(call, ENOMEM, "split the commands");
	run->n = 1;
	for (unsigned i = 0; i < call->nargs; i++) {
		bool parts = strcmp(call->args[i].str, sep) == 0;
		words[i] = parts ? NULL : (char *)(uintptr_t)call->args[i].str;
		run->n += parts;
	}
	run->sides = call_alloc(call, run->n * sizeof *run->sides);
	run->kids = call_alloc(call, run->n * sizeof *run->kids);
	if (run->sides == NULL || run->kids == NULL)
		return call_error(call, ENOMEM, "split the commands");
	char **next = words;
	for (size_t i = 0; i < run->n; i++) {
		run->sides[i] = (struct side){.argv = next, .due = DEADLINE_NONE};
		if (*next == NULL)
			return call_fail(call, ST_USAGE, 0, "command %zu is empty", i + 1);
		while (*next != NULL)
			next++;
		next++;
	}
	return run->n == 1 || (run->duplex && run->n != 2) ? too_few(call, run, sep) : 0;
}

/* The two ends of what joins two commands. We close ours as soon as the commands have theirs, or no
 * one would ever see an end of file. */
struct joint {
	int read, write;
};

static void joint_close(struct call *call, struct joint *j)
{
	call_close(call, j->read);
	call_close(call, j->write);
}

static int joint_own(struct call *call, struct joint *j, const int ends[2])
{
	j->read = call_own(call, ends[0]);
	j->write = call_own(call, ends[1]);
	return j->read < 0 || j->write < 0 ? -1 : 0;
}

static int make_pipe(struct call *call, const struct run *run, struct joint *j)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0 || joint_own(call, j, p) < 0)
		return -1;
	size_t share = PIPES_TOTAL / run->n;
	(void)fd_pipe_size(p[1], share < PIPE_WANT ? (int)share : PIPE_WANT);
	return 0;
}

/* A larger send buffer lets larger records pass; the kernel cuts it to net.core.wmem_max. */
static int make_pair(struct call *call, struct joint *j)
{
	int p[2], want = SOCKET_WANT;
	bool packets = call->opt[RUN_TYPE].num == TYPE_SEQPACKET;
	int type = (packets ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
	if (socketpair(AF_UNIX, type, 0, p) < 0 || joint_own(call, j, p) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(p[i], SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
	return 0;
}

static int make_joint(struct call *call, const struct run *run, struct joint *j)
{
	*j = (struct joint){-1, -1};
	bool pair = call->opt[RUN_TYPE].count > 0;
	if ((pair ? make_pair(call, j) : make_pipe(call, run, j)) == 0)
		return 0;
	const char *what = pair ? "socketpair" : "pipe";
	if (errno == EMFILE || errno == ENFILE)
		return call_fail(call, ST_LIMIT, errno,
			"make a %s (4 descriptors must be free: see ulimit -n)", what);
	return call_fail(call, ST_LIMIT, errno, "make a %s", what);
}

static int start_side(struct call *call, struct run *run, int in, int out)
{
	size_t i = run->started;
	struct spawn_fd fds[2];
	struct spawn s = {.argv = run->sides[i].argv, .fds = fds};
	if (in != STDIN_FILENO)
		fds[s.nfds++] = (struct spawn_fd){in, STDIN_FILENO};
	if (out != STDOUT_FILENO)
		fds[s.nfds++] = (struct spawn_fd){out, STDOUT_FILENO};
	run->sides[i].started = wait_now();
	int status = spawn_call(call, &s, &run->kids[i].pid);
	if (status == 0)
		run->started++;
	return status;
}

/* A chain: at most three descriptors of ours are open at any time, however long it is. */
static int start_chain(struct call *call, struct run *run)
{
	struct joint last = {call->in, -1}, next;
	int status = 0;
	for (size_t i = 0; i < run->n && status == 0; i++) {
		bool end = i + 1 == run->n;
		next = (struct joint){-1, call->out.fd};
		status = end ? 0 : make_joint(call, run, &next);
		if (status == 0)
			status = start_side(call, run, last.read, next.write);
		if (i > 0)
			call_close(call, last.read);
		if (!end)
			call_close(call, next.write);
		last = next;
	}
	call_close(call, last.read); /* only when a command could not be started */
	return status;
}

/* Both ways: two pipes crosswise, or the two ends of one socket pair. */
static int start_duplex(struct call *call, struct run *run)
{
	struct joint there, back = {-1, -1};
	bool pair = call->opt[RUN_TYPE].count > 0;
	int status = make_joint(call, run, &there);
	if (status == 0 && !pair)
		status = make_joint(call, run, &back);
	if (status == 0)
		status = start_side(
			call, run, pair ? there.read : back.read, pair ? there.read : there.write);
	if (status == 0)
		status = start_side(call, run, pair ? there.write : there.read,
			pair ? there.write : back.write);
	joint_close(call, &there);
	joint_close(call, &back);
	return status;
}

int pipe_start(struct call *call, struct run *run)
{
	return run->duplex ? start_duplex(call, run) : start_chain(call, run);
}
