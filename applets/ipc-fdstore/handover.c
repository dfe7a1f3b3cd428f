/* handover.c: one server succeeds another, and no client notices.
 *
 * The successor connects as a client and asks for everything, a batch at a time: the listening socket with the
 * clients that queue there, what is kept, and the connections that are open, with whatever they have sent. From
 * the first of these requests on, the old server listens to nobody else, so nothing can change. When all has
 * arrived the successor says so, and the old server ends. Until that instant the old one just goes on if the
 * successor ends; after it, the successor goes on whatever becomes of the old one.
 */
#define _GNU_SOURCE
#include "fdstore.h"

#include "fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT_NOTIFY 1u               /* the notify socket goes over, too */
#define ENDING_PATIENCE (5 * NS_PER_S) /* to wait for the old server's end: it only has to close */

/* ---- the old server */

enum reason fds_handover_begin(struct request *r)
{
	struct store *s = r->store;
	r->num = geteuid();
	if (!peer_ours(&r->client->peer))
		return WHY_FOREIGN;
	struct handover h = {.entries = s->n,
		.clients = s->nclients - 1,
		.next_id = s->next_id,
		.dev = s->bound->ino != 0 ? s->bound->dev : 0,
		.ino = s->bound->ino};
	r->give[r->ngive++] = s->bound->fd;
	if (s->notify != NULL) {
		h.notify_dev = s->notify->ino != 0 ? s->notify->dev : 0;
		h.notify_ino = s->notify->ino;
		r->give[r->ngive++] = s->notify->fd;
	}
	fds_packet_put(&s->out, &h, sizeof h);
	s->taker = r->client;
	fds_store_listen(s, false);
	return WHY_OK;
}

enum reason fds_handover_clients(struct request *r)
{
	struct store *s = r->store;
	if (s->taker != r->client)
		return WHY_BAD;
	for (struct client *c = s->oldest; c != NULL && r->ngive < BATCH_FDS; c = c->next) {
		if (c == s->taker || c->id <= (uint64_t)r->head.num)
			continue;
		fds_packet_put(&s->out, &c->id, sizeof c->id);
		r->give[r->ngive++] = c->watch.fd;
		r->count++;
	}
	return WHY_OK;
}

enum reason fds_handover_commit(struct request *r)
{
	return r->store->taker == r->client ? WHY_OK : WHY_BAD;
}

void fds_handover_done(struct request *r)
{
	struct store *s = r->store;
	s->handed = true;
	/* The names are the successor's now. */
	s->bound->ino = 0;
	if (s->notify != NULL && (r->head.flags & COMMIT_NOTIFY) != 0)
		s->notify->ino = 0;
	call_note(s->call, 1, "%s: handed %zu descriptors over to pid %ld", s->addr.text, s->n,
		(long)r->client->peer.pid);
	loop_quit(&s->loop);
}

/* ---- its successor */

struct taking {
	struct store *s;
	struct link link;
	struct handover h;
	int fds[2]; /* the listening and the notify socket */
	size_t nfds;
};

static void undo_taking(void *arg, intptr_t n)
{
	struct taking *t = arg;
	(void)n;
	cmsg_close(t->fds, t->nfds);
	t->nfds = 0;
}

/* 0; -1 with errno; else a refusal's status. */
static int ask(struct taking *t, enum op op, uint32_t flags, int64_t num, const char *text,
	int *fds, size_t cap, size_t *n)
{
	struct link *l = &t->link;
	fds_packet_start(
		&l->packet, &(struct head){.op = (uint16_t)op, .flags = flags, .num = num});
	if (text != NULL)
		fds_packet_str(&l->packet, text);
	fds_packet_seal(&l->packet, text != NULL);
	if (fds_link_try(l, NULL, 0, fds, cap, n) < 0)
		return -1;
	return l->head.reason == WHY_OK ? 0 : fds_link_refused(l, "the server");
}

static int bad(struct taking *t, const int *fds, size_t n)
{
	cmsg_close(fds, n);
	errno = EBADMSG;
	(void)t;
	return -1;
}

static int take_entry(struct taking *t, int fd, char last[NAME_LONGEST + 1])
{
	struct record r;
	const char *text[TEXT_N];
	if (!fds_read_record(&t->link.read, &r, text) || !fds_name_ok(text[TEXT_NAME]) ||
		strcmp(text[TEXT_NAME], last) <= 0 || strlen(text[TEXT_ALLOW]) > ALLOW_LONGEST ||
		strlen(text[TEXT_COMMAND]) > COMMAND_LONGEST) {
		errno = EBADMSG;
		return -1;
	}
	strcpy(last, text[TEXT_NAME]);
	struct keep keep = {.name = last,
		.command = text[TEXT_COMMAND],
		.allow = text[TEXT_ALLOW],
		.uid = r.uid,
		.gid = r.gid,
		.pid = (pid_t)r.pid,
		.start = r.start,
		.expires = r.expires,
		.flags = r.flags & (KEEP_ONCE | KEEP_HANGUP | KEEP_NOTIFY)};
	struct entry *e = fds_entry_add(t->s, fd, &keep);
	if (e == NULL)
		return -1;
	e->since = r.since;
	e->given = r.given;
	e->claim = r.claim;
	return 0;
}

/* 0, -1, a status. */
static int take_entries(struct taking *t)
{
	int fds[BATCH_FDS];
	size_t n;
	char last[NAME_LONGEST + 1] = "";
	for (;;) {
		int r = ask(t, OP_ENTRIES, 0, 0, last, fds, BATCH_FDS, &n);
		if (r != 0)
			return r;
		if (n != t->link.head.count)
			return bad(t, fds, n);
		if (n == 0)
			return 0;
		for (size_t i = 0; i < n; i++)
			if (take_entry(t, fds[i], last) < 0) {
				int err = errno;
				cmsg_close(fds + i, n - i);
				errno = err;
				return -1;
			}
	}
}

static int take_clients(struct taking *t)
{
	int fds[BATCH_FDS];
	size_t n;
	uint64_t last = 0;
	for (;;) {
		int r = ask(t, OP_CLIENTS, 0, (int64_t)last, NULL, fds, BATCH_FDS, &n);
		if (r != 0)
			return r;
		if (n != t->link.head.count)
			return bad(t, fds, n);
		if (n == 0)
			return 0;
		for (size_t i = 0; i < n; i++) {
			uint64_t id;
			if (!fds_read_bytes(&t->link.read, &id, sizeof id) || id <= last)
				return bad(t, fds + i, n - i);
			last = id;
			/* A client that has gone meanwhile is no matter. */
			struct peer peer;
			if (peer_of(fds[i], &peer) < 0) {
				fd_close(fds[i]);
				continue;
			}
			struct client *c = fds_store_adopt(t->s, fds[i], &peer, id);
			if (c != NULL)
				(void)fds_client_wait(c);
		}
	}
}

/* Whoever was just taking something out may still say that it has arrived; one that is gone will not. */
static void match_claims(struct store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = s->entries[i];
		struct client *c = s->oldest;
		while (e->claim != 0 && c != NULL && c->id != e->claim)
			c = c->next;
		if (e->claim != 0 && c != NULL)
			c->claims++;
		else
			e->claim = 0;
	}
}

/* Is the notify socket that came the one that --notify-socket names? */
static bool same_notify(struct taking *t)
{
	struct store *s = t->s;
	struct stat st;
	struct addr_sa sa = {.len = sizeof sa.ss};
	if (t->nfds < 2 || s->notify_addr.text == NULL)
		return false;
	if (s->notify_addr.is_path)
		return t->h.notify_ino != 0 && lstat(s->notify_addr.path, &st) == 0 &&
			st.st_dev == t->h.notify_dev && st.st_ino == t->h.notify_ino;
	return s->notify_addr.n > 0 && getsockname(t->fds[1], &sa.sa, &sa.len) == 0 &&
		addr_equal(&sa.sa, sa.len, &s->notify_addr.list[0].sa, s->notify_addr.list[0].len);
}

/* The socket FD as if we had bound it to A: its path, if it was the old server's to remove, is ours. */
static int own(struct taking *t, int fd, const struct addr *a, uint64_t dev, uint64_t ino,
	struct sock_bound **bound)
{
	struct stat st;
	struct call *call = t->s->call;
	int status = sock_take(call, fd, bound);
	if (status != 0 || !a->is_path || ino == 0 || lstat(a->path, &st) < 0 || st.st_dev != dev ||
		st.st_ino != ino)
		return status;
	struct sock_bound *b = *bound;
	b->path = call_strdup(call, a->path);
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	b->inherited = false;
	return b->path != NULL ? 0 : call_error(call, ENOMEM, "take over %s", a->text);
}

static int settle(struct taking *t)
{
	struct store *s = t->s;
	size_t n = t->nfds;
	bool notify = same_notify(t);
	if (n == 2 && !notify)
		fd_close(t->fds[1]);
	t->nfds = 0;
	int status = own(t, t->fds[0], &s->addr, t->h.dev, t->h.ino, &s->bound);
	if (notify && status == 0)
		status = own(t, t->fds[1], &s->notify_addr, t->h.notify_dev, t->h.notify_ino,
			&s->notify);
	else if (notify)
		fd_close(t->fds[1]);
	return status;
}

/* It closes our connection last: its --pidfile is gone then, and the name free for ours. */
static void await_end(struct taking *t)
{
	char c;
	int64_t deadline = wait_until(ENDING_PATIENCE);
	while (wait_fd(t->link.sock, POLLIN, deadline, &t->s->call->stop) > 0 &&
		recv(t->link.sock, &c, 1, MSG_DONTWAIT) > 0)
		;
}

static int greet(struct taking *t)
{
	struct store *s = t->s;
	struct peer peer;
	if (peer_of(t->link.sock, &peer) < 0 || !peer_ours(&peer))
		return call_fail(s->call, ST_PERM, 0,
			"%s: the server is another user's, and not taken over", s->addr.text);
	int r = ask(t, OP_TAKEOVER, 0, 0, NULL, t->fds, 2, &t->nfds);
	if (r != 0)
		return r;
	if (t->nfds == 0 || !fds_read_bytes(&t->link.read, &t->h, sizeof t->h)) {
		errno = EBADMSG;
		return -1;
	}
	s->next_id = t->h.next_id;
	return 0;
}

static int take(struct taking *t)
{
	size_t none;
	int r = take_entries(t);
	if (r == 0)
		r = take_clients(t);
	if (r == 0)
		r = ask(t, OP_COMMIT, same_notify(t) ? COMMIT_NOTIFY : 0, 0, NULL, NULL, 0, &none);
	/* Its end in the midst of this is not ours: better some than none. */
	bool died = r < 0 && (errno == ECONNRESET || errno == EPIPE);
	if (died && t->s->n < t->h.entries)
		call_warn(t->s->call, 0,
			"%s: the old server ended on the way: %zu of %llu descriptors are here",
			t->s->addr.text, t->s->n, (unsigned long long)t->h.entries);
	if (r != 0 && !died)
		return r < 0 ? fds_link_lost(&t->link, errno) : r;
	match_claims(t->s);
	return 0;
}

int fds_handover_take(struct store *s, bool *taken)
{
	struct call *call = s->call;
	struct taking *t = call_alloc(call, sizeof *t);
	*taken = false;
	if (t == NULL || call_undo(call, undo_taking, t, 0) < 0)
		return call_error(call, ENOMEM, "take over %s", s->addr.text);
	*t = (struct taking){.s = s, .link = {.call = call, .addr = s->addr}};
	t->link.deadline = call_deadline(call);
	t->link.sock = call_own(
		call, sock_connect_to(&s->addr, SOCK_SEQPACKET, t->link.deadline, &call->stop));
	if (t->link.sock < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			? 0
			: sock_connect_failed(call, &s->addr, SOCK_SEQPACKET, errno);
	int r = greet(t);
	/* It was just ending: we are the first. */
	if (r < 0 && (errno == ECONNRESET || errno == EPIPE)) {
		call_close(call, t->link.sock);
		return 0;
	}
	if (r != 0)
		return r < 0 ? fds_link_lost(&t->link, errno) : r;
	r = take(t);
	if (r == 0)
		r = settle(t);
	if (r != 0)
		return r;
	await_end(t);
	call_close(call, t->link.sock);
	*taken = true;
	return 0;
}
