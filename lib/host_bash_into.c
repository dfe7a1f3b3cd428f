/* lib/host_bash_into.c: what a verb prints, into a variable: -v VAR, and by records -a ARRAY. No subshell, no
 * pipe: verbs write to an unnamed file in memory that the shell keeps for this, and hardly ever do, since
 * most of what they print still stands in the call's buffer at the end.
 */
#define _GNU_SOURCE
#include <config.h>

#include <sys/types.h>

#include <shell.h>

#include <builtins.h>

#include <arrayfunc.h>
#include <common.h>

#include "call.h"
#include "fd.h"
#include "frame.h"
#include "host_bash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern void add_unwind_protect();
extern void begin_unwind_frame();
extern void run_unwind_frame();

static int sink = -1;

int sink_open(void)
{
	struct stat st;
	/* Ours, or by now something that the script has opened on that number? */
	if (sink >= 0 && fstat(sink, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 &&
		st.st_size == 0)
		return sink;
	sink = fd_nameless("ipcbox");
	if (sink >= 0)
		sink = fd_raise(sink, KEPT_FD);
	return sink;
}

void sink_close(void)
{
	fd_close(sink);
	sink = -1;
}

char *sink_take(int fd, const char *tail, size_t tail_len, size_t *len)
{
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	size_t n = size > 0 ? (size_t)size : 0;
	char *text = malloc(n + tail_len + 1);
	if (text == NULL || (n > 0 && fd_pread(fd, text, n, 0) != (ssize_t)n)) {
		free(text);
		sink_close();
		errno = ENOMEM;
		return NULL;
	}
	memcpy(text + n, tail, tail_len);
	*len = n + tail_len;
	if (n > 0 && (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) != 0))
		sink_close();
	return text;
}

bool into_name(const char *name)
{
	return legal_identifier(name) != 0 || valid_array_reference(name, 0) != 0;
}

/* The variable that NAME means, which may be an element, or a reference to one. NULL: it comes into being. */
static SHELL_VAR *variable(const char *name)
{
	for (int depth = 0; depth < 8; depth++) {
		size_t len = strcspn(name, "[");
		char *base = strndup(name, len);
		SHELL_VAR *v = base != NULL ? find_variable(base) : NULL;
		SHELL_VAR *ref =
			v == NULL && base != NULL ? find_variable_last_nameref(base, 0) : NULL;
		free(base);
		if (ref == NULL || nameref_p(ref) == 0 || nameref_cell(ref) == NULL)
			return v;
		name = nameref_cell(ref);
	}
	return NULL;
}

bool into_usable(const struct into *into)
{
	SHELL_VAR *v = variable(into->name);
	if (v != NULL && (readonly_p(v) != 0 || noassign_p(v) != 0)) {
		builtin_error("%s: readonly variable", into->name);
		return false;
	}
	if (!into->array)
		return true;
	if (legal_identifier(into->name) != 0 && (v == NULL || assoc_p(v) == 0))
		return true;
	builtin_error("-a %s: not an indexed array", into->name);
	return false;
}

static size_t next_nul(const char *text, size_t len)
{
	const char *p = memchr(text, '\0', len);
	return p != NULL ? (size_t)(p - text) : len;
}

static int has_nul(struct call *call, const struct into *into)
{
	return call_fail(call, ST_DATA, 0,
		"-%c %s: a NUL byte, which a variable cannot hold, in what was received",
		into->array ? 'a' : 'v', into->name);
}

/* One value: without the end of its last record. */
static int assign_one(const struct into *into, struct call *call, char *text, size_t len)
{
	struct frame frame = frame_of(call);
	char last = frame.kind == FRAME_NULL ? '\0' : '\n';
	if (len > 0 && frame.kind != FRAME_SIZE && frame.kind != FRAME_RAW && text[len - 1] == last)
		len--;
	text[len] = '\0';
	if (next_nul(text, len) != len)
		return has_nul(call, into);
	SHELL_VAR *v = builtin_bind_variable((char *)(uintptr_t)into->name, text, 0);
	return v == NULL || readonly_p(v) || noassign_p(v) ? ST_USAGE : ST_OK;
}

/* The length of the record at TEXT, and of its end in *END. */
static size_t record_len(struct frame frame, const char *text, size_t left, size_t *end)
{
	*end = 0;
	if (frame.kind == FRAME_RAW)
		return left;
	if (frame.kind == FRAME_SIZE)
		return left < frame.size ? left : frame.size;
	const char *p = memchr(text, frame.kind == FRAME_NULL ? '\0' : '\n', left);
	*end = p != NULL;
	return p != NULL ? (size_t)(p - text) : left;
}

static int assign_all(const struct into *into, struct call *call, char *text, size_t len)
{
	struct frame frame = frame_of(call);
	if (frame.kind != FRAME_NULL && next_nul(text, len) != len)
		return has_nul(call, into);
	SHELL_VAR *v = find_or_make_array_variable((char *)(uintptr_t)into->name, 1);
	if (v == NULL || readonly_p(v) || noassign_p(v) || array_p(v) == 0)
		return ST_USAGE;
	if (invisible_p(v))
		VUNSETATTR(v, att_invisible);
	array_flush(array_cell(v));
	size_t end;
	arrayind_t i = 0;
	for (size_t at = 0, n; at < len; at += n + end) {
		n = record_len(frame, text + at, len - at, &end);
		char saved = text[at + n];
		text[at + n] = '\0';
		bind_array_element(v, i++, text + at, 0);
		text[at + n] = saved;
	}
	return ST_OK;
}

int into_assign(const struct into *into, struct call *call, char *text, size_t len)
{
	/* A variable with attributes may have bash evaluate the value, and jump away when it is nonsense. */
	begin_unwind_frame("ipcbox");
	add_unwind_protect(free, text);
	int status =
		into->array ? assign_all(into, call, text, len) : assign_one(into, call, text, len);
	run_unwind_frame("ipcbox");
	return status;
}
