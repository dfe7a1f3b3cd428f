/* swap: the attacker in tests/security.bats. It swaps names under those who use them, as fast as it can, until
 * its standard input ends, and then prints how often it did.
 *
 *	swap name DIR VICTIM	DIR/x: nothing, a symbolic link to VICTIM, a hard link to it, or what others made;
 *				and it puts a hard link in the place of every temporary name that appears
 *	swap parent DIR OTHER	DIR: a directory of its own, or a symbolic link to the directory OTHER
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir;
static unsigned long swaps;

static void did(int r)
{
	swaps += r == 0;
}

/* Temporary names of others: a file that is being made. */
static void hijack(const char *victim)
{
	struct dirent *e;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, ".fifo-", 6) != 0 && strncmp(e->d_name, ".tmp.", 5) != 0)
			continue;
		if (linkat(AT_FDCWD, victim, dir, ".hard", 0) == 0)
			did(renameat(dir, ".hard", dir, e->d_name));
	}
	if (d != NULL)
		closedir(d);
}

static void by_name(const char *victim, unsigned turn)
{
	(void)symlinkat(victim, dir, ".link");
	switch (turn % 12) {
	case 0:
	case 3: did(symlinkat(victim, dir, "x")); break;
	case 1: did(renameat2(dir, "x", dir, ".link", RENAME_EXCHANGE)); break;
	case 2: did(linkat(AT_FDCWD, victim, dir, "x", 0)); break;
	case 4: did(renameat(dir, ".link", dir, "x")); break;
	default: did(unlinkat(dir, "x", 0)); break;
	}
	hijack(victim);
}

int main(int argc, char **argv)
{
	char alt[4096];
	struct pollfd in = {.fd = 0, .events = POLLIN};
	if (argc != 4)
		return 64;
	int parent = strcmp(argv[1], "parent") == 0;
	if (parent) {
		snprintf(alt, sizeof alt, "%s.alt", argv[2]);
		if (symlink(argv[3], alt) < 0)
			return 1;
	} else if ((dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		return 1;
	}
	for (unsigned turn = 0; poll(&in, 1, 0) == 0; turn++) {
		if (parent)
			did(renameat2(AT_FDCWD, argv[2], AT_FDCWD, alt, RENAME_EXCHANGE));
		else
			by_name(argv[3], turn);
	}
	if (parent && readlink(argv[2], (char[8]){0}, 8) > 0)
		renameat2(AT_FDCWD, argv[2], AT_FDCWD, alt, RENAME_EXCHANGE);
	printf("%lu\n", swaps);
	return 0;
}
