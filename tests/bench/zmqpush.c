/* zmqpush N SIZE: ZeroMQ push to pull over ipc://, N messages of SIZE bytes between two processes. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	static char buf[65536];
	char name[64];
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
	size_t size = argc > 2 ? (size_t)strtol(argv[2], NULL, 10) : 100;
	snprintf(name, sizeof name, "ipc:///tmp/zmq.%ld", (long)getpid());
	pid_t pid = fork();
	void *ctx = zmq_ctx_new();
	void *s = zmq_socket(ctx, pid == 0 ? ZMQ_PULL : ZMQ_PUSH);
	int r = pid == 0 ? zmq_connect(s, name) : zmq_bind(s, name);
	for (long i = 0; r == 0 && i < n; i++)
		r = (pid == 0 ? zmq_recv(s, buf, sizeof buf, 0) : zmq_send(s, buf, size, 0)) < 0;
	zmq_close(s);
	zmq_ctx_term(ctx);
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		unlink(name + 6);
	}
	return r != 0;
}
