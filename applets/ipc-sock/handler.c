/* handler.c: a command per connection. It has the connection itself as stdin and stdout: nothing is
 * copied, and when the last process that holds it closes it, the client sees the end. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define ENV_VARS 32
#define ENV_ROOM (ENV_VARS * 32 + 5 * ADDR_TEXT + 2 * PATH_MAX)

/* The environment of one command: strings one behind the other. What does not fit is left unset. */
struct env {
	const char *list[ENV_VARS + 1];
	size_t n, used;
	char room[ENV_ROOM];
};

static __attribute__((format(printf, 2, 3))) void put(struct env *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->room + e->used, sizeof e->room - e->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof e->room - e->used || e->n == ENV_VARS)
		return;
	e->list[e->n++] = e->room + e->used;
	e->used += (size_t)n + 1;
	e->list[e->n] = NULL;
}

/* NAME=VALUE, or unset when there is no value. */
static void put_or_unset(struct env *e, const char *name, const char *value)
{
	if (value != NULL && *value != '\0')
		put(e, "%s=%s", name, value);
	else
		put(e, "%s", name);
}

static void env_unix(struct env *e, struct client *c, const char *local, const char *remote)
{
	put(e, "PROTO=IPC");
	put(e, "IPCCONNNUM=%u", client_of_uid(c));
	put_or_unset(e, "IPCLOCALPATH", local);
	put_or_unset(e, "IPCREMOTEPATH", remote);
	put(e, "IPC_PEER_PORT");
	if (!c->peer.known) {
		put(e, "IPC_PEER_UID");
		put(e, "IPC_PEER_GID");
		put(e, "IPC_PEER_PID");
		return;
	}
	put(e, "IPCREMOTEEUID=%u", (unsigned)c->peer.uid);
	put(e, "IPCREMOTEEGID=%u", (unsigned)c->peer.gid);
	put(e, "IPCREMOTEPID=%ld", (long)c->peer.pid);
	put(e, "IPC_PEER_UID=%u", (unsigned)c->peer.uid);
	put(e, "IPC_PEER_GID=%u", (unsigned)c->peer.gid);
	put(e, "IPC_PEER_PID=%ld", (long)c->peer.pid);
}

static void env_inet(struct env *e, int fd, int family)
{
	const char *proto = family == AF_VSOCK ? "VSOCK" : "TCP";
	for (int side = 0; side < 2; side++) {
		struct addr_sa sa = {.len = sizeof sa.ss};
		char host[64];
		unsigned port;
		const char *which = side == 0 ? "LOCAL" : "REMOTE";
		int r = side == 0 ? getsockname(fd, &sa.sa, &sa.len)
				  : getpeername(fd, &sa.sa, &sa.len);
		if (r < 0 || !addr_host_port(&sa.sa, host, &port)) {
			put(e, "%s%sIP", proto, which);
			put(e, "%s%sPORT", proto, which);
			put(e, "IPC_PEER_PORT");
			continue;
		}
		put(e, "%s%sIP=%s", proto, which, host);
		put(e, "%s%sPORT=%u", proto, which, port);
		if (side == 1)
			put(e, "IPC_PEER_PORT=%u", port);
	}
	put(e, "PROTO=%s", proto);
	put(e, "IPC_PEER_UID");
	put(e, "IPC_PEER_GID");
	put(e, "IPC_PEER_PID");
}

static void make_env(struct env *e, struct client *c, int fd)
{
	struct server *s = c->srv;
	struct addr_sa sa = {.len = sizeof sa.ss};
	char remote[ADDR_TEXT] = "";
	e->n = e->used = 0;
	if (getpeername(fd, &sa.sa, &sa.len) == 0) {
		(void)addr_text(&sa.sa, sa.len, s->type, remote);
	} else { /* it has gone again already (TCP) */
		sa.len = sizeof sa.ss;
		(void)getsockname(fd, &sa.sa, &sa.len);
	}
	put(e, "IPC_OBJECT=%s", s->addr.text);
	put(e, "IPC_CONN_NUM=%llu", (unsigned long long)c->id);
	put_or_unset(e, "IPC_LOCAL_ADDR", s->bound->name);
	put_or_unset(e, "IPC_PEER_ADDR", remote);
	put(e, "LISTEN_FDS");
	put(e, "LISTEN_PID");
	put(e, "LISTEN_FDNAMES");
	put(e, "LISTEN_PIDFDID");
	put(e, "WATCHDOG_PID");
	put(e, "WATCHDOG_USEC");
	put(e, "NOTIFY_SOCKET");
	if (sa.sa.sa_family == AF_UNIX)
		env_unix(e, c, s->bound->name, remote);
	else
		env_inet(e, fd, sa.sa.sa_family);
}

struct become {
	int fd;
	const struct rlimit *nofile;
};

/* In the child: the connection as 0 and 1, and the limit that we were started with. In this order,
 * since no descriptor can be made any more when ours are above the old limit. */
static int become(void *arg)
{
	const struct become *b = arg;
	if (dup2(b->fd, 0) < 0 || dup2(b->fd, 1) < 0)
		return errno;
	if (fd_limit_restore(b->nofile) < 0)
		return errno;
	return 0;
}

static void ended(struct loop *loop, struct loop_child *child, int wstatus)
{
	struct client *c =
		(struct client *)(void *)((char *)child - offsetof(struct client, child));
	struct server *s = c->srv;
	(void)loop;
	/* Only while we stop do we hold the connection, too. */
	if (c->watch.fd >= 0 && s->farewell_len > 0)
		(void)!send(c->watch.fd, s->farewell, s->farewell_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	client_close(c, wstatus);
}

/* -1 with errno. What may be over soon is said by whoever waits for that. */
static int not_started(struct client *c, int err, int execed)
{
	struct server *s = c->srv;
	bool processes = !execed && err == EAGAIN; /* RLIMIT_NPROC, pids.max, pid_max */
	int lack = processes ? ENOMEM : err;
	if (s->n == 1 || execed || !sock_lacks(lack))
		call_warn(s->call, processes ? 0 : err, "start %s%s", s->call->command[0],
			processes ? ": no more processes allowed; see ulimit -u" : "");
	errno = execed ? EIO : lack;
	return -1;
}

int server_cmd_start(struct client *c, int fd)
{
	struct server *s = c->srv;
	struct env env;
	make_env(&env, c, fd);
	struct become b = {.fd = fd, .nofile = &s->nofile};
	struct spawn sp = {.argv = s->call->command,
		.env = env.list,
		.flags = SPAWN_GROUP,
		.hook = become,
		.hook_arg = &b};
	int execed = 0, err = spawn(&sp, &c->child.pid, &execed);
	if (err != 0)
		return not_started(c, err, execed);
	c->child.ended = ended;
	client_fed(c);
	/* Closed first: the pidfd has its number when there is no other. */
	fd_close(fd);
	if (loop_child(&s->loop, &c->child) == 0) {
		call_note_pidfd(s->call, c->child.watch.fd);
		return 0;
	}
	call_warn(s->call, errno, "watch %s (pid %ld), which is killed", s->call->command[0],
		(long)c->child.pid);
	spawn_kill(c->child.pid);
	c->child.pid = 0;
	client_close(c, -1);
	return 0;
}

/* The server stops: the command reads the end of its input after what has come, may answer that,
 * and ends. We take the connection back from it for the farewell. */
void server_cmd_eof(struct client *c)
{
	int fd = (int)syscall(SYS_pidfd_getfd, c->child.watch.fd, 0, 0);
	if (fd >= 0 && sock_type(fd) >= 0 && shutdown(fd, SHUT_RD) == 0) {
		c->watch.fd = fd;
		return;
	}
	/* It has closed it, or become another user: it is asked to end. */
	fd_close(fd);
	server_cmd_signal(c, SIGTERM);
}

void server_cmd_signal(struct client *c, int sig)
{
	if (c->child.pid > 0 && c->srv->role == ROLE_CMD)
		kill(-c->child.pid, sig);
}

/* --listen-fds: like inetd's "wait" and systemd's socket units. */
struct activation {
	struct loop_child child;
	struct loop_timer again;
	struct server *s;
	char pid_env[40]; /* LISTEN_PID=, written by the child */
	int64_t began;
	int fd;
};

static int give_listener(void *arg)
{
	struct activation *a = arg;
	char digits[24];
	int n = 0, pid = (int)getpid();
	size_t o = strlen("LISTEN_PID=");
	/* No library call in the child of vfork(2). */
	for (; pid > 0 || n == 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n > 0)
		a->pid_env[o++] = digits[--n];
	a->pid_env[o] = '\0';
	/* Blocking, as a server expects it; one that we were given is as its owner left it. */
	if (a->s->bound->inherited)
		return 0;
	int flags = fcntl(a->fd, F_GETFL);
	(void)fcntl(a->fd, F_SETFL, flags & ~O_NONBLOCK);
	return 0;
}

static void watch_listener(struct loop *loop, struct loop_timer *t)
{
	struct server *s = loop->arg;
	(void)t;
	(void)loop_add(loop, &s->listener, EPOLLIN);
}

static void server_ended(struct loop *loop, struct loop_child *child, int wstatus)
{
	struct activation *a =
		(struct activation *)(void *)((char *)child - offsetof(struct activation, child));
	struct server *s = a->s;
	child->pid = 0;
	if (s->stopping || wstatus != 0) {
		server_end(s,
			s->stopping           ? ST_OK
				: wstatus < 0 ? ST_INTERNAL
					      : wait_status(wstatus));
		return;
	}
	/* It went idle; the next client brings it back. One that ends at once is given a pause. */
	a->again.due = watch_listener;
	(void)loop_at(loop, &a->again, a->began + NS_PER_S / 4);
}

static void client_waits(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	struct activation *a = (struct activation *)(void *)s->scratch;
	const char *env[] = {"LISTEN_FDS=1", a->pid_env, "LISTEN_FDNAMES=connection",
		"LISTEN_PIDFDID", "WATCHDOG_PID", "WATCHDOG_USEC", "NOTIFY_SOCKET", NULL};
	struct spawn_fd fds[] = {{w->fd, 3}};
	struct spawn sp = {.argv = s->call->command,
		.env = env,
		.fds = fds,
		.nfds = 1,
		.hook = give_listener,
		.hook_arg = a};
	(void)events;
	loop_remove(loop, w);
	strcpy(a->pid_env, "LISTEN_PID=");
	a->began = wait_now();
	int status = spawn_call(s->call, &sp, &a->child.pid);
	if (status == 0 && loop_child(loop, &a->child) < 0) {
		status = call_error(s->call, errno, "watch %s", s->call->command[0]);
		spawn_kill(a->child.pid);
	}
	if (status != 0)
		server_end(s, status);
}

static void stop_command(struct loop *loop, int sig)
{
	struct server *s = loop->arg;
	struct activation *a = (struct activation *)(void *)s->scratch;
	if (a->child.pid > 0)
		kill(a->child.pid, s->stopping ? SIGKILL : sig);
	s->stopping = true;
	loop_remove(loop, &s->listener);
	loop_cancel(loop, &a->again);
	if (a->child.pid <= 0)
		server_end(s, ST_OK);
}

int server_listen_fds(struct server *s)
{
	struct call *call = s->call;
	if (s->checks && call->opt[S_ALLOW].count > 0)
		return call_fail(
			call, ST_USAGE, 0, "--allow is the server's own affair with --listen-fds");
	struct activation *a = calloc(1, sizeof *a);
	if (a == NULL)
		return call_error(call, ENOMEM, "serve");
	s->scratch = (char *)a; /* freed with the server */
	a->s = s;
	a->fd = s->bound->fd;
	s->bound->lent = true;
	a->child.ended = server_ended;
	a->child.watch.fd = -1;
	s->loop.stopped = stop_command;
	s->listener = (struct loop_watch){.fd = s->bound->fd, .ready = client_waits};
	if (loop_add(&s->loop, &s->listener, EPOLLIN) < 0)
		return call_error(call, errno, "serve %s", s->addr.text);
	int status = server_serving(s);
	if (status != 0)
		return status;
	int r = loop_run(&s->loop), err = errno;
	if (a->child.watch.fd >= 0)
		loop_child_forget(&s->loop, &a->child);
	return r < 0            ? call_error(call, err, "wait for clients")
		: s->status < 0 ? ST_OK
				: s->status;
}
