/* The limit for a wake-up: two processes answer each other N times through futexes in shared memory;
 * with CMD, each starts it twice per round, as scripts start commands. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t *word;

static void start(char *cmd)
{
	if (cmd == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		pid_t pid = vfork();
		if (pid == 0) {
			execl(cmd, cmd, (char *)NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
}

static void play(uint32_t mine, uint32_t n, char *cmd)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v;
		while (((v = __atomic_load_n(word, __ATOMIC_ACQUIRE)) & 1) != mine)
			syscall(SYS_futex, word, FUTEX_WAIT, v, NULL, NULL, 0);
		start(cmd);
		__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000;
	char *cmd = argc > 2 ? argv[2] : NULL;
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		play(1, n, cmd);
		_exit(0);
	}
	play(0, n, cmd);
	waitpid(pid, NULL, 0);
	return 0;
}
