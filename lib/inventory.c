/* lib/inventory.c: see inventory.h. The list, its memory and its hash table. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"
#include "num.h"
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536

struct inv_chunk {
	struct inv_chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char data[];
};

void *inv_alloc(struct inv *inv, size_t size)
{
	struct inv_priv *p = inv_priv(inv);
	struct inv_chunk *c = p->chunks;
	size = (size + 15) & ~(size_t)15;
	if (c == NULL || c->size - c->used < size) {
		size_t room = size > CHUNK ? size : CHUNK;
		c = malloc(sizeof *c + room);
		if (c == NULL) {
			inv->lost = true;
			return NULL;
		}
		*c = (struct inv_chunk){.next = p->chunks, .size = room};
		p->chunks = c;
	}
	void *m = c->data + c->used;
	c->used += size;
	return memset(m, 0, size);
}

void *inv_array(struct inv *inv, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return inv_alloc(inv, bytes);
}

const char *inv_text(struct inv *inv, const char *s, size_t len)
{
	char *copy = inv_alloc(inv, len + 1);
	if (copy == NULL)
		return "?";
	memcpy(copy, s, len);
	return copy;
}

const char *inv_fmt(struct inv *inv, const char *fmt, ...)
{
	char small[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n < (int)sizeof small)
		return inv_text(inv, small, n > 0 ? (size_t)n : 0);
	char *text = inv_alloc(inv, (size_t)n + 1);
	if (text == NULL)
		return "?";
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

bool inv_grow(struct inv *inv, void *array, size_t n, size_t *cap, size_t size)
{
	void *old, *more;
	if (n < *cap)
		return true;
	memcpy(&old, array, sizeof old);
	size_t want = *cap == 0 ? 64 : *cap * 2;
	more = realloc(old, want * size);
	if (more == NULL) {
		inv->lost = true;
		return false;
	}
	memcpy(array, &more, sizeof more);
	*cap = want;
	return true;
}

/* ---- the hash table */

static size_t hash(enum inv_space space, uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ (uint64_t)space << 56) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ b) * UINT64_C(0xbf58476d1ce4e5b9);
	return (size_t)(h ^ h >> 29);
}

static struct inv_slot *slot_of(struct inv_priv *p, enum inv_space space, uint64_t a, uint64_t b)
{
	for (size_t i = hash(space, a, b);; i++) {
		struct inv_slot *s = &p->slots[i & (p->nslots - 1)];
		if (s->space == 0 || (s->space == (unsigned)space + 1 && s->a == a && s->b == b))
			return s;
	}
}

struct inv_object *inv_find(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b)
{
	struct inv_slot *s = slot_of(inv_priv(inv), space, a, b);
	return s->space != 0 ? s->o : NULL;
}

bool inv_known(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b)
{
	return slot_of(inv_priv(inv), space, a, b)->space != 0;
}

static bool rehash(struct inv *inv)
{
	struct inv_priv *p = inv_priv(inv);
	struct inv_slot *old = p->slots;
	size_t n = p->nslots;
	struct inv_slot *more = calloc(n * 2, sizeof *more);
	if (more == NULL) {
		inv->lost = true;
		return false;
	}
	p->slots = more;
	p->nslots = n * 2;
	for (size_t i = 0; i < n; i++)
		if (old[i].space != 0)
			*slot_of(p, (enum inv_space)(old[i].space - 1), old[i].a, old[i].b) =
				old[i];
	free(old);
	return true;
}

void inv_key(struct inv *inv, enum inv_space space, uint64_t a, uint64_t b, struct inv_object *o)
{
	struct inv_priv *p = inv_priv(inv);
	if (p->used * 2 >= p->nslots && !rehash(inv))
		return;
	struct inv_slot *s = slot_of(p, space, a, b);
	p->used += s->space == 0;
	*s = (struct inv_slot){.a = a, .b = b, .space = (unsigned)space + 1, .o = o};
}

/* ---- objects and uses */

struct inv_object *inv_add(
	struct inv *inv, enum inv_kind kind, enum inv_make make, const char *name)
{
	struct inv_object *o = inv_alloc(inv, sizeof *o);
	if (o == NULL || !inv_grow(inv, &inv->objects, inv->n, &inv->cap, sizeof *inv->objects))
		return NULL;
	*o = (struct inv_object){
		.kind = kind, .make = make, .name = name, .size = -1, .used = -1, .room = -1};
	inv->objects[inv->n++] = o;
	return o;
}

void inv_stat(struct inv_object *o, const struct stat *st)
{
	o->dev = st->st_dev;
	o->ino = o->file = st->st_ino;
	o->has_owner = o->has_mode = true;
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->mode = st->st_mode & 07777;
	if (S_ISREG(st->st_mode))
		o->size = st->st_size;
	o->removed = st->st_nlink == 0;
	o->last = st->st_atime > st->st_mtime ? st->st_atime : st->st_mtime;
	o->created = st->st_ctime; /* until something better is known */
}

/* struct statx as the kernel lays it out, statx(2): not every C library has it. */
struct birth {
	uint32_t mask, blksize;
	uint64_t before[9];
	int64_t btime;
	uint64_t after[21];
};
_Static_assert(sizeof(struct birth) == 256 && offsetof(struct birth, btime) == 80, "statx(2)");
#define BTIME 0x800u

void inv_birth(struct inv_object *o, int dirfd, const char *name)
{
	struct birth b;
	int flags = AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0);
	if (syscall(SYS_statx, dirfd, name, flags, BTIME, &b) == 0 && (b.mask & BTIME) != 0)
		o->created = b.btime;
}

struct inv_use *inv_use(
	struct inv *inv, struct inv_object *o, struct inv_proc *proc, enum inv_how how)
{
	unsigned first = o->nuses;
	bool holds = false;
	if (inv_priv(inv)->second) {
		struct inv_use *spare = &inv_priv(inv)->spare;
		*spare = (struct inv_use){.proc = proc, .how = how, .fd = -1};
		o->again = true;
		return spare;
	}
	proc->used = true;
	while (first > 0 && o->uses[first - 1].proc == proc) {
		const struct inv_use *u = &o->uses[--first];
		holds = holds || u->how == INV_FD || u->how == INV_MAP;
		/* One of a kind is enough, but a FIFO's two ends are two. */
		if (u->how == how && how != INV_LOCKED && o->kind != INV_FIFO &&
			o->kind != INV_PIPE)
			return &o->uses[first];
	}
	size_t cap = o->cap;
	if (o->nuses == cap) {
		/* Most objects have few: their first array is small and grows by doubling. */
		cap = cap == 0 ? 2 : cap * 2;
		struct inv_use *more = inv_alloc(inv, cap * sizeof *more);
		if (more == NULL)
			return NULL;
		if (o->nuses > 0)
			memcpy(more, o->uses, o->nuses * sizeof *more);
		o->uses = more;
		o->cap = (unsigned)cap;
	}
	o->nlocks += how == INV_LOCKED;
	o->nwaiters += how == INV_WAIT;
	o->nholds += !holds && (how == INV_FD || how == INV_MAP);
	struct inv_use *u = &o->uses[o->nuses++];
	*u = (struct inv_use){.proc = proc, .how = how, .fd = -1};
	return u;
}

void inv_unseen(struct inv *inv, const char *what)
{
	if (inv->nunseen < sizeof inv->unseen / sizeof *inv->unseen)
		inv->unseen[inv->nunseen++] = what;
}

void inv_warning(struct inv *inv, const char *what)
{
	if (inv->nwarnings < sizeof inv->warnings / sizeof *inv->warnings)
		inv->warnings[inv->nwarnings++] = what;
}

void inv_warn(struct inv *inv, struct inv_object *o, const char *phrase)
{
	o->warn = o->warn == NULL ? phrase : inv_fmt(inv, "%s; %s", o->warn, phrase);
}

void inv_ran_out(struct inv *inv)
{
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		inv->err = errno;
}

/* ---- the whole */

static void undo_inv(void *arg, intptr_t n)
{
	struct inv *inv = arg;
	struct inv_priv *p = inv_priv(inv);
	(void)n;
	while (p->chunks != NULL) {
		struct inv_chunk *c = p->chunks;
		p->chunks = c->next;
		free(c);
	}
	free(p->slots);
	free(p->lines);
	free(inv->objects);
	free(inv->procs);
	free(p);
	free(inv);
}

void inv_free(struct inv *inv)
{
	call_keep(inv->call, undo_inv, inv, 0);
	undo_inv(inv, 0);
}

static uint64_t namespace(const char *name)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

#define FIRST_PID_NS 0xEFFFFFFCu /* PROC_PID_INIT_INO of the kernel */

struct inv *inv_new(struct call *call, unsigned kinds)
{
	struct timespec boot;
	struct inv *inv = calloc(1, sizeof *inv);
	struct inv_priv *p = calloc(1, sizeof *p);
	struct inv_slot *slots = calloc(4096, sizeof *slots);
	if (inv == NULL || p == NULL || slots == NULL) {
		free(inv);
		free(p);
		free(slots);
		return NULL;
	}
	*p = (struct inv_priv){.slots = slots, .nslots = 4096};
	*inv = (struct inv){.call = call, .kinds = kinds, .priv = p};
	if (call_undo(call, undo_inv, inv, 0) < 0)
		return NULL;
	inv->now = time(NULL);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	inv->booted = inv->now - boot.tv_sec;
	inv->ns_ipc = namespace("ipc");
	inv->ns_net = namespace("net");
	inv->ns_mnt = namespace("mnt");
	inv->own_pids = namespace("pid") == FIRST_PID_NS;
	return inv;
}

int inv_read(struct inv *inv)
{
	inv_read_sysv(inv);
	inv_read_posix(inv);
	inv_read_dir(inv);
	inv_read_sockets(inv);
	inv_read_locks(inv);
	if (inv_scan(inv) < 0)
		return -1;
	inv_match_locks(inv);
	inv_resolve_sockets(inv);
	inv_judge(inv);
	errno = inv->lost ? ENOMEM : inv->err;
	return errno != 0 ? -1 : 0;
}
