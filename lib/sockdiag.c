/* lib/sockdiag.c: see sockdiag.h. */
#define _GNU_SOURCE
#include "sockdiag.h"

#include "fd.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define STATE_ESTABLISHED 1 /* TCP_ESTABLISHED, for unix sockets, too */
#define STATE_LISTEN 10
#define ANSWER 32768

#ifndef UDIAG_SHOW_UID
#define UDIAG_SHOW_UID 0x40
#endif
#define ATTR_HEAD sizeof(struct nlattr)
#define ATTR_UID 7 /* UNIX_DIAG_UID, newer than some headers */

struct reading {
	int family, type;
	bool unnamed; /* those too */
	int (*fn)(void *, const struct sockdiag *);
	void *arg;
};

static int ask(int fd, int family, int type)
{
	struct {
		struct nlmsghdr head;
		union {
			struct unix_diag_req un;
			struct inet_diag_req_v2 in;
		};
	} req = {.head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	if (family == AF_UNIX) {
		req.un = (struct unix_diag_req){.sdiag_family = AF_UNIX,
			.udiag_states = UINT32_MAX,
			.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN |
				UDIAG_SHOW_UID | UDIAG_SHOW_PEER};
		req.head.nlmsg_len = NLMSG_LENGTH(sizeof req.un);
	} else {
		req.in = (struct inet_diag_req_v2){.sdiag_family = (uint8_t)family,
			.sdiag_protocol = type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP,
			.idiag_states = type == SOCK_DGRAM ? UINT32_MAX : 1u << STATE_LISTEN};
		req.head.nlmsg_len = NLMSG_LENGTH(sizeof req.in);
	}
	ssize_t n;
	do
		n = send(fd, &req, req.head.nlmsg_len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static void unix_attr(struct sockdiag *d, int type, const void *data, size_t len)
{
	struct unix_diag_vfs vfs;
	struct unix_diag_rqlen rq;
	uint32_t uid, peer;
	struct sockaddr_un *sun = (struct sockaddr_un *)&d->sa.ss;
	if (type == UNIX_DIAG_NAME && len <= sizeof sun->sun_path) {
		sun->sun_family = AF_UNIX;
		memcpy(sun->sun_path, data, len);
		d->sa.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	} else if (type == UNIX_DIAG_VFS && len >= sizeof vfs) {
		memcpy(&vfs, data, sizeof vfs);
		d->vfs_ino = vfs.udiag_vfs_ino;
		/* The kernel's own form: 12 bits major, 20 minor. */
		d->vfs_dev = makedev(vfs.udiag_vfs_dev >> 20, vfs.udiag_vfs_dev & 0xfffff);
	} else if (type == UNIX_DIAG_RQLEN && len >= sizeof rq) {
		memcpy(&rq, data, sizeof rq);
		d->has_queue = true;
		d->queued = rq.udiag_rqueue;
		d->backlog = rq.udiag_wqueue;
	} else if (type == UNIX_DIAG_PEER) {
		d->connected = true;
		if (len >= sizeof peer) {
			memcpy(&peer, data, sizeof peer);
			d->peer = peer;
		}
	} else if (type == ATTR_UID && len >= sizeof uid) {
		memcpy(&uid, data, sizeof uid);
		d->has_uid = true;
		d->uid = uid;
	}
}

static bool read_unix(struct sockdiag *d, const char *p, size_t len)
{
	struct unix_diag_msg msg;
	if (len < sizeof msg)
		return false;
	memcpy(&msg, p, sizeof msg);
	*d = (struct sockdiag){.family = AF_UNIX,
		.type = msg.udiag_type,
		.inode = msg.udiag_ino,
		.listening = msg.udiag_state == STATE_LISTEN,
		.connected = msg.udiag_state == STATE_ESTABLISHED};
	size_t at = NLMSG_ALIGN(sizeof msg);
	while (at + sizeof(struct nlattr) <= len) {
		struct nlattr attr;
		memcpy(&attr, p + at, sizeof attr);
		if (attr.nla_len < sizeof attr || at + attr.nla_len > len)
			break;
		unix_attr(d, attr.nla_type & NLA_TYPE_MASK, p + at + ATTR_HEAD,
			attr.nla_len - ATTR_HEAD);
		at += NLMSG_ALIGN(attr.nla_len);
	}
	return true;
}

static bool read_inet(struct sockdiag *d, const char *p, size_t len, int type)
{
	struct inet_diag_msg msg;
	if (len < sizeof msg)
		return false;
	memcpy(&msg, p, sizeof msg);
	*d = (struct sockdiag){.family = msg.idiag_family,
		.type = type,
		.inode = msg.idiag_inode,
		.listening = msg.idiag_state == STATE_LISTEN,
		.connected = msg.idiag_state == STATE_ESTABLISHED,
		.has_queue = true,
		.queued = msg.idiag_rqueue,
		.backlog = msg.idiag_wqueue,
		.has_uid = true,
		.uid = msg.idiag_uid};
	if (msg.idiag_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&d->sa.ss;
		in->sin_family = AF_INET;
		in->sin_port = msg.id.idiag_sport;
		memcpy(&in->sin_addr, msg.id.idiag_src, sizeof in->sin_addr);
		d->sa.len = sizeof *in;
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&d->sa.ss;
		in->sin6_family = AF_INET6;
		in->sin6_port = msg.id.idiag_sport;
		memcpy(&in->sin6_addr, msg.id.idiag_src, sizeof in->sin6_addr);
		d->sa.len = sizeof *in;
	}
	return true;
}

/* One datagram of answers. 1: the last; 0: more come; else FN's value, or -1 with errno. *STOP: FN's. */
static int read_some(const struct reading *r, char *buf, size_t len, bool *stop)
{
	for (size_t at = 0; at + sizeof(struct nlmsghdr) <= len;) {
		struct nlmsghdr head;
		struct sockdiag d;
		memcpy(&head, buf + at, sizeof head);
		if (head.nlmsg_len < sizeof head || at + head.nlmsg_len > len)
			return 1;
		const char *body = buf + at + NLMSG_HDRLEN;
		size_t n = head.nlmsg_len - NLMSG_HDRLEN;
		if (head.nlmsg_type == NLMSG_DONE)
			return 1;
		if (head.nlmsg_type == NLMSG_ERROR) {
			struct nlmsgerr err = {0};
			memcpy(&err, body, n < sizeof err ? n : sizeof err);
			errno = err.error == -ENOENT ? EAFNOSUPPORT : -err.error;
			return err.error != 0 ? -1 : 1;
		}
		bool ok = r->family == AF_UNIX
			? read_unix(&d, body, n) && (r->unnamed || d.sa.len > 0)
			: read_inet(&d, body, n, r->type);
		int v = ok ? r->fn(r->arg, &d) : 0;
		if (v != 0) {
			*stop = true;
			return v;
		}
		at += NLMSG_ALIGN(head.nlmsg_len);
	}
	return 0;
}

static int read_all(struct reading r)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -1;
	char *buf = malloc(ANSWER);
	int v = buf == NULL ? -1 : ask(fd, r.family, r.type);
	bool stop = false;
	while (v == 0) {
		ssize_t n = recv(fd, buf, ANSWER, 0);
		if (n < 0 && errno == EINTR)
			continue;
		v = n < 0 ? -1 : read_some(&r, buf, (size_t)n, &stop);
	}
	free(buf);
	fd_close(fd);
	return stop ? v : v < 0 ? -1 : 0;
}

int sockdiag_each(int family, int type, int (*fn)(void *, const struct sockdiag *), void *arg)
{
	return read_all((struct reading){family, type, false, fn, arg});
}

int sockdiag_each_unix(int (*fn)(void *, const struct sockdiag *), void *arg)
{
	return read_all((struct reading){AF_UNIX, 0, true, fn, arg});
}

struct search {
	const struct addr *a;
	const struct stat *st;
	struct sockdiag *found;
	bool any;
};

static bool matches(const struct search *s, const struct sockdiag *d)
{
	if (s->st != NULL) {
		/* sock_diag(7) has 32 bits for the inode: of a longer one, the name must say the rest. */
		bool whole = s->st->st_ino <= UINT32_MAX;
		if ((uint32_t)d->vfs_ino != (uint32_t)s->st->st_ino)
			return false;
		/* Some file systems tell another device than their sockets have (overlayfs). */
		const struct sockaddr_un *sun = (const struct sockaddr_un *)&d->sa.ss;
		size_t len = strlen(s->a->path);
		return (whole && d->vfs_dev == s->st->st_dev) ||
			(d->sa.len >= offsetof(struct sockaddr_un, sun_path) + len &&
				memcmp(sun->sun_path, s->a->path, len) == 0);
	}
	for (unsigned i = 0; i < s->a->n; i++)
		if (addr_equal(&d->sa.sa, d->sa.len, &s->a->list[i].sa, s->a->list[i].len))
			return true;
	return false;
}

static int consider(void *arg, const struct sockdiag *d)
{
	struct search *s = arg;
	/* The connections of a server bear its name, too. */
	if (!matches(s, d) || (d->family == AF_UNIX && d->connected && d->type != SOCK_DGRAM))
		return 0;
	*s->found = *d;
	s->any = true;
	return d->listening;
}

int sockdiag_find(const struct addr *a, const struct stat *st, struct sockdiag *d)
{
	struct search s = {.a = a, .st = st, .found = d};
	int families[3] = {AF_UNIX, 0, 0}, r = 0;
	if (a->family == AF_INET) {
		families[0] = AF_INET;
		families[1] = AF_INET6;
	} else if (a->family != AF_UNIX) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	for (int i = 0; r == 0 && families[i] != 0; i++)
		r = sockdiag_each(families[i], a->type, consider, &s);
	return s.any ? 1 : r;
}

static int first_pid(void *arg, const struct proc_fd *fd)
{
	*(pid_t *)arg = fd->pid;
	return 1;
}

pid_t sockdiag_owner(ino_t inode)
{
	struct stat st;
	pid_t pid = 0;
	/* All sockets live on one device of the kernel's: that of any socket. */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0) {
		st.st_ino = inode;
		(void)proc_each_fd(&st, false, first_pid, &pid, NULL);
	}
	fd_close(fd);
	return pid;
}
