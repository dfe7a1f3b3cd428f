/* lib/loop.c: see loop.h. */
#define _GNU_SOURCE
#include "loop.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int loop_start(struct loop *loop, const struct stop *stop)
{
	*loop = (struct loop){.stop = stop};
	if (stop != NULL && stop->mask != NULL)
		loop->mask = *stop->mask;
	else if (sigprocmask(SIG_SETMASK, NULL, &loop->mask) < 0)
		return -1;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		return -1;
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old;
	if (sigaction(SIGCHLD, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		loop->ignored_chld = sigaction(SIGCHLD, &dfl, NULL) == 0;
	return 0;
}

void loop_end(struct loop *loop)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	if (loop->chld.sig != 0)
		loop_signal_end(loop, &loop->chld);
	fd_close(loop->epfd);
	loop->epfd = -1;
	if (loop->ignored_chld)
		sigaction(SIGCHLD, &ignore, NULL);
	loop->ignored_chld = false;
	free(loop->heap);
	loop->heap = NULL;
	loop->ntimers = loop->cap = 0;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}

/* Files: a list of their own. */
static void set_file_events(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	loop->nfiles += (events != 0) - (size_t)(w->events != 0);
	w->events = events;
}

int loop_add(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};
	if (w->always) {
		set_file_events(loop, w, events);
		return 0;
	}
	if (w->added && w->events == events)
		return 0;
	if (epoll_ctl(loop->epfd, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) == 0) {
		w->added = true;
		w->events = events;
		return 0;
	}
	if (errno != EPERM || w->added)
		return -1;
	w->added = w->always = true;
	w->events = 0;
	w->next = loop->files;
	loop->files = w;
	set_file_events(loop, w, events);
	return 0;
}

void loop_remove(struct loop *loop, struct loop_watch *w)
{
	if (!w->added)
		return;
	if (w->always) {
		struct loop_watch **p = &loop->files;
		set_file_events(loop, w, 0);
		while (*p != w)
			p = &(*p)->next;
		*p = w->next;
	} else {
		epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	}
	w->added = w->always = false;
	w->events = 0;
	for (int i = loop->ibatch; i < loop->nbatch; i++)
		if (loop->batch[i].data.ptr == w)
			loop->batch[i].data.ptr = NULL;
}

/* The timers: a binary heap, earliest first. */
static void place(struct loop *loop, size_t i, struct loop_timer *t)
{
	loop->heap[i] = t;
	t->slot = i + 1;
}

static void sift(struct loop *loop, size_t i, struct loop_timer *t)
{
	for (; i > 0 && loop->heap[(i - 1) / 2]->at > t->at; i = (i - 1) / 2)
		place(loop, i, loop->heap[(i - 1) / 2]);
	for (size_t k; (k = 2 * i + 1) < loop->ntimers; i = k) {
		if (k + 1 < loop->ntimers && loop->heap[k + 1]->at < loop->heap[k]->at)
			k++;
		if (loop->heap[k]->at >= t->at)
			break;
		place(loop, i, loop->heap[k]);
	}
	place(loop, i, t);
}

void loop_cancel(struct loop *loop, struct loop_timer *t)
{
	if (t->slot == 0)
		return;
	size_t i = t->slot - 1;
	t->slot = 0;
	struct loop_timer *last = loop->heap[--loop->ntimers];
	if (last != t)
		sift(loop, i, last);
}

int loop_at(struct loop *loop, struct loop_timer *t, int64_t at)
{
	loop_cancel(loop, t);
	t->at = at;
	if (at == DEADLINE_NONE)
		return 0;
	if (loop->ntimers == loop->cap) {
		size_t cap = loop->cap * 2 + 16;
		struct loop_timer **more = realloc(loop->heap, cap * sizeof *more);
		if (more == NULL)
			return -1;
		loop->heap = more;
		loop->cap = cap;
	}
	sift(loop, loop->ntimers++, t);
	return 0;
}

static void run_timers(struct loop *loop)
{
	if (loop->ntimers == 0)
		return;
	int64_t now = wait_now();
	while (!loop->quit && loop->ntimers > 0 && loop->heap[0]->at <= now) {
		struct loop_timer *t = loop->heap[0];
		loop_cancel(loop, t);
		t->due(loop, t);
	}
}

static void run_files(struct loop *loop)
{
	/* A callback may take any of them off the list: begin again after each, until one round
	 * has seen all. */
	size_t n = loop->nfiles;
	struct loop_watch *w = loop->files;
	while (n-- > 0 && !loop->quit) {
		while (w != NULL && w->events == 0)
			w = w->next;
		if (w == NULL)
			return;
		struct loop_watch *next = w->next;
		w->ready(loop, w, w->events & (EPOLLIN | EPOLLOUT));
		w = loop->files;
		while (w != NULL && w != next)
			w = w->next;
	}
}

static void check_stop(struct loop *loop)
{
	int sig = wait_stopped(loop->stop);
	if (sig == 0)
		return;
	if (loop->stopped != NULL)
		loop->stopped(loop, sig);
	else
		loop->quit = true;
	loop->stop_seen = sig;
}

static int timeout_ms(const struct loop *loop)
{
	if (loop->nfiles > 0)
		return 0;
	if (loop->ntimers == 0)
		return -1;
	int64_t left = loop->heap[0]->at - wait_now();
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > 1 << 30 ? 1 << 30 : (int)left;
}

int loop_run(struct loop *loop)
{
	if (wait_stopped(loop->stop) != 0)
		check_stop(loop);
	while (!loop->quit) {
		int n = epoll_pwait(
			loop->epfd, loop->batch, LOOP_BATCH, timeout_ms(loop), &loop->mask);
		/* Only a handler that ran makes EINTR, and only then a new stop signal can be there. */
		if (n < 0 && errno == EINTR) {
			check_stop(loop);
			continue;
		}
		if (n < 0)
			return -1;
		loop->nbatch = n;
		for (loop->ibatch = 0; loop->ibatch < n && !loop->quit;) {
			struct epoll_event *ev = &loop->batch[loop->ibatch++];
			struct loop_watch *w = ev->data.ptr;
			if (w != NULL)
				w->ready(loop, w, ev->events);
		}
		loop->nbatch = 0;
		if (loop->nfiles > 0)
			run_files(loop);
		run_timers(loop);
	}
	if (loop->stop_seen != 0 && loop->stopped == NULL) {
		errno = EINTR;
		return -1;
	}
	return 0;
}

/* Has C ended? Then its owner is told, and may free it. */
static bool child_reap(struct loop *loop, struct loop_child *c, idtype_t type, id_t id)
{
	siginfo_t info = {0};
	int wstatus = -1;
	int r = waitid(type, id, &info, WEXITED | WNOHANG);
	if (r == 0 && info.si_pid == 0)
		return false;
	/* Back into the form of waitpid(2). */
	if (r == 0)
		wstatus = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
						     : info.si_status & 0x7f;
	loop_child_forget(loop, c);
	c->ended(loop, c, wstatus);
	return true;
}

static void child_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	(void)events;
	(void)child_reap(loop,
		(struct loop_child *)(void *)((char *)w - offsetof(struct loop_child, watch)),
		(idtype_t)P_PIDFD, (id_t)w->fd);
}

/* Several SIGCHLD may have become one. A callback may forget any of them: begin again after each. */
static void some_child(struct loop *loop, struct loop_signal *s)
{
	(void)s;
	for (struct loop_child *c = loop->children, *next; c != NULL; c = next) {
		next = c->next;
		if (child_reap(loop, c, P_PID, (id_t)c->pid))
			next = loop->children;
	}
}

/* A child that ended before SIGCHLD was taken is not told of any more: say so ourselves. */
static int child_by_signal(struct loop *loop, struct loop_child *c)
{
	if (loop->chld.sig == 0) {
		loop->chld = (struct loop_signal){.sig = SIGCHLD, .came = some_child};
		if (loop_signal(loop, &loop->chld) < 0) {
			loop->chld.sig = 0;
			return -1;
		}
		(void)kill(getpid(), SIGCHLD);
	}
	c->next = loop->children;
	loop->children = c;
	return 0;
}

int loop_child(struct loop *loop, struct loop_child *c)
{
	c->watch = (struct loop_watch){.fd = wait_pidfd(c->pid), .ready = child_ready};
	if (c->watch.fd < 0)
		return -1;
	if (wait_pidfd_refused(c->watch.fd) ? child_by_signal(loop, c) == 0
					    : loop_add(loop, &c->watch, EPOLLIN) == 0)
		return 0;
	int e = errno;
	fd_close(c->watch.fd);
	c->watch.fd = -1;
	errno = e;
	return -1;
}

void loop_child_forget(struct loop *loop, struct loop_child *c)
{
	struct loop_child **p = &loop->children;
	while (*p != NULL && *p != c)
		p = &(*p)->next;
	if (*p == c)
		*p = c->next;
	loop_remove(loop, &c->watch);
	fd_close(c->watch.fd);
	c->watch.fd = -1;
}

static void signal_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct loop_signal *s =
		(struct loop_signal *)(void *)((char *)w - offsetof(struct loop_signal, watch));
	struct signalfd_siginfo info;
	(void)events;
	while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
		s->came(loop, s);
}

int loop_signal(struct loop *loop, struct loop_signal *s)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, s->sig);
	s->watch = (struct loop_watch){.ready = signal_ready};
	s->watch.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->watch.fd < 0)
		return -1;
	if (loop_add(loop, &s->watch, EPOLLIN) < 0) {
		fd_close(s->watch.fd);
		return -1;
	}
	sigprocmask(SIG_BLOCK, &set, &s->old);
	sigaddset(&loop->mask, s->sig);
	return 0;
}

void loop_signal_end(struct loop *loop, struct loop_signal *s)
{
	sigset_t set;
	loop_remove(loop, &s->watch);
	fd_close(s->watch.fd);
	s->watch.fd = -1;
	if (sigismember(&s->old, s->sig) == 1)
		return;
	sigemptyset(&set);
	sigaddset(&set, s->sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigdelset(&loop->mask, s->sig);
}
