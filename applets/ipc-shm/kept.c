/* ipc-shm: segments that a shell which runs us in its process keeps open, and mapped (lib/host.h). Only files:
 * System V segments are found by the kernel itself, and to stay attached would keep removed ones alive.
 */
#define _GNU_SOURCE
#include "shm.h"

#include "fd.h"
#include "lock.h"
#include "proc.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WHOLE (1u << 20) /* files up to this size are mapped as a whole */

static const char type; /* its address is the type of what is kept */

static struct kept_segment *of_kept(struct kept *k)
{
	return (struct kept_segment *)(void *)((char *)k - offsetof(struct kept_segment, kept));
}

static void end_kept(struct kept *k)
{
	struct kept_segment *ks = of_kept(k);
	if (ks->base != NULL)
		munmap(ks->base, ks->maplen);
	fd_close(k->fd);
	free(ks);
}

/* Whatever has ended the call. */
static void rest_kept(struct kept *k)
{
	struct kept_segment *ks = of_kept(k);
	if (ks->locked)
		lock_fcntl_free(k->fd, LOCK_OFD, 0, 0);
	if (ks->waits)
		(void)lseek(k->fd, KEPT_IDLE, SEEK_SET);
	ks->locked = ks->waits = false;
}

bool segment_recall(struct call *call, struct segment *seg, const char *word, unsigned flags)
{
	struct kept *k = kept_find(call, &type, word, SEGMENT_WRITE);
	if (k == NULL && flags == 0)
		k = kept_find(call, &type, word, 0);
	if (k == NULL)
		return false;
	(void)object_parse(&seg->obj, word);
	seg->kept = of_kept(k);
	seg->fd = k->fd;
	seg->writable = k->how != 0;
	seg->size = (uint64_t)k->st.st_size;
	return true;
}

void segment_offer(struct call *call, struct segment *seg, const char *word, unsigned flags)
{
	struct object file = {.kind = OBJECT_FILE, .name = seg->at.rel};
	bool posix = seg->obj.kind == OBJECT_POSIX;
	if (seg->sysv || seg->obj.kind == OBJECT_FD || seg->nameless)
		return;
	struct kept_segment *ks = calloc(1, sizeof *ks);
	if (ks == NULL)
		return;
	ks->kept = (struct kept){
		.fd = seg->fd, .end = end_kept, .rest = rest_kept, .fixed = posix, .quiet = true};
	call_disown(call, seg->fd);
	if (!kept_add(call, &ks->kept, &type, word, flags, posix ? &file : &seg->obj, "shm")) {
		free(ks);
		(void)call_own(call, seg->fd);
		return;
	}
	seg->kept = ks;
	seg->fd = ks->kept.fd;
	(void)lseek(seg->fd, KEPT_IDLE, SEEK_SET);
}

int segment_map_kept(struct segment *seg, uint64_t off, size_t len, bool write)
{
	struct kept_segment *ks = seg->kept;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = off / page * page;
	size_t maplen = (size_t)(off - from) + len;
	if (ks->base == NULL || from < ks->from || off + len > ks->from + ks->maplen ||
		(write && !ks->writable)) {
		if (seg->size <= WHOLE && off + len <= seg->size) {
			from = 0;
			maplen = (size_t)seg->size;
		}
		void *p = mmap(NULL, maplen, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			seg->fd, (off_t)from);
		if (p == MAP_FAILED)
			return -1;
		if (ks->base != NULL)
			munmap(ks->base, ks->maplen);
		ks->base = p;
		ks->from = from;
		ks->maplen = maplen;
		ks->writable = write;
	}
	seg->base = ks->base;
	seg->from = ks->from;
	seg->maplen = ks->maplen;
	return 0;
}

void segment_forget(struct call *call, const char *word)
{
	kept_forget(call, &type, word);
}

bool segment_idle(pid_t pid, const struct stat *st)
{
	return proc_stands(pid, st, KEPT_IDLE);
}
