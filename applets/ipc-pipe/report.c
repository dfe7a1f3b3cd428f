/* applets/ipc-pipe/report.c: how each command ended: -v a line per command for people, -J one array for
 * programs; in one write(2) as long as it fits 8 KiB. */
#include "fd.h"
#include "num.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

/* The command's words, with nothing in them that could drive a terminal. */
static void put_words(struct out *out, char *const *argv)
{
	for (size_t i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			out_char(out, ' ');
		for (const unsigned char *p = (const unsigned char *)argv[i]; *p != '\0'; p++)
			out_char(out, *p < 0x20 || *p == 0x7f ? '?' : (char)*p);
	}
}

static void put_seconds(struct out *out, const char *name, int64_t ns)
{
	out_fmt(out, " %s %lld.%03lld", name, (long long)(ns / NS_PER_S),
		(long long)(ns % NS_PER_S / NS_PER_MS));
}

static void put_line(struct out *out, const struct side *side, const struct wait_kid *kid)
{
	char buf[NUM_BUF];
	out_fmt(out, "ipc-pipe run: pid %ld", (long)kid->pid);
	if (WIFSIGNALED(kid->wstatus))
		out_fmt(out, " signal %s", num_signal_name(WTERMSIG(kid->wstatus), buf));
	else
		out_fmt(out, " exit %d", WEXITSTATUS(kid->wstatus));
	put_seconds(out, "user", kid->user);
	put_seconds(out, "sys", kid->system);
	put_seconds(out, "wall", kid->at - side->started);
	out_str(out, ": ");
	put_words(out, side->argv);
	out_char(out, '\n');
}

static void put_json(struct json *j, const struct side *side, const struct wait_kid *kid)
{
	char buf[NUM_BUF];
	bool killed = WIFSIGNALED(kid->wstatus);
	json_open(j, NULL, '{');
	json_int(j, "pid", kid->pid);
	json_open(j, "command", '[');
	for (size_t i = 0; side->argv[i] != NULL; i++)
		json_str(j, NULL, side->argv[i]);
	json_close(j, ']');
	json_int(j, "status", wait_status(kid->wstatus));
	json_str(j, "signal", killed ? num_signal_name(WTERMSIG(kid->wstatus), buf) : NULL);
	json_str(j, "stopped", side->sent != 0 ? num_signal_name(side->sent, buf) : NULL);
	json_seconds(j, "user", kid->user);
	json_seconds(j, "system", kid->system);
	json_seconds(j, "wall", kid->at - side->started);
	json_close(j, '}');
}

int pipe_report_check(struct call *call)
{
	if (call->opt[RUN_REPORT].count == 0)
		return 0;
	int fd = (int)call->opt[RUN_REPORT].num;
	if (!fd_is_open(fd))
		return call_fail(
			call, ST_USAGE, 0, "--report-fd %d: this descriptor is not open", fd);
	if (fd > 2) /* not for the commands */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

int pipe_report(struct call *call, const struct run *run)
{
	bool json = call->std[STD_JSON].count > 0;
	if (!json && call->std[STD_VERBOSE].count == 0 && call->opt[RUN_REPORT].count == 0)
		return 0;
	struct out *out = call_alloc(call, sizeof *out);
	if (out == NULL)
		return call_error(call, ENOMEM, "report");
	out->fd = call->opt[RUN_REPORT].count > 0 ? (int)call->opt[RUN_REPORT].num : call->err;
	struct json j;
	json_start(&j, out);
	if (json)
		json_open(&j, NULL, '[');
	for (size_t i = 0; i < run->n; i++)
		if (json)
			put_json(&j, &run->sides[i], &run->kids[i]);
		else
			put_line(out, &run->sides[i], &run->kids[i]);
	if (json)
		json_close(&j, ']');
	/* A -v that nobody can read is no reason to fail; a report that a program asked for is. */
	if (out_flush(out) < 0 && (json || call->opt[RUN_REPORT].count > 0))
		return call_fail(call, ST_IO, out->err, "write the report");
	return 0;
}
