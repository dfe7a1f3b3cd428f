/* tests/unit/out.c: buffered output, JSON and tables. */
#define _GNU_SOURCE
#include "out.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIG ((size_t)3 * OUT_SIZE)

static struct out *start(int *fd)
{
	struct out *out = calloc(1, sizeof *out);
	if (out == NULL)
		exit(70);
	*fd = unit_file("", 0);
	out->fd = *fd;
	return out;
}

/* What was written, as a string. */
static char *finish(struct out *out, int fd)
{
	OK(out_flush(out) == 0);
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)len + 1);
	OK(pread(fd, text, (size_t)len, 0) == len);
	close(fd);
	free(out);
	return text;
}

static void expect(struct out *out, int fd, const char *want)
{
	char *got = finish(out, fd);
	OKF(strcmp(got, want) == 0, "got:\n%s\nnot:\n%s", got, want);
	free(got);
}

static void buffering(void)
{
	int fd;
	struct out *out = start(&fd);
	char *big = malloc(BIG + 1);
	memset(big, 'x', BIG);
	big[BIG] = '\0';
	OK(out_str(out, "a") == 0 && out_put(out, big, BIG) == 0 && out_fmt(out, "%s", big) == 0);
	for (int i = 0; i < 2 * OUT_SIZE; i++)
		OK(out_char(out, 'y') == 0);
	char *got = finish(out, fd);
	OK(strlen(got) == 1 + (size_t)8 * OUT_SIZE && got[1] == 'x' &&
		got[(size_t)8 * OUT_SIZE] == 'y');
	free(got);
	free(big);
	struct out *full = calloc(1, sizeof *full);
	full->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	OK(out_str(full, "x") == 0 && out_flush(full) < 0 && full->err == ENOSPC);
	OK(out_flush(full) < 0 && full->err == ENOSPC);
	close(full->fd);
	free(full);
}

static void json(void)
{
	int fd;
	struct out *out = start(&fd);
	struct json j;
	json_start(&j, out);
	json_open(&j, NULL, '{');
	json_str(&j, "s", "q\"b\\n\nt\t\x01\x7f");
	json_str(&j, "none", NULL);
	json_int(&j, "min", INT64_MIN);
	json_uint(&j, "max", UINT64_MAX);
	json_bool(&j, "t", true);
	json_null(&j, "z");
	json_seconds(&j, "d", 1500000000);
	json_seconds(&j, "before", INT64_MIN);
	json_open(&j, "a", '[');
	json_int(&j, NULL, 1);
	json_open(&j, NULL, '[');
	json_close(&j, ']');
	json_int(&j, NULL, 2);
	json_close(&j, ']');
	json_open(&j, "o", '{');
	json_close(&j, '}');
	json_close(&j, '}');
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	expect(out, fd,
		"{\"s\":\"q\\\"b\\\\n\\nt\\t\\u0001\\u007f\",\"none\":null,\"min\":-9223372036854775808,"
		"\"max\":18446744073709551615,\"t\":true,\"z\":null,\"d\":1.500000000,"
		"\"before\":-9223372036.854775808,\"a\":[1,[],2],\"o\":{}}\n"
		"{}\n");
}

/* Whatever the bytes, the result is valid JSON; valid UTF-8 stays as it is. */
static void bytes(void)
{
	static const struct {
		const char *in, *want;
		size_t len;
	} cases[] = {{"\xc3\xa9", "\"\xc3\xa9\"\n", 2},
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"\n", 4}, {"\xff", "\"\\udcff\"\n", 1},
		{"a\x80z", "\"a\\udc80z\"\n", 3}, {"\xc3", "\"\\udcc3\"\n", 1},
		{"\xc0\x80", "\"\\udcc0\\udc80\"\n", 2},
		{"\xe0\x80\x80", "\"\\udce0\\udc80\\udc80\"\n", 3},
		{"\xed\xa0\x80", "\"\\udced\\udca0\\udc80\"\n", 3},
		{"\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\"\n", 4},
		{"\xe2\x82", "\"\\udce2\\udc82\"\n", 2}, {"\0", "\"\\u0000\"\n", 1},
		{"", "\"\"\n", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int fd;
		struct out *out = start(&fd);
		struct json j;
		json_start(&j, out);
		json_bytes(&j, NULL, cases[i].in, cases[i].len);
		out_char(out, '\n');
		expect(out, fd, cases[i].want);
	}
}

static void tables(void)
{
	int fd;
	struct out *out = start(&fd);
	struct table t;
	table_start(&t, 3, 1u << 1);
	table_cell(&t, "NAME");
	table_cell(&t, "N");
	table_cell(&t, "WHAT");
	table_cell(&t, "caf\xc3\xa9");
	table_fmt(&t, "%d", 12345);
	table_cell(&t, "last, not padded");
	table_cell(&t, "e\x1b[31m\n");
	table_cell(&t, "");
	table_cell(&t, "x");
	OK(table_end(&t, out) == 0);
	char *got = finish(out, fd);
	OKF(strstr(got, "NAME ") == got && strchr(got, '\x1b') == NULL, "%s", got);
	OKF(strstr(got, "\ncaf\xc3\xa9 ") != NULL &&
			strstr(got, " 12345 last, not padded\n") != NULL,
		"%s", got);
	size_t rows = 0;
	for (const char *p = got; (p = strchr(p, '\n')) != NULL; p++)
		rows++;
	OKF(rows == 3, "%zu rows:\n%s", rows, got);
	free(got);
}

void test_out(void)
{
	buffering();
	json();
	bytes();
	tables();
}
