/* lib/psem.c: see psem.h. The words are changed exactly as the library's own functions do it, so that
 * neither side loses a wake-up: glibc's nptl/sem_waitcommon.c and sem_post.c, musl's sem_timedwait.c
 * and sem_post.c. */
#define _GNU_SOURCE
#include "psem.h"

#include "fd.h"
#include "futex.h"
#include "lease.h"
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEM_SIZE (4 * sizeof(long)) /* sizeof(sem_t) of both */
#define LOOK (10 * NS_PER_MS)

#ifdef SYSTEM_MUSL
#define PREFIX ""
#else
#define PREFIX "sem."
#endif

int psem_path(const char *name, char buf[PSEM_PATH])
{
	name += strspn(name, "/");
	if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	if (strlen(name) + strlen(PREFIX) > 255) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(buf, PSEM_PATH, PSEM_DIR "/" PREFIX "%s", name);
	return 0;
}

const char *psem_file(const char *file)
{
	size_t n = strlen(PREFIX);
	return strncmp(file, PREFIX, n) == 0 && file[n] != '\0' && file[n] != '.' ? file + n : NULL;
}

#if LONG_MAX > 0x7fffffff && !defined SYSTEM_MUSL

/* struct new_sem: the value, the number of sleepers, and whether futexes are shared (128). */
struct psem_map {
	uint64_t data; /* value in the low half, sleepers in the high half */
	int32_t shared;
	int32_t pad[5];
};

static uint32_t *value_word(const struct psem *s)
{
	uint32_t *word = (uint32_t *)(void *)&s->map->data;
	return word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 1 : 0);
}

static void init(struct psem_map *m, unsigned value)
{
	m->data = value;
	m->shared = 128;
}

static uint64_t load(const struct psem *s)
{
	return __atomic_load_n(&s->map->data, __ATOMIC_ACQUIRE);
}

unsigned psem_value(const struct psem *s)
{
	return (unsigned)load(s);
}

unsigned psem_waiters(const struct psem *s)
{
	return (unsigned)(load(s) >> 32);
}

/* Take K away, and LESS besides. */
static bool take(struct psem *s, unsigned k, uint64_t less)
{
	uint64_t v = load(s);
	while ((uint32_t)v >= k)
		if (__atomic_compare_exchange_n(&s->map->data, &v, v - k - less, true,
			    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

#define SLEEPER ((uint64_t)1 << 32)

int psem_wait(struct psem *s, unsigned k, int64_t deadline, const struct stop *stop)
{
	if (take(s, k, 0))
		return 0;
	if (deadline == DEADLINE_NOW) {
		errno = EAGAIN;
		return -1;
	}
	__atomic_fetch_add(&s->map->data, SLEEPER, __ATOMIC_RELAXED);
	for (;;) {
		uint32_t seen = (uint32_t)load(s);
		if (seen < k && futex_wait(value_word(s), seen, deadline, stop) < 0) {
			__atomic_fetch_sub(&s->map->data, SLEEPER, __ATOMIC_RELAXED);
			return -1;
		}
		if (take(s, k, SLEEPER))
			return 0;
		/* A wake-up that is too little for us may be enough for another. */
		if (k > 1 && (uint32_t)load(s) > 0 && (uint32_t)load(s) != seen)
			futex_wake(value_word(s), 1);
	}
}

int psem_post(struct psem *s, unsigned k)
{
	uint64_t v = load(s);
	do {
		if (k > PSEM_VALUE_MAX - (uint32_t)v) {
			errno = EOVERFLOW;
			return -1;
		}
	} while (!__atomic_compare_exchange_n(
		&s->map->data, &v, v + k, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (v >> 32 > 0)
		futex_wake(value_word(s), (int)k);
	return 0;
}

void psem_set(struct psem *s, unsigned n)
{
	uint64_t v = load(s);
	while (!__atomic_compare_exchange_n(
		&s->map->data, &v, (v >> 32 << 32) + n, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	futex_wake(value_word(s), INT_MAX);
}

#elif defined SYSTEM_MUSL

/* __val[0]: the value, its sign bit for sleepers; __val[1]: how many sleep; __val[2]: 0, shared. */
struct psem_map {
	uint32_t value, sleepers, private, pad[sizeof(long) - 3];
};
#define ASLEEP 0x80000000u

static uint32_t *value_word(const struct psem *s)
{
	return &s->map->value;
}

static void init(struct psem_map *m, unsigned value)
{
	m->value = value;
}

unsigned psem_value(const struct psem *s)
{
	return __atomic_load_n(&s->map->value, __ATOMIC_ACQUIRE) & ~ASLEEP;
}

unsigned psem_waiters(const struct psem *s)
{
	return __atomic_load_n(&s->map->sleepers, __ATOMIC_ACQUIRE);
}

static bool take(struct psem *s, unsigned k)
{
	uint32_t v = __atomic_load_n(&s->map->value, __ATOMIC_ACQUIRE);
	while ((v & ~ASLEEP) >= k)
		if (__atomic_compare_exchange_n(
			    &s->map->value, &v, v - k, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

int psem_wait(struct psem *s, unsigned k, int64_t deadline, const struct stop *stop)
{
	while (!take(s, k)) {
		uint32_t v = __atomic_load_n(&s->map->value, __ATOMIC_ACQUIRE);
		if (deadline == DEADLINE_NOW) {
			errno = EAGAIN;
			return -1;
		}
		if ((v & ~ASLEEP) >= k)
			continue;
		__atomic_fetch_add(&s->map->sleepers, 1, __ATOMIC_SEQ_CST);
		int r = 0;
		if ((v & ASLEEP) != 0 ||
			__atomic_compare_exchange_n(&s->map->value, &v, v | ASLEEP, false,
				__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			r = futex_wait(&s->map->value, v | ASLEEP, deadline, stop);
		__atomic_fetch_sub(&s->map->sleepers, 1, __ATOMIC_SEQ_CST);
		if (r < 0)
			return -1;
	}
	return 0;
}

static void change(struct psem *s, uint32_t v, uint32_t n)
{
	(void)n;
	if ((v & ASLEEP) != 0)
		futex_wake(&s->map->value, INT_MAX);
}

int psem_post(struct psem *s, unsigned k)
{
	uint32_t v = __atomic_load_n(&s->map->value, __ATOMIC_ACQUIRE), n;
	do {
		n = v & ~ASLEEP;
		if (k > PSEM_VALUE_MAX - n) {
			errno = EOVERFLOW;
			return -1;
		}
		n += k;
	} while (!__atomic_compare_exchange_n(
		&s->map->value, &v, n, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	change(s, v, n);
	return 0;
}

void psem_set(struct psem *s, unsigned n)
{
	change(s, __atomic_exchange_n(&s->map->value, n, __ATOMIC_ACQ_REL), n);
}

#else

#include "psem32.h"

#endif

static int map(struct psem *s)
{
	s->map = mmap(NULL, SEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (s->map != MAP_FAILED)
		return 0;
	s->map = NULL;
	return -1;
}

static int named(struct psem *s, const char *name)
{
	s->fd = -1;
	s->map = NULL;
	return psem_path(name, s->path);
}

int psem_open(struct psem *s, const char *name)
{
	struct stat st;
	if (named(s, name) < 0)
		return -1;
	s->fd = lease_open(AT_FDCWD, s->path, O_RDWR | O_NOFOLLOW, 0, DEADLINE_NONE, NULL);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size != SEM_SIZE) {
		errno = EBADMSG;
		return -1;
	}
	fd_touch(s->fd, &st);
	return map(s);
}

int psem_create(struct psem *s, const char *name, unsigned mode, unsigned value)
{
	struct newfile f;
	if (named(s, name) < 0 || newfile_open(&f, AT_FDCWD, s->path, mode) < 0)
		return -1;
	int e = fd_allocate(f.fd, SEM_SIZE), r = -1;
	s->fd = f.fd;
	if (e != 0)
		errno = e;
	else if (map(s) == 0) {
		init(s->map, value);
		r = newfile_link(&f);
	}
	newfile_end(&f, &s->fd);
	return r;
}

void psem_close(struct psem *s)
{
	if (s->map != NULL)
		munmap(s->map, SEM_SIZE);
	fd_close(s->fd);
	s->map = NULL;
	s->fd = -1;
}

int psem_zero(struct psem *s, int64_t deadline, const struct stop *stop)
{
	for (;;) {
		uint32_t v = __atomic_load_n(value_word(s), __ATOMIC_ACQUIRE);
		if (psem_value(s) == 0)
			return 0;
		if (deadline == DEADLINE_NOW) {
			errno = EAGAIN;
			return -1;
		}
		int64_t look = wait_until(LOOK);
		if (futex_wait(value_word(s), v, look < deadline ? look : deadline, stop) < 0 &&
			(errno != ETIMEDOUT || wait_now() >= deadline))
			return -1;
	}
}

int psem_peek(int fd, unsigned *value, unsigned *waiters)
{
	union {
		struct psem_map map;
		unsigned char bytes[SEM_SIZE + 1]; /* a larger one is of another word size */
	} copy;
	struct psem s = {.fd = fd, .map = &copy.map};
	ssize_t n = fd_pread(fd, copy.bytes, sizeof copy.bytes, 0);
	if (n != (ssize_t)SEM_SIZE) {
		errno = n < 0 ? errno : EBADMSG;
		return -1;
	}
	*value = psem_value(&s);
	*waiters = psem_waiters(&s);
	return 0;
}
