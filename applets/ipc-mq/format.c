/* applets/ipc-mq/format.c: --format and -J. */
#include "mq.h"

#include "frame.h"

#include <errno.h>
#include <string.h>

/* The byte that \C stands for, or -1. */
static int escape(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 't': return '\t';
	case '0': return '\0';
	case '\\': return '\\';
	default: return -1;
	}
}

static int check(struct call *call, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p != '%' && *p != '\\')
			continue;
		bool good = *p == '%' ? p[1] != '\0' && strchr("mptil%", p[1]) != NULL
				      : escape(p[1]) >= 0;
		if (!good)
			return call_fail(call, ST_USAGE, 0,
				"--format: %.2s is none of %%m %%p %%t %%i %%l %%%% \\n \\t \\0 \\\\",
				p);
		p++;
	}
	return 0;
}

int mq_format(struct call *call, struct format *f)
{
	bool text = call->opt[MQ_FORMAT].count > 0;
	*f = (struct format){.json = call->std[STD_JSON].count > 0,
		.text = text ? call->opt[MQ_FORMAT].str : NULL};
	if (f->json && text)
		return call_fail(call, ST_USAGE, 0, "--format and -J exclude each other");
	if ((f->json || text) && call->command != NULL)
		return call_fail(call, ST_USAGE, 0, "--format and -J are for stdout, not for CMD");
	if ((f->json || text) && call->std[STD_RECORD_SIZE].count > 0)
		return call_fail(
			call, ST_USAGE, 0, "--record-size does not go with --format or -J");
	return text ? check(call, f->text) : 0;
}

static void expand(struct out *out, const char *p, const struct message *msg, uint64_t number)
{
	for (; *p != '\0'; p++) {
		if (*p == '\\') {
			out_char(out, (char)escape(*++p));
			continue;
		}
		if (*p != '%') {
			out_char(out, *p);
			continue;
		}
		switch (*++p) {
		case 'm': out_put(out, msg->data, msg->len); break;
		case 'p': out_fmt(out, "%u", msg->priority); break;
		case 't': out_fmt(out, "%ld", msg->type); break;
		case 'i': out_fmt(out, "%llu", (unsigned long long)number); break;
		case 'l': out_fmt(out, "%zu", msg->len); break;
		default: out_char(out, '%');
		}
	}
}

static void as_json(struct queue *q, const struct message *msg, uint64_t number)
{
	struct json j;
	json_start(&j, &q->call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "queue", q->name);
	json_uint(&j, "number", number);
	if (q->obj.kind == OBJECT_SYSV)
		json_int(&j, "type", msg->type);
	else
		json_uint(&j, "priority", msg->priority);
	json_uint(&j, "length", msg->len);
	json_bytes(&j, "message", msg->data, msg->len);
	json_close(&j, '}');
}

int mq_print(struct queue *q, const struct format *f, const struct message *msg, uint64_t number)
{
	struct out *out = &q->call->out;
	struct frame frame = frame_of(q->call);
	if (f->json) {
		as_json(q, msg, number);
	} else if (f->text != NULL) {
		expand(out, f->text, msg, number);
		frame_put(out, frame, "", 0);
	} else if (frame_put(out, frame, msg->data, msg->len) < 0 && out->err == 0) {
		out_put(out, msg->data,
			msg->len); /* it is out of the queue: better here than nowhere */
		return call_fail(q->call, ST_DATA, 0,
			"%s: message %llu is %zu bytes, not %zu; it was "
			"written as it is",
			q->name, (unsigned long long)number, msg->len, frame.size);
	}
	return out->err != 0 ? call_stdout_error(q->call, out->err) : 0;
}
