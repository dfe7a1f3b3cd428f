/* tests/fuzz/door.c: both ends of ipc-door's protocol. To a server comes anything, in any pieces, with any number of
 * descriptors: the connection ends, nothing it brought stays open, and the counts are what they were. To a caller
 * comes any answer: its length is kept, and what it says is printable.
 *
 * Input: a byte (odd: an answer; 2: the head is made good; 4: so are the counts, 8: the queue is refused), then the
 * message; to a server each 200 bytes are sent at once, with as many descriptors as the first one's byte says.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "applets/ipc-door/door.h"
#include "cmsg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 200

extern const struct applet ipc_door;
static int listener = -1;
static struct addr_sa name;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_home();
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	name.sa.sa_family = AF_UNIX;
	name.len = sizeof name.ss;
	/* An abstract name of the kernel's choice. */
	if (bind(listener, &name.sa, sizeof(sa_family_t)) < 0 || listen(listener, 8) < 0 ||
		getsockname(listener, &name.sa, &name.len) < 0)
		abort();
	return 0;
}

static void good_head(uint8_t *data, size_t len, unsigned how)
{
	struct door_head h;
	if ((how & 2) == 0 || len < sizeof h)
		return;
	memcpy(&h, data, sizeof h);
	door_head(&h, (enum door_type)h.type, h.arg, h.length);
	if ((how & 4) != 0) {
		h.type = (how & 1) != 0 ? DOOR_REFUSED : DOOR_CALL;
		h.length = (uint32_t)(len - sizeof h);
	}
	if ((how & 8) != 0)
		h.arg |= DOOR_NOWAIT;
	memcpy(data, &h, sizeof h);
}

static void send_all(int sock, const uint8_t *data, size_t len, size_t n)
{
	int fds[70];
	for (size_t i = 0; i < 70; i++)
		fds[i] = STDERR_FILENO;
	for (size_t at = 0; at < len; at += PIECE, n = 0)
		if (cmsg_send(sock, data + at, len - at < PIECE ? len - at : PIECE, fds, n,
			    DEADLINE_NOW, NULL) < 0)
			break;
}

/* What the loop would do, without the waiting: whoever is there is asked until he is gone. */
static void serve(struct door *d)
{
	for (int i = 0; i < 1000; i++) {
		struct job *j = NULL;
		for (int state = 0; state < JOB_STATES && j == NULL; state++)
			j = d->jobs[state].first;
		if (j == NULL)
			return;
		FUZZ_HOLDS(j->state == JOB_READING || j->state == JOB_QUEUED);
		j->watch.ready(&d->loop, &j->watch, EPOLLIN);
	}
	fuzz_broken("a caller that has gone is forgotten", __FILE__, __LINE__);
}

static void to_server(const uint8_t *data, size_t len, size_t nfds)
{
	struct call *call = fuzz_call();
	struct door *d = calloc(1, sizeof *d);
	char *scratch = malloc(SCRATCH);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d == NULL || scratch == NULL || connect(sock, &name.sa, name.len) < 0)
		abort();
	call->applet = &ipc_door;
	call->verb = &ipc_door.verbs[0];
	d->call = call;
	d->scratch = scratch;
	d->request_max = 2000;
	d->fds_max = 1024;
	d->nofile.rlim_cur = 256;
	d->accepting = true;
	strcpy(d->secret, "0123456789abcdef");
	if (loop_start(&d->loop, NULL) < 0)
		abort();
	d->loop.arg = d;
	d->listener = (struct loop_watch){.fd = listener, .ready = job_accept};
	send_all(sock, data, len, nfds);
	close(sock);
	/* -j 0: none is started, all are queued. */
	job_accept(&d->loop, &d->listener, EPOLLIN);
	serve(d);
	FUZZ_HOLDS(d->held == 0 && d->loop.ntimers == 0);
	loop_remove(&d->loop, &d->listener);
	loop_end(&d->loop);
	free(scratch);
	free(d);
	fuzz_call_end(call);
}

static void to_caller(const uint8_t *data, size_t len)
{
	struct call *call = fuzz_call();
	struct door_head h = {0};
	char text[DOOR_TEXT + 1];
	int socks[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		abort();
	call->applet = &ipc_door;
	call->verb = &ipc_door.verbs[0];
	send_all(socks[0], data, len, 0);
	close(socks[0]);
	int status = door_answer(call, "door", socks[1], DEADLINE_NONE, NULL, &h, text, DOOR_TEXT);
	FUZZ_HOLDS(status == 0 || status == ST_NOPEER || status == ST_DATA);
	if (status == 0) {
		FUZZ_HOLDS(h.length <= DOOR_TEXT);
		status = door_refused(call, "door", &h, text);
		FUZZ_HOLDS(status >= ST_USAGE && status <= 255);
	}
	close(socks[1]);
	fuzz_call_end(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned how = fuzz_byte(&in);
	int before = fuzz_next_fd();
	unsigned nfds = (how & 1) == 0 ? fuzz_byte(&in) % 70 : 0;
	size_t len;
	const uint8_t *message = fuzz_bytes(&in, in.len, &len);
	uint8_t *copy = malloc(len + 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, message, len);
	good_head(copy, len, how);
	if ((how & 1) != 0)
		to_caller(copy, len);
	else
		to_server(copy, len, nfds);
	free(copy);
	FUZZ_HOLDS(fuzz_next_fd() == before);
	return 0;
}
