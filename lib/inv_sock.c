/* lib/inv_sock.c: unix sockets, as sock_diag(7) shows them. A socket file without a socket behind it is
 * found in $IPC_DIR only, or when it is named: the file systems are not searched. */
#define _GNU_SOURCE
#include "inv.h"

#include "addr.h"
#include "sock.h"
#include "sockdiag.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* The file that the socket's name leads to, if it is this socket's. Its device is asked of the file: some
 * file systems tell another one than their sockets have (overlayfs). */
static bool own_file(const struct sockdiag *d, const char *path, struct stat *st, bool *removed)
{
	*removed = false;
	if (path[0] != '/' || d->vfs_ino == 0)
		return false;
	if (fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW) < 0) {
		*removed = errno == ENOENT || errno == ENOTDIR;
		return false;
	}
	/* sock_diag(7) has 32 bits for it. */
	*removed = !S_ISSOCK(st->st_mode) || (uint32_t)st->st_ino != (uint32_t)d->vfs_ino;
	return !*removed;
}

static void take_file(struct inv *inv, struct inv_object *o, const struct stat *st)
{
	o->has_mode = o->has_owner = true;
	o->mode = st->st_mode & 07777;
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->dev = st->st_dev;
	o->file = st->st_ino;
	inv_birth(o, AT_FDCWD, o->path);
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
}

static bool waits_for_socket(const struct inv_object *o)
{
	return o != NULL && !o->bound &&
		(o->kind == INV_SOCK || o->kind == INV_DOOR || o->kind == INV_FDSTORE);
}

static struct inv_object *with_path(struct inv *inv, const struct sockdiag *d, const char *name)
{
	struct stat st;
	bool removed, found = own_file(d, name, &st, &removed);
	struct inv_object *o = found ? inv_find(inv, SPACE_FILE, st.st_dev, st.st_ino)
				     : inv_find(inv, SPACE_FILE, d->vfs_dev, d->vfs_ino);
	if (waits_for_socket(o))
		return o;
	o = inv_add(inv, INV_SOCK, INV_FILE, inv_text(inv, name, strlen(name)));
	if (o == NULL)
		return NULL;
	o->path = removed ? NULL : o->name;
	if (removed)
		inv_warn(inv, o,
			"its name does not lead to it: renamed, removed, or elsewhere mounted");
	o->file = d->vfs_ino;
	if (found)
		take_file(inv, o, &st);
	return o;
}

static struct inv_object *object_of(struct inv *inv, const struct sockdiag *d)
{
	char text[ADDR_TEXT];
	if (d->sa.len <= offsetof(struct sockaddr_un, sun_path))
		return inv_add(inv, INV_SOCK, INV_UNNAMED,
			inv_fmt(inv, "socket:[%llu]", (unsigned long long)d->inode));
	const char *s = addr_text(&d->sa.sa, d->sa.len, d->type, text);
	bool abstract = s[0] == '@' || strncmp(s, "abstract:", 9) == 0;
	/* Connections bear the name of the socket that accepted them; the file is that one's. */
	if (!abstract && (d->listening || !d->connected))
		return with_path(inv, d, s);
	return inv_add(
		inv, INV_SOCK, abstract ? INV_ABSTRACT : INV_FILE, inv_text(inv, s, strlen(s)));
}

static int one(void *arg, const struct sockdiag *d)
{
	struct inv *inv = arg;
	struct inv_object *o = object_of(inv, d);
	if (o == NULL)
		return 0;
	inv_key(inv, SPACE_SOCK, d->inode, 0, o);
	o->bound = d->sa.len > 0;
	o->ino = d->inode;
	o->peer = d->peer;
	o->type = d->type;
	o->state = d->listening ? "listening" : d->connected ? "connected" : "unconnected";
	if (!o->has_owner && d->has_uid) {
		o->has_owner = true;
		o->uid = d->uid;
		o->gid = (gid_t)-1;
	}
	if (d->has_queue) {
		o->used = d->queued;
		o->room = d->listening ? (int64_t)d->backlog : -1;
		o->unit = d->listening ? "backlog" : d->type == SOCK_STREAM ? "packets" : "records";
		if (d->listening && d->queued > 0 && d->queued >= d->backlog)
			inv_warn(inv, o, "backlog full");
	}
	return 0;
}

void inv_read_sockets(struct inv *inv)
{
	if (!inv_wants(inv, INV_SOCK) && !inv_wants(inv, INV_DOOR) && !inv_wants(inv, INV_FDSTORE))
		return;
	if (sockdiag_each_unix(one, inv) < 0)
		inv_unseen(inv, inv_fmt(inv, "unix sockets: sock_diag: %s", strerror(errno)));
}

/* A name that is relative was bound in the working directory of its server: as a rule it still is there. */
void inv_resolve_sockets(struct inv *inv)
{
	for (size_t i = 0; i < inv->n; i++) {
		struct inv_object *o = inv->objects[i];
		char link[32], path[PATH_MAX + sizeof(struct sockaddr_un)];
		struct stat st;
		if (o->kind != INV_SOCK || o->make != INV_FILE || o->path == NULL ||
			o->path[0] == '/' || o->seeded || o->nuses == 0)
			continue;
		const char *rel = strncmp(o->name, "unix:", 5) == 0 ? o->name + 5
			: strncmp(o->name, "./", 2) == 0            ? o->name + 2
								    : o->name;
		snprintf(link, sizeof link, "/proc/%d/cwd", (int)o->uses[0].proc->pid);
		ssize_t n = readlink(link, path, PATH_MAX);
		if (n <= 0 || n >= PATH_MAX)
			continue;
		snprintf(path + n, sizeof path - (size_t)n, "/%s", rel);
		if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISSOCK(st.st_mode) || (uint32_t)st.st_ino != (uint32_t)o->file)
			continue;
		o->name = o->path = inv_text(inv, path, strlen(path));
		take_file(inv, o, &st);
	}
}
