/* request.c: what clients ask, one packet each, and the answer. */
#define _GNU_SOURCE
#include "fdstore.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Another client is just taking it out. */
static bool taken_by_other(const struct entry *e, const struct client *c)
{
	return e->claim != 0 && e->claim != c->id;
}

static enum reason do_store(struct request *r)
{
	struct store *s = r->store;
	struct allow allow;
	char command[COMMAND_LONGEST + 1];
	struct keep keep = {.name = fds_read_str(&r->read), .allow = fds_read_str(&r->read)};
	if (keep.name == NULL || keep.allow == NULL || !fds_name_ok(keep.name) || r->nfds != 1 ||
		r->head.num < 0 || strlen(keep.allow) > ALLOW_LONGEST ||
		allow_parse(&allow, keep.allow) != NULL)
		return WHY_BAD;
	struct entry *old = fds_entry_find(s, keep.name);
	if (old != NULL) {
		r->num = old->uid;
		if ((r->head.flags & KEEP_REPLACE) == 0)
			return WHY_TAKEN;
		if (!fds_entry_mine(old, &r->client->peer))
			return WHY_FOREIGN;
		if (taken_by_other(old, r->client))
			return WHY_BUSY;
	}
	enum reason why = old != NULL ? WHY_OK : fds_entry_room(s, r->client->peer.uid, &r->num);
	if (why != WHY_OK)
		return why;
	fds_keep_who(&keep, &r->client->peer, command);
	keep.flags = r->head.flags & (KEEP_ONCE | KEEP_HANGUP);
	keep.expires = r->head.num == 0 ? -1 : r->head.num;
	if (fds_entry_add(s, r->fds[0], &keep) == NULL)
		return WHY_MEMORY;
	r->fds[0] = -1;
	if (old != NULL)
		fds_entry_drop(old);
	call_note(s->call, 1, "%s stored by pid %ld (%s)", keep.name, (long)keep.pid, keep.command);
	return WHY_OK;
}

static enum reason may_give(struct request *r, const struct entry *e)
{
	if (e == NULL)
		return WHY_NONE;
	r->num = e->uid;
	bool may = (r->head.flags & GIVE_REMOVE) != 0
		? fds_entry_mine(e, &r->client->peer)
		: fds_entry_open_to(e, &r->client->peer, r->client->watch.fd);
	if (!may)
		return WHY_FOREIGN;
	return taken_by_other(e, r->client) ? WHY_BUSY : WHY_OK;
}

/* All or none. What is to leave the store does so when the client says that it has arrived. */
static enum reason do_retrieve(struct request *r)
{
	struct client *c = r->client;
	struct entry *found[NAMES_MOST];
	if (r->head.count == 0 || r->head.count > NAMES_MOST)
		return WHY_BAD;
	for (r->count = 0; r->count < r->head.count; r->count++) {
		const char *name = fds_read_str(&r->read);
		if (name == NULL)
			return WHY_BAD;
		found[r->count] = fds_entry_find(r->store, name);
		enum reason why = may_give(r, found[r->count]);
		if (why != WHY_OK)
			return why;
	}
	for (size_t i = 0; i < r->count; i++) {
		struct entry *e = found[i];
		r->give[r->ngive++] = e->watch.fd;
		e->given++;
		if ((e->flags & KEEP_ONCE) == 0 && (r->head.flags & GIVE_REMOVE) == 0)
			continue;
		r->flags = GIVE_CLAIMED;
		c->claims += e->claim == 0;
		e->claim = c->id;
	}
	return WHY_OK;
}

static enum reason do_done(struct request *r)
{
	struct store *s = r->store;
	for (size_t i = s->n; r->client->claims > 0 && i-- > 0;)
		if (s->entries[i]->claim == r->client->id)
			fds_entry_drop(s->entries[i]);
	r->client->claims = 0;
	return WHY_OK;
}

/* The place behind the entry called NAME. */
static size_t after(const struct store *s, const char *name)
{
	size_t i = fds_entry_index(s, name);
	return i + (i < s->n && strcmp(s->entries[i]->name, name) == 0);
}

static enum reason do_list(struct request *r)
{
	struct store *s = r->store;
	const char *name = fds_read_str(&r->read);
	if (name == NULL)
		return WHY_BAD;
	for (size_t i = after(s, name); i < s->n; i++) {
		struct entry *e = s->entries[i];
		if (!fds_entry_open_to(e, &r->client->peer, r->client->watch.fd))
			continue;
		if (!fds_entry_record(e, &s->out, true))
			break;
		r->count++;
	}
	return WHY_OK;
}

static enum reason do_remove(struct request *r)
{
	const char *name = fds_read_str(&r->read);
	if (name == NULL)
		return WHY_BAD;
	struct entry *e = fds_entry_find(r->store, name);
	if (e == NULL)
		return WHY_NONE;
	r->num = e->uid;
	if (!fds_entry_mine(e, &r->client->peer))
		return WHY_FOREIGN;
	if (taken_by_other(e, r->client))
		return WHY_BUSY;
	call_note(r->store->call, 1, "%s removed", name);
	fds_entry_drop(e);
	return WHY_OK;
}

enum reason fds_handover_entries(struct request *r)
{
	struct store *s = r->store;
	const char *name = fds_read_str(&r->read);
	if (name == NULL || s->taker != r->client)
		return WHY_BAD;
	for (size_t i = after(s, name); i < s->n && r->ngive < BATCH_FDS; i++) {
		if (!fds_entry_record(s->entries[i], &s->out, false))
			break;
		r->give[r->ngive++] = s->entries[i]->watch.fd;
		r->count++;
	}
	return WHY_OK;
}

static enum reason (*const ops[OP_N])(struct request *) = {
	[OP_STORE] = do_store,
	[OP_RETRIEVE] = do_retrieve,
	[OP_DONE] = do_done,
	[OP_LIST] = do_list,
	[OP_REMOVE] = do_remove,
	[OP_TAKEOVER] = fds_handover_begin,
	[OP_ENTRIES] = fds_handover_entries,
	[OP_CLIENTS] = fds_handover_clients,
	[OP_COMMIT] = fds_handover_commit,
};

/* Complete the answer in .out: what the operation put there, or the refusal WHY. */
static void finish(struct request *r, enum reason why)
{
	struct packet *p = &r->store->out;
	if (why != WHY_OK || p->full)
		p->len = sizeof r->head;
	if (why != WHY_OK)
		r->ngive = 0;
	struct head head = {.magic = PACKET_MAGIC,
		.version = PACKET_VERSION,
		.op = r->head.op,
		.reason = why,
		.size = (uint32_t)p->len,
		.flags = r->flags,
		.count = r->count,
		.num = r->num};
	memcpy(p->data, &head, sizeof head);
}

static int answer(const struct request *r)
{
	struct packet *p = &r->store->out;
	/* A client that does not read its answers has no room for this one: it is let go. */
	return cmsg_send(
		r->client->watch.fd, p->data, p->len, r->give, r->ngive, DEADLINE_NOW, NULL);
}

static void handle(struct request *r, size_t len)
{
	struct store *s = r->store;
	fds_packet_start(&s->out, &r->head);
	enum reason why = fds_packet_open(s->in.data, len, &r->head, &r->read);
	if (why == WHY_OK)
		why = r->head.op < OP_N ? ops[r->head.op](r) : WHY_BAD;
	finish(r, why);
	int sent = answer(r);
	if (sent < 0 && errno == ETOOMANYREFS) {
		r->num = (int64_t)s->nofile.rlim_cur;
		finish(r, WHY_FLIGHT);
		sent = answer(r);
		if (r->flags == GIVE_CLAIMED)
			sent = -1; /* gives them back */
	}
	cmsg_close(r->fds, r->nfds);
	bool last = (r->head.flags & ASK_LAST) != 0 && r->client->claims == 0;
	if (sent < 0 || last)
		fds_client_close(r->client);
	else if (r->head.op == OP_COMMIT && why == WHY_OK)
		fds_handover_done(r);
	else
		(void)fds_client_wait(r->client);
}

void fds_client_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct client *c = (struct client *)(void *)((char *)w - offsetof(struct client, watch));
	struct store *s = loop->arg;
	int fds[CMSG_MAX_FDS];
	struct request r = {.store = s, .client = c, .fds = fds};
	(void)events;
	ssize_t n = cmsg_recv(w->fd, s->in.data, sizeof s->in.data, fds, CMSG_MAX_FDS, &r.nfds,
		DEADLINE_NOW, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		(void)fds_client_wait(c);
		return;
	}
	if (n < 0 && (errno == EMFILE || errno == EMSGSIZE)) {
		enum reason why = errno == EMFILE ? WHY_NOFILE : WHY_BAD;
		r.num = (int64_t)s->nofile.rlim_cur;
		fds_packet_start(&s->out, &r.head);
		finish(&r, why);
		if (answer(&r) == 0) {
			(void)fds_client_wait(c);
			return;
		}
	}
	if (n <= 0) {
		fds_client_close(c);
		return;
	}
	handle(&r, (size_t)n);
}
