/* lib/fdpass.c: see fdpass.h. */
#define _GNU_SOURCE
#include "fdpass.h"

#include "cmsg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A message of ours is never split by the kernel, even where SO_SNDBUF is at its least (4608: a buffer
 * holds half of that less a header). A foreign one may be as long as it likes. */
#define SEND_TEXT 2048
#define RECV_TEXT 65536

#define ENQ '\005'
#define ACK '\006'

static const char *check(const char *name, size_t len)
{
	if (len > FDPASS_NAME_MAX)
		return "longer than 255 bytes";
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == ':')
			return "not printable ASCII without a colon";
	return NULL;
}

const char *fdpass_name(const char *name)
{
	return check(name, strlen(name));
}

/* Sleep for *PAUSE, and twice as long the next time. */
static int pause_for(int64_t *pause, int64_t deadline, const struct stop *stop)
{
	struct pollfd none = {.fd = -1};
	int64_t until = wait_until(*pause);
	*pause *= 2;
	if (wait_poll(&none, 1, until < deadline ? until : deadline, stop) < 0 && errno == EINTR)
		return -1;
	errno = wait_expired(deadline);
	return deadline != DEADLINE_NONE && wait_now() >= deadline ? -1 : 0;
}

/* One message; when the kernel refuses since too many are under way, again once ours have arrived. It takes
 * them off its count an instant after it says that they have, and says nothing about others': a second
 * of looking again must do. */
static int send_batch(int sock, const char *text, size_t len, const int *fds, size_t n,
	int64_t deadline, const struct stop *stop)
{
	int64_t pause = NS_PER_MS;
	while (cmsg_send(sock, text, len, fds, n, deadline, stop) < 0) {
		if (errno != ETOOMANYREFS)
			return -1;
		int r = cmsg_drain(sock, deadline, stop);
		if (r < 0)
			return -1;
		if (r > 0)
			pause = NS_PER_MS;
		else if (pause > NS_PER_S || deadline == DEADLINE_NOW) {
			errno = ETOOMANYREFS;
			return -1;
		} else if (pause_for(&pause, deadline, stop) < 0) {
			return -1;
		}
	}
	return 0;
}

int fdpass_send(int sock, const int *fds, const char *const *names, size_t n, bool ask,
	int64_t deadline, const struct stop *stop)
{
	char text[SEND_TEXT + FDPASS_NAME_MAX + 2];
	for (size_t at = 0, batch; at < n; at += batch) {
		size_t len = 0;
		for (batch = 0;
			at + batch < n && batch < CMSG_MAX_FDS && len < SEND_TEXT - FDPASS_NAME_MAX;
			batch++) {
			const char *name = names[at + batch] != NULL ? names[at + batch] : "";
			size_t add = strlen(name);
			memcpy(text + len, name, add);
			len += add;
			text[len++] = ':';
		}
		if (at + batch == n) {
			text[len - 1] = '\n';
			if (ask)
				text[len++] = ENQ;
		}
		if (send_batch(sock, text, len, fds + at, batch, deadline, stop) < 0)
			return -1;
	}
	return 0;
}

int fdpass_confirmed(int sock, int64_t deadline, const struct stop *stop)
{
	char answer;
	size_t none;
	ssize_t n = cmsg_recv(sock, &answer, 1, NULL, 0, &none, deadline, stop);
	if (n == 1 && answer == ACK)
		return 0;
	if (n >= 0)
		errno = n == 0 ? EPIPE : EPROTO;
	return -1;
}

void fdpass_confirm(const struct fdpass *p, int sock)
{
	char answer = ACK;
	if (p->asked)
		(void)send(sock, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void fdpass_drop(struct fdpass *p)
{
	cmsg_close(p->fds, p->n);
	free(p->fds);
	free(p->names);
	*p = (struct fdpass){0};
}

static int keep_fds(struct fdpass *p, const int *fds, size_t n)
{
	if (p->n + n > p->cap) {
		size_t cap = (p->n + n) * 2;
		int *more = realloc(p->fds, cap * sizeof *more);
		if (more == NULL) {
			cmsg_close(fds, n);
			return -1;
		}
		p->fds = more;
		p->cap = cap;
	}
	memcpy(p->fds + p->n, fds, n * sizeof *fds);
	p->n += n;
	return 0;
}

static int keep_name(struct fdpass *p, const char *name, size_t len)
{
	if (len == 0) {
		name = FDPASS_UNNAMED;
		len = strlen(name);
	}
	if (p->len + len + 2 > p->room) {
		size_t room = (p->len + len + 2) * 2;
		char *more = realloc(p->names, room);
		if (more == NULL)
			return -1;
		p->names = more;
		p->room = room;
	}
	if (p->len > 0)
		p->names[p->len++] = ':';
	memcpy(p->names + p->len, name, len);
	p->len += len;
	p->names[p->len] = '\0';
	return 0;
}

/* The piece of TEXT (LEN bytes) that begins at AT. */
static size_t piece(const char *text, size_t len, size_t at)
{
	const char *end = at < len ? memchr(text + at, ':', len - at) : NULL;
	return (end != NULL ? (size_t)(end - text) : len) - at;
}

/* Has TEXT as many pieces as descriptors came, each of which could be a name? */
static bool are_names(const char *text, size_t len, size_t n)
{
	size_t pieces = 1;
	for (size_t at = 0;; pieces++) {
		size_t one = piece(text, len, at);
		if (check(text + at, one) != NULL)
			return false;
		at += one;
		if (at == len)
			return pieces == n;
		at++;
	}
}

static int keep_names(struct fdpass *p, const char *text, size_t len, size_t n)
{
	bool named = are_names(text, len, n);
	for (size_t at = 0; n > 0; n--) {
		size_t one = named ? piece(text, len, at) : 0;
		if (keep_name(p, text + at, one) < 0)
			return -1;
		at += named ? one + 1 : 0;
	}
	return 0;
}

enum mark { MARK_NONE, MARK_MORE, MARK_LAST, MARK_ASKED };

/* What the end of TEXT says; *LEN becomes the length of the names. */
static enum mark take_mark(const char *text, size_t *len, size_t n)
{
	size_t colons = 0, end = *len;
	for (size_t i = 0; i < end; i++)
		colons += text[i] == ':';
	if (end >= 2 && text[end - 1] == ENQ && text[end - 2] == '\n') {
		*len -= 2;
		return MARK_ASKED;
	}
	if (end == 0 || (text[end - 1] != '\n' && (text[end - 1] != ':' || colons != n)))
		return MARK_NONE;
	--*len;
	return text[end - 1] == '\n' ? MARK_LAST : MARK_MORE;
}

static enum fdpass_end gather(struct fdpass *p, char *text, int sock, size_t want, int64_t deadline,
	const struct stop *stop)
{
	int fds[CMSG_MAX_FDS];
	size_t n;
	for (;;) {
		ssize_t got =
			cmsg_recv(sock, text, RECV_TEXT, fds, CMSG_MAX_FDS, &n, deadline, stop);
		if (got < 0 && errno != ECONNRESET)
			return FDPASS_FAILED;
		if (got < 0 || (got == 0 && n == 0))
			return p->n == 0 ? FDPASS_NOTHING : FDPASS_CUT;
		if (n == 0)
			return FDPASS_PLAIN;
		size_t len = (size_t)got;
		enum mark mark = take_mark(text, &len, n);
		if (keep_fds(p, fds, n) < 0 || keep_names(p, text, len, n) < 0) {
			errno = ENOMEM;
			return FDPASS_FAILED;
		}
		bool enough = want == 0 || p->n >= want;
		if (mark == MARK_ASKED || (enough && mark != MARK_MORE)) {
			p->asked = mark == MARK_ASKED;
			return want == 0 || p->n == want ? FDPASS_DONE : FDPASS_COUNT;
		}
		if (want > 0 && enough)
			return FDPASS_COUNT;
	}
}

enum fdpass_end fdpass_recv(
	struct fdpass *p, int sock, size_t want, int64_t deadline, const struct stop *stop)
{
	char *text = malloc(RECV_TEXT);
	if (text == NULL)
		return FDPASS_FAILED;
	enum fdpass_end end = gather(p, text, sock, want, deadline, stop);
	int e = errno;
	free(text);
	errno = e;
	return end;
}
