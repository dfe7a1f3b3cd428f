/* The least that a call through a socket can be, with nothing checked, limited or cancelled.
 *
 *	doorlimit serve PATH CMD [ARG...]	accept, take three descriptors, vfork, exec, wait, answer
 *	doorlimit call PATH			connect, send 0, 1 and 2, wait, exit with the status
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(3 * sizeof(int))];
};

static int call(int s, const struct sockaddr_un *sun)
{
	union control control;
	char request[32] = "call";
	struct iovec iov = {request, sizeof request};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof control.buf};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	const int fds[3] = {0, 1, 2};
	int status;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	if (connect(s, (const struct sockaddr *)sun, sizeof *sun) < 0 || sendmsg(s, &msg, 0) < 0 ||
		read(s, &status, sizeof status) != (ssize_t)sizeof status)
		return 125;
	return WEXITSTATUS(status);
}

static void answer(int fd, char **cmd)
{
	union control control;
	char request[32];
	struct iovec iov = {request, sizeof request};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof control.buf};
	int fds[3], status;
	if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c == NULL)
		return;
	memcpy(fds, CMSG_DATA(c), sizeof fds);
	pid_t pid = vfork();
	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			dup2(fds[i], i);
		execv(cmd[0], cmd);
		_exit(127);
	}
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	if (waitpid(pid, &status, 0) == pid)
		(void)!write(fd, &status, sizeof status);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (argc < 3 || strlen(argv[2]) >= sizeof sun.sun_path)
		return 2;
	strcpy(sun.sun_path, argv[2]);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strcmp(argv[1], "call") == 0)
		return call(s, &sun);
	if (argc < 4 || bind(s, (struct sockaddr *)&sun, sizeof sun) < 0 || listen(s, 4096) < 0)
		return 1;
	for (;;) {
		int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		answer(fd, argv + 3);
		close(fd);
	}
}
