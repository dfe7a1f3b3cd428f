/* sockepoll PATH: the least that a server which echoes can be: one epoll loop. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buf[65536];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct epoll_event ev, got[64];
	if (argc < 2 || strlen(argv[1]) >= sizeof sun.sun_path)
		return 2;
	strcpy(sun.sun_path, argv[1]);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	if (bind(s, (struct sockaddr *)&sun, sizeof sun) < 0 || listen(s, 4096) < 0)
		return 1;
	ev = (struct epoll_event){.events = EPOLLIN, .data.fd = s};
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	for (;;) {
		int n = epoll_wait(ep, got, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = got[i].data.fd;
			if (fd == s) {
				while ((fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					ev = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
					epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
				}
				continue;
			}
			ssize_t r = read(fd, buf, sizeof buf);
			if (r <= 0 || write(fd, buf, (size_t)r) < 0)
				close(fd);
		}
	}
}
