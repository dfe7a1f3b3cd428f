/* applets/ipc-sem/watch.c: sleep until the slots of a file may have changed; see slots.c. */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

static int bad(int e)
{
	errno = e;
	return -1;
}

#define SHORT (20 * NS_PER_MS) /* a wait longer than this gets inotify */

static void watch_file(struct watch *w, struct sem *s)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
	w->pause = NS_PER_S;
	s->ino = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->ino < 0 ||
		inotify_add_watch(s->ino, path, IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB) >= 0)
		return;
	fd_close(s->ino);
	s->ino = -1;
}

void watch_start(struct watch *w)
{
	w->start = wait_now();
	w->pause = NS_PER_MS;
	w->n = 1;
	w->nended = 0;
}

/* inotify is left to slots_close: closing it takes its time. */
static void watch_end(struct watch *w)
{
	while (w->n > 1)
		fd_close(w->p[--w->n].fd);
}

/* Has PID been seen to end? Its pidfd is ready as long as it is a zombie, and says nothing new. */
static bool has_ended(const struct watch *w, pid_t pid)
{
	for (unsigned i = 0; i < w->nended; i++)
		if (w->ended[i] == pid)
			return true;
	return false;
}

/* Remember whose pidfd has become ready. */
static void note_ended(struct watch *w)
{
	for (nfds_t i = 1; i < w->n; i++)
		if (w->p[i].revents != 0)
			w->ended[w->nended++ % PIDFDS] = w->pid[i];
	if (w->nended >= PIDFDS)
		w->nended = PIDFDS;
}

/* A pidfd of who has the slot that C claims: the keeper, or the process that took it. -1: none of them
 * still runs. */
static int open_holder(const struct watch *w, const struct claim *c, pid_t *pid)
{
	const pid_t pids[] = {c->keeper, c->pid};
	for (unsigned i = 0; i < 2; i++) {
		*pid = pids[i];
		int fd = *pid <= 0 || has_ended(w, *pid) ? -1 : wait_pidfd(*pid);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* Open pidfds of the holders. True when something has changed since the last look for free slots. */
static bool watch_holders(struct watch *w, struct sem *s, bool *unknown)
{
	unsigned taken = 0;
	*unknown = false;
	for (unsigned i = 0; i < s->top; i++) {
		struct claim c = {0};
		pid_t pid = 0;
		if (slots_taken(s, i) <= 0)
			continue;
		taken++;
		int fd = -1;
		if (w->n <= PIDFDS && slots_claimed(s, i, &c))
			fd = open_holder(w, &c, &pid);
		/* A shell that holds it itself may give it back and live on. */
		if (fd < 0 || c.owner == c.pid)
			*unknown = true;
		if (fd < 0)
			continue;
		call_note_pidfd(s->call, fd);
		w->pid[w->n] = pid;
		w->p[w->n++] = (struct pollfd){.fd = fd, .events = WAIT_END};
	}
	return taken != s->taken;
}

int watch_wait(struct watch *w, struct sem *s, bool holders, int64_t deadline)
{
	char buf[4096];
	bool unknown = false;
	if (deadline == DEADLINE_NOW)
		return bad(EAGAIN);
	int64_t now = wait_now();
	if (now >= deadline)
		return bad(ETIMEDOUT);
	sem_says_waits(s);
	bool late = !holders || now - w->start >= SHORT;
	if (late && s->ino < 0 && w->start > 0) {
		w->start = 0; /* try it once */
		watch_file(w, s);
		return 0; /* look again, now that nothing is missed */
	}
	if (holders && watch_holders(w, s, &unknown)) {
		watch_end(w);
		return 0;
	}
	int64_t until = wait_until(unknown || late ? w->pause : SHORT);
	if (late && s->ino < 0)
		until = wait_until(SHORT); /* no inotify to be had: look at times */
	w->p[0] = (struct pollfd){.fd = s->ino, .events = POLLIN};
	int r = wait_poll(w->p, w->n, until < deadline ? until : deadline, &s->call->stop);
	int e = errno;
	if (r > 0) {
		note_ended(w);
		if (w->p[0].revents == 0 || read(s->ino, buf, sizeof buf) >= 0)
			w->pause = NS_PER_MS;
	} else {
		w->pause = w->pause < NS_PER_S / 4 ? w->pause * 4 : NS_PER_S;
	}
	watch_end(w);
	if (r < 0 && e != ETIMEDOUT)
		return bad(e);
	if (r < 0 && deadline != DEADLINE_NONE && wait_now() >= deadline)
		return bad(ETIMEDOUT);
	return 0;
}
