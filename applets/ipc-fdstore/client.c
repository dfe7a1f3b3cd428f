/* client.c: store, retrieve, rm. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "command.h"

#include "copy.h"
#include "fd.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bad_name(struct call *call, const char *name)
{
	return call_fail(call, ST_USAGE, 0,
		"%s: a name has 1 to %d bytes, no colon and no control characters", name,
		NAME_LONGEST);
}

int fdstore_store(struct call *call)
{
	const char *name = call->args[1].str;
	int fd = (int)call->args[2].num;
	struct allow allow;
	struct link *l;
	if (!fds_name_ok(name))
		return bad_name(call, name);
	/* Before anything of ours is opened that could get this number. */
	if (!fd_is_open(fd))
		return call_fail(call, ST_USAGE, EBADF, "descriptor %d", fd);
	const char *list = call->opt[STORE_ALLOW].str, *why = allow_parse(&allow, list);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "--allow: %s: %s", list, why);
	if (list != NULL && strlen(list) > ALLOW_LONGEST)
		return call_fail(call, ST_USAGE, 0, "--allow: longer than %d bytes", ALLOW_LONGEST);
	int status = fds_link_open(call, call->args[0].str, &l);
	if (status != 0)
		return status;
	int64_t expire = call->opt[STORE_EXPIRE].num;
	struct head head = {.op = OP_STORE,
		.flags = (call->opt[STORE_ONCE].count > 0 ? KEEP_ONCE : 0) |
			(call->opt[STORE_HANGUP].count > 0 ? KEEP_HANGUP : 0) |
			(call->opt[STORE_REPLACE].count > 0 ? KEEP_REPLACE : 0) | ASK_LAST,
		.num = expire == INT64_MAX ? 0 : expire};
	fds_packet_start(&l->packet, &head);
	fds_packet_str(&l->packet, name);
	fds_packet_str(&l->packet, list != NULL ? list : "");
	fds_packet_seal(&l->packet, 1);
	status = fds_link_ask(l, &fd, 1, NULL, 0, NULL);
	return status != 0 ? status : fds_link_refused(l, name);
}

int fdstore_rm(struct call *call)
{
	struct link *l;
	int worst = 0;
	for (unsigned i = 1; i < call->nargs; i++)
		if (!fds_name_ok(call->args[i].str))
			return bad_name(call, call->args[i].str);
	int status = fds_link_open(call, call->args[0].str, &l);
	if (status != 0)
		return status;
	for (unsigned i = 1; i < call->nargs; i++) {
		fds_packet_start(&l->packet, &(struct head){.op = OP_REMOVE});
		fds_packet_str(&l->packet, call->args[i].str);
		fds_packet_seal(&l->packet, 1);
		status = fds_link_ask(l, NULL, 0, NULL, 0, NULL);
		if (status != 0)
			return status;
		status = fds_link_refused(l, call->args[i].str);
		worst = status > worst ? status : worst;
	}
	return worst;
}

/* ---- retrieve */

struct got {
	int fds[NAMES_MOST];
	size_t n;
	int64_t to[NAMES_MOST];
};

static void undo_got(void *arg, intptr_t n)
{
	struct got *got = arg;
	(void)n;
	cmsg_close(got->fds, got->n);
}

/* The numbers of --to into GOT->to, 3... without. 0 or a status. */
static int parse_to(struct call *call, struct got *got, size_t names)
{
	const char *text = call->opt[RETRIEVE_TO].str;
	size_t n = 0;
	for (; text == NULL && n < names; n++)
		got->to[n] = 3 + (int64_t)n;
	for (const char *s = text; s != NULL && *s != '\0'; n++) {
		size_t len = strcspn(s, ",");
		char word[16];
		snprintf(word, sizeof word, "%.*s", (int)len, s);
		if (n == names || len >= sizeof word || num_int(word, &got->to[n]) != NULL ||
			got->to[n] < 0 || got->to[n] >= sysconf(_SC_OPEN_MAX))
			return call_fail(call, ST_USAGE, 0,
				"--to: %s: wants one descriptor number for each of the %zu names",
				text, names);
		for (size_t k = 0; k < n; k++)
			if (got->to[k] == got->to[n])
				return call_fail(
					call, ST_USAGE, 0, "--to: %s: %s twice", text, word);
		s += len + (s[len] == ',');
	}
	if (n != names)
		return call_fail(call, ST_USAGE, 0,
			"--to: %s: wants one descriptor number for each of the %zu names", text,
			names);
	return 0;
}

/* A shell that receives into a variable gets the descriptors themselves. */
static bool for_shell(const struct call *call)
{
	return call->host != NULL && call->host->into;
}

static int check(struct call *call, struct got *got)
{
	size_t names = call->nargs - 1;
	if (names > NAMES_MOST)
		return call_fail(
			call, ST_USAGE, 0, "more than %d names; ask in several calls", NAMES_MOST);
	for (size_t i = 1; i <= names; i++)
		if (!fds_name_ok(call->args[i].str))
			return bad_name(call, call->args[i].str);
	if (call->command == NULL && names > 1 && !(for_shell(call) && call->host->batch))
		return call_fail(call, ST_USAGE, 0, "several descriptors need -- CMD");
	if (call->command == NULL && call->opt[RETRIEVE_TO].count > 0)
		return call_fail(call, ST_USAGE, 0, "--to needs -- CMD");
	int status = parse_to(call, got, names);
	/* Nothing is taken out for a command that cannot run. */
	return status != 0 || call->command == NULL ? status : spawn_check(call, call->command[0]);
}

/* They have arrived: now the server may drop what it was to. */
static int confirm(struct link *l)
{
	struct call *call = l->call;
	fds_packet_start(&l->packet, &(struct head){.op = OP_DONE});
	fds_packet_seal(&l->packet, 0);
	if (cmsg_send(l->sock, l->packet.data, l->packet.len, NULL, 0, l->deadline, &call->stop) <
			0 &&
		errno != EPIPE && errno != ECONNRESET)
		return fds_link_lost(l, errno);
	ssize_t n;
	size_t none;
	n = cmsg_recv(l->sock, l->packet.data, sizeof l->packet.data, NULL, 0, &none, l->deadline,
		&call->stop);
	if (n < 0 && errno != ECONNRESET)
		return fds_link_lost(l, errno);
	if (n <= 0)
		call_warn(call, 0, "%s: the server ended before it said that it let go",
			l->addr.text);
	return 0;
}

static int receive(struct call *call, struct link *l, struct got *got)
{
	size_t names = call->nargs - 1;
	struct head head = {.op = OP_RETRIEVE,
		.flags = (call->opt[RETRIEVE_REMOVE].count > 0 ? GIVE_REMOVE : 0) | ASK_LAST};
	fds_packet_start(&l->packet, &head);
	for (size_t i = 1; i <= names; i++)
		fds_packet_str(&l->packet, call->args[i].str);
	fds_packet_seal(&l->packet, (uint32_t)names);
	int status = fds_link_ask(l, NULL, 0, got->fds, names, &got->n);
	if (status != 0)
		return status;
	if (l->head.reason != WHY_OK)
		return fds_link_refused(
			l, call->args[l->head.count < names ? 1 + l->head.count : 1].str);
	if (got->n != names)
		return call_fail(call, ST_DATA, 0, "%s: %zu descriptors came, not %zu",
			l->addr.text, got->n, names);
	status = (l->head.flags & GIVE_CLAIMED) != 0 ? confirm(l) : 0;
	call_close(call, l->sock);
	return status;
}

/* Become CMD, which has them as sd_listen_fds(3) says, or at the numbers of --to. */
static int become(struct call *call, const struct got *got)
{
	struct spawn_fd fds[NAMES_MOST];
	bool listen = call->opt[RETRIEVE_TO].count == 0;
	char *names = call_strdup(call, call->args[1].str);
	for (size_t i = 1; names != NULL && i < got->n; i++)
		names = call_fmt(call, "%s:%s", names, call->args[1 + i].str);
	const char *env[] = {call_fmt(call, "IPC_OBJECT=%s", call->args[0].str), "LISTEN_FDS",
		"LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", NULL};
	if (listen) {
		env[1] = call_fmt(call, "LISTEN_FDS=%zu", got->n);
		env[2] = call_fmt(call, "LISTEN_PID=%ld", (long)getpid());
		env[3] = call_fmt(call, "LISTEN_FDNAMES=%s", names);
	}
	if (names == NULL || env[0] == NULL || env[1] == NULL || env[2] == NULL || env[3] == NULL)
		return call_fail(call, ST_EARLY, ENOMEM, "start %s", call->command[0]);
	for (size_t i = 0; i < got->n; i++)
		fds[i] = (struct spawn_fd){.from = got->fds[i], .to = (int)got->to[i]};
	struct command cmd = {
		.spawn = {.argv = call->command, .env = env, .fds = fds, .nfds = got->n}};
	return command_exec(call, &cmd);
}

static int print(struct call *call, int fd)
{
	struct copy c = {.in = fd,
		.out = call->out.fd,
		.max = UINT64_MAX,
		.idle = DEADLINE_NONE,
		.as_is = true,
		.stop = &call->stop};
	const char *name = call->args[1].str;
	if (sock_is_listening(fd))
		return call_fail(call, ST_USAGE, 0,
			"%s is a listening socket and cannot be read; give -- CMD", name);
	if (copy_stream(&c) == 0)
		return ST_OK;
	if (c.out_failed)
		return call_stdout_error(call, errno);
	if (errno == EBADF || errno == EISDIR || errno == EINVAL)
		return call_fail(call, ST_USAGE, errno, "%s cannot be read; give -- CMD", name);
	if (errno == EINTR)
		return call_waited(call, errno, "read %s", name);
	return call_fail(call, ST_IO, errno, "read %s", name);
}

static int give(struct call *call, struct got *got)
{
	for (size_t i = 0; i < got->n; i++)
		if (host_give_fd(call, got->fds[i]))
			got->fds[i] = -1;
	return ST_OK;
}

int fdstore_retrieve(struct call *call)
{
	struct link *l;
	struct got *got = call_alloc(call, sizeof *got);
	if (got == NULL)
		return call_error(call, ENOMEM, "retrieve");
	int status = check(call, got);
	if (status != 0)
		return status;
	if (call_undo(call, undo_got, got, 0) < 0)
		return call_error(call, errno, "retrieve");
	status = fds_link_open(call, call->args[0].str, &l);
	if (status == 0)
		status = receive(call, l, got);
	if (status != 0)
		return status;
	return call->command != NULL ? become(call, got)
		: for_shell(call)    ? give(call, got)
				     : print(call, got->fds[0]);
}
