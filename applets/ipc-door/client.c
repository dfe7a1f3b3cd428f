/* client.c: what call and stat share: finding the door, and waiting for the answer. */
#define _GNU_SOURCE
#include "door.h"

#include "fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

const char *door_addr(struct addr *a, const char *text)
{
	const char *why = addr_parse(a, text);
	if (why != NULL)
		return why;
	if (!a->is_path)
		return "a door is a file: a path, or a word";
	if (a->obj.kind == OBJECT_WORD &&
		object_path(&a->obj, "door", a->path, sizeof a->path) == NULL)
		return "path longer than 4095 bytes";
	return NULL;
}

/* Our descriptors are not for whoever may have made a directory in our name. */
static int trust(struct call *call, const struct addr *a)
{
	if (a->obj.kind != OBJECT_WORD)
		return 0;
	int fd = object_dir("door", false);
	if (fd < 0 && errno == EPERM)
		return call_place_error(call, &a->obj, "door", EPERM);
	fd_close(fd);
	return 0;
}

static int not_connected(struct call *call, const struct addr *a, int err)
{
	struct stat st;
	if (err == EPROTOTYPE ||
		(err == ECONNREFUSED && stat(a->path, &st) == 0 && !S_ISSOCK(st.st_mode)))
		return call_fail(call, ST_DATA, 0, "%s: is no door", a->text);
	if (err == ECONNREFUSED)
		return call_fail(call, ST_NOPEER, 0, "%s: its server has gone", a->text);
	return sock_connect_failed(call, a, SOCK_STREAM, err);
}

int door_connect(struct call *call, const char *text, int64_t deadline, int64_t retry,
	struct addr *a, int *fd)
{
	bool pending;
	const char *why = door_addr(a, text);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", text, why);
	int status = trust(call, a);
	if (status != 0 && !(retry > 0 && status == ST_NOOBJ))
		return status;
	*fd = call_own(call, sock_connect_start(a, 0, SOCK_STREAM, &pending));
	if (*fd >= 0)
		return 0;
	if (retry == 0 && (errno != EAGAIN || deadline == DEADLINE_NOW))
		return not_connected(call, a, errno);
	int64_t until = wait_until(retry);
	*fd = call_own(call,
		sock_connect_retry(a, SOCK_STREAM, deadline, until < deadline ? until : deadline,
			&call->stop));
	if (*fd < 0)
		return not_connected(call, a, errno);
	return fd_nonblock(*fd, true) == 0 ? 0 : call_error(call, errno, "connect %s", a->text);
}

int door_answer(struct call *call, const char *name, int fd, int64_t deadline,
	void (*stopped)(struct call *call, int fd, int sig), struct door_head *h, void *body,
	size_t size)
{
	size_t have = 0, length = 0;
	while (have < sizeof *h + length) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (wait_poll(&p, 1, deadline, &call->stop) < 0) {
			if (errno != EINTR || stopped == NULL)
				return call_waited(call, errno, "wait for %s", name);
			stopped(call, fd, call_stopped(call));
			continue;
		}
		bool head = have < sizeof *h;
		ssize_t n = head ? recv(fd, (char *)h + have, sizeof *h - have, MSG_DONTWAIT)
				 : recv(fd, (char *)body + have - sizeof *h,
					   sizeof *h + length - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return call_fail(call, ST_NOPEER, 0, "%s: its server has gone", name);
		have += (size_t)n;
		if (!head || have < sizeof *h)
			continue;
		const char *why = door_head_wrong(h);
		if (why == NULL && h->length > size)
			why = "sends too long an answer";
		if (why != NULL)
			return call_fail(call, ST_DATA, 0, "%s: %s", name, why);
		length = h->length;
	}
	return 0;
}

int door_refused(struct call *call, const char *name, const struct door_head *h, char *text)
{
	if (h->type != DOOR_REFUSED || h->arg < ST_USAGE || h->arg > 255)
		return call_fail(call, ST_DATA, 0, "%s: the answer makes no sense", name);
	for (uint32_t i = 0; i < h->length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	text[h->length] = '\0';
	int status = (int)h->arg;
	if (status > ST_SIGNAL)
		return status;
	/* -w 0 does not wait either, but it is a timeout: only -n asks for 75. */
	if (status == ST_BUSY && call->std[STD_NONBLOCK].count == 0)
		status = ST_TIMEOUT;
	return call_fail(call, status, 0, "%s: %s", name, text);
}
