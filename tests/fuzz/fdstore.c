/* tests/fuzz/fdstore.c: both ends of ipc-fdstore's protocol, and the datagrams of sd_notify(3). To a server come any
 * packets with any descriptors: each client ends, and what the store keeps is all that stays open until it is
 * dropped. To a client come any answers: its verbs end with a documented status.
 *
 * Input: a byte for who is asked (0: the server, 1: its notify socket, else a verb), then packets: a byte (1: the
 * head is made good, the rest: the number of descriptors), a byte for the length, the packet.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "applets/ipc-fdstore/fdstore.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKETS 16
#define CLIENT_FD 100

extern const struct applet ipc_fdstore;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_home();
	return 0;
}

/* What is short gets a head in front of it, whose operation is the first byte. */
static size_t packet(struct input *in, unsigned how, uint8_t buf[1024])
{
	size_t len;
	struct head head = {.magic = PACKET_MAGIC, .version = PACKET_VERSION};
	unsigned wide = fuzz_byte(in);
	if ((how & 1) == 0) {
		const uint8_t *data = fuzz_bytes(in, wide * 4, &len);
		memcpy(buf, data, len);
		return len;
	}
	head.op = (uint16_t)(fuzz_byte(in) % (OP_N + 1));
	unsigned bits = fuzz_byte(in);
	head.flags = (bits & 15) | ((bits & 16) != 0 ? ASK_LAST : 0);
	head.reason = bits >> 5 == 7 ? fuzz_byte(in) : WHY_OK;
	head.count = fuzz_byte(in) % 70;
	head.num = (int64_t)((uint64_t)fuzz_byte(in) << (bits >> 5) * 8);
	const uint8_t *data = fuzz_bytes(in, wide * 3, &len);
	head.size = (uint32_t)(sizeof head + len);
	memcpy(buf, &head, sizeof head);
	memcpy(buf + sizeof head, data, len);
	return sizeof head + len;
}

static bool send_one(struct input *in, int sock, bool raw)
{
	int fds[64];
	uint8_t buf[1024];
	unsigned how = fuzz_byte(in);
	for (size_t i = 0; i < 64; i++)
		fds[i] = STDERR_FILENO;
	size_t len = packet(in, raw ? how & ~1u : how, buf);
	return len > 0 && cmsg_send(sock, buf, len, fds, how / 2 % 64, DEADLINE_NOW, NULL) == 0;
}

static struct store *start(struct call *call, struct sock_bound *bound)
{
	struct store *s = calloc(1, sizeof *s);
	if (s == NULL || loop_start(&s->loop, NULL) < 0)
		abort();
	call->applet = &ipc_fdstore;
	call->verb = &ipc_fdstore.verbs[0];
	s->call = call;
	s->loop.arg = s;
	s->addr.text = "store";
	s->bound = bound;
	s->listener.fd = s->notified.fd = bound->fd;
	s->max = 20;
	s->max_per_uid = 10;
	s->max_clients = 8;
	s->next_id = 1;
	s->nofile.rlim_cur = 256;
	return s;
}

static void end(struct store *s)
{
	s->loop.quit = true;
	s->taker = NULL;
	while (s->oldest != NULL)
		fds_client_close(s->oldest);
	while (s->n > 0)
		fds_entry_drop(s->entries[s->n - 1]);
	free(s->entries);
	loop_end(&s->loop);
	free(s);
}

/* Two clients take turns, so that one can find what the other is taking. */
static void to_server(struct input *in)
{
	struct call *call = fuzz_call();
	struct sock_bound bound = {
		.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), .call = call};
	struct store *s = start(call, &bound);
	struct peer peer;
	int socks[2][2];
	for (size_t i = 0; i < 2; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			    socks[i]) < 0 ||
			peer_of(socks[i][1], &peer) < 0 ||
			fds_store_adopt(s, socks[i][1], &peer, s->next_id++) == NULL)
			abort();
	}
	for (int i = 0; i < PACKETS && in->len > 0 && !s->loop.quit; i++) {
		uint64_t id = (in->at[0] & 128) != 0 ? 2 : 1;
		struct client *c = s->oldest;
		while (c != NULL && c->id != id)
			c = c->next;
		if (!send_one(in, socks[id - 1][0], false) || c == NULL)
			continue;
		if (s->taker == NULL || c == s->taker)
			fds_client_ready(&s->loop, &c->watch, EPOLLIN);
		for (size_t k = 1; k < s->n; k++)
			FUZZ_HOLDS(strcmp(s->entries[k - 1]->name, s->entries[k]->name) < 0);
		FUZZ_HOLDS(s->n <= s->max_per_uid);
	}
	end(s);
	close(socks[0][0]);
	close(socks[1][0]);
	close(bound.fd);
	fuzz_call_end(call);
}

static void to_notify(struct input *in)
{
	struct call *call = fuzz_call();
	int socks[2], on = 1;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socks) < 0 ||
		setsockopt(socks[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		abort();
	struct sock_bound bound = {.fd = socks[1], .call = call};
	struct store *s = start(call, &bound);
	s->notify_addr.text = "notify";
	for (int i = 0; i < PACKETS && in->len > 0; i++)
		if (send_one(in, socks[0], true))
			fds_notify_ready(&s->loop, &s->notified, EPOLLIN);
	end(s);
	close(socks[0]);
	close(socks[1]);
	fuzz_call_end(call);
}

/* The answers are there before the questions. */
static void to_client(struct input *in, unsigned which)
{
	static const char *const verbs[][6] = {{"ls", "-w10", "fd:100"},
		{"ls", "-J", "-w10", "fd:100"}, {"retrieve", "-w10", "fd:100", "a"},
		{"store", "-w10", "fd:100", "a", "2"}, {"rm", "-w10", "fd:100", "a", "b"}};
	const char *words[8] = {"ipc-fdstore"};
	int socks[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0 ||
		dup2(socks[1], CLIENT_FD) < 0)
		abort();
	close(socks[1]);
	for (int i = 0; i < PACKETS && in->len > 0 && send_one(in, socks[0], false); i++)
		;
	shutdown(socks[0], SHUT_WR);
	for (size_t i = 0; i < 6; i++)
		words[i + 1] = verbs[which % 5][i];
	(void)fuzz_run(words);
	close(CLIENT_FD);
	close(socks[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned who = fuzz_byte(&in);
	int before = fuzz_next_fd();
	if (who == 0)
		to_server(&in);
	else if (who == 1)
		to_notify(&in);
	else
		to_client(&in, who);
	FUZZ_HOLDS(fuzz_next_fd() == before);
	return 0;
}
