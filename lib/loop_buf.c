/* lib/loop_buf.c: what servers have still to write, and how they write it without blocking: see loop.h. */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

int buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->start + b->len + len > b->cap && b->start > 0) {
		memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	if (b->len + len > b->cap) {
		size_t cap = b->cap == 0 ? 512 : b->cap;
		while (cap < b->len + len)
			cap *= 2;
		char *more = realloc(b->data, cap);
		if (more == NULL)
			return -1;
		b->data = more;
		b->cap = cap;
	}
	memcpy(b->data + b->start + b->len, data, len);
	b->len += len;
	return 0;
}

void buf_take(struct buf *b, size_t len)
{
	b->start += len;
	b->len -= len;
	if (b->len == 0)
		buf_free(b);
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/* A pipe or terminal that poll(2) calls writable takes this much without waiting (pipe(7)). */
#define SAFE_CHUNK 4096

ssize_t loop_write(int fd, const void *data, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	n = syscall(SYS_pwritev2, fd, &iov, 1L, -1L, -1L, RWF_NOWAIT);
	if (n >= 0 ||
		(errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
		return n;
	/* Not supported; or a file, of which EAGAIN would be no news that ever changes. */
	if (poll(&p, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, data, len < SAFE_CHUNK ? len : SAFE_CHUNK);
}
