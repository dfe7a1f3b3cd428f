/* link.c: a client's connection to the store, and what it says when the store refuses. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fds_link_address(struct call *call, const char *sock, struct addr *addr)
{
	const char *why = addr_parse_kind(addr, sock, call->applet->kind);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", sock, why);
	if (addr->family != AF_UNIX && addr->fd < 0)
		return call_fail(
			call, ST_USAGE, 0, "%s: descriptors travel over unix sockets only", sock);
	return 0;
}

/* An abstract name belongs to whoever took it first: only our own or root's server is trusted with it. A
 * path is guarded by its directory. */
static int trust(const struct link *l)
{
	struct peer peer;
	if (l->addr.is_path || l->addr.fd >= 0)
		return 0;
	if (peer_of(l->sock, &peer) == 0 && peer_ours(&peer))
		return 0;
	return call_fail(l->call, ST_PERM, 0,
		"%s: the server is another user's, and anybody can take an abstract name; use a path",
		l->addr.text);
}

int fds_link_open(struct call *call, const char *sock, struct link **opened)
{
	struct link *l = call_alloc(call, sizeof *l);
	if (l == NULL)
		return call_error(call, ENOMEM, "connect %s", sock);
	l->call = call;
	l->deadline = call_deadline(call);
	int status = fds_link_address(call, sock, &l->addr);
	if (status != 0)
		return status;
	if (l->addr.fd >= 0) {
		status = sock_connect(call, &l->addr, SOCK_SEQPACKET, 0, &l->sock);
		if (status != 0)
			return status;
	} else {
		int64_t until = wait_until(call->opt[CLIENT_RETRY].num);
		l->sock = call_own(call,
			sock_connect_retry(&l->addr, SOCK_SEQPACKET, l->deadline,
				until < l->deadline ? until : l->deadline, &call->stop));
		if (l->sock < 0 && errno == EPROTOTYPE)
			return call_fail(call, ST_USAGE, 0, "%s: not the socket of a store", sock);
		if (l->sock < 0)
			return sock_connect_failed(call, &l->addr, SOCK_SEQPACKET, errno);
	}
	*opened = l;
	return trust(l);
}

int fds_link_lost(const struct link *l, int errnum)
{
	if (errnum == EPIPE || errnum == ECONNRESET)
		return call_fail(l->call, ST_NOPEER, 0, "%s: the server ended without an answer",
			l->addr.text);
	if (errnum == EBADMSG || errnum == EMSGSIZE)
		return call_fail(
			l->call, ST_DATA, 0, "%s: the answer is not that of a store", l->addr.text);
	if (errnum == EPROTONOSUPPORT)
		return call_fail(l->call, ST_DATA, 0,
			"%s: the server speaks another version of this protocol", l->addr.text);
	if (errnum == EMFILE)
		return call_fail(l->call, ST_LIMIT, 0,
			"%s: no room for the descriptors that came; see ulimit -n (%ld)",
			l->addr.text, sysconf(_SC_OPEN_MAX));
	if (errnum == ETOOMANYREFS)
		return call_fail(l->call, ST_LIMIT, 0,
			"%s: too many of this user's descriptors are on their way; see ulimit -n (%ld)",
			l->addr.text, sysconf(_SC_OPEN_MAX));
	return call_waited(l->call, errnum, "talk to %s", l->addr.text);
}

int fds_link_try(struct link *l, const int *fds, size_t nfds, int *got, size_t cap, size_t *ngot)
{
	struct packet *p = &l->packet;
	const struct stop *stop = &l->call->stop;
	*ngot = 0;
	/* The server may have refused us and closed already: what it said is still to be read. */
	if (cmsg_send(l->sock, p->data, p->len, fds, nfds, l->deadline, stop) < 0 &&
		errno != EPIPE && errno != ECONNRESET)
		return -1;
	ssize_t n = -1;
	for (int tries = 0; tries < 2; tries++) {
		n = cmsg_recv(l->sock, p->data, sizeof p->data, got, cap, ngot, l->deadline, stop);
		/* Closed with our request unread: the error comes first, once, and then the answer. */
		if (n >= 0 || errno != ECONNRESET)
			break;
	}
	if (n == 0)
		errno = ECONNRESET;
	if (n <= 0)
		return -1;
	enum reason why = fds_packet_open(p->data, (size_t)n, &l->head, &l->read);
	if (why == WHY_OK && l->head.reason < WHY_N)
		return 0;
	cmsg_close(got, *ngot);
	*ngot = 0;
	errno = why == WHY_VERSION ? EPROTONOSUPPORT : EBADMSG;
	return -1;
}

int fds_link_ask(struct link *l, const int *fds, size_t nfds, int *got, size_t cap, size_t *ngot)
{
	size_t none;
	return fds_link_try(l, fds, nfds, got, cap, ngot != NULL ? ngot : &none) == 0
		? 0
		: fds_link_lost(l, errno);
}

int fds_link_refused(const struct link *l, const char *name)
{
	struct call *call = l->call;
	const char *sock = l->addr.text;
	long long num = (long long)l->head.num;
	char user[64];
	if (l->head.reason == WHY_OK)
		return 0;
	num_user_name((unsigned)num, user, sizeof user);
	switch ((enum reason)l->head.reason) {
	case WHY_VERSION:
		return call_fail(call, ST_DATA, 0,
			"%s: the server speaks another version of this protocol", sock);
	case WHY_DENIED:
		return call_fail(call, ST_PERM, 0,
			"%s: the server does not let this user in; see serve --allow", sock);
	case WHY_NONE: return call_fail(call, ST_NOOBJ, 0, "%s: keeps no %s", sock, name);
	case WHY_FOREIGN:
		return call_fail(call, ST_PERM, 0, "%s: %s belongs to user %s", sock, name, user);
	case WHY_TAKEN:
		return call_fail(call, ST_EXISTS, 0,
			"%s: has %s already, of user %s; --replace puts this one in its place",
			sock, name, user);
	case WHY_BUSY:
		return call_fail(
			call, ST_BUSY, 0, "%s: somebody else is just taking %s out", sock, name);
	case WHY_FULL:
		return call_fail(
			call, ST_LIMIT, 0, "%s: full, it keeps at most %lld (--max)", sock, num);
	case WHY_FULL_UID:
		return call_fail(call, ST_LIMIT, 0,
			"%s: it keeps at most %lld of one user (--max-per-uid)", sock, num);
	case WHY_NOFILE:
		return call_fail(call, ST_LIMIT, 0,
			"%s: the server has no descriptor left (ulimit -n %lld)", sock, num);
	case WHY_FLIGHT:
		return call_fail(call, ST_LIMIT, 0,
			"%s: too many of the server's descriptors are on their way (ulimit -n %lld)",
			sock, num);
	case WHY_CROWD:
		return call_fail(call, ST_LIMIT, 0,
			"%s: this user has too many connections to the server (at most %lld)", sock,
			num);
	case WHY_MEMORY: return call_fail(call, ST_LIMIT, ENOMEM, "%s", sock);
	case WHY_OK:
	case WHY_BAD:
	case WHY_N: break;
	}
	return call_fail(call, ST_DATA, 0, "%s: the server did not understand", sock);
}
