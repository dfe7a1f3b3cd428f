/* tests/bench/spoolput.c: the least that a durable put into a directory needs: the bytes of JOB in a new file in
 * tmp/, fsync, rename into new/, fsync of that. spoolput DIR JOB */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buf[65536], name[64], to[64];
	struct timespec now;
	int in, out, dir, root;
	ssize_t n;
	if (argc != 3)
		return 64;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof name, "tmp/%ld.%09ld.%d", (long)now.tv_sec, now.tv_nsec,
		(int)getpid());
	snprintf(to, sizeof to, "new/%s", name + 4);
	root = open(argv[1], O_RDONLY | O_DIRECTORY);
	in = open(argv[2], O_RDONLY);
	out = openat(root, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	while ((n = read(in, buf, sizeof buf)) > 0)
		if (write(out, buf, (size_t)n) != n)
			return 74;
	dir = openat(root, "new", O_RDONLY | O_DIRECTORY);
	if (n < 0 || fsync(out) < 0 || renameat(root, name, root, to) < 0 || fsync(dir) < 0)
		return 74;
	return puts(name) < 0;
}
