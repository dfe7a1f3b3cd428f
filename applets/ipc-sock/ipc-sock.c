/* ipc-sock: sockets of every kind for scripts.
 *
 * Promises: a server never takes a live socket away from another, always replaces a dead one, and removes
 * only its own; mode and owner are right from birth; a slow client never stalls the others, and
 * costs bounded memory; connect brings every answer home after its own end of input, notices the
 * server's end at once, and never says 0 when bytes were lost.
 *
 * What surprises: a command's connection is not copied through the server, so --idle works for it by
 * SO_RCVTIMEO: its read fails with EAGAIN. Statistics and the log count bytes of built-in services only.
 *
 * Limits: one process, one thread. Host names are looked up once, at the start, and block while they are.
 */
#include "ipc-sock.h"

#include <sys/socket.h>

#define T_OPT(types, text)                                                                  \
	{                                                                                   \
		.letter = 't', .name = "socket-type", .arg = ARG_CHOICE, .metavar = "TYPE", \
		.choices = types, .help = text                                              \
	}
#define RETRY_OPT                                                       \
	{                                                               \
		.name = "retry", .arg = ARG_DURATION, .metavar = "DUR", \
		.help = "keep trying for DUR while nobody accepts"      \
	}
#define OWNER_OPT                                                           \
	{                                                                   \
		.name = "owner", .arg = ARG_STR, .metavar = "USER[:GROUP]", \
		.help = "owner of the path, from birth"                     \
	}
#define IDLE_OPT(text)                                                              \
	{                                                                           \
		.name = "idle", .arg = ARG_DURATION, .metavar = "DUR", .help = text \
	}
#define SIZE_OPT(text)                                                                        \
	{                                                                                     \
		.letter = 'S', .name = "size", .arg = ARG_SIZE, .metavar = "BYTES", .min = 1, \
		.max = INT64_C(1) << 30, .help = text                                         \
	}
#define ALLOW_OPT                                                     \
	{                                                             \
		.name = "allow", .arg = ARG_LIST, .metavar = "LIST",  \
		.help = "users let in: uid:N|NAME,gid:N|NAME, or any" \
	}
#define COUNT_OPT(id, word, text) \
	[id] = {.name = word,     \
		.arg = ARG_UINT,  \
		.metavar = "N",   \
		.min = 1,         \
		.max = 1 << 24,   \
		.help = text}
#define GRACE_OPT                                                       \
	{                                                               \
		.name = "grace", .arg = ARG_DURATION, .metavar = "DUR", \
		.help = "time for clients to finish once it stops (5)"  \
	}

const int sock_types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
static const char *const types[] = {"stream", "dgram", "seqpacket", NULL};
static const char *const slow_choices[] = {"close", "drop", "wait", NULL};

enum { GROUP_ROLE = 1 };

static const struct opt serve_opts[] = {
	[S_TYPE] = T_OPT(types, "stream (default), dgram or seqpacket"),
	[S_ECHO] = {.name = "echo", .group = GROUP_ROLE, .help = "send back what comes"},
	[S_COLLECT] = {.name = "collect",
		.group = GROUP_ROLE,
		.help = "whole records of all clients to stdout"},
	[S_BROADCAST] = {.name = "broadcast",
		.group = GROUP_ROLE,
		.help = "records of stdin to all clients"},
	[S_HUB] = {.name = "hub",
		.group = GROUP_ROLE,
		.help = "records of each client to all the others"},
	[S_LISTEN_FDS] = {.name = "listen-fds",
		.group = GROUP_ROLE,
		.help = "give CMD the listening socket at the first client"},
	[S_ITERATIVE] = {.name = "iterative", .help = "one client after the other"},
	COUNT_OPT(S_MAX_CLIENTS, "max-clients", "serve N at once, others wait (256 with CMD)"),
	COUNT_OPT(S_MAX_PER_UID, "max-per-uid", "refuse a user's connections above N at once"),
	COUNT_OPT(S_MIN_CLIENTS, "min-clients", "--broadcast: read stdin once N clients are there"),
	COUNT_OPT(S_BACKLOG, "backlog", "connections that may wait (net.core.somaxconn)"),
	[S_IDLE] = IDLE_OPT("end connections on which nothing moves for DUR"),
	[S_ALLOW] = ALLOW_OPT,
	[S_OWNER] = OWNER_OPT,
	[S_FAREWELL] = {.name = "farewell",
		.arg = ARG_STR,
		.metavar = "TEXT",
		.help = "last line sent to each client when the server stops"},
	[S_GRACE] = GRACE_OPT,
	[S_SIZE] = SIZE_OPT("longest record (1M)"),
	[S_SLOW] = {.name = "slow",
		.arg = ARG_CHOICE,
		.metavar = "HOW",
		.choices = slow_choices,
		.help = "a client too slow: close (default), drop, wait"},
};

static const struct opt connect_opts[] = {
	[S_TYPE] = T_OPT(types, "stream (default), dgram or seqpacket"),
	[S_IDLE] = IDLE_OPT("give up when nothing moves for DUR: 124"),
	[S_RETRY] = RETRY_OPT,
};

static const struct opt send_opts[] = {
	[S_TYPE] = T_OPT(types, "default: what the socket is, datagrams first"),
	[S_RETRY] = RETRY_OPT,
	[S_REPLY] = {.name = "reply", .help = "wait for an answer to each record and print it"},
};

static const struct opt recv_opts[] = {
	[S_TYPE] = T_OPT(types, "dgram (default), seqpacket or stream"),
	[S_ALLOW] = ALLOW_OPT,
	[S_OWNER] = OWNER_OPT,
	[S_SIZE] = SIZE_OPT("longest record (1M)"),
};

static const struct opt relay_opts[] = {
	[S_TYPE] = T_OPT(types, "of the listening side (stream)"),
	COUNT_OPT(S_MAX_CLIENTS, "max-clients", "relay N at once, others wait (1024)"),
	COUNT_OPT(S_BACKLOG, "backlog", "connections that may wait (net.core.somaxconn)"),
	[S_IDLE] = IDLE_OPT("end connections on which nothing moves for DUR"),
	[S_ALLOW] = ALLOW_OPT,
	[S_OWNER] = OWNER_OPT,
	[S_GRACE] = GRACE_OPT,
	[S_RETRY] = RETRY_OPT,
	[S_TO_TYPE] = {.name = "to-type",
		.arg = ARG_CHOICE,
		.metavar = "TYPE",
		.choices = types,
		.help = "of the side that is connected to (as -t)"},
};

static const struct opt pair_opts[] = {
	[S_TYPE] = T_OPT(types, "stream (default), dgram or seqpacket"),
};

static const struct opt wait_opts[] = {
	[S_TYPE] = T_OPT(types, "only for a socket of this type"),
};

static const struct operand addr_operand[] = {
	{.name = "ADDR",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "path, word, @name, tcp:, vsock:, fd:"},
	{.name = NULL}};
static const struct operand send_operands[] = {
	{.name = "ADDR", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "where to"},
	{.name = "RECORD", .arg = ARG_STR, .help = "what; records of stdin when there is none"},
	{.name = NULL}};
static const struct operand relay_operands[] = {
	{.name = "FROM", .arg = ARG_OBJECT, .min = 1, .max = 1, .help = "address to listen on"},
	{.name = "TO",
		.arg = ARG_OBJECT,
		.min = 1,
		.max = 1,
		.help = "address to connect to for each client"},
	{.name = NULL}};
static const struct operand pair_operands[] = {
	{.name = "CMD", .arg = ARG_STR, .min = 3, .help = "two commands with -- between them"},
	{.name = NULL}};

int run_sock_serve(struct call *call);
int run_sock_connect(struct call *call);
int run_sock_send(struct call *call);
int run_sock_recv(struct call *call);
int run_sock_relay(struct call *call);
int run_sock_pair(struct call *call);
int run_sock_wait(struct call *call);
int run_sock_stat(struct call *call);

static const struct verb verbs[] = {
	{.name = "serve",
		.summary = "serve a socket: a command per client, or built-in services",
		.std = STD_FRAME | STD(COUNT) | STD(MODE) | STD(JSON) | STD(READY_FD) |
			STD(PIDFILE),
		OPTS(serve_opts),
		.operands = addr_operand,
		.flags = VERB_SPAWNS | VERB_COMMAND | VERB_GRACEFUL,
		.example = "ipc-sock serve --max-clients 20 ./sum -- ./sum.sh",
		.example_says = "sum.sh talks to each client on stdin and stdout",
		.run = run_sock_serve},
	{.name = "connect",
		.summary = "join stdin and stdout, or a command, to a socket",
		.std = STD_WAIT | STD_FRAME,
		OPTS(connect_opts),
		.operands = addr_operand,
		.flags = VERB_SPAWNS | VERB_COMMAND,
		.example = "echo stats | ipc-sock connect --retry 5 ./admin",
		.example_says = "send a line, print the whole answer",
		.run = run_sock_connect},
	{.name = "send",
		.summary = "send records, one datagram or packet each",
		.std = STD_WAIT | STD_FRAME,
		OPTS(send_opts),
		.operands = send_operands,
		.flags = VERB_INPROC,
		.example = "ipc-sock send --reply -w 2 ./box 'how are you?'",
		.example_says = "one datagram there, one back",
		.run = run_sock_send},
	{.name = "recv",
		.summary = "receive records and print them",
		.std = STD_WAIT | STD_FRAME | STD(COUNT) | STD(FOLLOW) | STD(MODE) | STD(JSON) |
			STD(READY_FD) | STD(PIDFILE),
		OPTS(recv_opts),
		.operands = addr_operand,
		.flags = VERB_INPROC | VERB_GRACEFUL,
		.example = "ipc-sock recv -c 3 ./box",
		.example_says = "three datagrams as three lines",
		.run = run_sock_recv},
	{.name = "relay",
		.summary = "join each client of one socket to another socket",
		.std = STD(TIMEOUT) | STD(MODE) | STD(JSON) | STD(READY_FD) | STD(PIDFILE),
		OPTS(relay_opts),
		.operands = relay_operands,
		.flags = VERB_GRACEFUL,
		.example = "ipc-sock relay tcp:127.0.0.1:5432 /run/postgresql/.s.PGSQL.5432",
		.example_says = "reach a unix socket over TCP",
		.run = run_sock_relay},
	{.name = "pair",
		.summary = "join two commands by a socketpair, both ways",
		.usage = "[OPTIONS] -- CMD [ARG...] -- CMD [ARG...]",
		OPTS(pair_opts),
		.operands = pair_operands,
		.flags = VERB_SPAWNS | VERB_RAW,
		.example = "ipc-sock pair -- ./asks.sh -- ./answers.sh",
		.example_says = "the stdin and stdout of each is the other",
		.run = run_sock_pair},
	{.name = "wait",
		.summary = "wait until a socket accepts connections",
		.std = STD_WAIT,
		OPTS(wait_opts),
		.operands = addr_operand,
		.flags = VERB_INPROC,
		.example = "ipc-sock wait -w 10 tcp:localhost:8080",
		.example_says = "124 when nobody listens there within 10 s",
		.run = run_sock_wait},
	{.name = "stat",
		.summary = "show a socket: state, owner, queue",
		.std = STD(JSON),
		.operands = addr_operand,
		.flags = VERB_INPROC,
		.example = "ipc-sock stat -J ./sum",
		.example_says = "type, listening or dead, pid of the server",
		.run = run_sock_stat},
};

const struct applet ipc_sock = {
	.name = "ipc-sock",
	.summary = "servers, clients, datagrams, relays",
	.kind = "sock",
	VERBS(verbs),
};

int sock_opt_type(const struct call *call, int dflt)
{
	return call->opt[S_TYPE].count > 0 ? sock_types[call->opt[S_TYPE].num] : dflt;
}
