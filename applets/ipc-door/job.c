/* job.c: connections: who comes in, what he asks for, who goes. */
#define _GNU_SOURCE
#include "door.h"

#include "cmsg.h"
#include "fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH 64                /* then the others have their turn */
#define ACCEPT_PAUSE (100 * NS_PER_MS) /* when descriptors have run out */
#define PATIENCE (10 * NS_PER_S)       /* for a request that is not whole */

static void unlink_job(struct job *j)
{
	struct jobs *list = &j->door->jobs[j->state];
	*(j->prev != NULL ? &j->prev->next : &list->first) = j->next;
	*(j->next != NULL ? &j->next->prev : &list->last) = j->prev;
	list->n--;
}

static void append(struct job *j, enum job_state state)
{
	struct jobs *list = &j->door->jobs[state];
	j->state = state;
	j->prev = list->last;
	j->next = NULL;
	*(list->last != NULL ? &list->last->next : &list->first) = j;
	list->last = j;
	list->n++;
}

void job_move(struct job *j, enum job_state to)
{
	unlink_job(j);
	append(j, to);
}

void job_close_fds(struct job *j)
{
	cmsg_close(j->fds, j->nfds);
	j->door->held -= j->nfds;
	quota_give(&j->door->quota, j->user, QUOTA_FDS, j->nfds);
	j->nfds = 0;
}

void job_hang_up(struct job *j)
{
	if (j->watch.fd < 0)
		return;
	loop_remove(&j->door->loop, &j->watch);
	fd_close(j->watch.fd);
	j->watch.fd = -1;
	j->door->held--;
	quota_give(&j->door->quota, j->user, QUOTA_FDS, 1);
}

void job_free(struct job *j)
{
	struct door *d = j->door;
	unlink_job(j);
	loop_cancel(&d->loop, &j->timer);
	job_hang_up(j);
	job_close_fds(j);
	if (j->child.watch.fd >= 0)
		loop_child_forget(&d->loop, &j->child);
	fd_close(j->group);
	quota_give(&d->quota, j->user, QUOTA_BYTES, j->bytes);
	quota_leave(&d->quota, j->user);
	buf_free(&j->buf);
	free(j);
	door_room(d);
}

/* An answer always fits: nothing else is ever sent. Who does not read it has only himself to blame. */
void job_send(struct job *j, enum door_type type, uint32_t arg, const void *body, size_t len)
{
	char message[sizeof(struct door_head) + DOOR_TEXT];
	struct door_head h;
	if (j->watch.fd < 0 || len > DOOR_TEXT)
		return;
	door_head(&h, type, arg, (uint32_t)len);
	memcpy(message, &h, sizeof h);
	if (len > 0)
		memcpy(message + sizeof h, body, len);
	(void)!send(j->watch.fd, message, sizeof h + len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void job_refuse(struct job *j, int status, const char *fmt, ...)
{
	struct door *d = j->door;
	char text[DOOR_TEXT];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	job_send(j, DOOR_REFUSED, (uint32_t)status, text, len);
	d->refused++;
	call_note(d->call, 1, "pid %ld of uid %ld: %d: %s", (long)j->peer.pid, (long)j->peer.uid,
		status, text);
	job_free(j);
}

/* The caller has gone. */
static void lost(struct job *j)
{
	struct door *d = j->door;
	if (j->state == JOB_QUEUED || (j->state == JOB_RUNNING && !j->cancelled))
		d->cancelled++;
	if (j->state != JOB_RUNNING) {
		job_free(j);
		return;
	}
	call_note(d->call, 1, "call %llu: the caller has gone", (unsigned long long)j->id);
	job_hang_up(j);
	if (!j->cancelled)
		handler_cancel(j, d->grace);
}

bool job_watch(struct job *j)
{
	if (loop_add(&j->door->loop, &j->watch, EPOLLIN | EPOLLRDHUP) == 0)
		return true;
	job_refuse(j, ST_LIMIT, "watch the caller: %s", strerror(errno));
	return false;
}

static void tell_state(struct job *j)
{
	const struct door *d = j->door;
	struct door_state state = {.since = d->since,
		.pid = (int32_t)getpid(),
		.uid = geteuid(),
		.jobs = d->max,
		.running = d->jobs[JOB_RUNNING].n,
		.queued = d->jobs[JOB_QUEUED].n,
		.ending = d->jobs[JOB_ENDING].n,
		.done = d->done,
		.cancelled = d->cancelled,
		.refused = d->refused};
	job_send(j, DOOR_STATE, 0, &state, sizeof state);
	job_free(j);
}

/* What comes behind the request: signals, nothing else. */
static void read_signals(struct job *j)
{
	size_t at = j->state == JOB_QUEUED ? sizeof(struct door_head) + request_length(j) : 0;
	struct door_head h;
	while (j->buf.len >= at + sizeof h) {
		memcpy(&h, buf_at(&j->buf) + at, sizeof h);
		if (door_head_wrong(&h) != NULL || h.type != DOOR_SIGNAL || h.length != 0 ||
			(h.arg != SIGHUP && h.arg != SIGINT && h.arg != SIGTERM)) {
			call_note(j->door->call, 1, "call %llu: the caller sends rubbish",
				(unsigned long long)j->id);
			lost(j);
			return;
		}
		if (j->state == JOB_QUEUED) {
			job_refuse(j, ST_SIGNAL + (int)h.arg, "not started yet");
			return;
		}
		handler_signal(j, (int)h.arg);
		buf_take(&j->buf, sizeof h);
	}
	(void)door_job_count(j, 0);
}

static void too_slow(struct loop *loop, struct loop_timer *t)
{
	struct job *j = (struct job *)(void *)((char *)t - offsetof(struct job, timer));
	(void)loop;
	job_refuse(j, ST_DATA, "the request is not whole");
}

static void wait_for_more(struct job *j)
{
	struct door *d = j->door;
	if (!job_watch(j) || j->timer.slot != 0)
		return;
	j->timer.due = too_slow;
	if (loop_at(&d->loop, &j->timer, wait_now() + PATIENCE) < 0)
		job_refuse(j, ST_LIMIT, "no memory");
}

/* Look at what is there of the first message. */
static void read_request(struct job *j)
{
	struct door *d = j->door;
	struct door_head h;
	int status;
	if (j->buf.len < sizeof h) {
		wait_for_more(j);
		return;
	}
	memcpy(&h, buf_at(&j->buf), sizeof h);
	const char *why = door_head_wrong(&h);
	if (why != NULL || (h.type != DOOR_CALL && h.type != DOOR_STAT) ||
		(h.type == DOOR_STAT && h.length != 0)) {
		job_refuse(j, ST_DATA, "the caller %s", why != NULL ? why : "does not call");
		return;
	}
	if (h.type == DOOR_STAT) {
		tell_state(j);
		return;
	}
	if (h.length > d->request_max) {
		job_refuse(j, ST_LIMIT,
			"the request has arguments longer than the %zu bytes that the server can give to a process (its ulimit -s)",
			d->request_max);
		return;
	}
	if (j->buf.len < sizeof h + h.length) {
		wait_for_more(j);
		return;
	}
	loop_cancel(&d->loop, &j->timer);
	j->nowait = (h.arg & DOOR_NOWAIT) != 0;
	why = request_check(j, &status);
	if (why != NULL)
		job_refuse(j, status, "the request %s", why);
	else if (handler_take(j))
		read_signals(j);
}

bool door_job_count(struct job *j, size_t fds)
{
	struct quota *q = &j->door->quota;
	quota_give(q, j->user, QUOTA_BYTES, j->bytes);
	j->bytes = j->user != NULL ? j->buf.len : 0;
	bool bytes_fit = quota_take(q, j->user, QUOTA_BYTES, j->bytes);
	return quota_take(q, j->user, QUOTA_FDS, fds) && bytes_fit;
}

static void job_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct job *j = (struct job *)(void *)((char *)w - offsetof(struct job, watch));
	struct door *d = j->door;
	bool reading = j->state == JOB_READING;
	size_t got;
	(void)loop;
	(void)events;
	/* Descriptors that come later than a request has room for them, or behind it, are closed. */
	ssize_t n = cmsg_recv(w->fd, d->scratch, SCRATCH, j->fds + j->nfds,
		reading ? DOOR_FDS - j->nfds : 0, &got, DEADLINE_NOW, NULL);
	if (n < 0 && errno == EAGAIN) {
		if (reading)
			wait_for_more(j);
		return;
	}
	if (n < 0 && errno == EMFILE && reading) {
		job_refuse(j, ST_LIMIT, "more than %d descriptors, or no room for them", DOOR_FDS);
		return;
	}
	if (n <= 0) {
		lost(j);
		return;
	}
	j->nfds += got;
	d->held += got;
	bool added = buf_add(&j->buf, d->scratch, (size_t)n) == 0;
	bool fits = door_job_count(j, got);
	if (!added)
		lost(j);
	else if (reading && !fits)
		job_refuse(j, ST_LIMIT, "uid %ld has too much in requests here at once",
			(long)j->peer.uid);
	else if (reading)
		read_request(j);
	else
		read_signals(j);
}

/* A new connection. */
static void greet(struct door *d, int fd)
{
	struct job *j = calloc(1, sizeof *j);
	if (j == NULL) {
		fd_close(fd);
		return;
	}
	j->door = d;
	j->id = d->next_id++;
	j->watch = (struct loop_watch){.fd = fd, .ready = job_ready};
	j->child.watch.fd = j->group = -1;
	d->held++;
	append(j, JOB_READING);
	if (peer_of(fd, &j->peer) < 0 || !allow_peer(&d->allow, &j->peer, fd))
		job_refuse(j, ST_PERM, "uid %ld is not let in (--allow)", (long)j->peer.uid);
	else if (quota_enter(&d->quota, &j->peer, &j->user) < 0 || !door_job_count(j, 1))
		job_refuse(j, ST_LIMIT, "uid %ld has too many connections here at once",
			(long)j->peer.uid);
	else /* as a rule the request is there already */
		job_ready(&d->loop, &j->watch, EPOLLIN);
}

static void accept_again(struct loop *loop, struct loop_timer *t)
{
	(void)t;
	door_accepting(loop->arg, true);
}

/* No descriptor or memory: those that wait stay in the kernel's queue for a while; never spin. */
static void accept_failed(struct door *d, int err)
{
	if (err == EAGAIN || err == EINTR || err == ECONNABORTED || err == EPROTO || err == EPERM)
		return;
	if (!d->warned)
		call_warn(
			d->call, err, "accept on %s (it goes on when there is room)", d->addr.text);
	d->warned = true;
	door_accepting(d, false);
	d->accept_again.due = accept_again;
	(void)loop_at(&d->loop, &d->accept_again, wait_now() + ACCEPT_PAUSE);
}

void job_accept(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct door *d = loop->arg;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && d->accepting && !loop->quit; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			accept_failed(d, errno);
			return;
		}
		greet(d, fd);
		door_accepting(d, true);
	}
}
