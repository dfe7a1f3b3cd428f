/* request.c: the protocol, and what a request must be. Nothing that a caller sends is believed: every length and
 * count is checked against the bytes that are there. */
#define _GNU_SOURCE
#include "door.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void door_head(struct door_head *h, enum door_type type, uint32_t arg, uint32_t length)
{
	*h = (struct door_head){
		.version = DOOR_VERSION, .type = (uint16_t)type, .arg = arg, .length = length};
	memcpy(h->magic, DOOR_MAGIC, sizeof h->magic);
}

const char *door_head_wrong(const struct door_head *h)
{
	return memcmp(h->magic, DOOR_MAGIC, sizeof h->magic) != 0 ? "is no door"
		: h->version != DOOR_VERSION ? "speaks another version of the protocol"
					     : NULL;
}

bool door_is_name(const char *name)
{
	size_t len =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
	return len > 0 && (name[len] == '\0' || name[len] == '=') &&
		(name[0] < '0' || name[0] > '9');
}

static bool is_in(const char *name, size_t len, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strlen(*list) == len && strncmp(name, *list, len) == 0)
			return true;
	return false;
}

bool door_reserved(const char *name)
{
	static const char *const ours[] = {"IPC_OBJECT", "IPC_PEER_UID", "IPC_PEER_GID",
		"IPC_PEER_PID", "IPC_PEER_ADDR", "IPC_PEER_PORT", "IPC_LOCAL_ADDR", "IPC_CONN_NUM",
		DOOR_CHAIN, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", NULL};
	return is_in(name, strcspn(name, "="), ours);
}

size_t request_length(const struct job *j)
{
	struct door_head h;
	memcpy(&h, buf_at(&j->buf), sizeof h);
	return h.length;
}

static const char *body(const struct job *j)
{
	return buf_at(&j->buf) + sizeof(struct door_head);
}

int32_t request_fd(const struct job *j, size_t i)
{
	int32_t n;
	memcpy(&n, body(j) + sizeof(struct door_call) + i * sizeof n, sizeof n);
	return n;
}

const char *request_strings(const struct job *j)
{
	return body(j) + sizeof(struct door_call) + j->request.nfds * sizeof(int32_t);
}

/* Callers of our own user and root can do with us what they want anyway; a variable from anybody else
 * ($LD_PRELOAD, $PATH, $IFS ...) is taken only when the server was told to. */
static bool may_pass(const struct job *j, const char *var)
{
	const struct door *d = j->door;
	size_t len = strcspn(var, "=");
	if (peer_ours(&j->peer))
		return true;
	for (const char *p = d->pass; p != NULL && *p != '\0';) {
		size_t n = strcspn(p, ",");
		if (n == len && strncmp(p, var, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static const char *check_fds(const struct job *j, int *status)
{
	for (size_t i = 0; i < j->nfds; i++) {
		int32_t n = request_fd(j, i);
		if (i < 3 ? n != (int32_t)i : n < 3)
			return "descriptors are numbered wrongly";
		/* The handler has the limit that we were started with; above what it uses itself. */
		if (j->door->nofile.rlim_cur != RLIM_INFINITY &&
			(uint64_t)n + DOOR_FDS >= j->door->nofile.rlim_cur && i >= 3) {
			*status = ST_LIMIT;
			return "a number of --descriptors is beyond the server's limit of open files";
		}
	}
	return NULL;
}

static const char *check_env(const struct job *j, const char *var, int *status)
{
	if (!door_is_name(var) || door_reserved(var))
		return "names a variable that cannot be passed";
	if (may_pass(j, var))
		return NULL;
	*status = ST_PERM;
	return "passes a variable that the server does not take from other users (its --pass)";
}

const char *request_chain(const struct job *j)
{
	const char *p = body(j) + request_length(j) - 1;
	while (p > request_strings(j) && p[-1] != '\0')
		p--;
	return p;
}

const char *request_check(struct job *j, int *status)
{
	size_t length = request_length(j), fixed = sizeof(struct door_call);
	*status = ST_DATA;
	if (length < fixed)
		return "is too short";
	memcpy(&j->request, body(j), fixed);
	const struct door_call *r = &j->request;
	if (r->nfds != j->nfds || r->nfds < 3)
		return "has not the descriptors that it announces";
	if (r->envc > DOOR_ENV || r->argc > length ||
		length < fixed + r->nfds * sizeof(int32_t) + r->argc + r->envc + 1)
		return "counts wrongly";
	/* execve(2) counts the pointers, too. */
	if (length + r->argc * sizeof(char *) > j->door->request_max) {
		*status = ST_LIMIT;
		return "has arguments longer than the server can give to a process (its ulimit -s)";
	}
	const char *why = check_fds(j, status), *p = request_strings(j), *end = body(j) + length;
	for (uint64_t i = 0; why == NULL && i < (uint64_t)r->argc + r->envc + 1; i++) {
		const char *nul = p < end ? memchr(p, '\0', (size_t)(end - p)) : NULL;
		if (nul == NULL)
			return "counts wrongly";
		if (i >= r->argc && i < (uint64_t)r->argc + r->envc)
			why = check_env(j, p, status);
		p = nul + 1;
	}
	if (why != NULL || p != end)
		return why != NULL ? why : "has more than it announces";
	const char *chain = request_chain(j);
	if (chain[strspn(chain, "0123456789abcdef.,")] != '\0')
		return "names calls that are none";
	*status = ST_LIMIT;
	return strlen(chain) < DOOR_CHAIN_MAX ? NULL
					      : "is nested too deep: a call that calls itself?";
}

bool request_nested(const struct job *j)
{
	const struct door *d = j->door;
	const char *p = request_chain(j);
	size_t len = strlen(d->secret);
	for (; *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
		uint64_t id = 0;
		if (strncmp(p, d->secret, len) != 0 || p[len] != '.')
			continue;
		for (const char *n = p + len + 1; *n >= '0' && *n <= '9'; n++)
			id = id * 10 + (uint64_t)(*n - '0');
		for (const struct job *r = d->jobs[JOB_RUNNING].first; r != NULL; r = r->next)
			if (r->id == id)
				return true;
	}
	return false;
}
