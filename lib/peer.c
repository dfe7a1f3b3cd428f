/* lib/peer.c: see peer.h. */
#define _GNU_SOURCE
#include "peer.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

int peer_of(int sock, struct peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	int domain;
	socklen_t dlen = sizeof domain;
	*peer = (struct peer){.known = false};
	if (getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &dlen) < 0)
		return -1;
	if (domain != AF_UNIX || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		errno = ENOTCONN;
		return -1;
	}
	/* An unconnected socket has uid -1: nobody is there. */
	if (cred.uid == (uid_t)-1) {
		errno = ENOTCONN;
		return -1;
	}
	*peer = (struct peer){.known = true, .uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
	return 0;
}

/* Does our user namespace know every id of the kernel? MAP is the file in /proc that says so. */
static bool knows_all(const char *map)
{
	char *text;
	size_t len;
	unsigned long long inside, outside, count;
	if (fd_slurp(AT_FDCWD, map, 1 << 16, &text, &len) < 0)
		return false;
	bool all = sscanf(text, "%llu %llu %llu", &inside, &outside, &count) == 3 && inside == 0 &&
		count == UINT32_MAX;
	fd_slurp_free(text);
	return all;
}

/* Does ID, which the kernel told, stand for one user or group only? */
static bool certain(uint32_t id, bool user)
{
	const char *overflow =
		user ? "/proc/sys/kernel/overflowuid" : "/proc/sys/kernel/overflowgid";
	char *text;
	size_t len;
	unsigned long stands_for_many = 65534;
	if (fd_slurp(AT_FDCWD, overflow, 64, &text, &len) == 0) {
		stands_for_many = strtoul(text, NULL, 10);
		fd_slurp_free(text);
	}
	return id != stands_for_many ||
		knows_all(user ? "/proc/self/uid_map" : "/proc/self/gid_map");
}

bool peer_is(const struct peer *peer, uid_t uid)
{
	return peer->known && peer->uid == uid && (uid == 0 || certain(uid, true));
}

bool peer_ours(const struct peer *peer)
{
	return peer_is(peer, 0) || peer_is(peer, geteuid());
}

enum rule { RULE_BAD, RULE_UID, RULE_GID, RULE_ANY };

/* The rule at *S; *ID is its number; *S moves behind the comma. */
static enum rule next_rule(const char **s, int64_t *id, const char **why)
{
	char word[256];
	size_t len = strcspn(*s, ",");
	*why = "not uid:N, gid:N or any";
	if (len >= sizeof word)
		return RULE_BAD;
	memcpy(word, *s, len);
	word[len] = '\0';
	*s += len + ((*s)[len] == ',');
	if (strcmp(word, "any") == 0)
		return RULE_ANY;
	if (strncmp(word, "uid:", 4) == 0)
		return (*why = num_user(word + 4, id)) == NULL ? RULE_UID : RULE_BAD;
	if (strncmp(word, "gid:", 4) == 0)
		return (*why = num_group(word + 4, id)) == NULL ? RULE_GID : RULE_BAD;
	return RULE_BAD;
}

const char *allow_parse(struct allow *allow, const char *text)
{
	const char *why = NULL;
	int64_t id;
	allow->text = text;
	for (const char *s = text; text != NULL && *s != '\0';)
		if (next_rule(&s, &id, &why) == RULE_BAD)
			return why;
	return NULL;
}

static bool in_group(const struct peer *peer, int sock, gid_t gid)
{
	if (gid != 0 && !certain(gid, false))
		return false;
	if (peer->gid == gid)
		return true;
	gid_t few[64], *groups = few;
	socklen_t len = sizeof few;
	int r = getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	if (r < 0 && errno == ERANGE && (groups = malloc(len)) != NULL)
		r = getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	bool found = false;
	for (size_t i = 0; r == 0 && i < len / sizeof *groups; i++)
		found = found || groups[i] == gid;
	if (groups != few)
		free(groups);
	return found;
}

bool allow_peer(const struct allow *allow, const struct peer *peer, int sock)
{
	const char *why;
	int64_t id = 0;
	if (!peer->known)
		return allow->text == NULL;
	if (peer_ours(peer))
		return true;
	for (const char *s = allow->text; s != NULL && *s != '\0';) {
		enum rule rule = next_rule(&s, &id, &why);
		if (rule == RULE_ANY || (rule == RULE_UID && peer_is(peer, (uid_t)id)) ||
			(rule == RULE_GID && in_group(peer, sock, (gid_t)id)))
			return true;
	}
	return false;
}
