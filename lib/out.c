/* lib/out.c: see out.h. vsnprintf(3) is the only part of stdio used; no FILE is. */
#define _GNU_SOURCE
#include "out.h"

#include "fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int out_flush(struct out *out)
{
	if (out->err == 0 && out->len > 0 && fd_write(out->fd, out->buf, out->len) < 0)
		out->err = errno;
	out->len = 0;
	return out->err == 0 ? 0 : -1;
}

int out_put(struct out *out, const void *data, size_t len)
{
	if (len > OUT_SIZE - out->len && out_flush(out) < 0)
		return -1;
	if (len > OUT_SIZE) {
		if (out->err == 0 && fd_write(out->fd, data, len) < 0)
			out->err = errno;
	} else {
		memcpy(out->buf + out->len, data, len);
		out->len += len;
	}
	return out->err == 0 ? 0 : -1;
}

int out_str(struct out *out, const char *s)
{
	return out_put(out, s, strlen(s));
}

int out_char(struct out *out, char c)
{
	return out_put(out, &c, 1);
}

int out_fmt(struct out *out, const char *fmt, ...)
{
	char small[512], *text = small;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof small) {
		text = malloc((size_t)n + 1);
		if (text == NULL) {
			out->err = ENOMEM;
			return -1;
		}
		va_start(ap, fmt);
		vsnprintf(text, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	int r = n < 0 ? -1 : out_put(out, text, (size_t)n);
	if (text != small)
		free(text);
	return r;
}

size_t out_utf8(const void *s, size_t left)
{
	const unsigned char *p = s;
	size_t n = p[0] < 0x80                ? 1
		: p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		: p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		: p[0] >= 0xf0 && p[0] < 0xf5 ? 4
					      : 0;
	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

size_t out_plain(char *dst, const char *src, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)src;
	char *p = dst;
	for (size_t i = 0, n; i < len; i += n) {
		n = out_utf8(s + i, len - i);
		bool c1 = n == 0 ? s[i] < 0xa0 : n == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0;
		unsigned char c = n == 2 ? s[i + 1] : s[i];
		n = n == 0 ? 1 : n;
		if (c1) {
			*p++ = '\\';
			*p++ = 'x';
			*p++ = digits[c >> 4];
			*p++ = digits[c & 15];
		} else if (n == 1 && (c < 0x20 || c == 0x7f)) {
			*p++ = '^';
			*p++ = (char)(c ^ 0x40);
		} else {
			memcpy(p, s + i, n);
			p += n;
		}
	}
	*p = '\0';
	return (size_t)(p - dst);
}

/* A copy of S that cannot drive a terminal. */
static char *printable(const char *s)
{
	size_t len = strlen(s);
	char *copy = malloc(len * 4 + 1);
	if (copy != NULL)
		out_plain(copy, s, len);
	return copy;
}

int out_plain_line(struct out *out, const char *s)
{
	char *copy = printable(s);
	if (copy == NULL) {
		out->err = out->err != 0 ? out->err : ENOMEM;
		return -1;
	}
	out_str(out, copy);
	free(copy);
	return out_char(out, '\n');
}

void json_start(struct json *j, struct out *out)
{
	*j = (struct json){.out = out};
}

static void json_text(struct out *out, const unsigned char *p, size_t len)
{
	out_char(out, '"');
	for (size_t i = 0, n; i < len; i += n) {
		n = out_utf8(p + i, len - i);
		if (n == 0) {
			out_fmt(out, "\\udc%02x", p[i]);
			n = 1;
		} else if (p[i] == '"' || p[i] == '\\') {
			out_char(out, '\\');
			out_put(out, p + i, 1);
		} else if (p[i] == '\n') {
			out_str(out, "\\n");
		} else if (p[i] == '\t') {
			out_str(out, "\\t");
		} else if (p[i] < 0x20 || p[i] == 0x7f) {
			out_fmt(out, "\\u%04x", p[i]);
		} else if (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0) {
			out_fmt(out, "\\u00%02x", p[i + 1]);
		} else {
			out_put(out, p + i, n);
		}
	}
	out_char(out, '"');
}

static void json_key(struct json *j, const char *key)
{
	if (j->used >> j->depth & 1)
		out_char(j->out, ',');
	j->used |= UINT64_C(1) << j->depth;
	if (key != NULL) {
		json_text(j->out, (const unsigned char *)key, strlen(key));
		out_char(j->out, ':');
	}
}

void json_open(struct json *j, const char *key, char kind)
{
	json_key(j, key);
	out_char(j->out, kind);
	j->depth++;
	j->used &= ~(UINT64_C(1) << j->depth);
}

void json_close(struct json *j, char kind)
{
	j->depth--;
	out_char(j->out, kind);
	if (j->depth == 0) {
		out_char(j->out, '\n');
		j->used = 0;
	}
}

void json_bytes(struct json *j, const char *key, const void *p, size_t len)
{
	json_key(j, key);
	json_text(j->out, p, len);
}

void json_str(struct json *j, const char *key, const char *s)
{
	if (s == NULL)
		json_null(j, key);
	else
		json_bytes(j, key, s, strlen(s));
}

void json_int(struct json *j, const char *key, int64_t n)
{
	json_key(j, key);
	out_fmt(j->out, "%lld", (long long)n);
}

void json_uint(struct json *j, const char *key, uint64_t n)
{
	json_key(j, key);
	out_fmt(j->out, "%llu", (unsigned long long)n);
}

void json_bool(struct json *j, const char *key, bool b)
{
	json_key(j, key);
	out_str(j->out, b ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	json_key(j, key);
	out_str(j->out, "null");
}

void json_seconds(struct json *j, const char *key, int64_t ns)
{
	/* The least int64_t has no positive counterpart of its type. */
	uint64_t abs = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	json_key(j, key);
	out_fmt(j->out, "%s%llu.%09llu", ns < 0 ? "-" : "", (unsigned long long)(abs / 1000000000),
		(unsigned long long)(abs % 1000000000));
}

void table_start(struct table *t, unsigned ncols, unsigned right)
{
	*t = (struct table){.ncols = ncols, .right = right};
}

void table_cell(struct table *t, const char *s)
{
	if (t->nrows == t->cap) {
		unsigned cap = t->cap != 0 ? t->cap * 2 : 64;
		char **more = realloc(t->cells, cap * sizeof *more);
		if (more == NULL) {
			t->err = ENOMEM;
			return;
		}
		t->cells = more;
		t->cap = cap;
	}
	t->cells[t->nrows] = printable(s);
	if (t->cells[t->nrows] == NULL)
		t->err = ENOMEM;
	else
		t->nrows++;
}

void table_fmt(struct table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->err = ENOMEM;
		return;
	}
	table_cell(t, text);
	free(text);
}

static size_t width(const char *s)
{
	size_t n = 0;
	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void row(struct table *t, char **cells, const size_t *widths, struct out *out)
{
	for (unsigned c = 0; c < t->ncols; c++) {
		size_t pad = widths[c] - width(cells[c]);
		bool right = t->right >> c & 1;
		if (c > 0)
			out_char(out, ' ');
		for (; right && pad > 0; pad--)
			out_char(out, ' ');
		out_str(out, cells[c]);
		for (; !right && c + 1 < t->ncols && pad > 0; pad--)
			out_char(out, ' ');
	}
	out_char(out, '\n');
}

int table_end(struct table *t, struct out *out)
{
	size_t widths[32] = {0};
	for (unsigned i = 0; i < t->nrows; i++) {
		size_t w = width(t->cells[i]);
		if (w > widths[i % t->ncols])
			widths[i % t->ncols] = w;
	}
	for (unsigned i = 0; t->err == 0 && i + t->ncols <= t->nrows; i += t->ncols)
		row(t, t->cells + i, widths, out);
	for (unsigned i = 0; i < t->nrows; i++)
		free(t->cells[i]);
	free(t->cells);
	if (t->err != 0)
		out->err = t->err;
	int r = out->err == 0 ? 0 : -1;
	*t = (struct table){.ncols = t->ncols, .right = t->right};
	return r;
}
