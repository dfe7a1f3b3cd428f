/* applets/ipc-bench/mech_sock.c: unix sockets of three types, TCP over the loopback, and descriptors handed
 * over a unix socket. Buffers stay at the system's sizes unless one message would not fit. */
#define _GNU_SOURCE
#include "bench.h"

#include "cmsg.h"
#include "fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* One connection carries both ways: A is the driver's end. */
static int both_ways(struct chan *to, struct chan *back, int a, int b)
{
	to->out = a;
	to->in = b;
	back->out = fd_dup(b, 3);
	back->in = fd_dup(a, 3);
	return back->out < 0 || back->in < 0 ? bench_step(to->b, "duplicate a socket") : 0;
}

/* A record goes as a whole or not at all, and the buffer's size counts what the kernel adds to it. */
static int fit_record(struct bench *b, int fd)
{
	int want = (int)b->size + 4096, got = 0;
	socklen_t len = sizeof got;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &len) < 0)
		return bench_step(b, "read the buffer's size");
	if (got >= want)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want);
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &len) < 0 || got < want) {
		snprintf(b->why, sizeof b->why,
			"larger than a record may be (net.core.wmem_max allows %d)", got);
		errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

static int pair(struct bench *b, struct chan *to, struct chan *back, int type)
{
	int fds[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return bench_step(b, "make a socket pair");
	if (both_ways(to, back, fds[0], fds[1]) < 0)
		return -1;
	return type == SOCK_STREAM || (fit_record(b, fds[0]) == 0 && fit_record(b, fds[1]) == 0)
		? 0
		: -1;
}

static int stream_open(struct bench *b, struct chan *to, struct chan *back)
{
	return pair(b, to, back, SOCK_STREAM);
}

static int dgram_open(struct bench *b, struct chan *to, struct chan *back)
{
	return pair(b, to, back, SOCK_DGRAM);
}

static int seqpacket_open(struct bench *b, struct chan *to, struct chan *back)
{
	return pair(b, to, back, SOCK_SEQPACKET);
}

static int sock_send(struct chan *c, const unsigned char *msg, size_t size)
{
	while (size > 0) {
		ssize_t n = send(c->out, msg, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bench_step(c->b, "send");
		msg += n;
		size -= (size_t)n;
	}
	return 0;
}

static int sock_recv(struct chan *c, unsigned char *msg, size_t size)
{
	while (size > 0) {
		ssize_t n = recv(c->in, msg, size, MSG_WAITALL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EPIPE;
		if (n <= 0)
			return bench_step(c->b, "receive");
		msg += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Take the connection that PORT's owner CLIENT made, and nobody else's. */
static int accept_ours(int server, int client)
{
	struct sockaddr_in want = {0}, got = {0};
	socklen_t len = sizeof want;
	if (getsockname(client, (struct sockaddr *)&want, &len) < 0)
		return -1;
	for (;;) {
		len = sizeof got;
		int fd = accept4(server, (struct sockaddr *)&got, &len, SOCK_CLOEXEC);
		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0 || got.sin_port == want.sin_port)
			return fd;
		fd_close(fd);
	}
}

static int connect_tcp(int server, int client)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	if (bind(server, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(server, 8) < 0 ||
		getsockname(server, (struct sockaddr *)&addr, &len) < 0 ||
		connect(client, (struct sockaddr *)&addr, sizeof addr) < 0)
		return -1;
	return accept_ours(server, client);
}

static int tcp_open(struct bench *b, struct chan *to, struct chan *back)
{
	int one = 1;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int other = server < 0 || client < 0 ? -1 : connect_tcp(server, client);
	fd_close(server);
	if (other < 0) {
		fd_close(client);
		return bench_step(b, "connect to 127.0.0.1");
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return both_ways(to, back, client, other);
}

const struct mech mech_stream = {.name = "stream",
	.label = "unix stream",
	.what = "unix stream socket, unix(7)",
	.applet = "ipc-sock",
	.good = "each client has a connection of its own, both ways, and learns when the other ends",
	.open = stream_open,
	.send = sock_send,
	.recv = sock_recv};

const struct mech mech_seqpacket = {.name = "seqpacket",
	.label = "unix seqpacket",
	.what = "unix socket that keeps records apart",
	.applet = "ipc-sock",
	.good = "records stay whole on a connection that tells when the other ends",
	.flags = M_QUEUE,
	.open = seqpacket_open,
	.send = sock_send,
	.recv = sock_recv};

const struct mech mech_dgram = {.name = "dgram",
	.label = "unix datagram",
	.what = "unix datagram socket",
	.applet = "ipc-sock",
	.good = "records stay whole, and any number of senders need no connection",
	.flags = M_QUEUE,
	.open = dgram_open,
	.send = sock_send,
	.recv = sock_recv};

const struct mech mech_tcp = {.name = "tcp",
	.label = "TCP loopback",
	.what = "TCP over 127.0.0.1, without delay",
	.applet = "ipc-sock",
	.good = "the same program works across machines",
	.open = tcp_open,
	.send = sock_send,
	.recv = sock_recv};

/* Descriptor passing: the message lies in a memfd; its descriptor goes over a unix socket. */
static int sendfd_open(struct bench *b, struct chan *to, struct chan *back)
{
	if (pair(b, to, back, SOCK_STREAM) < 0)
		return -1;
	to->file = memfd_create("ipc-bench", MFD_CLOEXEC);
	back->file = memfd_create("ipc-bench", MFD_CLOEXEC);
	return to->file < 0 || back->file < 0 ? bench_step(b, "make a memfd") : 0;
}

static int sendfd_send(struct chan *c, const unsigned char *msg, size_t size)
{
	if (fd_pwrite(c->file, msg, size, 0) < 0)
		return bench_step(c->b, "write to a memfd");
	if (cmsg_send(c->out, "", 1, &c->file, 1, DEADLINE_NONE, NULL) < 0)
		return bench_step(c->b, "send a descriptor");
	return 0;
}

static int sendfd_recv(struct chan *c, unsigned char *msg, size_t size)
{
	int fd = -1;
	size_t n = 0;
	char byte;
	ssize_t r = cmsg_recv(c->in, &byte, 1, &fd, 1, &n, DEADLINE_NONE, NULL);
	if (r >= 0 && n != 1)
		errno = EBADMSG;
	if (r < 0 || n != 1)
		return bench_step(c->b, "receive a descriptor");
	ssize_t got = fd_pread(fd, msg, size, 0);
	fd_close(fd);
	if (got >= 0 && (size_t)got < size)
		errno = EBADMSG;
	return got < 0 || (size_t)got < size ? bench_step(c->b, "read the memfd") : 0;
}

const struct mech mech_sendfd = {.name = "sendfd",
	.label = "descriptor passing",
	.what = "a memfd passed over a unix socket (SCM_RIGHTS)",
	.applet = "ipc-sendfd",
	.good = "what is handed over is the open file itself, and need not be copied at all",
	.open = sendfd_open,
	.send = sendfd_send,
	.recv = sendfd_recv};
