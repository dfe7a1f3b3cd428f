/* sockload PATH N AT_ONCE [TEXT]: N connections to a unix socket, AT_ONCE at a time; on each TEXT is sent, the
 * sending side is closed, and the answer read to its end. `sockload PATH N idle` opens N and keeps them until
 * stdin ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un sun = {.sun_family = AF_UNIX};

static int start(const char *text)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
		return perror("connect"), exit(1), -1;
	if (text != NULL &&
		(send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || shutdown(fd, SHUT_WR) < 0) &&
		errno != EPIPE && errno != ENOTCONN)
		return perror("send"), exit(1), -1;
	return fd;
}

int main(int argc, char **argv)
{
	struct rlimit lim;
	struct epoll_event ev, got[64];
	char buf[4096];
	if (argc < 4 || strlen(argv[1]) >= sizeof sun.sun_path)
		return 2;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	strcpy(sun.sun_path, argv[1]);
	int n = atoi(argv[2]), most = atoi(argv[3]), begun = 0, done = 0;
	const char *text = argc > 4 ? argv[4] : "x\n";
	if (strcmp(argv[3], "idle") == 0) {
		for (; begun < n; begun++)
			start(NULL);
		if (write(1, "up\n", 3) < 0)
			return 1;
		while (read(0, buf, sizeof buf) > 0)
			;
		return 0;
	}
	int ep = epoll_create1(EPOLL_CLOEXEC);
	while (done < n) {
		for (; begun < n && begun - done < most; begun++) {
			ev = (struct epoll_event){.events = EPOLLIN, .data.fd = start(text)};
			epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
		}
		int k = epoll_wait(ep, got, 64, -1);
		for (int i = 0; i < k; i++) {
			ssize_t r = read(got[i].data.fd, buf, sizeof buf);
			if (r > 0)
				continue;
			close(got[i].data.fd);
			done++;
		}
	}
	return 0;
}
