/* applets/ipc-lock/query.c: test and stat. Neither makes a file or holds a lock. */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "lease.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#endif

int lock_look(struct lock *l, int64_t deadline, const struct stop *stop)
{
	char self[32];
	const char *path = self;
	l->at.dirfd = AT_FDCWD;
	l->fd = -1;
	if (l->obj.kind == OBJECT_FD) {
		/* Another description: asking on theirs would change the lock that they hold. */
		snprintf(self, sizeof self, "/proc/self/fd/%d", l->obj.fd);
	} else {
		if (object_at(&l->obj, "lock", false, &l->at) < 0)
			return -1;
		path = l->at.rel;
	}
	l->fd = lease_open(l->at.dirfd, path, O_RDONLY, 0, deadline, stop);
	if (l->fd < 0 && errno == EACCES)
		l->fd = lease_open(l->at.dirfd, path, O_WRONLY, 0, deadline, stop);
	/* lock_close leaves the descriptor of an FD object open; this one is ours. */
	if (l->obj.kind == OBJECT_FD)
		l->obj.kind = OBJECT_FILE;
	if (l->fd >= 0 && fstat(l->fd, &l->st) == 0)
		return 0;
	int e = errno;
	lock_close(l);
	errno = e;
	return -1;
}

/* 1 held, 0 free: asked of the kernel, nothing is taken. */
static int fcntl_held(const struct lock *l)
{
	struct flock fl = {.l_type = l->shared ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)l->start,
		.l_len = (off_t)l->len};
	if (fcntl(l->fd, F_OFD_GETLK, &fl) < 0)
		return -1;
	return fl.l_type != F_UNLCK;
}

/* flock(2) cannot be asked, only tried. Trying takes the lock for an instant, which could turn away
 * a `run -n` of that instant; where /proc/locks is sure to show every lock we need not try: in
 * the first pid namespace, on file systems whose device numbers are the kernel's. */
static bool locks_shown(int fd)
{
	char ns[32];
	struct statfs fs;
	ssize_t n = readlink("/proc/self/ns/pid", ns, sizeof ns - 1);
	if (n <= 0 || fstatfs(fd, &fs) < 0)
		return false;
	ns[n] = '\0';
	uint32_t type = (uint32_t)fs.f_type;
	return strcmp(ns, "pid:[4026531836]") == 0 &&
		(type == 0xef53 || type == 0x58465342 || type == 0x01021994);
}

struct listed {
	unsigned readers, writers;
};

static void count_flock(void *arg, bool waits, const struct proc_fd *lock)
{
	struct listed *n = arg;
	if (waits || lock->lock != 'F')
		return;
	if (lock->write)
		n->writers++;
	else
		n->readers++;
}

static int flock_held(const struct lock *l)
{
	struct listed n = {0};
	ssize_t len = locks_shown(l->fd) ? kernel_locks(&l->st, count_flock, &n) : -1;
	if (n.writers > 0 || (n.readers > 0 && !l->shared))
		return 1;
	/* The kernel hands the list out page by page: only within one page it is of one moment. */
	if (len >= 0 && len < 4000)
		return 0;
	/* Another who only tries is gone at once. */
	if (lock_flock(l->fd, l->shared, wait_until(20 * NS_PER_MS), NULL) < 0)
		return errno == ETIMEDOUT ? 1 : -1;
	lock_flock_free(l->fd);
	return 0;
}

static int held(const struct lock *l, unsigned families)
{
	int r = 0;
	if ((families & (LOCK_OFD | LOCK_POSIX)) != 0)
		r = fcntl_held(l);
	if (r == 0 && (families & LOCK_FLOCK) != 0 && l->start == 0 && l->len == 0)
		r = flock_held(l);
	return r;
}

static int test_dotlock(struct call *call, struct lock *l)
{
	struct dotline owner;
	if (call->opt[TEST_SHARED].count > 0 || call->opt[TEST_RANGE].count > 0)
		return call_fail(call, ST_USAGE, 0, "a lock file has no --shared or --range");
	if (l->obj.kind == OBJECT_FD)
		return call_fail(
			call, ST_USAGE, 0, "%s: --family dotlock needs a name", l->obj.text);
	if (object_at(&l->obj, "lock", false, &l->at) < 0)
		return errno == ENOENT ? ST_OK : call_error(call, errno, "open %s", l->obj.text);
	int r = dotlock_look(l->at.dirfd, l->at.rel, &owner);
	int e = errno;
	object_at_close(&l->at);
	if (r < 0)
		return call_error(call, e, "read %s", l->obj.text);
	if (r > 0 && call->std[STD_VERBOSE].count > 0)
		out_fmt(&call->out, "held by %ld on ", (long)owner.pid),
			out_plain_line(&call->out, owner.host);
	return r > 0 ? ST_NO : ST_OK;
}

int ipc_lock_test(struct call *call)
{
	enum family family = (enum family)call->opt[TEST_FAMILY].num;
	struct lock l = {.shared = call->opt[TEST_SHARED].count > 0};
	int status = lock_parse(call, call->args[0].str, &l);
	if (status < 0 && call->opt[TEST_RANGE].count > 0)
		status = range_parse(call, call->opt[TEST_RANGE].str, &l);
	if (status >= 0)
		return status;
	if (family == FAMILY_DOTLOCK)
		return test_dotlock(call, &l);
	if (lock_look(&l, DEADLINE_NONE, &call->stop) < 0)
		return errno == ENOENT && l.obj.fd < 0
			? ST_OK
			: call_error(call, errno, "open %s", l.obj.text);
	int r = held(&l, family_mask(family)), e = errno;
	lock_close(&l);
	if (r < 0)
		return call_error(call, e, "test %s", l.obj.text);
	if (r > 0 && call->std[STD_VERBOSE].count > 0) {
		struct lock again = {0};
		(void)lock_parse(call, l.obj.text, &again);
		out_fmt(&call->out, "%s\n", holders_text(call, &again));
	}
	return r > 0 ? ST_NO : ST_OK;
}

static const char *family_words(struct call *call, unsigned mask)
{
	const char *text = call_fmt(call, "%s%s%s", (mask & LOCK_OFD) != 0 ? "ofd " : "",
		(mask & LOCK_FLOCK) != 0 ? "flock " : "", (mask & LOCK_POSIX) != 0 ? "posix " : "");
	size_t len = text != NULL ? strlen(text) : 0;
	return len > 0 ? call_fmt(call, "%.*s", (int)len - 1, text) : "";
}

static const char *range_words(struct call *call, const struct holder *h)
{
	if (h->start == 0 && h->end == UINT64_MAX)
		return "all";
	if (h->end == UINT64_MAX)
		return call_fmt(call, "%llu-", (unsigned long long)h->start);
	return call_fmt(
		call, "%llu-%llu", (unsigned long long)h->start, (unsigned long long)h->end);
}

static void row(struct call *call, struct table *t, const struct holder *h, const char *state)
{
	char since[32];
	table_cell(t, state);
	table_fmt(t, "%ld", (long)h->pid);
	table_cell(t, family_words(call, h->families));
	table_cell(t, range_words(call, h));
	table_cell(t, h->since > 0 ? num_time_text(h->since, since) : "-");
	table_fmt(t, "%s%s", h->command, h->stopped ? " (stopped)" : "");
}

struct found {
	const char *text, *state;
	struct holders h;
	struct holder *waiters;
	unsigned unseen;
	int64_t token;
};

static void stat_text(struct call *call, struct found *f)
{
	struct out *out = &call->out;
	struct table t;
	char *name = call_alloc(call, strlen(f->text) * 4 + 1);
	if (name != NULL)
		out_plain(name, f->text, strlen(f->text));
	out_fmt(out, "%s: %s", name != NULL ? name : "?", f->state);
	if (f->token != 0)
		out_fmt(out, ", token %lld", (long long)f->token);
	out_char(out, '\n');
	if (f->h.list != NULL || f->waiters != NULL) {
		table_start(&t, 6, 1u << 1);
		for (const char *const *p = (const char *const[]){"STATE", "PID", "FAMILY", "RANGE",
			     "SINCE", "COMMAND", NULL};
			*p != NULL; p++)
			table_cell(&t, *p);
		for (struct holder *x = f->h.list; x != NULL; x = x->next)
			row(call, &t, x, x->write ? "exclusive" : "shared");
		for (struct holder *x = f->waiters; x != NULL; x = x->next) {
			x->end = UINT64_MAX;
			row(call, &t, x, "waiting");
		}
		table_end(&t, out);
	}
	if (f->unseen > 0)
		out_fmt(out, "%u more waiting, not visible\n", f->unseen);
	if (f->h.hidden && strcmp(f->state, "free") != 0)
		out_str(out, "some processes are not visible from here\n");
}

static void json_holder(struct json *j, const struct holder *h, bool waits)
{
	char since[32];
	json_open(j, NULL, '{');
	json_int(j, "pid", h->pid);
	json_str(j, "command", h->command);
	json_bool(j, "stopped", h->stopped);
	json_open(j, "families", '[');
	if ((h->families & LOCK_OFD) != 0)
		json_str(j, NULL, "ofd");
	if ((h->families & LOCK_FLOCK) != 0)
		json_str(j, NULL, "flock");
	if ((h->families & LOCK_POSIX) != 0)
		json_str(j, NULL, "posix");
	json_close(j, ']');
	if (!waits) {
		json_str(j, "mode", h->write ? "exclusive" : "shared");
		json_uint(j, "start", h->start);
		if (h->end == UINT64_MAX)
			json_null(j, "end");
		else
			json_uint(j, "end", h->end);
		json_str(j, "since", h->since > 0 ? num_time_text(h->since, since) : NULL);
	}
	json_close(j, '}');
}

static void stat_json(struct call *call, struct found *f)
{
	struct json j;
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "object", f->text);
	json_str(&j, "state", f->state);
	if (f->token != 0)
		json_int(&j, "token", f->token);
	else
		json_null(&j, "token");
	json_open(&j, "holders", '[');
	for (struct holder *x = f->h.list; x != NULL; x = x->next)
		json_holder(&j, x, false);
	json_close(&j, ']');
	json_open(&j, "waiters", '[');
	for (struct holder *x = f->waiters; x != NULL; x = x->next)
		json_holder(&j, x, true);
	json_close(&j, ']');
	json_uint(&j, "waiters_hidden", f->unseen);
	json_bool(&j, "holders_hidden", f->h.hidden);
	json_close(&j, '}');
}

/* A lock file of --family dotlock: its owner is the holder. False when it is none. */
static bool stat_dotlock(struct call *call, const struct lock *l, struct found *f)
{
	struct dotline owner;
	if (l->at.rel == NULL || l->obj.fd >= 0 ||
		dotlock_look(l->at.dirfd, l->at.rel, &owner) <= 0 || owner.pid <= 0)
		return false;
	struct holder *x = call_alloc(call, sizeof *x);
	char buf[400];
	if (x == NULL)
		return false;
	*x = (struct holder){
		.pid = owner.pid, .write = true, .end = UINT64_MAX, .since = owner.since};
	x->command = owner.here ? call_strdup(call, proc_command(owner.pid, buf, sizeof buf))
				: call_fmt(call, "? on %s", owner.host);
	x->stopped = owner.here && proc_stopped(owner.pid);
	f->h.list = x;
	f->state = "exclusive (dotlock)";
	return true;
}

int ipc_lock_stat(struct call *call)
{
	struct lock l = {0};
	struct found f = {.text = call->args[0].str};
	int status = lock_parse(call, f.text, &l);
	if (status >= 0)
		return status;
	if (lock_look(&l, DEADLINE_NONE, &call->stop) < 0)
		return call_error(call, errno, "open %s", f.text);
	if (!stat_dotlock(call, &l, &f)) {
		if (holders_find(call, &l, &f.h) < 0) {
			int e = errno;
			lock_close(&l);
			return call_error(call, e, "read /proc");
		}
		f.token = token_now(l.fd);
		f.waiters = waiters_find(call, &l, &f.unseen);
		bool any = f.h.list != NULL || held(&l, LOCK_OFD | LOCK_FLOCK) > 0;
		f.state = f.h.list != NULL ? (f.h.list->write ? "exclusive" : "shared")
			: any              ? "held"
					   : "free";
	}
	lock_close(&l);
	if (call->std[STD_JSON].count > 0)
		stat_json(call, &f);
	else
		stat_text(call, &f);
	return ST_OK;
}
