/* applets/ipc-ls/json.c: an object with all that is known of it; what is not known is null. */
#include "ls.h"

#include "num.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *const makes[] = {[INV_POSIX] = "posix",
	[INV_SYSV] = "sysv",
	[INV_WORD] = "word",
	[INV_FILE] = "file",
	[INV_ABSTRACT] = "abstract",
	[INV_UNNAMED] = "unnamed"};

static void number(struct json *j, const char *key, bool known, int64_t n)
{
	if (known)
		json_int(j, key, n);
	else
		json_null(j, key);
}

static void process(struct json *j, const struct inv_use *u)
{
	json_open(j, NULL, '{');
	json_int(j, "pid", u->proc->pid);
	json_str(j, "command", u->proc->command);
}

static void holders(struct json *j, const struct inv_object *o)
{
	json_open(j, "holders", '[');
	for (unsigned i = 0; i < o->nuses;) {
		const struct inv_proc *proc = o->uses[i].proc;
		bool fd = false, map = false, lock = false, reads = false, writes = false;
		unsigned first = i;
		for (; i < o->nuses && o->uses[i].proc == proc; i++) {
			const struct inv_use *u = &o->uses[i];
			fd = fd || (u->how == INV_FD && !u->idle);
			map = map || (u->how == INV_MAP && !u->idle);
			lock = lock || u->how == INV_LOCKED;
			reads = reads || u->reads;
			writes = writes || u->writes;
		}
		if (!lock && (o->kind == INV_LOCK || (!fd && !map)))
			continue;
		process(j, &o->uses[first]);
		json_bool(j, "open", fd);
		json_bool(j, "mapped", map);
		json_bool(j, "locked", lock);
		if (o->kind == INV_FIFO || o->kind == INV_PIPE) {
			json_bool(j, "reads", reads);
			json_bool(j, "writes", writes);
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void waiters(struct json *j, const struct inv_object *o)
{
	json_open(j, "waiters", '[');
	for (unsigned i = 0; i < o->nuses; i++) {
		if (o->uses[i].how != INV_WAIT)
			continue;
		process(j, &o->uses[i]);
		json_str(j, "in", o->uses[i].what);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void locks(struct json *j, const struct inv_object *o)
{
	json_open(j, "locks", '[');
	for (unsigned i = 0; i < o->nuses; i++) {
		const struct inv_use *u = &o->uses[i];
		if (u->how != INV_LOCKED)
			continue;
		process(j, u);
		number(j, "fd", u->fd >= 0, u->fd);
		json_str(j, "family",
			u->lock == 'F'           ? "flock"
				: u->lock == 'O' ? "ofd"
				: u->lock == 'P' ? "posix"
						 : "dotlock");
		json_str(j, "mode", u->exclusive ? "write" : "read");
		json_uint(j, "start", u->start);
		if (u->end == UINT64_MAX)
			json_null(j, "end");
		else
			json_uint(j, "end", u->end);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void sockets(struct json *j, struct inv *inv, const struct inv_object *o)
{
	const struct inv_object *peer = inv_peer(inv, o);
	json_str(j, "type",
		o->type == SOCK_STREAM          ? "stream"
			: o->type == SOCK_DGRAM ? "dgram"
			: o->type == 0          ? NULL
						: "seqpacket");
	number(j, "peer_inode", o->peer != 0, (int64_t)o->peer);
	json_open(j, "peers", '[');
	for (unsigned i = 0; peer != NULL && i < peer->nuses; i++)
		if (i == 0 || peer->uses[i].proc != peer->uses[i - 1].proc) {
			process(j, &peer->uses[i]);
			json_close(j, '}');
		}
	json_close(j, ']');
}

static void owner(struct json *j, struct inv *inv, const struct inv_object *o)
{
	char mode[16];
	json_str(j, "owner", o->has_owner ? inv_user(inv, o->uid) : NULL);
	number(j, "uid", o->has_owner, o->uid);
	number(j, "gid", o->has_owner && o->gid != (gid_t)-1, o->gid);
	snprintf(mode, sizeof mode, "%04o", o->mode);
	json_str(j, "mode", o->has_mode ? mode : NULL);
}

static void sysv(struct json *j, const struct inv_object *o)
{
	char key[16];
	snprintf(key, sizeof key, "0x%08x", (unsigned)o->key);
	json_int(j, "id", o->id);
	json_str(j, "key", key);
	number(j, "creator", o->creator != 0, o->creator);
	number(j, "last_user", o->user[0] != 0, o->user[0]);
	if (o->kind == INV_SHM)
		json_uint(j, "attached", o->attached);
}

/* Which name space it lives in: IPC objects of the kernel, sockets without a path, files. */
static uint64_t name_space(const struct inv *inv, const struct inv_object *o)
{
	if (o->make == INV_SYSV || o->kind == INV_MQ)
		return inv->ns_ipc;
	return o->kind == INV_SOCK && o->path == NULL ? inv->ns_net : inv->ns_mnt;
}

void ls_json_object(struct ls *ls, struct json *j, struct inv *inv, const struct inv_object *o,
	const char *event)
{
	char time[32];
	(void)ls;
	json_open(j, NULL, '{');
	if (event != NULL) {
		json_str(j, "time", num_time_text(inv->now, time));
		json_str(j, "event", event);
	}
	json_str(j, "kind", inv_kind_names[o->kind]);
	json_str(j, "name", o->name);
	json_str(j, "family", makes[o->make]);
	json_str(j, "path", o->path);
	if (o->make == INV_SYSV)
		sysv(j, o);
	owner(j, inv, o);
	number(j, "size", o->size >= 0, o->size);
	number(j, "used", o->used >= 0, o->used);
	number(j, "room", o->room >= 0, o->room);
	json_str(j, "unit", o->used >= 0 ? o->unit : NULL);
	number(j, "created", o->created != 0, o->created);
	number(j, "last_used", o->last != 0, o->last);
	json_str(j, "state", o->state);
	number(j, "inode", o->ino != 0, (int64_t)o->ino);
	number(j, "device", o->dev != 0, (int64_t)o->dev);
	json_uint(j, "namespace", name_space(inv, o));
	if (o->kind == INV_SOCK || o->kind == INV_DOOR || o->kind == INV_FDSTORE)
		sockets(j, inv, o);
	holders(j, o);
	waiters(j, o);
	if (o->nlocks > 0 || o->kind == INV_LOCK)
		locks(j, o);
	json_str(j, "verdict", inv_hold_names[o->hold]);
	json_str(j, "verdict_reason", o->why);
	json_bool(j, "holders_hidden", o->hidden);
	json_bool(j, "users_hidden", o->hidden);
	json_uint(j, "waiters_counted", o->blocked > o->nwaiters ? o->blocked : o->nwaiters);
	json_bool(j, "removed", o->removed);
	json_str(j, "stale", o->stale);
	json_str(j, "warning", o->warn);
	json_close(j, '}');
}
