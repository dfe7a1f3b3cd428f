/* lib/inv_maps.c: shared mappings, lines of /proc/PID/maps such as
 * "7f62db451000-7f62db452000 rw-s 00000000 00:01 32820   /SYSV00000000 (deleted)". */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "psem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DELETED " (deleted)"

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void one_map(struct inv *inv, struct inv_looks *l, char *line)
{
	struct inv_range r = {0};
	char *p, *path;
	r.from = strtoull(line, &p, 16);
	r.to = *p == '-' ? strtoull(p + 1, &p, 16) : 0;
	if (*p != ' ' || strlen(p) < 6 || p[4] != 's')
		return;
	strtoull(p + 5, &p, 16);
	unsigned long major = strtoul(p, &p, 16);
	unsigned long minor = *p == ':' ? strtoul(p + 1, &p, 16) : 0;
	r.ino = strtoull(p, &path, 10);
	r.dev = makedev((unsigned)major, (unsigned)minor);
	path += strspn(path, " ");
	if (r.ino == 0 || !inv_grow(inv, &l->maps, l->nmaps, &l->maps_cap, sizeof *l->maps))
		return;
	r.o = begins(path, "/SYSV") ? inv_find(inv, SPACE_SHM, (uint32_t)r.ino, 0)
				    : inv_find(inv, SPACE_FILE, r.dev, r.ino);
	size_t len = strlen(path), n = strlen(DELETED);
	if (r.o == NULL && len > n && strcmp(path + len - n, DELETED) == 0) {
		struct stat st = {.st_dev = r.dev, .st_ino = r.ino};
		path[len - n] = '\0';
		/* No descriptor is left to ask for more. */
		if (begins(path, PSEM_DIR "/")) {
			st.st_size = r.to - r.from <= 4096 && psem_file(path + 9) != NULL
				? 32
				: (off_t)(r.to - r.from);
			r.o = inv_add_shm(inv, path + strlen(PSEM_DIR "/"), -1, &st, true);
		} else if (begins(path, "/memfd:")) {
			st.st_size = (off_t)(r.to - r.from);
			r.o = inv_add_memfd(inv, path, &st);
		}
		if (r.o != NULL)
			r.o->has_owner = r.o->has_mode = false;
	}
	if (r.o == NULL)
		inv_key(inv, SPACE_SHARED, r.dev, r.ino, NULL);
	l->maps[l->nmaps++] = r;
}

/* Once the descriptors are known: mappings of what they led to. */
void inv_use_maps(struct inv *inv, struct inv_looks *l)
{
	for (size_t i = 0; i < l->nmaps; i++) {
		struct inv_range *r = &l->maps[i];
		if (r->o == NULL)
			r->o = inv_find(inv, SPACE_FILE, r->dev, r->ino);
		if (r->o != NULL)
			inv_use(inv, r->o, l->proc, INV_MAP);
	}
}

void inv_scan_maps(struct inv *inv, struct inv_looks *l)
{
	int fd = fd_open(l->procfd, "maps", O_RDONLY, 0);
	size_t have = 0;
	if (fd < 0)
		return;
	for (;;) {
		ssize_t n = read(fd, l->buf + have, INV_BUF - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		l->buf[have] = '\0';
		char *line = l->buf;
		for (char *end; (end = memchr(line, '\n', have - (size_t)(line - l->buf))) != NULL;
			line = end + 1) {
			*end = '\0';
			one_map(inv, l, line);
		}
		have -= (size_t)(line - l->buf);
		memmove(l->buf, line, have);
		if (have == INV_BUF - 1) /* no line is that long */
			break;
	}
	fd_close(fd);
}
