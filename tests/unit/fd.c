/* tests/unit/fd.c: descriptors: limits, short transfers, files that are too large, and what is not there. */
#define _GNU_SOURCE
#include "fd.h"

#include "copy.h"
#include "newfile.h"
#include "unit.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void numbers(void)
{
	struct rlimit old, few = {8, 8};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	OK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few.rlim_max = old.rlim_max;
	int high = fd_raise(dup(fd), 100);
	OK(high >= 100 && (fcntl(high, F_GETFD) & FD_CLOEXEC) != 0);
	few.rlim_cur = 20;
	OK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	int middle = fd_raise(dup(fd), 100);
	OK(middle >= 10 && middle < 20);
	few.rlim_cur = 8;
	OK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	int low = dup(fd);
	OK(low >= 0 && fd_raise(low, 100) == low);
	OK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	OK(fd_limit_restore(&(struct rlimit){0}) == 0);
	OK(fd_nonblock(-1, true) < 0 && errno == EBADF && !fd_is_open(-1));
	OK(fd_pipe_size(fd, 4096) < 0);
	close(high);
	close(middle);
	close(low);
	close(fd);
}

/* The other end of a pipe that does not block: what is more than fits is waited for. */
static void waits(void)
{
	enum { MANY = 300000 };
	static char data[MANY], back[MANY];
	int p[2] = {-1, -1}, st = -1;
	OK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	memset(data, 'x', MANY);
	pid_t pid = fork();
	if (pid == 0)
		_exit(fd_write(p[1], data, MANY) != 0);
	OK(fd_read(p[0], back, MANY) == MANY && memcmp(data, back, MANY) == 0);
	OK(waitpid(pid, &st, 0) == pid && st == 0);
	close(p[0]);
	OK(fd_write(p[1], "x", 1) < 0 && errno == EPIPE);
	close(p[1]);
}

static void slurp(void)
{
	char *text = NULL;
	size_t len = 0;
	OK(fd_slurp(AT_FDCWD, "missing", 10, &text, &len) < 0 && errno == ENOENT);
	OK(fd_slurp(AT_FDCWD, ".", 10, &text, &len) < 0 && errno == EISDIR);
	OK(fd_slurp(AT_FDCWD, "/dev/zero", 100000, &text, &len) < 0 && errno == EFBIG);
	OK(fd_slurp(AT_FDCWD, "/dev/null", 10, &text, &len) == 0 && len == 0 && *text == '\0');
	fd_slurp_free(text);
}

static void newfiles(void)
{
	struct newfile f;
	struct stat st;
	OK(newfile_open(&f, AT_FDCWD, "missing/new", 0600) < 0 && errno == ENOENT);
	OK(newfile_open(&f, AT_FDCWD, "new", 0640) == 0 && fd_write(f.fd, "a", 1) == 0);
	OK(newfile_replace(&f) == 0);
	newfile_end(&f, NULL);
	OK(stat("new", &st) == 0 && (st.st_mode & 07777) == 0640 && st.st_size == 1);
	OK(newfile_open(&f, AT_FDCWD, "new", 0600) == 0 && newfile_link(&f) < 0 && errno == EEXIST);
	newfile_end(&f, NULL);
	OK(newfile_open(&f, AT_FDCWD, "new", 0600) == 0);
	int fd = -1;
	newfile_end(&f, &fd);
	OK(fd > 2 && f.fd < 0);
	/* Without its descriptor it can be given neither a mode nor a name. */
	close(fd);
	f = (struct newfile){.fd = fd, .dirfd = AT_FDCWD, .path = "new", .mode = 0600};
	OK(newfile_replace(&f) < 0 && errno == EBADF && newfile_link(&f) < 0);
	OK(!newfile_dangling(AT_FDCWD, "new") && !newfile_dangling(AT_FDCWD, "missing"));
	OK(symlink("missing", "link") == 0 && newfile_dangling(AT_FDCWD, "link"));
	OK(unlink("link") == 0 && unlink("new") == 0);
}

/* What is drawn, on a file, for so many bytes in so many seconds. */
static void drawn(uint64_t done, uint64_t total, int64_t seconds, const char *want)
{
	struct progress p;
	char text[300] = "";
	int fd = unit_file("", 0);
	progress_start(&p, fd, true, total);
	p.started -= seconds * NS_PER_S;
	p.drawn = p.since = p.started;
	progress_add(&p, done);
	OK(pread(fd, text, sizeof text - 1, 0) > 0);
	OKF(strstr(text, want) != NULL && strchr(text, '\r') == NULL, "\"%s\", not \"%s\"", text,
		want);
	progress_end(&p);
	OK(p.fd == -1);
	close(fd);
}

static void progress(void)
{
	drawn(10 << 20, 0, 10, "10.0M  1.00M/s   10s");
	drawn(1 << 30, 0, 600, "1.00G  1.71M/s   10m00s");
	drawn(1 << 30, 0, 7500, " 2h05m");
	drawn(1000, 100000, 100, "ETA 2h45m");
	drawn(50000, 100000, 300, "50%  ETA 5m00s");
	drawn(2000, 1000, 6, "100%");
	drawn(0, 1000, 6, "0B/s  [>"); /* a stall: nobody knows when it ends */
	drawn(0, 1000, 6, "ETA -");
}

static void copies(void)
{
	int in = unit_file("hello", 5), p[2] = {-1, -1}, s[2] = {-1, -1};
	char back[8] = "";
	struct copy c = {.in = in, .max = UINT64_MAX, .idle = DEADLINE_NONE};
	OK(pipe2(p, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	c.out = p[1];
	OK(copy_stream(&c) == 0 && c.done == 5 && read(p[0], back, 8) == 5);
	/* A file into a socket; then one whose reader has gone. */
	c = (struct copy){.in = in, .out = s[0], .max = 3, .idle = DEADLINE_NONE};
	OK(lseek(in, 0, SEEK_SET) == 0 && copy_stream(&c) == 0 && c.done == 3);
	OK(read(s[1], back, 8) == 3);
	close(s[1]);
	c = (struct copy){.in = in, .out = s[0], .max = UINT64_MAX, .idle = DEADLINE_NONE};
	OK(lseek(in, 0, SEEK_SET) == 0 && copy_stream(&c) < 0 && errno == EPIPE && c.out_failed);
	/* Nothing comes, for too long. */
	c = (struct copy){.in = p[0], .out = in, .max = UINT64_MAX, .idle = NS_PER_MS};
	OK(copy_stream(&c) < 0 && errno == ETIMEDOUT && !c.out_failed);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	c = (struct copy){.in = in, .out = full, .max = UINT64_MAX, .idle = DEADLINE_NONE};
	OK(lseek(in, 0, SEEK_SET) == 0 && copy_stream(&c) < 0 && errno == ENOSPC && c.out_failed);
	close(full);
	close(p[0]);
	close(p[1]);
	close(s[0]);
	close(in);
}

void test_fd(void)
{
	numbers();
	waits();
	slurp();
	newfiles();
	progress();
	copies();
}
