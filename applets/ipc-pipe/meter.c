/* applets/ipc-pipe/meter.c: stdin to stdout as it is, with a progress bar on stderr. */
#include "copy.h"
#include "pipe.h"

#include <errno.h>

/* -J: the outcome as one object on stderr, where the bar would be. */
static int put_record(struct call *call, const struct copy *c, int64_t ns, bool complete)
{
	struct out *out = call_alloc(call, sizeof *out);
	struct json j;
	if (out == NULL)
		return call_error(call, ENOMEM, "report");
	out->fd = call->err;
	json_start(&j, out);
	json_open(&j, NULL, '{');
	json_uint(&j, "bytes", c->done);
	if (call->opt[METER_SIZE].count > 0)
		json_int(&j, "expected", call->opt[METER_SIZE].num);
	else
		json_null(&j, "expected");
	json_seconds(&j, "seconds", ns);
	json_uint(&j, "rate", ns > 0 ? (uint64_t)((double)c->done * 1e9 / (double)ns) : 0);
	json_bool(&j, "complete", complete);
	json_close(&j, '}');
	return out_flush(out) < 0 ? call_fail(call, ST_IO, out->err, "write the report") : 0;
}

static int outcome(struct call *call, const struct copy *c, int err)
{
	if (err == 0)
		return ST_OK;
	if (err == EINTR)
		return call_waited(call, err, "copy stdin to stdout");
	if (c->out_failed)
		return call_stdout_error(call, err);
	return call_fail(call, ST_IO, err, "read stdin");
}

int pipe_meter(struct call *call)
{
	bool json = call->std[STD_JSON].count > 0;
	struct progress bar;
	struct copy c = {.in = call->in,
		.out = call->out.fd,
		.max = UINT64_MAX,
		.idle = DEADLINE_NONE,
		.stop = &call->stop,
		.progress = &bar};
	progress_start(&bar, call->err, call->std[STD_QUIET].count == 0 && !json,
		(uint64_t)call->opt[METER_SIZE].num);
	int64_t began = wait_now();
	int err = copy_stream(&c) == 0 ? 0 : errno;
	progress_end(&bar);
	int bad = json ? put_record(call, &c, wait_now() - began, err == 0) : 0;
	int status = outcome(call, &c, err);
	return status != ST_OK ? status : bad;
}
