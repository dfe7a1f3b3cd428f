/* tests/unit/frame.c: records out of streams, whatever pieces the stream comes in. */
#define _GNU_SOURCE
#include "frame.h"

#include "call.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct frame lines = {FRAME_LINES, 0}, nul = {FRAME_NULL, 0}, raw = {FRAME_RAW, 0};

static const char *name(int e)
{
	return e == EMSGSIZE     ? "EMSGSIZE"
		: e == EBADMSG   ? "EBADMSG"
		: e == ETIMEDOUT ? "ETIMEDOUT"
		: e == EAGAIN    ? "EAGAIN"
		: e == EBADF     ? "EBADF"
				 : "another";
}

/* The records of TEXT, each in <>, and the end: "." or the errno's name. */
static char *all_records(const char *text, size_t len, struct frame frame, size_t max, int fd)
{
	struct frame_reader r;
	char *got = calloc(1, 2 * len + 100), *rec;
	size_t n, at = 0;
	int status;
	frame_start(&r, fd >= 0 ? fd : unit_file(text, len), frame, max);
	while ((status = frame_read(&r, &rec, &n)) > 0) {
		got[at++] = '<';
		memcpy(got + at, rec, n);
		at += n;
		got[at++] = '>';
	}
	strcpy(got + at, status == 0 ? (r.unterminated ? "!" : ".") : name(errno));
	close(r.fd);
	frame_end(&r);
	return got;
}

static void expect(const char *text, size_t len, struct frame frame, size_t max, const char *want)
{
	char *got = all_records(text, len, frame, max, -1);
	OKF(strcmp(got, want) == 0, "\"%s\" (kind %d, at most %zu) gives %s, not %s", text,
		(int)frame.kind, max, got, want);
	free(got);
}

/* A pipe at whose other end a child writes TEXT one byte at a time. */
static int trickle(const char *text, size_t len)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(70);
	pid_t pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < len; i++)
			if (write(fds[1], text + i, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

static void framings(void)
{
	const struct frame four = {FRAME_SIZE, 4}, one = {FRAME_SIZE, 1};
	expect("", 0, lines, 100, ".");
	expect("a\nbb\n\nc\n", 8, lines, 100, "<a><bb><><c>.");
	expect("a\nb", 3, lines, 100, "<a><b>!");
	expect("\n", 1, lines, 100, "<>.");
	expect("a\r\n\xff\xfe\n", 6, lines, 100, "<a\r><\xff\xfe>.");
	expect("a\0b\nc\0", 6, nul, 100, "<a><b\nc>.");
	expect("a\0b", 3, nul, 100, "<a><b>!");
	expect("12345678", 8, four, 100, "<1234><5678>.");
	expect("123456", 6, four, 100, "<1234>EBADMSG");
	expect("", 0, four, 100, ".");
	expect("ab", 2, one, 100, "<a><b>.");
	expect("abc\ndef", 7, raw, 100, "<abc\ndef>.");
	expect("abcdef", 6, raw, 4, "<abcd><ef>.");
}

/* One byte too many is an error, and nothing is lost or cut. */
static void limits(void)
{
	expect("1234\n12345\n", 11, lines, 5, "<1234><12345>.");
	expect("1234\n12345\n", 11, lines, 4, "<1234>EMSGSIZE");
	expect("12345", 5, lines, 4, "EMSGSIZE");
	expect("1234", 4, lines, 4, "<1234>!");
	expect("\n\n", 2, lines, 0, "<><>.");
	expect("a", 1, nul, 0, "EMSGSIZE");
	const size_t big = 300000;
	char *text = malloc(big + 2);
	struct frame_reader r;
	char *rec;
	size_t n;
	memset(text, 'x', big);
	memcpy(text + big, "\ny", 2);
	frame_start(&r, unit_file(text, big + 2), lines, big);
	OK(frame_read(&r, &rec, &n) == 1 && n == big && memcmp(rec, text, n) == 0);
	OK(frame_read(&r, &rec, &n) == 1 && n == 1 && r.unterminated);
	OK(frame_read(&r, &rec, &n) == 0);
	close(r.fd);
	frame_end(&r);
	frame_start(&r, unit_file(text, big + 2), lines, big - 1);
	OK(frame_read(&r, &rec, &n) < 0 && errno == EMSGSIZE);
	OK(frame_read(&r, &rec, &n) < 0 && errno == EMSGSIZE);
	close(r.fd);
	frame_end(&r);
	free(text);
}

static void short_reads(void)
{
	static const char text[] = "one\ntwo\n\nlast";
	const struct frame three = {FRAME_SIZE, 3};
	char *got = all_records(NULL, 100, lines, 100, trickle(text, sizeof text - 1));
	OKF(strcmp(got, "<one><two><><last>!") == 0, "byte by byte: %s", got);
	free(got);
	got = all_records(NULL, 100, three, 100, trickle(text, 12));
	OKF(strcmp(got, "<one><\ntw><o\n\n><las>.") == 0, "byte by byte: %s", got);
	free(got);
	got = all_records(NULL, 100, lines, 3, trickle(text, sizeof text - 1));
	OKF(strcmp(got, "<one><two><>EMSGSIZE") == 0, "byte by byte: %s", got);
	free(got);
}

static void waiting(void)
{
	int fds[2];
	struct frame_reader r;
	char *rec;
	size_t n;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 || write(fds[1], "a\nb", 3) != 3)
		exit(70);
	frame_start(&r, fds[0], lines, 10);
	r.deadline = wait_until(5 * NS_PER_MS);
	OK(!frame_ready(&r));
	OK(frame_read(&r, &rec, &n) == 1 && n == 1 && *rec == 'a');
	OK(!frame_ready(&r));
	OK(frame_read(&r, &rec, &n) < 0 && errno == ETIMEDOUT);
	r.deadline = DEADLINE_NOW;
	OK(frame_read(&r, &rec, &n) < 0 && errno == EAGAIN);
	/* What had come is still there. */
	OK(write(fds[1], "c\nd\n", 4) == 4);
	OK(frame_read(&r, &rec, &n) == 1 && n == 2 && memcmp(rec, "bc", 2) == 0);
	OK(frame_ready(&r));
	OK(frame_read(&r, &rec, &n) == 1 && n == 1 && *rec == 'd');
	close(fds[0]);
	close(fds[1]);
	OK(frame_read(&r, &rec, &n) < 0);
	frame_end(&r);
}

static void whole(void)
{
	struct frame_reader r;
	char *rec;
	size_t n;
	frame_start(&r, unit_file("a\nb\0c", 5), raw, 5);
	OK(frame_whole(&r, &rec, &n) == 1 && n == 5 && memcmp(rec, "a\nb\0c", 5) == 0);
	close(r.fd);
	frame_end(&r);
	frame_start(&r, unit_file("123456", 6), raw, 5);
	OK(frame_whole(&r, &rec, &n) < 0 && errno == EMSGSIZE);
	close(r.fd);
	frame_end(&r);
	frame_start(&r, unit_file("", 0), raw, 5);
	OK(frame_whole(&r, &rec, &n) == 1 && n == 0);
	close(r.fd);
	frame_end(&r);
}

static void writing(void)
{
	int fds[2];
	char buf[100];
	struct out out = {.err = 0};
	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(70);
	out.fd = fds[1];
	OK(frame_put(&out, lines, "a", 1) == 0);
	OK(frame_put(&out, nul, "b", 1) == 0);
	OK(frame_put(&out, (struct frame){FRAME_SIZE, 2}, "cd", 2) == 0);
	OK(frame_put(&out, (struct frame){FRAME_SIZE, 2}, "c", 1) < 0 && errno == EMSGSIZE);
	OK(frame_put(&out, raw, "e", 1) == 0);
	OK(out_flush(&out) == 0);
	OK(read(fds[0], buf, sizeof buf) == 7 && memcmp(buf, "a\nb\0cde", 7) == 0);
	close(fds[0]);
	close(fds[1]);
}

void test_frame(void)
{
	framings();
	limits();
	short_reads();
	waiting();
	whole();
	writing();
}
