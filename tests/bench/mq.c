/* tests/bench/mq.c: the limit for ipc-mq: the bare calls.
 *
 *	mq send NAME TEXT      one mq_send(3)
 *	mq sink NAME           receives until a message "end"
 *	mq stream NAME N SIZE  a process sends N messages, another receives them
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[1 << 16];

static int send_one(const char *name, const char *text)
{
	mqd_t q = mq_open(name, O_WRONLY);
	return q == (mqd_t)-1 || mq_send(q, text, strlen(text), 0) < 0;
}

static int sink(const char *name)
{
	mqd_t q = mq_open(name, O_RDONLY);
	ssize_t n;
	if (q == (mqd_t)-1)
		return 1;
	while ((n = mq_receive(q, buf, sizeof buf, NULL)) >= 0)
		if (n == 3 && memcmp(buf, "end", 3) == 0)
			return 0;
	return 1;
}

static int stream(const char *name, long count, size_t size)
{
	pid_t pid = fork();
	mqd_t q = mq_open(name, pid == 0 ? O_WRONLY : O_RDONLY);
	if (q == (mqd_t)-1 || pid < 0)
		return 1;
	for (long i = 0; i < count; i++)
		if (pid == 0 ? mq_send(q, buf, size, 0) < 0
			     : mq_receive(q, buf, sizeof buf, NULL) < 0)
			return 1;
	int status = 0;
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_one(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "sink") == 0)
		return sink(argv[2]);
	if (argc == 5 && strcmp(argv[1], "stream") == 0)
		return stream(argv[2], atol(argv[3]), (size_t)atol(argv[4]));
	fprintf(stderr, "usage: mq send|sink|stream NAME ...\n");
	return 2;
}
