/* lib/inv_kind.c: the kinds' names, and what holding means for each. */
#include "inv.h"

#include "num.h"

#include <stdio.h>
#include <string.h>

const char *const inv_kind_names[INV_KINDS + 1] = {
	[INV_MQ] = "mq",
	[INV_SHM] = "shm",
	[INV_SEM] = "sem",
	[INV_SOCK] = "sock",
	[INV_FIFO] = "fifo",
	[INV_PIPE] = "pipe",
	[INV_LOCK] = "lock",
	[INV_MEMFD] = "memfd",
	[INV_EVENTFD] = "eventfd",
	[INV_RING] = "ring",
	[INV_EVENT] = "event",
	[INV_BARRIER] = "barrier",
	[INV_SPOOL] = "spool",
	[INV_DOOR] = "door",
	[INV_FDSTORE] = "fdstore",
};

bool inv_holds(const struct inv_object *o, const struct inv_use *u)
{
	if (u->how == INV_FD || u->how == INV_MAP)
		return o->kind != INV_LOCK && !u->idle;
	return u->how == INV_LOCKED;
}

bool inv_live(const struct inv_object *o)
{
	return o->nwaiters > 0 || o->nlocks > 0 || o->attached > 0 || o->blocked > 0 ||
		o->locks > 0 || o->bound || (o->kind != INV_LOCK && o->nholds > o->nidle);
}

bool inv_used(const struct inv_object *o)
{
	return inv_live(o) || (o->hold == INV_HELD && o->nidle == 0);
}

const char *inv_user(struct inv *inv, uid_t uid)
{
	struct inv_priv *p = inv_priv(inv);
	char name[64];
	for (unsigned i = 0; i < p->nusers; i++)
		if (p->users[i].uid == uid)
			return p->users[i].name;
	num_user_name(uid, name, sizeof name);
	unsigned i = p->nusers < 16 ? p->nusers++ : uid % 16;
	p->users[i].uid = uid;
	p->users[i].name = inv_text(inv, name, strlen(name));
	return p->users[i].name;
}

struct inv_object *inv_peer(struct inv *inv, const struct inv_object *o)
{
	return o->peer != 0 ? inv_find(inv, SPACE_SOCK, o->peer, 0) : NULL;
}

bool inv_is(const struct inv_object *o, unsigned kinds)
{
	return (kinds >> o->kind & 1) != 0 ||
		((kinds >> INV_LOCK & 1) != 0 && (o->nlocks > 0 || o->locks > 0));
}

const char *inv_parse_kinds(const char *list, unsigned *kinds, char bad[32])
{
	*kinds = 0;
	for (;;) {
		size_t len = strcspn(list, ",");
		unsigned k = 0;
		while (k < INV_KINDS &&
			(strlen(inv_kind_names[k]) != len ||
				strncmp(inv_kind_names[k], list, len) != 0))
			k++;
		if (len == 3 && strncmp(list, "all", 3) == 0) {
			*kinds |= INV_ALL;
		} else if (k < INV_KINDS) {
			*kinds |= 1u << k;
		} else {
			snprintf(bad, 32, "%.*s", len < 31 ? (int)len : 31, list);
			return "no such kind (mq shm sem sock fifo pipe lock memfd eventfd ring "
			       "event barrier spool door fdstore all)";
		}
		if (list[len] == '\0')
			return NULL;
		list += len + 1;
	}
}
