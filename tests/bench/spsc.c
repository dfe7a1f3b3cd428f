/* spsc N SIZE: the limit for ipc-ring: one writer, one reader, a ring in shared memory without locks, published
 * in batches; the writer reads lines from stdin, the reader writes them to /dev/null, as put and get do. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAP (1u << 20)
struct ring {
	_Alignas(64) _Atomic uint64_t tail;
	_Alignas(64) _Atomic uint64_t head;
	_Alignas(64) char data[CAP];
};

static void copy_in(struct ring *r, uint64_t at, const char *p, size_t n)
{
	size_t off = at % CAP, first = n < CAP - off ? n : CAP - off;
	memcpy(r->data + off, p, first);
	memcpy(r->data, p + first, n - first);
}

static void copy_out(struct ring *r, uint64_t at, char *p, size_t n)
{
	size_t off = at % CAP, first = n < CAP - off ? n : CAP - off;
	memcpy(p, r->data + off, first);
	memcpy(p + first, r->data, n - first);
}

static void writer(struct ring *r)
{
	static char buf[65536];
	size_t have = 0;
	uint64_t tail = 0;
	ssize_t n;
	while ((n = read(0, buf + have, sizeof buf - have)) > 0) {
		have += (size_t)n;
		size_t at = 0;
		char *nl;
		while ((nl = memchr(buf + at, '\n', have - at)) != NULL) {
			uint32_t len = (uint32_t)(nl - (buf + at));
			size_t need = (4 + len + 7) & ~7u;
			while (tail + need - atomic_load_explicit(&r->head, memory_order_acquire) >
				CAP) {
				atomic_store_explicit(&r->tail, tail, memory_order_release);
				sched_yield();
			}
			copy_in(r, tail, (char *)&len, 4);
			copy_in(r, tail + 4, buf + at, len);
			tail += need;
			at += len + 1;
		}
		memmove(buf, buf + at, have - at);
		have -= at;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
}

static void reader(struct ring *r, long n)
{
	static char buf[70000];
	int out = open("/dev/null", O_WRONLY);
	uint64_t head = 0;
	size_t len = 0;
	while (n > 0) {
		uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (tail == head)
			sched_yield();
		while (head < tail && len < 65536 && n > 0) {
			uint32_t size;
			copy_out(r, head, (char *)&size, 4);
			copy_out(r, head + 4, buf + len, size);
			len += size;
			buf[len++] = '\n';
			head += (4 + size + 7) & ~7u;
			n--;
		}
		atomic_store_explicit(&r->head, head, memory_order_release);
		if (write(out, buf, len) < 0)
			return;
		len = 0;
	}
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
	struct ring *r =
		mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		reader(r, n);
		_exit(0);
	}
	writer(r);
	waitpid(pid, NULL, 0);
	return 0;
}
