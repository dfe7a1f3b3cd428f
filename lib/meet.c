/* lib/meet.c: see meet.h. */
#define _GNU_SOURCE
#include "meet.h"

#include "call.h"
#include "fd.h"
#include "num.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGAIN (10 * NS_PER_MS)

static int domain_of(int fd)
{
	int domain = -1;
	socklen_t len = sizeof domain;
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ? -1 : domain;
}

/* fd:N: work with a copy, so that N itself stays as it is, in a shell too. */
static int adopt(struct call *call, struct meet *m)
{
	int fd = m->addr.fd;
	m->given = fd;
	if (!fd_is_open(fd) || fd_was_closed(fd))
		return call_fail(call, ST_NOOBJ, 0, "descriptor %d is not open", fd);
	if (domain_of(fd) != AF_UNIX)
		return call_fail(call, ST_USAGE, 0, "descriptor %d is not a unix socket", fd);
	if (sock_is_listening(fd) != m->listen)
		return call_fail(call, ST_USAGE, 0,
			m->listen ? "descriptor %d is not a listening socket"
				  : "descriptor %d is a listening socket; use --listen",
			fd);
	m->addr.fd = fd_dup(fd, 3);
	return m->addr.fd < 0 ? call_error(call, errno, "descriptor %d", fd) : 0;
}

static int listen_on(struct call *call, struct meet *m)
{
	struct sock_how how = {SOCK_HOW, .type = SOCK_STREAM, .has_mode = m->has_mode,
		.mode = m->mode, .backlog = 8, .inherit = true};
	int status = sock_listen(call, &m->addr, &how, &m->bound);
	/* A client that others take from a socket of theirs must not keep us in accept(2). */
	if (status == 0 && !m->bound->inherited && fd_nonblock(m->bound->fd, true) < 0)
		status = call_error(call, errno, "listen on %s", m->text);
	return status;
}

int meet_start(struct call *call, struct meet *m)
{
	m->given = -1;
	const char *why = addr_parse(&m->addr, m->text);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", m->text, why);
	if (m->addr.fd < 0 && m->addr.family != AF_UNIX)
		return call_fail(call, ST_USAGE, 0,
			"%s: descriptors travel through unix sockets only", m->text);
	why = allow_parse(&m->rules, m->allow);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "--allow: %s: %s", m->allow, why);
	int status = m->addr.fd >= 0 ? adopt(call, m) : 0;
	if (status != 0)
		return status;
	m->until = wait_until(m->retry);
	if (m->until > m->deadline)
		m->until = m->deadline;
	return m->listen ? listen_on(call, m) : 0;
}

static bool let_in(struct meet *m, int sock)
{
	return peer_of(sock, &m->peer) == 0 && allow_peer(&m->rules, &m->peer, sock);
}

static const char *who(const struct meet *m, char buf[64])
{
	if (!m->peer.known)
		return "somebody unknown";
	num_user_name(m->peer.uid, buf, 64);
	return buf;
}

static int accept_one(struct call *call, struct meet *m, int *sock)
{
	char name[64];
	for (;;) {
		if (wait_fd(m->bound->fd, POLLIN, m->deadline, &call->stop) < 0)
			return call_waited(call, errno, "wait for somebody at %s", m->text);
		int fd = accept4(m->bound->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0)
			return call_error(call, errno, "accept from %s", m->text);
		if (let_in(m, fd)) {
			sock_release(m->bound);
			*sock = call_own(call, fd);
			return 0;
		}
		call_warn(call, 0, "%s: user %s is not let in; see --allow", m->text, who(m, name));
		fd_close(fd);
	}
}

static int connect_one(struct call *call, struct meet *m, int *sock)
{
	char name[64];
	int fd = m->addr.fd >= 0
		? m->addr.fd
		: sock_connect_retry(&m->addr, SOCK_STREAM, m->deadline, m->until, &call->stop);
	if (fd < 0 && errno == EPROTOTYPE)
		return call_fail(
			call, ST_USAGE, 0, "connect %s: it is not a stream socket", m->text);
	if (fd < 0)
		return sock_connect_failed(call, &m->addr, SOCK_STREAM, errno);
	*sock = call_own(call, fd);
	if (let_in(m, fd))
		return 0;
	if (m->given >= 0 && !m->peer.known)
		return call_fail(call, ST_NOPEER, 0, "descriptor %d is not connected", m->given);
	return call_fail(call, ST_PERM, 0,
		"%s: it belongs to user %s, who is not let in; see --allow", m->text, who(m, name));
}

int meet_peer(struct call *call, struct meet *m, int *sock)
{
	return m->listen ? accept_one(call, m, sock) : connect_one(call, m, sock);
}

bool meet_again(struct call *call, struct meet *m, int sock)
{
	call_close(call, sock);
	if (m->listen || m->given >= 0 || m->until == DEADLINE_NOW || wait_now() >= m->until)
		return false;
	struct pollfd none = {.fd = -1};
	(void)wait_poll(&none, 1, wait_now() + AGAIN, &call->stop);
	return call_stopped(call) == 0;
}
