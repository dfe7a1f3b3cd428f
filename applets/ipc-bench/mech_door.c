/* applets/ipc-bench/mech_door.c: a door call as ipc-door(1) makes it. The caller connects and passes its
 * standard descriptors, the server starts the handler on them, and the caller gets its exit status. The
 * handler is cat(1), which reads the message from a memfd and writes it to /dev/null. */
#define _GNU_SOURCE
#include "bench.h"

#include "cmsg.h"
#include "fd.h"
#include "spawn.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* to->in listens, to->file is the message, to->out /dev/null. */
static int door_open(struct bench *b, struct chan *to, struct chan *back)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	(void)back;
	to->in = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* No name given: the kernel finds an abstract one, unix(7). */
	if (to->in < 0 || bind(to->in, (struct sockaddr *)&addr, sizeof(sa_family_t)) < 0 ||
		listen(to->in, 8) < 0)
		return bench_step(b, "listen");
	to->file = memfd_create("ipc-bench", MFD_CLOEXEC);
	to->out = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	return to->file < 0 || to->out < 0 ? bench_step(b, "make a memfd") : 0;
}

/* The caller's part of one call, on the connected socket FD. */
static int ask(struct bench *b, int fd)
{
	struct chan *c = &b->to[0];
	int fds[3] = {c->file, c->out, c->out};
	unsigned char status;
	if (fd_pwrite(c->file, b->msg, b->size, 0) < 0 || lseek(c->file, 0, SEEK_SET) < 0)
		return bench_step(b, "write to a memfd");
	if (cmsg_send(fd, "", 1, fds, 3, DEADLINE_NONE, NULL) < 0)
		return bench_step(b, "send descriptors");
	ssize_t n = fd_read(fd, &status, 1);
	if (n == 1 && status == 0)
		return 0;
	if (n >= 0)
		errno = n == 0 ? EPIPE : status == 127 ? ENOENT : ECANCELED;
	return bench_step(b,
		n < 1                   ? "read the status"
			: status == 127 ? "run cat"
					: "cat did not end with status 0");
}

static int door_call(struct bench *b)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof addr;
	if (getsockname(b->to[0].in, (struct sockaddr *)&addr, &len) < 0)
		return bench_step(b, "find the door");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) < 0) {
		fd_close(fd);
		return bench_step(b, "connect");
	}
	int r = ask(b, fd);
	fd_close(fd);
	return r;
}

/* Run the handler on FDS; its status as a shell has it. */
static unsigned char handle(const int fds[3])
{
	char *argv[] = {(char[]){"cat"}, NULL};
	const struct spawn_fd moves[] = {{fds[0], 0}, {fds[1], 1}, {fds[2], 2}};
	const struct spawn s = {.argv = argv, .fds = moves, .nfds = 3, .flags = SPAWN_DIE};
	pid_t pid;
	int execed, wstatus;
	if (spawn(&s, &pid, &execed) != 0)
		return 127;
	while (waitpid(pid, &wstatus, 0) < 0)
		if (errno != EINTR)
			return 127;
	return (unsigned char)wait_status(wstatus);
}

static int answer(struct bench *b, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	int fds[3];
	size_t n = 0;
	char byte;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return 0; /* a stranger found the name: nothing for him here */
	if (cmsg_recv(fd, &byte, 1, fds, 3, &n, DEADLINE_NONE, NULL) < 0)
		return bench_step(b, "receive descriptors");
	unsigned char status = n == 3 ? handle(fds) : 127;
	cmsg_close(fds, n);
	if (send(fd, &status, 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return bench_step(b, "send the status");
	return 0;
}

static int door_serve(struct bench *b)
{
	int fd = accept4(b->to[0].in, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EINTR ? 0 : bench_step(b, "accept");
	int r = answer(b, fd);
	fd_close(fd);
	return r;
}

const struct mech mech_door = {.name = "door",
	.label = "door call",
	.what = "connect, pass descriptors, run cat on them, get its status",
	.applet = "ipc-door",
	.good = "the server starts a fresh program for each call, on the caller's own descriptors",
	.open = door_open,
	.call = door_call,
	.serve = door_serve};
