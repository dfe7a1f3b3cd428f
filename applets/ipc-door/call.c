/* call.c: the caller. Its descriptors go to the server with the request; then it only waits for the answer, and
 * passes signals on. */
#define _GNU_SOURCE
#include "door.h"

#include "cmsg.h"
#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

int run_door_call(struct call *call);

#define REFS_PAUSE (10 * NS_PER_MS)

/* On the stack, as is the address: pages that malloc(3) would have to get first are what a call costs. */
struct request {
	char *data;
	size_t len;
	uint32_t nenv;
	const char *env[DOOR_ENV];
	size_t nfds;
	int fds[DOOR_FDS];
	int32_t numbers[DOOR_FDS];
	char small[512];
};

/* --descriptors 5,6 behind stdin, stdout and stderr. */
static int take_descriptors(struct call *call, struct request *r)
{
	const char *p = call->opt[D_DESCRIPTORS].str;
	r->fds[0] = call->in;
	r->fds[1] = call->out.fd;
	r->fds[2] = call->err;
	r->nfds = 3;
	for (int i = 0; i < 3; i++)
		r->numbers[i] = i;
	while (p != NULL) {
		int64_t n;
		size_t len = strcspn(p, ",");
		char *word = call_fmt(call, "%.*s", (int)len, p);
		if (word == NULL)
			return call_error(call, ENOMEM, "call");
		if (num_int(word, &n) != NULL || n < 3 || n > INT32_MAX)
			return call_fail(call, ST_USAGE, 0,
				"--descriptors: %s: not the number of a descriptor from 3 on",
				word);
		if (!fd_is_open((int)n))
			return call_fail(call, ST_USAGE, 0,
				"--descriptors: descriptor %s is not open", word);
		if (r->nfds == DOOR_FDS)
			return call_fail(call, ST_LIMIT, 0,
				"--descriptors: at most %d can be passed", DOOR_FDS - 3);
		r->fds[r->nfds] = (int)n;
		r->numbers[r->nfds++] = (int32_t)n;
		p = p[len] == ',' ? p + len + 1 : NULL;
	}
	return 0;
}

/* --pass A,B: as they are here, unset ones too. */
static int take_variables(struct call *call, struct request *r)
{
	const char *p = call->opt[D_PASS].str;
	while (p != NULL) {
		size_t len = strcspn(p, ",");
		char *name = call_fmt(call, "%.*s", (int)len, p);
		if (name == NULL)
			return call_error(call, ENOMEM, "call");
		if (!door_is_name(name) || strchr(name, '=') != NULL)
			return call_fail(
				call, ST_USAGE, 0, "--pass: %s: not the name of a variable", name);
		if (door_reserved(name))
			return call_fail(call, ST_USAGE, 0, "--pass: %s: the server sets it", name);
		if (r->nenv == DOOR_ENV)
			return call_fail(call, ST_LIMIT, 0,
				"--pass: at most %d variables can be passed", DOOR_ENV);
		const char *value = getenv(name);
		r->env[r->nenv] = value == NULL ? name : call_fmt(call, "%s=%s", name, value);
		if (r->env[r->nenv++] == NULL)
			return call_error(call, ENOMEM, "call");
		p = p[len] == ',' ? p + len + 1 : NULL;
	}
	return 0;
}

static char *put(char *at, const void *data, size_t len)
{
	return (char *)memcpy(at, data, len) + len;
}

/* The calls that we are made from. */
static const char *chain(void)
{
	const char *text = getenv(DOOR_CHAIN);
	return text != NULL && text[strspn(text, "0123456789abcdef.,")] == '\0' ? text : "";
}

static int build(struct call *call, struct request *r)
{
	struct door_call body = {
		.argc = call->nargs - 1, .envc = r->nenv, .nfds = (uint32_t)r->nfds};
	struct door_head h;
	const char *from = chain();
	bool nowait = call->std[STD_NONBLOCK].count > 0 ||
		(call->std[STD_TIMEOUT].count > 0 && call->std[STD_TIMEOUT].num == 0);
	size_t len = sizeof body + r->nfds * sizeof *r->numbers + strlen(from) + 1;
	for (unsigned i = 1; i < call->nargs; i++)
		len += strlen(call->args[i].str) + 1;
	for (uint32_t i = 0; i < r->nenv; i++)
		len += strlen(r->env[i]) + 1;
	r->len = sizeof h + len;
	r->data = r->len <= sizeof r->small ? r->small
		: len > UINT32_MAX          ? NULL
					    : call_alloc(call, r->len);
	if (r->data == NULL)
		return call_error(call, ENOMEM, "call");
	door_head(&h, DOOR_CALL, nowait ? DOOR_NOWAIT : 0, (uint32_t)len);
	char *p = put(put(r->data, &h, sizeof h), &body, sizeof body);
	p = put(p, r->numbers, r->nfds * sizeof *r->numbers);
	for (unsigned i = 1; i < call->nargs; i++)
		p = put(p, call->args[i].str, strlen(call->args[i].str) + 1);
	for (uint32_t i = 0; i < r->nenv; i++)
		p = put(p, r->env[i], strlen(r->env[i]) + 1);
	(void)put(p, from, strlen(from) + 1);
	return 0;
}

/* As many descriptors may be under way to servers as our user may have open (unix(7), ETOOMANYREFS). When very many
 * call at once the hard limit is used, then it is a matter of waiting; of that the kernel tells nothing. */
static int send_request(struct call *call, int fd, const struct request *r, int64_t deadline)
{
	struct rlimit lim, old;
	bool raised = false;
	int sent;
	while ((sent = cmsg_send(fd, r->data, r->len, r->fds, r->nfds, deadline, &call->stop)) <
			0 &&
		errno == ETOOMANYREFS) {
		if (!raised && prlimit(0, RLIMIT_NOFILE, NULL, &old) == 0) {
			raised = true;
			lim = (struct rlimit){old.rlim_max, old.rlim_max};
			(void)prlimit(0, RLIMIT_NOFILE, &lim, NULL);
			continue;
		}
		int64_t soon = wait_now() + REFS_PAUSE;
		if (wait_poll(NULL, 0, soon < deadline ? soon : deadline, &call->stop) < 0 &&
			(errno != ETIMEDOUT || wait_now() >= deadline))
			break;
	}
	int err = errno;
	if (raised)
		(void)prlimit(0, RLIMIT_NOFILE, &old, NULL);
	errno = err;
	return sent;
}

/* To the handler; it decides what becomes of it, and of us. */
static void pass_signal(struct call *call, int fd, int sig)
{
	struct door_head h;
	(void)call;
	door_head(&h, DOOR_SIGNAL, (uint32_t)sig, 0);
	(void)!send(fd, &h, sizeof h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int run_door_call(struct call *call)
{
	struct request r;
	struct addr a;
	struct door_head h;
	char text[DOOR_TEXT + 1];
	int fd;
	r.nenv = 0;
	int status = take_descriptors(call, &r);
	if (status == 0)
		status = take_variables(call, &r);
	if (status == 0)
		status = build(call, &r);
	if (status != 0)
		return status;
	int64_t deadline = call_deadline(call);
	status = door_connect(call, call->args[0].str, deadline, call->opt[D_RETRY].num, &a, &fd);
	if (status != 0)
		return status;
	/* -n and -w 0 are about the queue, in which the server then does not put us. */
	if (deadline == DEADLINE_NOW)
		deadline = DEADLINE_NONE;
	/* Who closes on us has perhaps said why. */
	if (send_request(call, fd, &r, deadline) < 0 && errno != EPIPE && errno != ECONNRESET)
		return call_waited(call, errno, "send to %s", a.text);
	status = door_answer(call, a.text, fd, deadline, pass_signal, &h, text, DOOR_TEXT);
	if (status != 0)
		return status;
	if (h.type == DOOR_EXIT && h.arg <= 255)
		return (int)h.arg;
	return door_refused(call, a.text, &h, text);
}
