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
}

/* inotify is left to slots_close: closing it takes its time. */
static void watch_end(struct watch *w)
{
	while (w->n > 1)
		fd_close(w->p[--w->n].fd);
}

/* Open pidfds of the holders. True when something has changed since the last look for free slots. */
static bool watch_holders(struct watch *w, struct sem *s, bool *unknown)
{
	unsigned taken = 0;
	*unknown = false;
	for (unsigned i = 0; i < s->top; i++) {
		struct claim c = {0};
		if (slots_taken(s, i) <= 0)
			continue;
		taken++;
		int fd = -1;
		if (w->n <= PIDFDS && slots_claimed(s, i, &c))
			fd = wait_pidfd(c.keeper > 0 ? c.keeper : c.pid);
		/* A shell that holds it itself may give it back and live on. */
		if (fd < 0 || c.owner == c.pid)
			*unknown = true;
		if (fd >= 0)
			w->p[w->n++] = (struct pollfd){.fd = fd, .events = POLLIN};
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
