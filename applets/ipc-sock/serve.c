/* serve.c: the life of a server: settings, start, stop. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"
#include "num.h"
#include "spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int run_sock_serve(struct call *call);

#define CMD_CLIENTS 256          /* --max-clients with a command */
#define RECORD_MAX (1024 * 1024) /* -S */
#define SCRATCH (256 * 1024)     /* what one read(2) takes at most, when records may be so long */
#define GRACE (5 * NS_PER_S)     /* --grace */
#define SPARE_FDS 24             /* stdio, epoll, a pipe or two */

void server_end(struct server *s, int status)
{
	if (s->status < 0)
		s->status = status;
	loop_quit(&s->loop);
}

void server_undo(void *server, intptr_t n)
{
	struct server *s = server;
	(void)n;
	s->loop.quit = true;
	while (s->oldest != NULL)
		client_close(s->oldest, -1);
	if (s->usr1.sig != 0)
		loop_signal_end(&s->loop, &s->usr1);
	loop_remove(&s->loop, &s->outq.watch);
	loop_remove(&s->loop, &s->input);
	loop_end(&s->loop);
	outq_end(s);
	buf_free(&s->outq.buf);
	buf_free(&s->pending);
	hub_free(s);
	free(s->uids);
	free(s->scratch);
	(void)fd_limit_restore(&s->nofile);
}

/* As many descriptors as we may have: a client takes one, or what a relay needs for it. A command gets the old
 * limit back. */
static void raise_limit(struct server *s)
{
	uint64_t limit = fd_limit_raise(&s->nofile), each = s->relay != NULL ? relay_cost(s) : 1;
	if (limit == 0)
		return;
	uint64_t most = (limit > SPARE_FDS * 2 ? limit - SPARE_FDS : SPARE_FDS) / each;
	if (s->call->opt[S_MAX_CLIENTS].count > 0 && s->max > most)
		call_warn(s->call, 0,
			"--max-clients %llu: only %llu at once, by the limit of open files (ulimit -n %llu)",
			(unsigned long long)s->max, (unsigned long long)most,
			(unsigned long long)limit);
	if (s->max > most)
		s->max = most;
}

/* "USER[:GROUP]" of --owner. -1, or a status. */
static int parse_owner(struct call *call, struct sock_how *how)
{
	const char *text = call->opt[S_OWNER].str, *why = NULL;
	if (text == NULL)
		return -1;
	const char *colon = strchr(text, ':');
	char *user = call_strdup(call, text);
	if (user == NULL)
		return call_error(call, ENOMEM, "--owner");
	user[strcspn(user, ":")] = '\0';
	if (*user != '\0')
		why = num_user(user, &how->uid);
	if (why == NULL && colon != NULL)
		why = num_group(colon + 1, &how->gid);
	return why == NULL ? -1 : call_fail(call, ST_USAGE, 0, "--owner: %s: %s", text, why);
}

static int take_options(struct server *s)
{
	const struct val *opt = s->call->opt;
	s->max = opt[S_MAX_CLIENTS].count > 0 ? (uint64_t)opt[S_MAX_CLIENTS].num
		: s->role == ROLE_CMD         ? CMD_CLIENTS
					      : UINT64_MAX;
	if (opt[S_ITERATIVE].count > 0)
		s->max = 1;
	s->max_per_uid = (uint64_t)opt[S_MAX_PER_UID].num;
	s->min = (uint64_t)opt[S_MIN_CLIENTS].num;
	s->count = (uint64_t)s->call->std[STD_COUNT].num;
	s->idle = opt[S_IDLE].num == DEADLINE_NONE ? 0 : opt[S_IDLE].num;
	s->grace = opt[S_GRACE].count > 0 ? opt[S_GRACE].num : GRACE;
	s->slow = (enum slow)opt[S_SLOW].num;
	s->record_max = opt[S_SIZE].count > 0 ? num_to_size(opt[S_SIZE].num) : RECORD_MAX;
	s->json = s->call->std[STD_JSON].count > 0;
	s->frame = frame_of(s->call);
	if (s->frame.kind == FRAME_SIZE && s->frame.size > s->record_max)
		s->record_max = s->frame.size;
	if (opt[S_FAREWELL].count > 0) {
		s->farewell = call_fmt(s->call, "%s\n", opt[S_FAREWELL].str);
		if (s->farewell == NULL)
			return call_error(s->call, ENOMEM, "serve");
		/* A packet is a record, and needs no newline. */
		s->farewell_len = strlen(s->farewell) - (s->type != SOCK_STREAM);
	}
	return -1;
}

/* Who is let in: everybody whom the path's mode lets in, unless --allow says; to abstract names, which
 * have no mode, ourselves and root. -1, or a status. */
static int take_allow(struct server *s)
{
	const char *text = s->call->opt[S_ALLOW].str, *why = allow_parse(&s->allow, text);
	struct addr_sa sa = {.len = sizeof sa.ss};
	if (why != NULL)
		return call_fail(s->call, ST_USAGE, 0, "--allow: %s: %s", text, why);
	bool is_unix =
		getsockname(s->bound->fd, &sa.sa, &sa.len) == 0 && sa.sa.sa_family == AF_UNIX;
	bool abstract = is_unix && s->bound->name != NULL && s->bound->name[0] == '@';
	s->checks = text != NULL || abstract;
	if (!is_unix && (text != NULL || s->max_per_uid > 0))
		return call_fail(s->call, ST_USAGE, 0,
			"%s: only unix sockets tell who connects; no --allow, no --max-per-uid",
			s->addr.text);
	if (s->type == SOCK_DGRAM && text != NULL)
		return call_fail(
			s->call, ST_USAGE, 0, "--allow needs connections, datagrams have none");
	if (s->type == SOCK_DGRAM)
		s->checks = false;
	s->wants_peer = is_unix && s->type != SOCK_DGRAM &&
		(s->checks || s->max_per_uid > 0 || s->role == ROLE_CMD || s->json);
	return -1;
}

static int bind_it(struct server *s)
{
	struct call *call = s->call;
	struct sock_how how = {SOCK_HOW, .type = s->type, .inherit = true,
		.has_mode = call->std[STD_MODE].count > 0, .mode = (mode_t)call->std[STD_MODE].num,
		.backlog = (int)call->opt[S_BACKLOG].num};
	int status = parse_owner(call, &how);
	if (status >= 0)
		return status;
	status = sock_listen(call, &s->addr, &how, &s->bound);
	if (status != 0)
		return status;
	s->type = s->bound->type;
	if (s->type == SOCK_DGRAM)
		sock_dgram_start(s->bound->fd);
	return s->bound->name == NULL ? call_error(call, ENOMEM, "serve") : -1;
}

int server_init(struct server *s, struct call *call, enum role role, int type)
{
	*s = (struct server){.call = call,
		.role = role,
		.type = type,
		.status = -1,
		.next_id = 1,
		.deadline = DEADLINE_NONE};
	s->outq.watch.fd = s->input.fd = s->outq.pipe[0] = s->outq.pipe[1] = -1;
	const char *why = addr_parse(&s->addr, call->args[0].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	if (s->addr.type == SOCK_DGRAM)
		s->type = SOCK_DGRAM;
	if (loop_start(&s->loop, &call->stop) < 0)
		return call_error(call, errno, "make an epoll descriptor");
	s->loop.arg = s;
	if (call_undo(call, server_undo, s, 0) < 0)
		return call_error(call, errno, "serve");
	int status = take_options(s);
	if (status >= 0)
		return status;
	status = bind_it(s);
	if (status >= 0)
		return status;
	/* The socket is closed by its own undo, which comes before ours. */
	return take_allow(s);
}

static void stop_now(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	bool again = s->n > 0;
	(void)t;
	for (struct client *c = s->oldest; c != NULL; c = c->next)
		server_cmd_signal(c, s->stop_signal < 0 ? SIGKILL : SIGTERM);
	if (s->role == ROLE_CMD && again && s->stop_signal >= 0) {
		/* Commands get a second to obey. */
		s->stop_signal = -1 - s->stop_signal;
		if (loop_at(loop, &s->grace_over, wait_now() + NS_PER_S) == 0)
			return;
	}
	server_end(s, ST_OK);
}

void server_stop(struct server *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	server_accepting(s, false);
	loop_remove(&s->loop, &s->listener);
	loop_cancel(&s->loop, &s->accept_again);
	sock_release(s->bound);
	loop_remove(&s->loop, &s->input);
	s->grace_over.due = stop_now;
	(void)loop_at(&s->loop, &s->grace_over, wait_now() + s->grace);
	for (struct client *c = s->oldest, *next; c != NULL; c = next) {
		next = c->next;
		client_finish(c);
	}
	if (s->n == 0)
		server_end(s, ST_OK);
}

static void on_stop(struct loop *loop, int sig)
{
	struct server *s = loop->arg;
	if (!s->stopping) {
		s->stop_signal = sig;
		server_stop(s);
		return;
	}
	/* The second signal: at once. */
	for (struct client *c = s->oldest; c != NULL; c = c->next)
		server_cmd_signal(c, SIGTERM);
	server_end(s, ST_OK);
}

/* recv: -w or -n. What is there already still counts. */
static void too_late(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	int err = wait_expired(t->at);
	if (s->type == SOCK_DGRAM)
		server_dgram_ready(loop, &s->listener, EPOLLIN);
	if (!loop->quit)
		server_end(s, call_waited(s->call, err, "receive from %s", s->addr.text));
}

/* Was port 0 asked for? */
static bool chosen_by_kernel(const struct server *s)
{
	char host[64];
	unsigned port;
	return s->addr.n > 0 && addr_host_port(&s->addr.list[0].sa, host, &port) && port == 0;
}

int server_serving(struct server *s)
{
	const char *name = s->bound->name;
	call_note(s->call, 1, "listening on %s", name);
	if (s->json && chosen_by_kernel(s))
		server_report_bound(s);
	return call_serving_at(s->call, name);
}

int server_run(struct server *s)
{
	struct call *call = s->call;
	s->scratch_size = s->record_max < SCRATCH ? SCRATCH : s->record_max + 1;
	s->scratch = malloc(s->scratch_size);
	if (s->scratch == NULL)
		return call_error(call, ENOMEM, "serve");
	raise_limit(s);
	s->idle_check.due = server_idle_due;
	s->loop.stopped = on_stop;
	s->usr1 = (struct loop_signal){.sig = SIGUSR1, .came = server_report_usr1};
	if (loop_signal(&s->loop, &s->usr1) < 0) {
		s->usr1.sig = 0;
		return call_error(call, errno, "take SIGUSR1");
	}
	int status = outq_start(s);
	if (status == 0 && (s->role == ROLE_BROADCAST || s->role == ROLE_HUB))
		status = hub_start(s);
	if (status != 0)
		return status;
	s->listener = (struct loop_watch){.fd = s->bound->fd,
		.ready = s->type != SOCK_DGRAM  ? server_accept
			: s->role == ROLE_RELAY ? session_ready
						: server_dgram_ready};
	if (sock_unblock(s->bound) < 0)
		return call_error(call, errno, "serve %s", s->addr.text);
	server_accepting(s, true);
	s->too_late.due = too_late;
	if (loop_at(&s->loop, &s->too_late, s->deadline) < 0)
		return call_error(call, ENOMEM, "serve");
	status = server_serving(s);
	if (status != 0)
		return status;
	if (loop_run(&s->loop) < 0)
		return call_error(call, errno, "wait for clients");
	outq_drain(s, wait_until(s->grace));
	return s->status < 0 ? ST_OK : s->status;
}

static int role_of(const struct call *call, enum role *role)
{
	static const struct {
		int opt;
		enum role role;
	} roles[] = {{S_ECHO, ROLE_ECHO}, {S_COLLECT, ROLE_COLLECT}, {S_BROADCAST, ROLE_BROADCAST},
		{S_HUB, ROLE_HUB}};
	*role = ROLE_CMD;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (call->opt[roles[i].opt].count > 0)
			*role = roles[i].role;
	return *role != ROLE_CMD;
}

int run_sock_serve(struct call *call)
{
	enum role role;
	bool builtin = role_of(call, &role);
	if (builtin == (call->command != NULL))
		return call_fail(call, ST_USAGE, 0,
			"wants -- CMD, or one of --echo, --collect, --broadcast, --hub");
	struct server *s = call_alloc(call, sizeof *s);
	if (s == NULL)
		return call_error(call, ENOMEM, "serve");
	if (!builtin) {
		int status = spawn_check(call, call->command[0]);
		if (status != 0)
			return status;
	}
	int status = server_init(s, call, role, sock_opt_type(call, SOCK_STREAM));
	if (status >= 0)
		return status;
	if (call->opt[S_LISTEN_FDS].count > 0)
		return server_listen_fds(s);
	if (s->type == SOCK_DGRAM && role != ROLE_ECHO && role != ROLE_COLLECT)
		return call_fail(call, ST_USAGE, 0,
			"datagrams have no connections: --echo, --collect or --listen-fds, or ipc-sock recv");
	return server_run(s);
}
