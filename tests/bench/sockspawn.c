/* sockspawn PATH CMD [ARG...]: the least that a server with a command per client can be: accept, vfork, exec. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (argc < 3 || strlen(argv[1]) >= sizeof sun.sun_path)
		return 2;
	strcpy(sun.sun_path, argv[1]);
	signal(SIGCHLD, SIG_IGN);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s, (struct sockaddr *)&sun, sizeof sun) < 0 || listen(s, 4096) < 0)
		return 1;
	for (;;) {
		int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (vfork() == 0) {
			dup2(fd, 0);
			dup2(fd, 1);
			execvp(argv[2], argv + 2);
			_exit(127);
		}
		close(fd);
	}
}
