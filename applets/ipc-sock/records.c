/* records.c: connect on packets and datagrams: a record of stdin is one of them, and each that comes
 * is a record on stdout.
 *
 * The end: as for a stream with seqpacket. Datagrams have none: when stdin has ended, answers are
 * waited for until none has come for --idle (1 s by default), and that is 0.
 */
#define _GNU_SOURCE
#include "ipc-sock.h"
#include "pump.h"

#include "call.h"
#include "fd.h"
#include "frame.h"
#include "sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS NS_PER_S /* how long answers to datagrams may take without --idle */

struct packets {
	struct call *call;
	const struct addr *a;
	int sock, type;
	struct frame_reader in;
	struct frame frame;
	char *rec; /* of stdin, not yet sent */
	size_t len;
	bool have, in_eof, sock_eof, shut;
	char *buf;
	size_t cap;
};

/* The next record of stdin, when stdin has something. -1: go on; else a status. */
static int next(struct packets *p)
{
	int r = frame_read(&p->in, &p->rec, &p->len);
	/* The reader has a deadline of "now": EAGAIN when the record is not whole yet. */
	if (r < 0 && errno == EAGAIN)
		return -1;
	if (r < 0)
		return sock_stdin_failed(p->call);
	p->have = r > 0;
	p->in_eof = r == 0;
	return -1;
}

static int give(struct packets *p)
{
	ssize_t n = send(p->sock, p->rec, p->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0) {
		p->have = false;
		return -1;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		return -1;
	if (errno == EMSGSIZE)
		return call_fail(p->call, ST_DATA, EMSGSIZE, "send to %s: %zu bytes in one record",
			p->a->text, p->len);
	if (errno == EPIPE || errno == ECONNRESET)
		return call_fail(p->call, ST_NOPEER, errno,
			"%s: a record of %zu bytes was not sent", p->a->text, p->len);
	return call_error(p->call, errno, "send to %s", p->a->text);
}

static int take(struct packets *p)
{
	char probe;
	ssize_t n = recv(p->sock, &probe, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	if (n >= 0 && (size_t)n >= p->cap) {
		char *more = realloc(p->buf, (size_t)n + 1);
		if (more == NULL)
			return call_error(p->call, ENOMEM, "receive from %s", p->a->text);
		p->buf = more;
		p->cap = (size_t)n + 1;
	}
	if (n >= 0)
		n = recv(p->sock, p->buf, p->cap, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			? -1
			: call_error(p->call, errno, "receive from %s", p->a->text);
	if (n == 0 && p->type != SOCK_DGRAM && packets_ended(p->sock)) {
		p->sock_eof = true;
		return -1;
	}
	if (frame_put(&p->call->out, p->frame, p->buf, (size_t)n) < 0)
		return errno == EMSGSIZE
			? call_fail(p->call, ST_DATA, 0, "a record of %zd bytes, not %zu", n,
				  p->frame.size)
			: call_stdout_error(p->call, p->call->out.err);
	int status = call_flush(p->call);
	return status == 0 ? -1 : status;
}

static int gone(struct packets *p)
{
	if (p->have)
		return call_fail(p->call, ST_NOPEER, 0,
			"%s: the server closed the connection; a record of %zu bytes was not sent",
			p->a->text, p->len);
	return ST_OK;
}

/* One wait and what it brings. -1: go on. */
static int turn(struct packets *p, int64_t idle)
{
	bool want = !p->have && !p->in_eof;
	bool ready = want && frame_ready(&p->in);
	struct pollfd fds[3] = {{.fd = want && !ready ? p->in.fd : -1, .events = POLLIN},
		{.fd = p->sock,
			.events = (short)((p->sock_eof ? 0 : POLLIN) | (p->have ? POLLOUT : 0))},
		{.fd = p->call->out.fd}};
	bool last = p->type == SOCK_DGRAM && p->in_eof && !p->have;
	if (last && idle == DEADLINE_NONE)
		idle = ANSWERS;
	if (!ready && wait_poll(fds, 3, wait_until(idle), &p->call->stop) < 0) {
		if (errno != ETIMEDOUT && errno != EAGAIN)
			return call_waited(p->call, errno, "wait for %s", p->a->text);
		return last ? ST_OK
			    : call_fail(p->call, ST_TIMEOUT, 0, "%s: nothing moved for --idle",
				      p->a->text);
	}
	int status = -1;
	if ((fds[2].revents & POLLERR) != 0)
		return call_stdout_error(p->call, EPIPE);
	if (!p->sock_eof && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		status = take(p);
	if (status < 0 && p->sock_eof && (fds[1].revents & POLLHUP) != 0)
		return gone(p);
	if (status < 0 && (ready || fds[0].revents != 0))
		status = next(p);
	if (status < 0 && p->have)
		status = give(p);
	return status;
}

int pump_records(struct call *call, const struct addr *a, int sock, int type, int64_t idle)
{
	struct packets p = {
		.call = call, .a = a, .sock = sock, .type = type, .frame = frame_of(call)};
	int status = -1;
	frame_start(&p.in, call->in, p.frame, SIZE_MAX / 2);
	p.in.deadline = DEADLINE_NOW;
	while (status < 0) {
		status = turn(&p, idle);
		if (p.in_eof && !p.have && !p.shut && type != SOCK_DGRAM) {
			p.shut = true;
			(void)shutdown(sock, SHUT_WR);
		}
		if (status < 0 && p.sock_eof && p.shut)
			status = ST_OK;
	}
	frame_end(&p.in);
	free(p.buf);
	return status;
}
