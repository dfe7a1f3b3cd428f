/* ipc-sendfd: hand open descriptors to an unrelated process, through a unix socket.
 *
 * Promises: any number of them, each with a name if wanted; the receiver takes all or none; it never goes to
 * a stranger, whoever listens; nothing here closes or changes the descriptors. Any program with
 * recvmsg(2) can receive: Python's socket.recv_fds(), ssh's ProxyUseFdpass. lib/fdpass.h says what is sent.
 *
 * What surprises: like a write to a pipe it is done when the kernel has everything, and the receiver need
 * not even have accepted the connection; --ack waits for its word. Offsets and flags such as
 * O_NONBLOCK belong to the open file, which both have then: that is the point of it.
 *
 * Limits: a descriptor of a unix socket that is on its way to itself is the kernel's to find (unix(7)).
 */
#include "call.h"
#include "fd.h"
#include "fdpass.h"
#include "meet.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { SEND_LISTEN, SEND_RETRY, SEND_ALLOW, SEND_ACK };
enum { GROUP_SIDE = 1 };

static const struct opt opts[] = {
	[SEND_LISTEN] = {.name = "listen",
		.group = GROUP_SIDE,
		.help = "make SOCK and wait for the receiver to connect"},
	[SEND_RETRY] = {.name = "retry",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.group = GROUP_SIDE,
		.help = "keep trying for DUR while nobody is there"},
	[SEND_ALLOW] = {.name = "allow",
		.arg = ARG_LIST,
		.metavar = "LIST",
		.help = "receivers besides root and us: uid:N,gid:N,any"},
	[SEND_ACK] = {.name = "ack", .help = "wait until the receiver says that it has them all"},
};

static const struct operand operands[] = {{.name = "SOCK",
						  .arg = ARG_OBJECT,
						  .min = 1,
						  .max = 1,
						  .help = "path, word, @name, or fd:N"},
	{.name = "FD[:NAME]", .arg = ARG_STR, .min = 1, .help = "what to send, and as what"}, {0}};

static int run(struct call *call);

static const struct verb verbs[] = {
	{.summary = "send open descriptors to another process",
		.std = STD_WAIT | STD(MODE) | STD(READY_FD),
		OPTS(opts),
		.operands = operands,
		.flags = VERB_INPROC | VERB_GRACEFUL, /* waits through lib/wait */
		.example = "ipc-sendfd --retry 5 ./hand 0:log <app.log",
		.example_says = "ipc-recvfd --listen ./hand prints the file from its offset on",
		.run = run},
};

const struct applet ipc_sendfd = {.name = "ipc-sendfd",
	.summary = "hand open descriptors to another process",
	.kind = "sock",
	VERBS(verbs)};

struct send {
	struct meet meet;
	int *fds;
	const char **names;
	size_t n;
	bool ask;
};

/* Operand WORD is FD[:NAME]. */
static int parse_one(struct call *call, const char *word, int *fd, const char **name)
{
	char number[24];
	int64_t n;
	size_t len = strcspn(word, ":");
	snprintf(number, sizeof number, "%.*s", (int)(len < 24 ? len : 23), word);
	const char *why = num_int(number, &n);
	if (why == NULL && (n < 0 || n > 1 << 20))
		why = "not a descriptor number";
	if (why == NULL && word[len] == ':') {
		*name = word + len + 1;
		why = fdpass_name(*name);
	}
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", word, why);
	/* The same one many times over is looked at once. */
	bool again = *fd == (int)n;
	*fd = (int)n;
	if (!again && (!fd_is_open(*fd) || fd_was_closed(*fd)))
		return call_fail(call, ST_NOOBJ, 0, "descriptor %d is not open", *fd);
	return 0;
}

static int parse(struct call *call, struct send *s)
{
	s->n = call->nargs - 1;
	s->fds = call_alloc(call, s->n * sizeof *s->fds);
	s->names = call_alloc(call, s->n * sizeof *s->names);
	if (s->fds == NULL || s->names == NULL)
		return call_error(call, ENOMEM, "send");
	for (size_t i = 0; i < s->n; i++) {
		s->fds[i] = i > 0 ? s->fds[i - 1] : -1;
		int status = parse_one(call, call->args[i + 1].str, &s->fds[i], &s->names[i]);
		if (status != 0)
			return status;
	}
	return 0;
}

static int not_sent(struct call *call, const char *sock, int err)
{
	struct rlimit lim = {0};
	switch (err) {
	case EPIPE:
	case ECONNRESET:
		return call_fail(
			call, ST_NOPEER, 0, "%s: the receiver went without taking them", sock);
	case ETOOMANYREFS:
		(void)getrlimit(RLIMIT_NOFILE, &lim);
		return call_fail(call, ST_LIMIT, 0,
			"%s: more than %llu descriptors of this user are under way (ulimit -n); others "
			"must be received first",
			sock, (unsigned long long)lim.rlim_cur);
	default: return call_waited(call, err, "send to %s", sock);
	}
}

static int not_confirmed(struct call *call, const char *sock, int err)
{
	switch (err) {
	case EPROTO:
		return call_fail(call, ST_DATA, 0,
			"%s: the receiver answers something else than the byte 06", sock);
	case EPIPE:
		return call_fail(call, ST_NOPEER, 0,
			"%s: the receiver went without saying that it has them", sock);
	case ECONNRESET: return not_sent(call, sock, err);
	default: return call_waited(call, err, "wait for the word of the receiver at %s", sock);
	}
}

/* Send, and again while --retry lasts when the receiver went without taking all, so nothing. */
static int send_all(struct call *call, struct send *s)
{
	struct meet *m = &s->meet;
	int sock, status;
	while ((status = meet_peer(call, m, &sock)) == 0) {
		int r = fdpass_send(sock, s->fds, s->names, s->n, s->ask, m->deadline, &call->stop);
		bool sent = r == 0;
		if (sent && s->ask)
			r = fdpass_confirmed(sock, m->deadline, &call->stop);
		if (r == 0)
			return ST_OK;
		int err = errno;
		bool untaken = err == ECONNRESET || (err == EPIPE && !sent);
		if (!untaken || !meet_again(call, m, sock))
			return sent ? not_confirmed(call, m->text, err)
				    : not_sent(call, m->text, err);
		call_warn(call, 0, "%s: the receiver went without taking them; trying again",
			m->text);
	}
	return status;
}

static int run(struct call *call)
{
	struct send *s = call_alloc(call, sizeof *s);
	if (s == NULL)
		return call_error(call, ENOMEM, "send");
	s->ask = call->opt[SEND_ACK].count > 0;
	s->meet = (struct meet){.text = call->args[0].str,
		.listen = call->opt[SEND_LISTEN].count > 0,
		.has_mode = call->std[STD_MODE].count > 0,
		.mode = (mode_t)call->std[STD_MODE].num,
		.retry = call->opt[SEND_RETRY].num,
		.allow = call->opt[SEND_ALLOW].str,
		.deadline = call_deadline(call)};
	int status = parse(call, s);
	if (status == 0)
		status = meet_start(call, &s->meet);
	if (status == 0 && s->meet.listen)
		status = call_ready(call);
	return status == 0 ? send_all(call, s) : status;
}
