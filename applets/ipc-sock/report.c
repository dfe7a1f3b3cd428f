/* report.c: the log of connections (-J) and the statistics (SIGUSR1). */
#define _GNU_SOURCE
#include "ipc-sock.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* A line of JSON for stdout, by way of the queue that never blocks. */
struct line {
	struct out out;
	struct json json;
};

static void begin(struct line *l, const char *event)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	l->out.fd = -1;
	l->out.err = 0;
	l->out.len = 0;
	json_start(&l->json, &l->out);
	json_open(&l->json, NULL, '{');
	json_str(&l->json, "event", event);
	json_seconds(&l->json, "time", (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec);
}

static void end(struct server *s, struct line *l)
{
	json_close(&l->json, '}');
	/* The log must not grow without bound behind a reader that sleeps. */
	if (s->outq.buf.len < 4 * OUTQ_MOST)
		outq_put(s, l->out.buf, l->out.len);
}

void server_report_bound(struct server *s)
{
	struct line l;
	begin(&l, "listening");
	json_str(&l.json, "addr", s->bound->name);
	end(s, &l);
}

void server_report_open(struct client *c, int fd, const char *event)
{
	struct server *s = c->srv;
	struct line l;
	char name[ADDR_TEXT];
	if (!s->json)
		return;
	begin(&l, event);
	json_uint(&l.json, "conn", c->id);
	if (c->peer.known) {
		json_uint(&l.json, "uid", c->peer.uid);
		json_uint(&l.json, "gid", c->peer.gid);
		json_int(&l.json, "pid", c->peer.pid);
	}
	if (fd >= 0 && *sock_name(fd, true, name) != '\0')
		json_str(&l.json, "addr", name);
	end(s, &l);
}

void server_report_close(struct client *c, int wstatus)
{
	struct server *s = c->srv;
	struct line l;
	if (!s->json)
		return;
	begin(&l, "close");
	json_uint(&l.json, "conn", c->id);
	json_seconds(&l.json, "seconds", wait_now() - c->since);
	if (s->role == ROLE_CMD && wstatus >= 0) {
		json_int(&l.json, "status", wait_status(wstatus));
	} else if (s->role != ROLE_CMD) {
		json_uint(&l.json, "in", c->in);
		json_uint(&l.json, "out", c->out);
		if (c->dropped > 0)
			json_uint(&l.json, "dropped", c->dropped);
	}
	end(s, &l);
}

void server_report_stats(struct server *s)
{
	struct stats t = s->stats;
	struct line l;
	for (struct client *c = s->oldest; c != NULL; c = c->next) {
		t.in += c->in;
		t.out += c->out;
		t.dropped += c->dropped;
	}
	const struct {
		const char *name;
		uint64_t n;
	} rows[] = {{"clients", s->n}, {"peak", t.peak}, {"accepted", t.accepted},
		{"refused", t.refused}, {"failed", t.failed}, {"idled", t.idled}, {"slow", t.slow},
		{"dropped", t.dropped}, {"in", t.in}, {"out", t.out}};
	if (s->json) {
		begin(&l, "stats");
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			json_uint(&l.json, rows[i].name, rows[i].n);
		end(s, &l);
		return;
	}
	char text[512];
	size_t o = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int n = snprintf(text + o, sizeof text - o, " %s %llu", rows[i].name,
			(unsigned long long)rows[i].n);
		o += n > 0 ? (size_t)n : 0;
	}
	(void)call_fail(s->call, 0, 0, "%s:%s", s->addr.text, text);
}

void server_report_usr1(struct loop *loop, struct loop_signal *sig)
{
	(void)sig;
	server_report_stats(loop->arg);
}
