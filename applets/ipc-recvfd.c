/* ipc-recvfd: receive open descriptors from another process, and run a command with them.
 *
 * Promises: CMD gets all that were sent, at 3 and up as sd_listen_fds(3) has it or at the numbers of --to, and
 * nothing else; or there is an error, and everything that came has been closed. What a stranger sends
 * is not even read. Any program with sendmsg(2) can send: Python's socket.send_fds(), nc -F. lib/fdpass.h says
 * what is understood.
 *
 * What surprises: the process becomes CMD, so its pid is LISTEN_PID. -w is for meeting and receiving, never for
 * CMD or for the copying to stdout.
 */
#define _GNU_SOURCE
#include "call.h"
#include "command.h"
#include "copy.h"
#include "fdpass.h"
#include "host.h"
#include "meet.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { RECV_LISTEN, RECV_RETRY, RECV_ALLOW, RECV_TO };
enum { GROUP_SIDE = 1 };

static const struct opt opts[] = {
	[RECV_LISTEN] = {.name = "listen",
		.group = GROUP_SIDE,
		.help = "make SOCK and wait for the sender to connect"},
	[RECV_RETRY] = {.name = "retry",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.group = GROUP_SIDE,
		.help = "keep trying for DUR while nobody is there"},
	[RECV_ALLOW] = {.name = "allow",
		.arg = ARG_LIST,
		.metavar = "LIST",
		.help = "senders besides root and us: uid:N,gid:N,any"},
	[RECV_TO] = {.name = "to",
		.arg = ARG_LIST,
		.metavar = "FD,...",
		.help = "numbers for CMD's descriptors, in order (3,4,...)"},
};

static const struct operand operands[] = {{.name = "SOCK",
						  .arg = ARG_OBJECT,
						  .min = 1,
						  .max = 1,
						  .help = "path, word, @name, or fd:N"},
	{0}};

static int run(struct call *call);

static const struct verb verbs[] = {
	{.summary = "receive descriptors for CMD, or print the first one's data",
		.std = STD_WAIT | STD(COUNT) | STD(MODE) | STD(READY_FD),
		OPTS(opts),
		.operands = operands,
		.flags = VERB_COMMAND | VERB_GRACEFUL | VERB_INPROC,
		.example = "ipc-recvfd --listen ./hand -- sh -c 'cat <&3'",
		.example_says = "ipc-sendfd ./hand 0 <file prints the file there",
		.run = run},
};

const struct applet ipc_recvfd = {.name = "ipc-recvfd",
	.summary = "take descriptors from another process, for a command",
	.kind = "sock",
	VERBS(verbs)};

struct receive {
	struct call *call;
	struct meet meet;
	struct fdpass got;
	struct spawn_fd *to; /* .to of each is set when --to is given; room for one more */
	size_t want;         /* 0: as many as come */
};

static void undo_drop(void *arg, intptr_t n)
{
	(void)n;
	fdpass_drop(arg);
}

static unsigned long long fd_limit(void)
{
	struct rlimit lim = {0};
	(void)getrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_cur;
}

/* One number of --to; *S moves behind its comma. */
static int parse_target(struct receive *r, const char **s, size_t i)
{
	char number[24];
	int64_t n;
	size_t len = strcspn(*s, ",");
	snprintf(number, sizeof number, "%.*s", (int)(len < 24 ? len : 23), *s);
	const char *why = num_int(number, &n);
	if (why == NULL && (n < 0 || n > 1 << 20))
		why = "not a descriptor number";
	for (size_t k = 0; why == NULL && k < i; k++)
		why = r->to[k].to == n ? "given twice" : NULL;
	if (why != NULL)
		return call_fail(r->call, ST_USAGE, 0, "--to: %s: %s", number, why);
	if ((unsigned long long)n >= fd_limit())
		return call_fail(r->call, ST_LIMIT, 0,
			"--to: %s: the limit of open files is %llu (ulimit -n)", number,
			fd_limit());
	r->to[i].to = (int)n;
	*s += len + ((*s)[len] == ',');
	return 0;
}

static int parse_to(struct receive *r)
{
	const struct val *to = &r->call->opt[RECV_TO], *count = &r->call->std[STD_COUNT];
	size_t n = 1;
	r->want = num_to_size(count->num);
	if (to->count == 0)
		return 0;
	if (r->call->command == NULL)
		return call_fail(r->call, ST_USAGE, 0, "--to needs -- CMD");
	for (const char *s = to->str; *s != '\0'; s++)
		n += *s == ',';
	if (count->count > 0 && r->want != n)
		return call_fail(r->call, ST_USAGE, 0, "--to names %zu, -c says %zu", n, r->want);
	r->want = n;
	r->to = call_alloc(r->call, (n + 1) * sizeof *r->to);
	if (r->to == NULL)
		return call_error(r->call, ENOMEM, "receive");
	const char *s = to->str;
	for (size_t i = 0; i < n; i++) {
		int status = parse_target(r, &s, i);
		if (status != 0)
			return status;
	}
	return 0;
}

static int not_received(struct receive *r, enum fdpass_end end, int err)
{
	struct call *call = r->call;
	const char *sock = r->meet.text;
	size_t n = r->got.n;
	switch (end) {
	case FDPASS_NOTHING:
		return call_fail(call, ST_NOPEER, 0, "%s: the sender went without sending", sock);
	case FDPASS_PLAIN:
		return call_fail(
			call, ST_DATA, 0, "%s: the sender sent bytes without descriptors", sock);
	case FDPASS_CUT:
		return call_fail(call, ST_DATA, 0,
			"%s: the sender went in the middle; the %zu descriptors that came are closed",
			sock, n);
	case FDPASS_COUNT:
		return call_fail(call, ST_DATA, 0,
			"%s: %zu descriptors wanted, %s %zu came; closed", sock, r->want,
			n < r->want ? "only" : "at least", n);
	default: break;
	}
	if (err == EMFILE)
		return call_fail(call, ST_LIMIT, 0,
			"%s: too many descriptors came, all are closed; the limit of open files is %llu "
			"(ulimit -n)",
			sock, fd_limit());
	return call_waited(call, err, "receive from %s", sock);
}

/* Meet the sender and take what it sends; again, while --retry lasts, when it went before that. */
static int receive(struct receive *r)
{
	struct call *call = r->call;
	struct meet *m = &r->meet;
	int sock, status;
	while ((status = meet_peer(call, m, &sock)) == 0) {
		enum fdpass_end end = fdpass_recv(&r->got, sock, r->want, m->deadline, &call->stop);
		int err = errno;
		if (end == FDPASS_DONE) {
			fdpass_confirm(&r->got, sock);
			call_close(call, sock);
			return 0;
		}
		if (end != FDPASS_NOTHING || !meet_again(call, m, sock))
			return not_received(r, end, err);
		call_warn(call, 0, "%s: the sender went without sending; trying again", m->text);
	}
	return status;
}

static const char *var(struct call *call, const char *name, long long value)
{
	const char *s = call_fmt(call, "%s=%lld", name, value);
	return s != NULL ? s : name;
}

/* CMD's environment. Without the numbers of sd_listen_fds(3) its variables would lie. */
static void command_env(struct receive *r, const char *env[10])
{
	struct call *call = r->call;
	size_t n = 0;
	bool plain = r->to == NULL;
	const char *names = call_fmt(call, "IPC_FDNAMES=%s", r->got.names);
	const char *object = call_fmt(call, "IPC_OBJECT=%s", r->meet.text);
	env[n++] = object != NULL ? object : "IPC_OBJECT";
	env[n++] = names != NULL ? names : "IPC_FDNAMES";
	env[n++] = var(call, "IPC_PEER_UID", r->meet.peer.uid);
	env[n++] = var(call, "IPC_PEER_GID", r->meet.peer.gid);
	env[n++] = var(call, "IPC_PEER_PID", r->meet.peer.pid);
	env[n++] = plain ? var(call, "LISTEN_FDS", (long long)r->got.n) : "LISTEN_FDS";
	env[n++] = plain ? var(call, "LISTEN_PID", getpid()) : "LISTEN_PID";
	env[n++] = plain && names != NULL ? call_fmt(call, "LISTEN_FDNAMES=%s", r->got.names)
					  : "LISTEN_FDNAMES";
	env[n] = NULL;
}

static int become(struct receive *r)
{
	struct call *call = r->call;
	const char *env[10];
	size_t n = r->got.n;
	command_env(r, env);
	struct spawn_fd *fds = call_alloc(call, (n + 1) * sizeof *fds);
	if (fds == NULL || env[7] == NULL)
		return call_fail(call, ST_EARLY, ENOMEM, "start %s", call->command[0]);
	int given = r->meet.given;
	for (size_t i = 0; i < n; i++) {
		fds[i] = (struct spawn_fd){r->got.fds[i], r->to != NULL ? r->to[i].to : 3 + (int)i};
		given = fds[i].to == given ? -1 : given;
	}
	/* The socket itself is not CMD's, unless it is one of the three that CMD has anyway. */
	if (given > 2)
		fds[n++] = (struct spawn_fd){-1, given};
	struct command cmd = {.spawn = {.argv = call->command, .env = env, .fds = fds, .nfds = n}};
	return command_exec(call, &cmd);
}

/* In a shell that receives into a variable the descriptors are the shell's own from now on: with -a all of
 * them, with -v the first one. */
static bool give(struct receive *r)
{
	struct call *call = r->call;
	size_t n = call->host == NULL ? 0 : call->host->batch ? r->got.n : 1;
	for (size_t i = 0; i < n; i++) {
		if (!host_give_fd(call, r->got.fds[i]))
			return false;
		r->got.fds[i] = -1;
	}
	if (n > 0 && r->got.n > n)
		call_note(call, 1, "%zu descriptors came; the first one is kept", r->got.n);
	return n > 0;
}

static int print(struct receive *r)
{
	struct call *call = r->call;
	struct copy c = {.in = r->got.fds[0],
		.out = call->out.fd,
		.max = UINT64_MAX,
		.idle = DEADLINE_NONE,
		.stop = &call->stop};
	if (r->got.n > 1)
		call_note(call, 1, "%zu descriptors came; the first one is printed", r->got.n);
	if (copy_stream(&c) == 0)
		return ST_OK;
	if (c.out_failed)
		return call_stdout_error(call, errno);
	if (errno == EINTR)
		return call_waited(call, errno, "read");
	return call_fail(call, ST_IO, errno, "read the descriptor that came");
}

static int run(struct call *call)
{
	struct receive *r = call_alloc(call, sizeof *r);
	if (r == NULL)
		return call_error(call, ENOMEM, "receive");
	*r = (struct receive){.call = call,
		.meet = {.text = call->args[0].str,
			.listen = call->opt[RECV_LISTEN].count > 0,
			.has_mode = call->std[STD_MODE].count > 0,
			.mode = (mode_t)call->std[STD_MODE].num,
			.retry = call->opt[RECV_RETRY].num,
			.allow = call->opt[RECV_ALLOW].str,
			.deadline = call_deadline(call)}};
	if (call_undo(call, undo_drop, &r->got, 0) < 0)
		return call_error(call, errno, "receive");
	int status = parse_to(r);
	if (status == 0 && call->command != NULL)
		status = spawn_check(call, call->command[0]);
	if (status == 0)
		status = meet_start(call, &r->meet);
	/* $NOTIFY_SOCKET is for CMD to use, when there is one. */
	bool tell = call->command == NULL || call->std[STD_READY_FD].count > 0;
	if (status == 0 && r->meet.listen && tell)
		status = call_ready(call);
	if (status == 0)
		status = receive(r);
	if (status != 0)
		return status;
	if (call->command != NULL)
		return become(r);
	return give(r) ? ST_OK : print(r);
}
