/* ipc-fdstore: descriptors kept open by name, for whoever comes for them.
 *
 * A server keeps copies of descriptors that scripts store; what they refer to (a socket with its queue, a
 * file with its offset, a pipe) lives on while its users end, restart, or are replaced. Promises: what
 * was acknowledged is kept until it is removed, expires or the server ends; a descriptor that is taken
 * out (--once, --remove) and does not arrive is put back; a successor (serve --takeover) gets all that
 * is kept, the listening socket and the connections, so that no client notices; no client, however
 * it behaves, stops the server or makes it lose a descriptor.
 *
 * What surprises: the server reads who stored from /proc at that time; for ipc-fdstore itself, which is gone
 * a moment later, its parent (the script) is named.
 *
 * Limits: one process, one thread; a descriptor whose close(2) blocks (a dead NFS server, SO_LINGER) holds
 * up everybody when it is dropped. A client that says nothing for 10 seconds is let go.
 */
#include "fdstore.h"

#define RETRY_OPT                          \
	[CLIENT_RETRY] = {.name = "retry", \
		.arg = ARG_DURATION,       \
		.metavar = "DUR",          \
		.help = "keep trying for DUR while there is no server"}

static const struct opt serve_opts[] = {
	[SERVE_TAKEOVER] = {.name = "takeover",
		.help = "take all over from the server that runs, if one does"},
	[SERVE_NOTIFY] = {.name = "notify-socket",
		.arg = ARG_OBJECT,
		.metavar = "ADDR",
		.help = "take FDSTORE=1 of sd_notify(3) there"},
	[SERVE_ALLOW] = {.name = "allow",
		.arg = ARG_LIST,
		.metavar = "LIST",
		.help = "users let in: uid:N|NAME,gid:N|NAME, or any"},
	[SERVE_MAX] = {.name = "max",
		.arg = ARG_UINT,
		.metavar = "N",
		.min = 1,
		.max = 1 << 24,
		.help = "keep at most N (what ulimit -Hn allows)"},
	[SERVE_MAX_PER_UID] = {.name = "max-per-uid",
		.arg = ARG_UINT,
		.metavar = "N",
		.min = 1,
		.max = 1 << 24,
		.help = "keep at most N of each user"},
	[SERVE_IDLE] = {.name = "idle",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.help = "end when nothing is kept and nobody came for DUR"},
};

static const struct opt store_opts[] = {
	RETRY_OPT,
	[STORE_EXPIRE] = {.name = "expire",
		.arg = ARG_DURATION,
		.metavar = "DUR",
		.min = 1,
		.max = INT64_MAX,
		.help = "drop it after DUR"},
	[STORE_ONCE] = {.name = "once", .help = "drop it when it was retrieved once"},
	[STORE_HANGUP] = {.name = "until-hangup", .help = "drop it when its other end is closed"},
	[STORE_ALLOW] = {.name = "allow",
		.arg = ARG_LIST,
		.metavar = "LIST",
		.help = "others who may retrieve it: uid:, gid:, any"},
	[STORE_REPLACE] = {.name = "replace", .help = "in place of another of that name"},
};

static const struct opt retrieve_opts[] = {
	RETRY_OPT,
	[RETRIEVE_TO] = {.name = "to",
		.arg = ARG_LIST,
		.metavar = "N",
		.help = "CMD gets them as these numbers (0,1,7)"},
	[RETRIEVE_REMOVE] = {.name = "remove", .help = "and drop them from the store"},
};

static const struct opt plain_opts[] = {RETRY_OPT};

#define SOCK_OPERAND                                                   \
	{                                                              \
		.name = "SOCK", .arg = ARG_OBJECT, .min = 1, .max = 1, \
		.help = "the store: path, word, @name"                 \
	}
static const struct operand sock_operand[] = {SOCK_OPERAND, {.name = NULL}};
static const struct operand store_operands[] = {SOCK_OPERAND,
	{.name = "NAME", .arg = ARG_STR, .min = 1, .max = 1, .help = "what to call it"},
	{.name = "FD", .arg = ARG_FD, .min = 1, .max = 1, .help = "an open descriptor"},
	{.name = NULL}};
static const struct operand names_operands[] = {SOCK_OPERAND,
	{.name = "NAME", .arg = ARG_STR, .min = 1, .help = "what it was stored as"},
	{.name = NULL}};

static const struct verb verbs[] = {
	{.name = "serve",
		.summary = "keep descriptors for others until told to end",
		OPTS(serve_opts),
		.operands = sock_operand,
		.std = STD(TIMEOUT) | STD(MODE) | STD(READY_FD) | STD(PIDFILE),
		.flags = VERB_GRACEFUL,
		.example = "ipc-fdstore serve --takeover ./store",
		.example_says = "as successor of the one that runs, or the first",
		.run = fdstore_serve},
	{.name = "store",
		.summary = "hand an open descriptor to the store",
		OPTS(store_opts),
		.operands = store_operands,
		.std = STD(TIMEOUT) | STD(CONFLICT),
		.flags = VERB_INPROC,
		.example = "ipc-fdstore store ./store log 3 3>>app.log",
		.example_says = "keep descriptor 3 as log",
		.run = fdstore_store},
	{.name = "retrieve",
		.summary = "get descriptors for CMD, or copy one to stdout",
		OPTS(retrieve_opts),
		.operands = names_operands,
		.std = STD(TIMEOUT) | STD(CONFLICT),
		.flags = VERB_INPROC | VERB_COMMAND,
		.example = "ipc-fdstore retrieve ./store web -- ./server",
		.example_says = "server has it as 3, with LISTEN_FDS=1",
		.run = fdstore_retrieve},
	{.name = "ls",
		.summary = "list what is kept, what it is, and who stored it",
		OPTS(plain_opts),
		.operands = sock_operand,
		.std = STD(TIMEOUT) | STD(CONFLICT) | STD(JSON),
		.flags = VERB_INPROC,
		.run = fdstore_ls},
	{.name = "rm",
		.summary = "drop descriptors from the store",
		OPTS(plain_opts),
		.operands = names_operands,
		.std = STD(TIMEOUT) | STD(CONFLICT),
		.flags = VERB_INPROC,
		.run = fdstore_rm},
};

const struct applet ipc_fdstore = {.name = "ipc-fdstore",
	.summary = "a store that keeps descriptors open by name",
	.kind = "fdstore",
	VERBS(verbs)};

bool fds_name_ok(const char *name)
{
	size_t len = 0;
	for (; name[len] != '\0'; len++)
		if ((unsigned char)name[len] < 0x20 || name[len] == 0x7f || name[len] == ':')
			return false;
	return len > 0 && len <= NAME_LONGEST;
}
