/* notify.c: descriptors from programs that know nothing of this store but the protocol of sd_notify(3):
 * FDSTORE=1, FDNAME=NAME, FDPOLL=0, FDSTOREREMOVE=1.
 *
 * What differs from systemd: names are unique here, so further descriptors of one name become NAME.2, NAME.3
 * and so on. One that is kept already under such a name is not kept twice, as there.
 */
#define _GNU_SOURCE
#include "fdstore.h"

#include "fd.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES_MOST 4096 /* NAME.4096 */

struct notice {
	bool store, remove, poll;
	const char *name;
};

static void parse(char *text, struct notice *n)
{
	*n = (struct notice){.poll = true, .name = "stored"};
	for (char *line = text, *next; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (strcmp(line, "FDSTORE=1") == 0)
			n->store = true;
		else if (strcmp(line, "FDSTOREREMOVE=1") == 0)
			n->remove = true;
		else if (strcmp(line, "FDPOLL=0") == 0)
			n->poll = false;
		else if (strncmp(line, "FDNAME=", 7) == 0 && fds_name_ok(line + 7))
			n->name = line + 7;
	}
}

/* Is E called NAME or NAME.N? */
static bool of_name(const struct entry *e, const char *name)
{
	size_t len = strlen(name);
	if (strncmp(e->name, name, len) != 0)
		return false;
	const char *rest = e->name + len;
	return *rest == '\0' ||
		(*rest == '.' && rest[1] != '\0' &&
			rest[1 + strspn(rest + 1, "0123456789")] == '\0');
}

static bool same_file(int a, int b)
{
	long pid = getpid();
	return syscall(SYS_kcmp, pid, pid, (long)KCMP_FILE, (long)a, (long)b) == 0;
}

/* A free name in BUF; false when there is none, or FD is kept already. */
static bool choose(const struct store *s, int fd, const char *name, char buf[NAME_LONGEST + 1])
{
	for (size_t i = 0; i < s->n; i++)
		if (of_name(s->entries[i], name) && same_file(s->entries[i]->watch.fd, fd))
			return false;
	for (int k = 1; k < TRIES_MOST; k++) {
		int len = k == 1 ? snprintf(buf, NAME_LONGEST + 1, "%s", name)
				 : snprintf(buf, NAME_LONGEST + 1, "%s.%d", name, k);
		if (len > NAME_LONGEST)
			return false;
		if (fds_entry_find(s, buf) == NULL)
			return true;
	}
	return false;
}

static void keep_one(struct store *s, int *fd, const struct notice *n, const struct peer *peer)
{
	char name[NAME_LONGEST + 1], command[COMMAND_LONGEST + 1];
	struct keep keep = {.name = name,
		.allow = "",
		.expires = -1,
		.flags = KEEP_NOTIFY | (n->poll ? KEEP_HANGUP : 0)};
	int64_t limit;
	if (!choose(s, *fd, n->name, name))
		return;
	fds_keep_who(&keep, peer, command);
	if (fds_entry_room(s, peer->uid, &limit) != WHY_OK)
		call_warn(s->call, 0, "%s of uid %ld is not kept: the limit is %lld", name,
			(long)peer->uid, (long long)limit);
	else if (fds_entry_add(s, *fd, &keep) == NULL)
		call_warn(s->call, errno, "keep %s", name);
	else
		*fd = -1;
}

static void remove_all(struct store *s, const char *name, const struct peer *peer)
{
	for (size_t i = s->n; i-- > 0;) {
		struct entry *e = s->entries[i];
		if ((e->flags & KEEP_NOTIFY) != 0 && of_name(e, name) && fds_entry_mine(e, peer))
			fds_entry_drop(e);
	}
}

void fds_notify_ready(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	struct store *s = loop->arg;
	struct notice n;
	struct peer peer;
	int fds[CMSG_MAX_FDS];
	size_t nfds;
	(void)events;
	ssize_t len = cmsg_recv_from(w->fd, s->in.data, sizeof s->in.data - 1, fds, CMSG_MAX_FDS,
		&nfds, &peer, DEADLINE_NOW, NULL);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			call_warn(s->call, errno, "receive on %s", s->notify_addr.text);
		return;
	}
	s->in.data[len] = '\0';
	if (peer.known && allow_peer(&s->allow, &peer, -1)) {
		parse(s->in.data, &n);
		for (size_t i = 0; n.store && i < nfds; i++)
			keep_one(s, &fds[i], &n, &peer);
		if (n.remove)
			remove_all(s, n.name, &peer);
	}
	/* Also those of BARRIER=1, whose sender waits for just that. */
	cmsg_close(fds, nfds);
}
