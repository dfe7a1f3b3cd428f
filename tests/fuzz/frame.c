/* tests/fuzz/frame.c: records in a stream. Whatever the bytes, framing, limit and the pieces they come in, the records
 * written again are the stream, up to the end or to the error, and none is longer than the limit.
 *
 * Input: a byte for the framing (and 128: the whole as one record), a byte for block size or limit, a byte
 * for the size of pieces (0: a file), then the stream.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Pieces keep their bounds on a seqpacket socket: each read(2) gets one at most. */
static int stream(const uint8_t *data, size_t len, size_t piece)
{
	int fds[2];
	if (piece == 0)
		return fuzz_memfd(data, len);
	FUZZ_HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	for (size_t at = 0; at < len; at += piece)
		if (send(fds[0], data + at, piece < len - at ? piece : len - at, MSG_DONTWAIT) < 0)
			break;
	close(fds[0]);
	return fds[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct out out;
	struct input in = {data, size};
	unsigned how = fuzz_byte(&in), n = fuzz_byte(&in), piece = fuzz_byte(&in);
	bool whole = (how & 128) != 0;
	struct frame frame = {.kind = (enum frame_kind)(how % 4), .size = n + 1};
	size_t max = frame.kind == FRAME_SIZE ? n + 1 + how / 4 % 2 : n + 1, total = 0, len;
	struct frame_reader r;
	char *rec;
	int got;
	/* A socket holds some hundred pieces: a longer stream is a file. */
	if (piece > 0 && in.len / piece > 100)
		piece = 0;
	int fd = stream(in.at, in.len, piece), back = memfd_create("back", 1);
	memset(&out, 0, offsetof(struct out, buf));
	out.fd = back;
	frame_start(&r, fd, frame, max);
	while ((got = whole ? frame_whole(&r, &rec, &len) : frame_read(&r, &rec, &len)) > 0) {
		FUZZ_HOLDS(len <= max || (whole && frame.kind == FRAME_SIZE));
		FUZZ_HOLDS(total + len <= in.len && memcmp(rec, in.at + total, len) == 0);
		total += len;
		if (!whole && frame.kind <= FRAME_NULL && !r.unterminated)
			FUZZ_HOLDS(in.at[total++] == (frame.kind == FRAME_LINES ? '\n' : 0));
		if (frame.kind != FRAME_SIZE || len == frame.size)
			FUZZ_HOLDS(frame_put(&out, frame, rec, len) == 0);
		(void)frame_ready(&r);
		if (whole)
			break;
	}
	int err = errno;
	FUZZ_HOLDS(got >= 0 || err == EMSGSIZE || err == EBADMSG);
	FUZZ_HOLDS(got != 0 || whole || total == in.len);
	FUZZ_HOLDS(out_flush(&out) == 0);
	frame_end(&r);
	close(fd);
	close(back);
	return 0;
}
