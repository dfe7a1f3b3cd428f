/* fdpass: the limit for passing descriptors: sendmsg(2) and recvmsg(2) in a loop, 253 a message.
 *
 *	fdpass send PATH N      connect, send descriptor 0 N times
 *	fdpass recv PATH        listen, receive until the end, keep all open until then
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST 253

static union {
	struct cmsghdr align;
	char buf[CMSG_SPACE(MOST * sizeof(int))];
} control;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(int sock, long n)
{
	char text[MOST];
	memset(text, ':', sizeof text);
	for (long now; n > 0; n -= now) {
		now = n < MOST ? n : MOST;
		struct iovec iov = {text, (size_t)now};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf};
		msg.msg_controllen = (socklen_t)CMSG_SPACE((size_t)now * sizeof(int));
		memset(&control, 0, sizeof control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN((size_t)now * sizeof(int));
		/* Not sendmsg(3): musl's takes 252. */
		if (syscall(SYS_sendmsg, sock, &msg, MSG_NOSIGNAL) < 0)
			die("sendmsg");
	}
}

static long recv_all(int sock)
{
	char text[4096];
	for (long n = 0;;) {
		struct iovec iov = {text, sizeof text};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.buf,
			.msg_controllen = sizeof control.buf};
		ssize_t r = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		if (r < 0)
			die("recvmsg");
		if (r == 0)
			return n;
		if ((msg.msg_flags & MSG_CTRUNC) != 0 || CMSG_FIRSTHDR(&msg) == NULL)
			die("descriptors lost");
		n += (long)((CMSG_FIRSTHDR(&msg)->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (argc < 3)
		return 64;
	strncpy(sun.sun_path, argv[2], sizeof sun.sun_path - 1);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (argc == 4) {
		if (connect(sock, (struct sockaddr *)&sun, sizeof sun) < 0)
			die("connect");
		send_all(sock, atol(argv[3]));
		return 0;
	}
	unlink(argv[2]);
	if (bind(sock, (struct sockaddr *)&sun, sizeof sun) < 0 || listen(sock, 8) < 0)
		die("bind");
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		die("accept");
	printf("%ld\n", recv_all(fd));
	return 0;
}
