/* tests/bench/fifo_splice.c: stdin to stdout by splice(2) and nothing else: the limit for ipc-fifo. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	fcntl(0, F_SETPIPE_SZ, 1 << 20);
	fcntl(1, F_SETPIPE_SZ, 1 << 20);
	ssize_t n;
	while ((n = splice(0, NULL, 1, NULL, 1 << 20, SPLICE_F_MOVE)) > 0)
		;
	return n < 0;
}
