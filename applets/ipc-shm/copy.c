/* ipc-shm write, read: bytes in and out, whole under the lock.
 *
 * What is to be written is complete before the lock is taken: a file that stdin is, the operand, or
 * memory that stdin was read into. So neither a slow producer keeps the readers waiting, nor does one
 * that fails leave half of its data. In the same way what is read goes to memory first, unless
 * stdout is a file. Bytes move by read(2) and pwrite(2) through a buffer that stays in the cache, which
 * is as fast as copying into a mapping (no page faults), and the kernel checks for us where it ends.
 */
#define _GNU_SOURCE
#include "shm.h"

#include "copy.h"
#include "fd.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes in memory of our own. */
struct stage {
	char *base;
	size_t len, cap;
};

static void undo_stage(void *arg, intptr_t n)
{
	struct stage *s = arg;
	(void)n;
	if (s->base != NULL)
		munmap(s->base, s->cap);
}

/* Room for CAP bytes. Huge pages: a fault per 2 MiB. 0 or -1. */
static int stage_room(struct stage *s, size_t cap)
{
	void *p = s->base == NULL ? mmap(NULL, cap, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
				  : mremap(s->base, s->cap, cap, MREMAP_MAYMOVE);
	if (p == MAP_FAILED)
		return -1;
	if (cap > (4u << 20))
		(void)madvise(p, cap, MADV_HUGEPAGE);
	s->base = p;
	s->cap = cap;
	return 0;
}

/* SHM_BUFFER bytes that begin at a page: the kernel's copies are slower where they do not. */
static void *buffer(struct call *call)
{
	struct stage *s = call_alloc(call, sizeof *s);
	if (s == NULL || stage_room(s, SHM_BUFFER) < 0 || call_undo(call, undo_stage, s, 0) < 0)
		return NULL;
	return s->base;
}

/* What is to be written: memory, or LEN bytes of the file that stdin is. */
struct source {
	const char *mem; /* NULL: stdin */
	uint64_t len;
	struct stage *stage;
};

/* Read stdin until its end, ROOM bytes at most. 0 or a status. */
static int stage_stdin(
	struct call *call, const struct segment *seg, struct source *src, uint64_t room)
{
	struct stage *s = src->stage;
	copy_pipe(call->in);
	for (;;) {
		size_t want = s->cap * 2 > SHM_BUFFER * 8 ? s->cap * 2 : SHM_BUFFER * 8;
		if (s->len == s->cap && stage_room(s, want) < 0)
			return call_error(call, errno, "hold %zu bytes of stdin", want);
		if (wait_fd(call->in, POLLIN, DEADLINE_NONE, &call->stop) < 0)
			return call_waited(call, errno, "read stdin");
		ssize_t n = read(call->in, s->base + s->len, s->cap - s->len);
		if (n == 0)
			break;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return call_fail(call, ST_IO, errno, "read stdin");
		s->len += n > 0 ? (size_t)n : 0;
		if (s->len > room)
			return call_fail(call, ST_DATA, 0,
				"%s: stdin is longer than the %llu bytes from the offset to the end; "
				"nothing was written",
				seg->obj.text, (unsigned long long)room);
	}
	src->mem = s->base;
	src->len = s->len;
	return 0;
}

static int find_source(
	struct call *call, const struct segment *seg, struct source *src, uint64_t room)
{
	struct stat st;
	*src = (struct source){.stage = call_alloc(call, sizeof *src->stage)};
	if (src->stage == NULL || call_undo(call, undo_stage, src->stage, 0) < 0)
		return call_error(call, errno, "write %s", seg->obj.text);
	if (call->nargs > 1) {
		src->mem = call->args[1].str;
		src->len = strlen(src->mem) + (call->opt[COPY_STRING].count > 0 ? 1 : 0);
		return 0;
	}
	if (call->opt[COPY_STRING].count > 0)
		return call_fail(call, ST_USAGE, 0, "--string needs TEXT");
	off_t at = lseek(call->in, 0, SEEK_CUR);
	if (at < 0 || fstat(call->in, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= at)
		return stage_stdin(call, seg, src, room);
	src->len = (uint64_t)(st.st_size - at);
	return 0;
}

static void put(struct segment *seg, uint64_t off, const char *p, size_t n)
{
	memcpy(segment_at(seg, off), p, n);
}

static int write_all(struct call *call, struct segment *seg, struct source *src, uint64_t off,
	struct progress *progress)
{
	char *buf = src->mem == NULL ? buffer(call) : NULL;
	if (src->mem == NULL && buf == NULL)
		return call_error(call, ENOMEM, "write %s", seg->obj.text);
	for (uint64_t done = 0; done < src->len;) {
		size_t n = src->len - done < SHM_BUFFER ? (size_t)(src->len - done) : SHM_BUFFER;
		const char *p = src->mem != NULL ? src->mem + done : buf;
		if (src->mem == NULL) {
			ssize_t got = fd_read(call->in, buf, n);
			if (got < 0)
				return call_fail(call, ST_IO, errno,
					"read stdin, %s is written in part", seg->obj.text);
			if ((size_t)got < n)
				return call_fail(call, ST_DATA, 0,
					"stdin was cut short while it was read, %s is written in part",
					seg->obj.text);
		}
		if (seg->sysv)
			put(seg, off + done, p, n);
		else if (fd_pwrite(seg->fd, p, n, (off_t)(off + done)) < 0)
			return call_error(call, errno, "write %s", seg->obj.text);
		done += n;
		progress_add(progress, n);
	}
	return 0;
}

int shm_write(struct call *call)
{
	struct segment *seg;
	struct source src;
	struct progress progress;
	uint64_t off = (uint64_t)call->opt[COPY_OFFSET].num;
	int status = segment_open(call, &seg, call->args[0].str, SEGMENT_KEEP | SEGMENT_WRITE);
	if (status == 0)
		status = segment_fits(call, seg, off, 0);
	if (status == 0)
		status = find_source(call, seg, &src, seg->size - off);
	if (status == 0)
		status = segment_lock(call, seg, false, SEGMENT_WRITE);
	if (status == 0)
		status = segment_fits(call, seg, off, src.len);
	if (status == 0)
		status = segment_back(call, seg, off, off + src.len);
	if (status == 0 && seg->sysv && src.len > 0)
		status = segment_map(call, seg, off, (size_t)src.len, true);
	if (status != 0)
		return status;
	progress_start(&progress, call->err, call->std[STD_PROGRESS].count > 0, src.len);
	status = write_all(call, seg, &src, off, &progress);
	progress_end(&progress);
	segment_unlock(call, seg);
	return status;
}

/* ---- read */

/* N bytes at OFF into P. 0 or a status. */
static int get(struct call *call, struct segment *seg, uint64_t off, char *p, size_t n)
{
	if (seg->sysv) {
		memcpy(p, segment_at(seg, off), n);
		return 0;
	}
	ssize_t got = fd_pread(seg->fd, p, n, (off_t)off);
	if (got < 0)
		return call_error(call, errno, "read %s", seg->obj.text);
	if ((size_t)got < n)
		return call_fail(
			call, ST_DATA, 0, "%s: the file was cut short while in use", seg->obj.text);
	return 0;
}

static int put_out(struct call *call, const char *p, size_t n, struct progress *progress)
{
	for (size_t done = 0; done < n;) {
		size_t some = n - done < (1u << 20) ? n - done : 1u << 20;
		if (fd_write(call->out.fd, p + done, some) < 0)
			return call_stdout_error(call, errno);
		done += some;
		progress_add(progress, some);
	}
	return 0;
}

/* Straight from the segment into the file that stdout is. */
static int read_through(struct call *call, struct segment *seg, uint64_t off, uint64_t len,
	struct progress *progress)
{
	char *buf = buffer(call);
	int status = 0;
	if (buf == NULL)
		return call_error(call, ENOMEM, "read %s", seg->obj.text);
	for (uint64_t done = 0; status == 0 && done < len;) {
		size_t n = len - done < SHM_BUFFER ? (size_t)(len - done) : SHM_BUFFER;
		status = get(call, seg, off + done, buf, n);
		if (status == 0)
			status = put_out(call, buf, n, progress);
		done += n;
	}
	return status;
}

/* A copy under the lock, and out without it. STRING: up to the first NUL, and a newline. */
static int read_copy(struct call *call, struct segment *seg, uint64_t off, uint64_t len,
	bool string, struct progress *progress)
{
	struct stage *s = call_alloc(call, sizeof *s);
	if (s == NULL || (len > 0 && (len > SIZE_MAX || stage_room(s, (size_t)len) < 0)) ||
		call_undo(call, undo_stage, s, 0) < 0)
		return call_error(call, ENOMEM, "hold %llu bytes of %s", (unsigned long long)len,
			seg->obj.text);
	const char *end = NULL;
	while (s->len < len && end == NULL) {
		size_t n = len - s->len < SHM_BUFFER ? (size_t)(len - s->len) : SHM_BUFFER;
		int status = get(call, seg, off + s->len, s->base + s->len, n);
		if (status != 0)
			return status;
		end = string ? memchr(s->base + s->len, '\0', n) : NULL;
		s->len += n;
	}
	segment_unlock(call, seg);
	int status =
		put_out(call, s->base, end != NULL ? (size_t)(end - s->base) : s->len, progress);
	if (status == 0 && string)
		out_char(&call->out, '\n');
	return status;
}

int shm_read(struct call *call)
{
	struct segment *seg;
	struct progress progress;
	struct stat st;
	bool string = call->opt[COPY_STRING].count > 0;
	uint64_t off = (uint64_t)call->opt[COPY_OFFSET].num;
	int status = segment_open(call, &seg, call->args[0].str, SEGMENT_KEEP);
	if (status == 0)
		status = segment_lock(call, seg, true, 0);
	if (status == 0)
		status = segment_fits(call, seg, off, (uint64_t)call->opt[COPY_LENGTH].num);
	if (status != 0)
		return status;
	uint64_t len = call->opt[COPY_LENGTH].count > 0 ? (uint64_t)call->opt[COPY_LENGTH].num
							: seg->size - off;
	if (seg->sysv && len > 0 && (status = segment_map(call, seg, off, (size_t)len, false)) != 0)
		return status;
	progress_start(&progress, call->err, call->std[STD_PROGRESS].count > 0, len);
	bool file = fstat(call->out.fd, &st) == 0 && S_ISREG(st.st_mode) && !string;
	status = file ? read_through(call, seg, off, len, &progress)
		      : read_copy(call, seg, off, len, string, &progress);
	progress_end(&progress);
	return status;
}
