/* echo.c: --echo: bytes, packets and datagrams back to where they come from. A client that does not
 * read is not read from: one buffer is all that it can cost. */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include <errno.h>
#include <sys/socket.h>

/* Nothing is left to be sent: wait for more, or take leave. */
static void drained(struct client *c)
{
	struct server *s = c->srv;
	if (c->ending && !c->shut) {
		if (s->farewell_len > 0 && client_send(c, s->farewell, s->farewell_len) < 0)
			return;
		c->shut = true;
		shutdown(c->watch.fd, SHUT_WR);
	}
	(void)loop_add(&s->loop, &c->watch, EPOLLIN);
}

static void flush(struct client *c)
{
	ssize_t n = client_send(c, buf_at(&c->buf), c->buf.len);
	if (n < 0)
		return;
	buf_take(&c->buf, (size_t)n);
	if (c->buf.len == 0)
		drained(c);
}

void echo_finish(struct client *c)
{
	if (c->buf.len == 0)
		drained(c);
}

void echo_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct client *c = (struct client *)(void *)((char *)w - offsetof(struct client, watch));
	struct server *s = c->srv;
	bool gone;
	(void)events;
	if (c->buf.len > 0) {
		flush(c);
		return;
	}
	ssize_t n = client_read(c, &gone);
	if (gone || n == -1)
		return;
	if (n == READ_END) {
		client_close(c, -1);
		return;
	}
	if (c->shut)
		return;
	ssize_t sent = client_send(c, s->scratch, (size_t)n);
	if (sent < 0 || sent == n)
		return;
	if (buf_add(&c->buf, s->scratch + sent, (size_t)(n - sent)) < 0) {
		client_abort(c);
		return;
	}
	(void)loop_add(loop, w, EPOLLOUT);
}
