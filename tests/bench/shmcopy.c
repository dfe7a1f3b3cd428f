/* The limit of ipc-shm write: stdin, a file, into an existing POSIX segment, by read(2) and pwrite(2) with a
 * buffer of SIZE KiB; SIZE 0: by mapping both and memcpy(3). shmcopy NAME SIZE */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_buffer(int to, size_t size)
{
	char *buf = aligned_alloc(4096, size);
	ssize_t n;
	off_t at = 0;
	while (buf != NULL && (n = read(0, buf, size)) > 0) {
		if (pwrite(to, buf, (size_t)n, at) != n)
			return 1;
		at += n;
	}
	return buf == NULL || n < 0;
}

static int by_memcpy(int to, size_t size)
{
	int flags = MAP_SHARED | MAP_POPULATE;
	char *p = mmap(NULL, size, PROT_READ, flags, 0, 0);
	char *q = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, to, 0);
	if (p == MAP_FAILED || q == MAP_FAILED)
		return 1;
	memcpy(q, p, size);
	return 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	if (argc != 3)
		return 64;
	int to = shm_open(argv[1], O_RDWR, 0);
	size_t kib = (size_t)atoi(argv[2]);
	if (to < 0 || fstat(0, &st) < 0)
		return 1;
	return kib > 0 ? by_buffer(to, kib << 10) : by_memcpy(to, (size_t)st.st_size);
}
