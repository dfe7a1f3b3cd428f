/* entry.c: what is kept: found by name, counted by user, dropped when its time has come. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "fd.h"
#include "proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

size_t fds_entry_index(const struct store *s, const char *name)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(s->entries[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct entry *fds_entry_find(const struct store *s, const char *name)
{
	size_t i = fds_entry_index(s, name);
	return i < s->n && strcmp(s->entries[i]->name, name) == 0 ? s->entries[i] : NULL;
}

void fds_entry_drop(struct entry *e)
{
	struct store *s = e->store;
	size_t i = fds_entry_index(s, e->name);
	/* While it is being replaced, another of that name comes before it. */
	while (s->entries[i] != e)
		i++;
	memmove(s->entries + i, s->entries + i + 1, (--s->n - i) * sizeof *s->entries);
	loop_cancel(&s->loop, &e->expiry);
	loop_remove(&s->loop, &e->watch);
	fd_close(e->watch.fd);
	free(e);
	fds_store_left(s);
}

static void expired(struct loop *loop, struct loop_timer *t)
{
	struct entry *e = (struct entry *)(void *)((char *)t - offsetof(struct entry, expiry));
	(void)loop;
	call_note(e->store->call, 1, "%s expired", e->name);
	fds_entry_drop(e);
}

static void hung_up(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct entry *e = (struct entry *)(void *)((char *)w - offsetof(struct entry, watch));
	(void)loop;
	(void)events;
	call_note(e->store->call, 1, "%s hung up", e->name);
	fds_entry_drop(e);
}

static const char *copy_text(char **at, const char *s)
{
	char *copy = *at;
	size_t len = strlen(s) + 1;
	memcpy(copy, s, len);
	*at += len;
	return copy;
}

static int64_t now_real(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int make_room(struct store *s)
{
	if (s->n < s->cap)
		return 0;
	size_t cap = s->cap * 2 + 16;
	struct entry **more = realloc(s->entries, cap * sizeof *more);
	if (more == NULL)
		return -1;
	s->entries = more;
	s->cap = cap;
	return 0;
}

struct entry *fds_entry_add(struct store *s, int fd, const struct keep *keep)
{
	size_t len = strlen(keep->name) + strlen(keep->command) + strlen(keep->allow) + 3;
	struct entry *e = make_room(s) == 0 ? calloc(1, sizeof *e + len) : NULL;
	if (e == NULL)
		return NULL;
	char *at = e->text;
	e->store = s;
	e->name = copy_text(&at, keep->name);
	e->command = copy_text(&at, keep->command);
	e->allow = copy_text(&at, keep->allow);
	e->uid = keep->uid;
	e->gid = keep->gid;
	e->pid = keep->pid;
	e->start = keep->start;
	e->flags = keep->flags;
	e->since = now_real();
	e->watch = (struct loop_watch){.fd = fd, .ready = hung_up};
	e->expiry.due = expired;
	if (keep->expires >= 0 &&
		loop_at(&s->loop, &e->expiry,
			keep->expires == 0 ? wait_now() : wait_until(keep->expires)) < 0) {
		free(e);
		return NULL;
	}
	/* Hang-ups come unasked. What epoll does not take has none: files, directories. */
	if ((e->flags & KEEP_HANGUP) != 0 && loop_add(&s->loop, &e->watch, 0) < 0) {
		loop_cancel(&s->loop, &e->expiry);
		free(e);
		return NULL;
	}
	size_t i = fds_entry_index(s, e->name);
	memmove(s->entries + i + 1, s->entries + i, (s->n++ - i) * sizeof *s->entries);
	s->entries[i] = e;
	loop_cancel(&s->loop, &s->quiet);
	return e;
}

enum reason fds_entry_room(const struct store *s, uid_t uid, int64_t *limit)
{
	*limit = (int64_t)s->max;
	if (s->n >= s->max)
		return WHY_FULL;
	if (s->max_per_uid == 0)
		return WHY_OK;
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += s->entries[i]->uid == uid;
	*limit = (int64_t)s->max_per_uid;
	return n < s->max_per_uid ? WHY_OK : WHY_FULL_UID;
}

bool fds_entry_mine(const struct entry *e, const struct peer *peer)
{
	return peer_ours(peer) || peer_is(peer, e->uid);
}

bool fds_entry_open_to(const struct entry *e, const struct peer *peer, int sock)
{
	struct allow allow = {.text = e->allow};
	return fds_entry_mine(e, peer) || allow_peer(&allow, peer, sock);
}

void fds_keep_who(struct keep *keep, const struct peer *peer, char command[COMMAND_LONGEST + 1])
{
	keep->uid = peer->uid;
	keep->gid = peer->gid;
	keep->pid = peer->pid;
	keep->command = "?";
	if (peer->pid <= 0)
		return;
	/* ipc-fdstore itself ends with this call: the script that runs it says more. It is known by its name,
	 * since it may be an older or newer version of our file. */
	char name[16];
	pid_t parent = proc_parent(peer->pid, name);
	if (parent > 1 && (strcmp(name, "ipc-fdstore") == 0 || strcmp(name, "ipcbox") == 0))
		keep->pid = parent;
	keep->start = proc_start(keep->pid);
	keep->command = proc_command(keep->pid, command, COMMAND_LONGEST + 1);
}

bool fds_entry_record(const struct entry *e, struct packet *p, bool what)
{
	size_t before = p->len;
	struct what w = {.pos = -1, .bytes = -1};
	if (what)
		fds_describe(e->watch.fd, &w);
	int64_t left = -1;
	if (e->expiry.slot != 0) {
		left = e->expiry.at - wait_now();
		left = left < 0 ? 0 : left;
	}
	struct proc_id id = {.pid = e->pid, .start = e->start};
	struct record r = {.size = sizeof r,
		.flags = e->flags | (what && proc_life(id) != PROC_DEAD ? KEEP_ALIVE : 0) |
			(w.listens ? KEEP_LISTENS : 0),
		.uid = e->uid,
		.gid = e->gid,
		.pid = (uint32_t)e->pid,
		.getfl = w.getfl,
		.start = e->start,
		.given = e->given,
		.claim = e->claim,
		.since = e->since,
		.expires = left,
		.pos = w.pos,
		.bytes = w.bytes};
	fds_packet_put(p, &r, sizeof r);
	fds_packet_str(p, e->name);
	fds_packet_str(p, e->command);
	fds_packet_str(p, e->allow);
	fds_packet_str(p, w.type);
	fds_packet_str(p, w.name);
	fds_packet_str(p, w.peer);
	if (!p->full)
		return true;
	p->full = false;
	p->len = before;
	return false;
}
