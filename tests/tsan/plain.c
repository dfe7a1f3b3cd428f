/* tests/tsan/plain.c: what makes threads of one process stand for processes that share a file. Built without the
 * thread sanitizer, so that nothing here orders what it is to judge.
 *
 * Each process maps a file at an address of its own; the sanitizer knows memory by its address. So ld's --wrap
 * leads mmap(2) of a shared file here, and all who map the same file get the same mapping. Nor does it know that
 * who opens a file by its name sees what was written before it got that name: that is told it.
 */
#define _GNU_SOURCE
#include "newfile.h"

#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FILES 64

static struct file {
	dev_t dev;
	ino_t ino;
	unsigned char *base;
	size_t size;
	unsigned users;
} files[FILES];
static int busy, named;

extern void __tsan_acquire(void *addr);
extern void __tsan_release(void *addr);
void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t len);
int __real_newfile_link(struct newfile *f);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t len);
int __wrap_newfile_link(struct newfile *f);

/* No mutex of pthreads: the sanitizer would take it for one that orders. */
static void lock(void)
{
	while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0)
		sched_yield();
}

static void unlock(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

/* The file that ST is about, or a free place for it. */
static struct file *find(const struct stat *st)
{
	struct file *free_one = NULL;
	for (struct file *f = files; f < files + FILES; f++) {
		if (f->users > 0 && f->dev == st->st_dev && f->ino == st->st_ino)
			return f;
		if (f->users == 0 && free_one == NULL)
			free_one = f;
	}
	if (free_one == NULL)
		abort();
	*free_one = (struct file){.dev = st->st_dev, .ino = st->st_ino};
	return free_one;
}

/* Who only looks at a file that nobody has mapped gets a mapping of its own: there is nobody to race with. */
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	struct stat st;
	if ((flags & MAP_SHARED) == 0 || fd < 0 || fstat(fd, &st) < 0)
		return __real_mmap(addr, len, prot, flags, fd, off);
	lock();
	struct file *f = find(&st);
	if (f->users == 0 && (prot & PROT_WRITE) == 0) {
		unlock();
		return __real_mmap(addr, len, prot, flags, fd, off);
	}
	if (f->users == 0) {
		f->size = (size_t)st.st_size;
		f->base = __real_mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (f->base == MAP_FAILED)
			abort();
		__tsan_release(&named); /* a mapping counts as written to by who made it */
	}
	f->users++;
	unlock();
	__tsan_acquire(&named);
	return f->base + off;
}

int __wrap_munmap(void *addr, size_t len)
{
	struct file *f = files;
	int r = 0;
	lock();
	while (f < files + FILES && (f->users == 0 || f->base != addr))
		f++;
	if (f == files + FILES)
		r = __real_munmap(addr, len);
	else if (--f->users == 0)
		r = __real_munmap(f->base, f->size);
	unlock();
	return r;
}

int __wrap_newfile_link(struct newfile *f)
{
	__tsan_release(&named);
	return __real_newfile_link(f);
}
