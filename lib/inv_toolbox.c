/* lib/inv_toolbox.c: objects of this toolbox: those in $IPC_DIR, and files that say themselves what they
 * are. Of each format only its head is known here, and only of the version given; another one is
 * listed without numbers. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "object.h"
#include "shared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD 512
#define SPOOL_MAX 10000 /* jobs are not counted beyond */

/* The beginning of a file: lib/shared.h's header, then 32-bit words. */
union head {
	struct shared_head shared;
	uint32_t word[HEAD / 4];
	uint64_t wide[HEAD / 8];
	unsigned char bytes[HEAD];
};
enum { WORD0 = sizeof(struct shared_head) / 4 };

/* active, closed, gone; two states at byte 256 and 320: tail, head, puts, gets, drops. */
static void show_ring(struct inv_object *o, const union head *h)
{
	const uint64_t *state = h->wide + (h->word[WORD0] == 0 ? 32 : 40);
	o->used = (int64_t)(state[0] - state[1]);
	o->room = o->size - HEAD;
	o->unit = "bytes";
	if (o->used < 0 || o->used > o->room)
		o->used = -1;
	o->lasting = h->word[WORD0 + 1] == 0 || o->used != 0;
	o->state = h->word[WORD0 + 1] != 0 ? "closed" : "open";
}

/* bell, kind, set, gone, sequence number */
static void show_event(struct inv_object *o, const union head *h)
{
	o->state = h->word[WORD0 + 2] != 0 ? "set" : "clear";
	o->used = (int64_t)h->wide[(WORD0 + 4) / 2];
	o->unit = "sets";
	o->lasting = true;
}

/* parties, arrived, generation */
static void show_barrier(struct inv_object *o, const union head *h)
{
	o->used = h->word[WORD0 + 1];
	o->room = h->word[WORD0];
	o->unit = "parties";
}

/* A head of its own: magic, version, abi, how many slots. Which are taken the locks tell. */
static void show_slots(struct inv_object *o, const union head *h)
{
	o->room = h->word[4];
	o->used = 0;
	o->unit = "slots";
	o->lasting = true;
}

static const struct format {
	const char *magic;
	enum inv_kind kind;
	bool shared;      /* has lib/shared.h's header */
	uint32_t version; /* the newest */
	void (*show)(struct inv_object *o, const union head *h);
} formats[] = {
	{"ipcring", INV_RING, true, 1, show_ring},
	{"ipcevent", INV_EVENT, true, 2, show_event},
	{"ipcbarr", INV_BARRIER, true, 1, show_barrier},
	{"ipcsem", INV_SEM, false, 1, show_slots},
};

static const struct format *read_head(int fd, union head *h, ssize_t *len)
{
	*len = fd_pread(fd, h, sizeof *h, 0);
	if (*len < (ssize_t)sizeof(struct shared_head))
		return NULL;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strncmp(h->shared.magic, formats[i].magic, sizeof h->shared.magic) == 0)
			return &formats[i];
	return NULL;
}

static void show_head(
	struct inv_object *o, const struct format *f, const union head *h, ssize_t len)
{
	unsigned char now[16];
	o->lasting = true;
	if (h->shared.version < 1 || h->shared.version > f->version || h->shared.abi != SHARED_ABI)
		return;
	if (f->kind != INV_RING || len == HEAD) {
		o->lasting = false;
		f->show(o, h);
	}
	if (f->shared) {
		/* Neither ours nor the file's may be unknown. */
		static const unsigned char unknown[16];
		o->last_boot = proc_boot_bytes(now) == 0 &&
			memcmp(unknown, h->shared.boot, sizeof now) != 0 &&
			memcmp(now, h->shared.boot, sizeof now) != 0;
	}
}

/* Files at most DEPTH directories below DIRFD/NAME, added to *N. */
static void count_files(int dirfd, const char *name, unsigned depth, int64_t *n)
{
	int fd = fd_open(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return;
	}
	for (struct dirent *e; *n < SPOOL_MAX && (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		if (e->d_type == DT_DIR && depth > 0)
			count_files(fd, e->d_name, depth - 1, n);
		else if (e->d_type == DT_REG)
			++*n;
	}
	closedir(dir);
}

static bool is_spool(int fd)
{
	char text[16];
	return inv_slurp_file(fd, "format", 0, text, 11) == 10 &&
		memcmp(text, "ipc-spool ", 10) == 0;
}

static void show_spool(struct inv_object *o, int fd)
{
	int64_t n = 0;
	count_files(fd, "new", 3, &n);
	count_files(fd, "cur", 0, &n);
	count_files(fd, "delayed", 2, &n);
	o->used = n;
	o->unit = n >= SPOOL_MAX ? "or more jobs" : "jobs";
	o->lasting = true; /* results and numbers, even without jobs */
}

struct inv_object *inv_sniff(struct inv *inv, int fd, const char *name, const struct stat *st)
{
	union head h;
	ssize_t len = 0;
	const struct format *f = NULL;
	enum inv_kind kind = INV_SPOOL;
	if (S_ISREG(st->st_mode)) {
		f = read_head(fd, &h, &len);
		if (f == NULL)
			return NULL;
		kind = f->kind;
	} else if (!S_ISDIR(st->st_mode) || !is_spool(fd)) {
		return NULL;
	}
	struct inv_object *o = inv_add(inv, kind, INV_FILE, name);
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	inv_birth(o, fd, "");
	o->path = o->removed ? NULL : name;
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	if (f != NULL)
		show_head(o, f, &h, len);
	else
		show_spool(o, fd);
	return o;
}

/* ---- files by name */

static enum inv_kind kind_of_suffix(const char *suffix)
{
	for (unsigned k = 0; k < INV_KINDS; k++)
		if (strcmp(inv_kind_names[k], suffix) == 0)
			return (enum inv_kind)k;
	return INV_KINDS;
}

/* A file that says nothing about itself: KIND decides, as far as the file's type agrees. */
static struct inv_object *plain(
	struct inv *inv, enum inv_kind kind, const char *name, const struct stat *st)
{
	if (S_ISFIFO(st->st_mode))
		kind = INV_FIFO;
	else if (S_ISSOCK(st->st_mode))
		kind = kind == INV_DOOR || kind == INV_FDSTORE ? kind : INV_SOCK;
	else if (!S_ISREG(st->st_mode) || (kind != INV_LOCK && kind != INV_SHM))
		return NULL;
	struct inv_object *o = inv_add(inv, kind, INV_FILE, name);
	if (o == NULL)
		return NULL;
	inv_stat(o, st);
	o->lasting = kind == INV_SHM;
	inv_key(inv, SPACE_FILE, st->st_dev, st->st_ino, o);
	return o;
}

static struct inv_object *by_name(
	struct inv *inv, int dirfd, const char *rel, const char *name, enum inv_kind kind)
{
	struct stat st, now;
	if (fstatat(dirfd, rel, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	if (S_ISLNK(st.st_mode)) {
		errno = ELOOP;
		return NULL;
	}
	struct inv_object *o = inv_find(inv, SPACE_FILE, st.st_dev, st.st_ino);
	bool looks = S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_size >= 64);
	int fd = o == NULL && looks ? inv_open(dirfd, rel, st.st_mode & S_IFMT, false, &now) : -1;
	if (fd >= 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev)
		o = inv_sniff(inv, fd, name, &st);
	fd_close(fd);
	if (o == NULL)
		o = plain(inv, kind, name, &st);
	if (o == NULL) {
		errno = EBADMSG;
		return NULL;
	}
	if (o->path == NULL && !o->removed)
		inv_birth(o, dirfd, rel);
	return o;
}

int inv_seed(struct inv *inv, const char *path, enum inv_kind kind, struct inv_object **found)
{
	const char *name = inv_text(inv, path, strlen(path));
	struct inv_object *o = by_name(inv, AT_FDCWD, path, name, kind);
	if (found != NULL)
		*found = o;
	if (o == NULL)
		return -1;
	if (o->path == NULL)
		o->path = name;
	o->seeded = true;
	return 0;
}

/* A plain file with the suffix of a kind that it is not. */
static struct inv_object *damaged(
	struct inv *inv, int dirfd, const char *rel, const char *name, enum inv_kind kind)
{
	struct stat st;
	if (errno != EBADMSG || fstatat(dirfd, rel, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return NULL;
	struct inv_object *o = inv_add(inv, kind, INV_FILE, name);
	if (o == NULL)
		return NULL;
	inv_stat(o, &st);
	o->lasting = true;
	inv_key(inv, SPACE_FILE, st.st_dev, st.st_ino, o);
	inv_warn(inv, o, inv_fmt(inv, "no %s file, or damaged", inv_kind_names[kind]));
	return o;
}

/* The words in the directory PATH. */
static int read_words(void *arg, const char *path)
{
	struct inv *inv = arg;
	int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (errno != ENOENT)
			inv_unseen(inv, inv_fmt(inv, "what is in %s: %s", path, strerror(errno)));
		fd_close(fd);
		return 0;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		const char *dot = strrchr(e->d_name, '.');
		/* What begins with a dot is "..", or a name that is still being made. */
		if (dot == NULL || dot == e->d_name || e->d_name[0] == '.')
			continue;
		enum inv_kind kind = kind_of_suffix(dot + 1);
		if (kind == INV_KINDS || (!inv_wants(inv, kind) && !inv_wants(inv, INV_LOCK)))
			continue;
		const char *name = inv_text(inv, e->d_name, (size_t)(dot - e->d_name));
		struct inv_object *o = by_name(inv, fd, e->d_name, name, kind);
		if (o == NULL)
			o = damaged(inv, fd, e->d_name, name, kind);
		if (o == NULL || o->make != INV_FILE)
			continue;
		o->make = INV_WORD;
		o->name = name;
		o->path = inv_fmt(inv, "%s/%s", path, e->d_name);
	}
	closedir(dir);
	return 0;
}

void inv_read_dir(struct inv *inv)
{
	object_each_dir(read_words, inv);
}
