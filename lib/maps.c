/* lib/maps.c: see maps.h. */
#define _GNU_SOURCE
#include "maps.h"

#include "fd.h"
#include "num.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPS_MAX (64u << 20) /* a process with more mappings than this is skipped */

/* "START-END PERMS OFFSET DEV INODE   PATH": the fields of one line. False: not such a line. */
struct line {
	uint64_t start;
	char dev[24];
	uint64_t inode;
	const char *path;
};

static bool parse(const char *p, struct line *l)
{
	char *end;
	l->start = strtoull(p, &end, 16);
	for (int field = 0; field < 3; field++) {
		end = strchr(end, ' ');
		if (end == NULL)
			return false;
		end += strspn(end, " ");
	}
	size_t len = strcspn(end, " \n");
	if (len == 0 || len >= sizeof l->dev)
		return false;
	memcpy(l->dev, end, len);
	l->dev[len] = '\0';
	l->inode = strtoull(end + len, &end, 10);
	l->path = end + strspn(end, " ");
	return true;
}

/* Find in TEXT the line for KEY; or, with START not 0, the one that begins there, into KEY. */
static bool find(char *text, struct maps_key *key, uint64_t start)
{
	struct line l;
	for (char *p = text, *next; p != NULL && *p != '\0'; p = next) {
		next = strchr(p, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (!parse(p, &l))
			continue;
		if (start == 0 && l.inode == key->inode &&
			(key->sysv ? strncmp(l.path, "/SYSV", 5) == 0
				   : strcmp(l.dev, key->dev) == 0))
			return true;
		if (start != 0 && l.start == start) {
			key->inode = l.inode;
			memcpy(key->dev, l.dev, sizeof key->dev);
			return true;
		}
	}
	return false;
}

int maps_file(int fd, struct maps_key *key)
{
	char *text;
	size_t len;
	*key = (struct maps_key){.dev = "*"};
	void *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	bool found = false;
	if (fd_slurp(-1, "/proc/self/maps", MAPS_MAX, &text, &len) == 0) {
		found = find(text, key, (uint64_t)(uintptr_t)p);
		fd_slurp_free(text);
	}
	munmap(p, 1);
	if (!found)
		errno = ENOENT;
	return found ? 0 : -1;
}

void maps_sysv(int id, struct maps_key *key)
{
	*key = (struct maps_key){.dev = "*", .inode = (uint64_t)id, .sysv = true};
}

int maps_each(const struct maps_key *key, int (*fn)(void *, pid_t), void *arg, bool *hidden)
{
	struct maps_key want = *key;
	DIR *dir = opendir("/proc");
	int r = 0;
	if (hidden != NULL)
		*hidden = !proc_shows_all();
	if (dir == NULL)
		return -1;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		char path[64], *text;
		size_t len;
		int64_t pid;
		if (num_int(e->d_name, &pid) != NULL || pid == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/%lld/maps", (long long)pid);
		if (fd_slurp(-1, path, MAPS_MAX, &text, &len) < 0) {
			if (errno == ENOENT || errno == ESRCH)
				continue;
			if (hidden != NULL)
				*hidden = true;
			if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
				continue;
			r = -1; /* it is we who lack something */
			break;
		}
		if (find(text, &want, 0))
			r = fn(arg, (pid_t)pid);
		fd_slurp_free(text);
	}
	int e = errno;
	closedir(dir);
	errno = e;
	return r;
}
