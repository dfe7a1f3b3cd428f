/* dgram.c: datagrams: the service of them (serve --echo, --collect, and recv), and sending. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include "fd.h"
#include "sockdiag.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int run_sock_send(struct call *call);
int run_sock_recv(struct call *call);

/* One datagram of LEN bytes. */
static void handle(struct server *s, int fd, const struct sock_from *from, size_t len)
{
	char name[ADDR_TEXT];
	const struct addr_sa *sa = &from->sa;
	if (len > s->record_max) {
		s->stats.dropped++;
		int status = call_fail(s->call, ST_DATA, 0,
			"a datagram of %zu bytes is longer than %zu (-S); it is lost", len,
			s->record_max);
		if (s->role == ROLE_COLLECT)
			server_end(s, status);
		return;
	}
	s->stats.in += len;
	if (s->role == ROLE_COLLECT) {
		collect_record(
			s, NULL, addr_text(&sa->sa, sa->len, s->type, name), s->scratch, len);
		return;
	}
	/* One without a name cannot be answered. */
	if (sa->len <= sizeof sa->sa.sa_family || sock_dgram_answer(fd, s->scratch, len, from) < 0)
		s->stats.dropped++;
	else
		s->stats.out += len;
}

void server_dgram_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct server *s = loop->arg;
	(void)events;
	outq_cork(s, true);
	for (int i = 0; i < 64 && !loop->quit; i++) {
		struct sock_from from;
		ssize_t n = sock_dgram_recv(w->fd, s->scratch, s->scratch_size, &from);
		if (n >= 0) {
			handle(s, w->fd, &from, (size_t)n);
			continue;
		}
		/* Others are news of an answer that found nobody (udp), or a lack that passes. */
		if (errno == EBADF || errno == ENOTSOCK || errno == EFAULT || errno == EINVAL)
			server_end(s, call_error(s->call, errno, "receive from %s", s->addr.text));
		break;
	}
	outq_cork(s, false);
	/* A slow stdout makes unix senders wait, by the queue of the socket. */
	if (s->outq.buf.len > OUTQ_MOST)
		server_accepting(s, false);
}

int run_sock_recv(struct call *call)
{
	struct server *s = call_alloc(call, sizeof *s);
	if (s == NULL)
		return call_error(call, ENOMEM, "recv");
	int status = server_init(s, call, ROLE_COLLECT, sock_opt_type(call, SOCK_DGRAM));
	if (status >= 0)
		return status;
	s->count = 0; /* records are counted, not connections */
	s->records_max = call->std[STD_COUNT].count > 0 ? (uint64_t)call->std[STD_COUNT].num
		: call->std[STD_FOLLOW].count > 0       ? UINT64_MAX
							: 1;
	s->deadline = call_deadline(call);
	status = server_run(s);
	/* Stopped before it had all that it was asked for. */
	if (status == ST_OK && s->stop_signal != 0 && s->records < s->records_max &&
		call->std[STD_FOLLOW].count == 0)
		return ST_SIGNAL + abs(s->stop_signal);
	return status;
}

struct sender {
	struct call *call;
	struct addr addr;
	int fd, type;
	int64_t deadline;
	struct frame frame;
	struct frame_reader replies; /* of a stream */
	char *reply;
	size_t cap;
};

static void free_sender(void *sender, intptr_t n)
{
	struct sender *s = sender;
	(void)n;
	free(s->reply);
	frame_end(&s->replies);
}

/* Without -t a unix address is tried as each type: only the right one does not say EPROTOTYPE. */
static int connect_any(struct sender *s)
{
	static const int order[] = {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
	struct call *call = s->call;
	const struct addr *a = &s->addr;
	int fd = -1;
	int64_t until = wait_until(call->opt[S_RETRY].num);
	until = until < s->deadline ? until : s->deadline;
	bool any = call->opt[S_TYPE].count == 0 && a->family == AF_UNIX;
	s->type = sock_opt_type(call, a->type);
	struct sockdiag d;
	/* Abstract names are looked up together with the type: the wrong one is just not there. */
	if (any && !a->is_path && sockdiag_find(a, NULL, &d) > 0) {
		any = false;
		s->type = d.type;
	}
	for (size_t i = 0; i < (any ? 3 : 1); i++) {
		s->type = any ? order[i] : s->type;
		fd = sock_connect_retry(a, s->type, s->deadline, until, &call->stop);
		if (fd >= 0 || errno != EPROTOTYPE)
			break;
	}
	s->fd = call_own(call, fd);
	return fd >= 0 ? 0 : sock_connect_failed(call, a, s->type, errno);
}

static int open_sender(struct sender *s)
{
	struct call *call = s->call;
	const char *why = addr_parse(&s->addr, call->args[0].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	if (s->addr.fd >= 0) {
		int status = sock_connect(call, &s->addr, 0, 0, &s->fd);
		s->type = sock_type(s->fd);
		return status;
	}
	why = addr_resolve(&s->addr, false);
	if (why != NULL)
		return call_fail(call, ST_NOOBJ, 0, "%s: %s", s->addr.text, why);
	return connect_any(s);
}

int sock_stdin_failed(struct call *call)
{
	if (errno == EBADMSG)
		return call_fail(call, ST_DATA, 0, "stdin ended inside a block");
	return errno == EISDIR ? call_fail(call, ST_IO, errno, "read stdin")
			       : call_waited(call, errno, "read stdin");
}

static int send_failed(struct sender *s, size_t len)
{
	int size = 0;
	socklen_t n = sizeof size;
	if (errno != EMSGSIZE)
		return call_waited(s->call, errno, "send to %s", s->addr.text);
	/* The kernel counts its own overhead in, and tells twice what was asked for. */
	(void)getsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, &n);
	return call_fail(s->call, ST_DATA, EMSGSIZE,
		"send to %s: %zu bytes are too long for one record (SO_SNDBUF is %d)", s->addr.text,
		len, size);
}

/* All of a stream's bytes, or the one record. 0, or a status. */
static int send_all(struct sender *s, const char *data, size_t len)
{
	for (size_t done = 0; done < len || len == 0;) {
		ssize_t n = send(s->fd, data + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
			if (s->type != SOCK_STREAM || len == 0)
				return 0;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			/* The queue of the receiver is full: poll(2) of a connected socket knows. */
			if (wait_fd(s->fd, POLLOUT, s->deadline, &s->call->stop) < 0)
				return send_failed(s, len);
		} else if (errno != EINTR) {
			return send_failed(s, len);
		}
	}
	return 0;
}

static int send_one(struct sender *s, const char *rec, size_t len)
{
	char end = s->frame.kind == FRAME_NULL ? '\0' : '\n';
	int status = send_all(s, rec, len);
	bool ended = s->frame.kind == FRAME_LINES || s->frame.kind == FRAME_NULL;
	if (status != 0 || s->type != SOCK_STREAM || !ended)
		return status;
	return send_all(s, &end, 1);
}

/* One packet, however long. Its length, 0 at the end; -1. */
static ssize_t receive(struct sender *s)
{
	char probe;
	for (;;) {
		if (wait_fd(s->fd, POLLIN, s->deadline, &s->call->stop) < 0)
			return -1;
		ssize_t n = recv(s->fd, &probe, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
		if (n >= 0 && (size_t)n >= s->cap) {
			char *more = realloc(s->reply, (size_t)n + 1);
			if (more == NULL)
				return -1;
			s->reply = more;
			s->cap = (size_t)n + 1;
		}
		if (n >= 0)
			n = recv(s->fd, s->reply, s->cap, MSG_DONTWAIT);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n;
	}
}

static int print_reply(struct sender *s)
{
	char *rec;
	size_t len;
	if (s->type == SOCK_STREAM) {
		int r = frame_read(&s->replies, &rec, &len);
		if (r < 0)
			return call_waited(
				s->call, errno, "wait for the answer of %s", s->addr.text);
		if (r == 0)
			return call_fail(s->call, ST_NOPEER, 0, "%s: closed without an answer",
				s->addr.text);
	} else {
		ssize_t n = receive(s);
		if (n < 0)
			return call_waited(
				s->call, errno, "wait for the answer of %s", s->addr.text);
		if (n == 0 && s->type == SOCK_SEQPACKET && packets_ended(s->fd))
			return call_fail(s->call, ST_NOPEER, 0, "%s: closed without an answer",
				s->addr.text);
		rec = s->reply;
		len = (size_t)n;
	}
	if (frame_put(&s->call->out, s->frame, rec, len) < 0)
		return errno == EMSGSIZE
			? call_fail(s->call, ST_DATA, 0, "an answer of %zu bytes, not %zu", len,
				  s->frame.size)
			: call_stdout_error(s->call, s->call->out.err);
	return call_flush(s->call);
}

int run_sock_send(struct call *call)
{
	struct sender *s = call_alloc(call, sizeof *s);
	struct records src;
	char *rec;
	size_t len;
	if (s == NULL || call_undo(call, free_sender, s, 0) < 0)
		return call_error(call, ENOMEM, "send");
	s->call = call;
	s->frame = frame_of(call);
	s->deadline = call_deadline(call);
	int status = open_sender(s), r = 1;
	if (status != 0)
		return status;
	frame_start(&s->replies, s->fd, s->frame, SIZE_MAX / 2);
	s->replies.deadline = s->deadline;
	records_start(&src, call, 1, SIZE_MAX / 2);
	while (status == 0 && (r = records_next(&src, &rec, &len)) > 0) {
		status = send_one(s, rec, len);
		if (status == 0 && call->opt[S_REPLY].count > 0)
			status = print_reply(s);
	}
	if (status == 0 && r < 0)
		status = sock_stdin_failed(call);
	records_end(&src);
	return status;
}
