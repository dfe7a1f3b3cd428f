/* applets/ipc-lock/dotlock.c: --family dotlock, the lock that is a file: it is held while the file
 * exists and one of the processes named in it lives.
 *
 * What a line says is in lib/dotline.h. The first line is the supervisor's; the command adds its own
 * before it begins, so that a killed supervisor does not make the file stale while the command runs.
 * From before the file has its name until then both hold flock(2) on it, by the one descriptor that the
 * command's process inherits: so a supervisor that is killed in between leaves no stale file either.
 * A line without its newline is not there.
 *
 * The file is complete before link(2) gives it its name. It is stale when every line is of a dead
 * process, or of an earlier boot of this machine. A stale one is taken over by rename(2) of a new file
 * onto it; whoever does so holds flock(2) on the old file from before the look that finds it stale,
 * and then makes sure that the name still is the old file's: of two who find it stale, the second
 * finds another file there. Removing it first would let him remove the winner's.
 *
 * Not judged, so held: another machine, another pid namespace, who cannot be looked at, a file that is
 * not ours.
 */
#define _GNU_SOURCE
#include "ipc-lock.h"

#include "fd.h"
#include "newfile.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define GLANCE (100 * NS_PER_MS)

struct dotlock {
	struct object_at at;
	const char *text;
	int fd; /* of the file that is ours, -1 while it is not */
	struct stat st;
	const char *lacks; /* what could not be read of ourselves */
};

struct dotlocks {
	struct dotlock *d;
	unsigned n;
};

/* The lines of the file that FD is. As dotlock_look. */
static int judge_file(int fd, const struct dotline_self *s, struct dotline *owner)
{
	char text[2048], *line = text, *end;
	int verdict = -1;
	ssize_t n = fd_pread(fd, text, sizeof text - 1, 0);
	*owner = (struct dotline){0};
	if (n < 0)
		return -1;
	text[n] = '\0';
	for (; (end = strchr(line, '\n')) != NULL && verdict <= 0; line = end + 1) {
		*end = '\0';
		int r = dotline_judge(line, s, owner);
		if (r < 0)
			break;
		verdict = r;
	}
	errno = EBADMSG;
	return verdict;
}

static int look(int dirfd, const char *rel, const struct dotline_self *s, struct dotline *owner)
{
	*owner = (struct dotline){0};
	int fd = fd_open(dirfd, rel, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	int r = judge_file(fd, s, owner);
	fd_close(fd);
	return r;
}

int dotlock_look(int dirfd, const char *rel, struct dotline *owner)
{
	struct dotline_self s;
	dotline_self(&s);
	int r = look(dirfd, rel, &s, owner);
	if (r != 0)
		return r;
	/* Nobody lives who is named there: is it being taken over, or has its command yet to sign? */
	int fd = fd_open(dirfd, rel, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	r = lock_flock(fd, true, DEADLINE_NOW, NULL) < 0 && errno == EAGAIN;
	fd_close(fd);
	return r;
}

/* Is AT's name that of the file ST? */
static bool names(const struct object_at *at, const struct stat *st)
{
	struct stat now;
	return fstatat(at->dirfd, at->rel, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Put F in the place of the stale file. 1 done, 0 it is not stale, 2 it is another or gone, -1. */
static int take_over(
	struct dotlock *d, struct newfile *f, const struct dotline_self *s, struct dotline *owner)
{
	struct stat st;
	int fd = fd_open(d->at.dirfd, d->at.rel, O_RDONLY | O_NONBLOCK, 0), r;
	if (fd < 0)
		return errno == ENOENT ? 2 : -1;
	/* Who only looks whether it is held has it for a moment. */
	r = lock_flock(fd, false, wait_until(GLANCE), NULL);
	if (r < 0 && (errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR)) {
		/* Another is at it, or starts its command. */
		*owner = (struct dotline){0};
		fd_close(fd);
		return 0;
	}
	if (r == 0)
		r = fstat(fd, &st);
	if (r == 0)
		r = judge_file(fd, s, owner);
	if (r == 0)
		r = !names(&d->at, &st) ? 2 : newfile_replace(f) < 0 ? -1 : 1;
	else
		r = r < 0 ? -1 : 0;
	fd_close(fd);
	return r;
}

/* A line that lacks something could be judged by nobody: no lock is taken with it. 0 somebody has it, -1. */
static int cannot_sign(struct dotlock *d, const struct dotline_self *s, struct dotline *owner)
{
	int alive = look(d->at.dirfd, d->at.rel, s, owner);
	if (alive != 0)
		return alive > 0 ? 0 : -1;
	d->lacks = s->lacks;
	errno = s->err;
	return -1;
}

/* One try. 1 taken, 0 somebody has it, 2 somebody had: try again, -1. */
static int try_take(struct dotlock *d, unsigned mode, struct dotline *owner)
{
	struct newfile f;
	struct dotline_self self;
	dotline_self(&self);
	if (self.lacks != NULL)
		return cannot_sign(d, &self, owner);
	if (newfile_open(&f, d->at.dirfd, d->at.rel, mode) < 0)
		return -1;
	/* Where there is no flock(2), nobody takes over either. */
	int r = lock_flock(f.fd, false, DEADLINE_NOW, NULL) < 0 && errno == EAGAIN ? -1 : 0;
	if (r == 0)
		r = dotline_add(f.fd, &self);
	if (r == 0)
		r = newfile_link(&f) == 0 ? 1 : errno != EEXIST ? -1 : 0;
	if (r == 0 && newfile_dangling(d->at.dirfd, d->at.rel)) {
		errno = ELOOP;
		r = -1;
	}
	if (r == 0) {
		int alive = look(d->at.dirfd, d->at.rel, &self, owner);
		r = alive == 0 ? take_over(d, &f, &self, owner) : alive > 0 ? 0 : -1;
	}
	if (r == 1 && fstat(f.fd, &d->st) < 0)
		r = -1;
	newfile_end(&f, r == 1 ? &d->fd : NULL);
	return r;
}

/* Sleep until something may have changed: the directory, or the holder's end. Hints can be lost
 * (NFS), so that we look again every second. */
static int wait_change(int ino, int pidfd, int64_t deadline, const struct stop *stop)
{
	int64_t look = wait_until(NS_PER_S);
	struct pollfd p[2] = {{.fd = ino, .events = POLLIN}, {.fd = pidfd, .events = WAIT_END}};
	char buf[4096];
	if (deadline == DEADLINE_NOW) {
		errno = EAGAIN;
		return -1;
	}
	int r = wait_poll(p, 2, look < deadline ? look : deadline, stop);
	if (r < 0 && errno == ETIMEDOUT && wait_now() < deadline)
		return 0;
	/* What changed does not matter, only that it is told once. */
	if (r > 0 && (p[0].revents & POLLIN) != 0 && read(ino, buf, sizeof buf) < 0)
		return 0;
	return r < 0 ? -1 : 0;
}

/* An inotify descriptor that tells of changes beside D; -1 is no reason to stop. */
static int watch(const struct dotlock *d)
{
	char dir[4200];
	const char *slash = strrchr(d->at.rel, '/');
	int len = slash == NULL ? 1 : slash == d->at.rel ? 1 : (int)(slash - d->at.rel);
	int n = d->at.dirfd != AT_FDCWD
		? snprintf(dir, sizeof dir, "/proc/self/fd/%d", d->at.dirfd)
		: snprintf(dir, sizeof dir, "%.*s", len, slash != NULL ? d->at.rel : ".");
	int ino = n < (int)sizeof dir ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
	if (ino >= 0 && inotify_add_watch(ino, dir, IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) < 0) {
		fd_close(ino);
		ino = -1;
	}
	return ino;
}

static int take(struct dotlock *d, unsigned mode, int64_t deadline, const struct stop *stop,
	struct dotline *owner)
{
	int ino = -1, r;
	while ((r = try_take(d, mode, owner)) == 0 || r == 2) {
		if (r == 2)
			continue;
		/* The watch begins before the look that finds it held. */
		if (ino < 0 && deadline != DEADLINE_NOW && (ino = watch(d)) >= 0)
			continue;
		int pidfd = owner->here && owner->pid > 0 ? wait_pidfd(owner->pid) : -1;
		r = wait_change(ino, pidfd, deadline, stop);
		fd_close(pidfd);
		if (r < 0)
			break;
	}
	fd_close(ino);
	return r == 1 ? 0 : -1;
}

/* Ours can only have been replaced by hand. */
static void release(struct dotlock *d)
{
	if (d->fd >= 0)
		(void)object_unlink(d->at.dirfd, d->at.rel, &d->st, 0);
	fd_close(d->fd);
	d->fd = -1;
}

static void release_all(void *arg)
{
	struct dotlocks *all = arg;
	for (unsigned i = all->n; i-- > 0;) {
		release(&all->d[i]);
		object_at_close(&all->d[i].at);
	}
	all->n = 0;
}

static void undo_release(void *arg, intptr_t n)
{
	(void)n;
	release_all(arg);
}

/* In the command's own process, before it begins. */
static int sign(void *arg)
{
	struct dotlocks *all = arg;
	struct dotline_self self;
	dotline_self(&self);
	if (self.lacks != NULL)
		return self.err;
	for (unsigned i = 0; i < all->n; i++)
		if (all->d[i].fd >= 0 && dotline_add(all->d[i].fd, &self) < 0)
			return errno;
	for (unsigned i = 0; i < all->n; i++)
		if (all->d[i].fd >= 0)
			(void)flock(all->d[i].fd, LOCK_UN);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct dotlock *const *x = a, *const *y = b;
	return strcmp((*x)->text, (*y)->text);
}

/* "PID (CMD) since TIME" */
static const char *owner_text(struct call *call, const struct dotline *o)
{
	char command[400], t[32];
	const char *text = call_fmt(call, "%ld (%s%s)%s%s since %s", (long)o->pid,
		o->here ? proc_command(o->pid, command, sizeof command) : "not visible",
		o->here && proc_stopped(o->pid) ? ", stopped" : "", o->here ? "" : " on ",
		o->here ? "" : o->host, num_time_text(o->since, t));
	return text != NULL ? text : "another process";
}

static int refused(struct call *call, const struct dotlock *d, const struct dotline *o, int errnum)
{
	if (errnum == EBADMSG)
		return call_fail(call, ST_DATA, 0,
			"%s exists and is no lock file of --family dotlock; remove it by hand if it is "
			"left over",
			d->text);
	if (d->lacks != NULL)
		return call_fail(call, ST_LIMIT, errnum, "lock %s: read %s", d->text, d->lacks);
	errnum = call_expired(call, errnum);
	if (errnum != EAGAIN && errnum != ETIMEDOUT)
		return call_error(call, errnum, "lock %s", d->text);
	if (o->pid == 0)
		return call_fail(call, errnum == EAGAIN ? ST_BUSY : ST_TIMEOUT, 0,
			"%s: busy: another takes it over", d->text);
	return call_fail(call, errnum == EAGAIN ? ST_BUSY : ST_TIMEOUT, 0, "%s: %s: held by %s%s",
		d->text, errnum == EAGAIN ? "busy" : "timed out", owner_text(call, o),
		o->reboot ? ", of another boot; remove it by hand if it is left over" : "");
}

/* All or none, in the order of their names. -1, or a status. */
static int take_all(struct call *call, struct dotlocks *all)
{
	struct dotlock *sorted[LOCKS_MAX];
	int64_t deadline = call_deadline(call);
	unsigned mode = call->std[STD_MODE].count > 0 ? (unsigned)call->std[STD_MODE].num : 0644;
	for (unsigned i = 0; i < all->n; i++)
		sorted[i] = &all->d[i];
	qsort(sorted, all->n, sizeof *sorted, by_name);
	for (unsigned i = 0; i < all->n; i++) {
		struct dotline owner = {0};
		if (i > 0 && strcmp(sorted[i]->text, sorted[i - 1]->text) == 0)
			continue;
		if (call_says_waits(call)) {
			if (take(sorted[i], mode, DEADLINE_NOW, &call->stop, &owner) == 0)
				continue;
			if (errno == EAGAIN)
				call_waits(call, "waiting for %s: held by %s", sorted[i]->text,
					owner_text(call, &owner));
		}
		if (take(sorted[i], mode, deadline, &call->stop, &owner) < 0)
			return refused(call, sorted[i], &owner, errno);
	}
	return -1;
}

static int name_all(struct call *call, struct dotlocks *all)
{
	for (; all->n < call->nargs; all->n++) {
		struct dotlock *d = &all->d[all->n];
		struct lock l = {0};
		d->fd = -1;
		d->at.dirfd = AT_FDCWD;
		int status = lock_parse(call, call->args[all->n].str, &l);
		if (status >= 0)
			return status;
		if (l.obj.kind == OBJECT_FD)
			return call_fail(
				call, ST_USAGE, 0, "%s: --family dotlock needs a name", l.obj.text);
		d->text = l.obj.text;
		if (object_at(&l.obj, "lock", true, &d->at) < 0) {
			int e = errno;
			status = call_place_error(call, &l.obj, "lock", e);
			return status >= 0 ? status : call_error(call, e, "open %s", l.obj.text);
		}
		call_place_old(call, &l.obj, "lock", d->at.old);
	}
	return -1;
}

int run_dotlock(struct call *call)
{
	struct dotlocks *all = call_alloc(call, sizeof *all);
	struct command cmd = {.ended = release_all, .arg = all};
	struct timespec now;
	if (all == NULL || (all->d = call_alloc(call, call->nargs * sizeof *all->d)) == NULL)
		return call_error(call, ENOMEM, "lock");
	call_undo(call, undo_release, all, 0);
	int status = name_all(call, all);
	if (status < 0)
		status = take_all(call, all);
	if (status >= 0)
		return status;
	clock_gettime(CLOCK_REALTIME, &now);
	cmd.tree = call->opt[RUN_TREE].count > 0;
	cmd.spawn = (struct spawn){.argv = call->command, .hook = sign, .hook_arg = all};
	cmd.spawn.env = make_env(call, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (cmd.spawn.env == NULL)
		return call_error(call, ENOMEM, "lock");
	return call->opt[RUN_EXEC].count > 0 ? command_exec(call, &cmd) : command_run(call, &cmd);
}
