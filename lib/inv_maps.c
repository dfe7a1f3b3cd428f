/* lib/inv_maps.c: shared mappings, lines of /proc/PID/maps such as
 * "7f62db451000-7f62db452000 rw-s 00000000 00:01 32820   /SYSV00000000 (deleted)". */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "psem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DELETED " (deleted)"

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* What no descriptor leads to any more, and only the mapping tells of. */
static struct inv_object *only_mapped(
	struct inv *inv, const struct inv_looks *l, const struct inv_range *r, char *path)
{
	struct stat st = {.st_dev = r->dev, .st_ino = r->ino, .st_size = (off_t)(r->to - r->from)};
	struct stat now;
	struct inv_object *o = NULL;
	char link[64];
	size_t len = strlen(path), n = strlen(DELETED);
	if (len <= n || strcmp(path + len - n, DELETED) != 0)
		return NULL;
	path[len - n] = '\0';
	/* Only root may follow these links; the mapping alone tells no owner, and not how
	 * large it is. */
	snprintf(link, sizeof link, "map_files/%llx-%llx", (unsigned long long)r->from,
		(unsigned long long)r->to);
	bool known = fstatat(l->procfd, link, &now, 0) == 0 && now.st_ino == r->ino;
	if (known)
		st = now;
	if (begins(path, PSEM_DIR "/")) {
		const char *name = path + strlen(PSEM_DIR "/");
		if (!known && st.st_size <= 4096 && psem_file(name) != NULL)
			st.st_size = 32; /* a semaphore's */
		o = inv_add_shm(inv, name, -1, &st, true);
	} else if (begins(path, "/memfd:")) {
		o = inv_add_memfd(inv, path, &st);
	}
	if (o != NULL && !known) {
		o->has_owner = o->has_mode = false;
		o->size = o->used = -1;
	}
	return o;
}

static void add_range(struct inv *inv, struct inv_looks *l, struct inv_range r, char *path)
{
	if (r.ino == 0 || !inv_grow(inv, &l->maps, l->nmaps, &l->maps_cap, sizeof *l->maps))
		return;
	bool sysv = begins(path, "/SYSV");
	if (sysv && !inv_same_ipc(inv, l))
		return;
	r.o = sysv ? inv_find(inv, SPACE_SHM, (uint32_t)r.ino, 0)
		   : inv_find(inv, SPACE_FILE, r.dev, r.ino);
	if (r.o == NULL)
		r.o = only_mapped(inv, l, &r, path);
	if (r.o == NULL)
		inv_key(inv, SPACE_SHARED, r.dev, r.ino, NULL);
	l->maps[l->nmaps++] = r;
}

static void one_line(struct inv *inv, struct inv_looks *l, char *line)
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
	add_range(inv, l, r, path + strspn(path, " "));
}

/* Since Linux 6.11 the shared mappings can be asked for alone, which are few: PROCMAP_QUERY of
 * <linux/fs.h>, newer than most headers. False: this kernel cannot. */
struct query {
	uint64_t size, flags, addr, start, end, vma_flags, page_size, offset, ino;
	uint32_t major, minor, name_size, build_id_size;
	uint64_t name, build_id;
};
#define QUERY _IOWR('f', 17, struct query)
#define QUERY_SHARED 0x08u
#define QUERY_NEXT 0x10u
#define QUERY_FILE 0x20u

static bool query_maps(struct inv *inv, struct inv_looks *l, int fd)
{
	uint64_t addr = 0;
	for (;;) {
		struct query q = {.size = sizeof q,
			.flags = QUERY_SHARED | QUERY_NEXT | QUERY_FILE,
			.addr = addr,
			.name_size = INV_BUF / 2,
			.name = (uintptr_t)l->buf};
		l->buf[0] = '\0';
		if (syscall(SYS_ioctl, fd, QUERY, &q) < 0)
			return errno == ENOENT || errno == ESRCH || addr > 0;
		l->buf[INV_BUF / 2] = '\0';
		add_range(inv, l,
			(struct inv_range){.from = q.start,
				.to = q.end,
				.dev = makedev(q.major, q.minor),
				.ino = q.ino},
			l->buf);
		if (q.end <= addr)
			return true;
		addr = q.end;
	}
}

static bool idle_fd(const struct inv_object *o, const struct inv_proc *proc)
{
	for (unsigned i = o->nuses; i > 0 && o->uses[i - 1].proc == proc; i--)
		if (o->uses[i - 1].how == INV_FD)
			return o->uses[i - 1].idle;
	return false;
}

/* Once the descriptors are known: mappings of what they led to. */
void inv_use_maps(struct inv *inv, struct inv_looks *l)
{
	for (size_t i = 0; i < l->nmaps; i++) {
		struct inv_range *r = &l->maps[i];
		if (r->o == NULL)
			r->o = inv_find(inv, SPACE_FILE, r->dev, r->ino);
		struct inv_use *u = r->o != NULL ? inv_use(inv, r->o, l->proc, INV_MAP) : NULL;
		if (u != NULL) /* as its descriptor, which came before */
			u->idle = idle_fd(r->o, l->proc);
	}
}

static void read_maps(struct inv *inv, struct inv_looks *l, int fd)
{
	size_t have = 0;
	while (have < INV_BUF - 1) { /* no line is that long */
		ssize_t n = read(fd, l->buf + have, INV_BUF - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		have += (size_t)n;
		l->buf[have] = '\0';
		char *line = l->buf;
		for (char *end; (end = memchr(line, '\n', have - (size_t)(line - l->buf))) != NULL;
			line = end + 1) {
			*end = '\0';
			one_line(inv, l, line);
		}
		have -= (size_t)(line - l->buf);
		memmove(l->buf, line, have);
	}
}

void inv_scan_maps(struct inv *inv, struct inv_looks *l)
{
	int fd = fd_open(l->procfd, "maps", O_RDONLY, 0);
	if (fd < 0)
		inv_ran_out(inv);
	else if (!query_maps(inv, l, fd))
		read_maps(inv, l, fd);
	fd_close(fd);
}
