/* tests/fuzz/lib/host.c: see host.h. */
#define _GNU_SOURCE
#include "host.h"

#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned fuzz_byte(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->at++;
}

const uint8_t *fuzz_bytes(struct input *in, size_t len, size_t *got)
{
	const uint8_t *at = in->len > 0 ? in->at : (const uint8_t *)"";
	*got = len < in->len ? len : in->len;
	in->at += *got;
	in->len -= *got;
	return at;
}

static char *string(const uint8_t *data, size_t len)
{
	char *s = malloc(len + 1);
	if (s == NULL)
		abort();
	memcpy(s, data, len);
	s[len] = '\0';
	return s;
}

char *fuzz_line(struct input *in)
{
	if (in->len == 0)
		return NULL;
	const uint8_t *end = memchr(in->at, '\n', in->len), *at = in->at;
	size_t len = end != NULL ? (size_t)(end - at) : in->len, skip = len + (end != NULL);
	in->at += skip;
	in->len -= skip;
	return string(at, len);
}

char *fuzz_rest(struct input *in)
{
	size_t len;
	const uint8_t *at = fuzz_bytes(in, in->len, &len);
	return string(at, len);
}

void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

void fuzz_home(void)
{
	const char *tmp = getenv("TMPDIR");
	char dir[4096];
	snprintf(dir, sizeof dir, "%s/fuzz.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkdir("ipc", 0700) < 0) {
		perror(dir);
		exit(1);
	}
	(void)fuzz_call(); /* opens what it keeps open */
	strcat(dir, "/ipc");
	setenv("IPC_DIR", dir, 1);
	unsetenv("NOTIFY_SOCKET");
	signal(SIGPIPE, SIG_IGN); // NOLINT: as main.c does
}

static void fill(int fd, const void *data, size_t len)
{
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		fuzz_broken("the target's own file was written", __FILE__, __LINE__);
}

void fuzz_file(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fill(fd, data, len);
	close(fd);
}

int fuzz_memfd(const void *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	fill(fd, data, len);
	FUZZ_HOLDS(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

int fuzz_next_fd(void)
{
	int fd = fcntl(2, F_DUPFD_CLOEXEC, 0);
	close(fd);
	return fd;
}

struct call *fuzz_call(void)
{
	static struct call call;
	static int null = -1;
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	memset(&call, 0, offsetof(struct call, out) + offsetof(struct out, buf));
	call.in = call.err = call.out.fd = null;
	return &call;
}

void fuzz_call_end(struct call *call)
{
	call_flush(call);
	call_unwind(call, 0);
}

static bool documented(const char *const *words, int status)
{
	/* The status of the job that is waited for. */
	if (strcmp(words[0], "ipc-spool") == 0 && strcmp(words[1], "wait") == 0)
		return status >= 0 && status <= 255;
	static const int all[] = {0, 1, 64, 65, 66, 69, 71, 73, 74, 75, 76, 77, 124, 125, 126, 127};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (status == all[i])
			return true;
	return false;
}

int fuzz_run(const char *const *words)
{
	struct call *call = fuzz_call();
	char *const *argv = (char *const *)(uintptr_t)(words + 1);
	bool alias;
	int before = fuzz_next_fd();
	call->applet = args_applet(words[0], &alias);
	int status = args_choose(call, &argv);
	if (status < 0)
		status = args_parse(call, argv);
	if (status < 0)
		status = call->verb->run(call);
	fuzz_call_end(call);
	bool known = documented(words, status);
	if (!known)
		fprintf(stderr, "%s %s: status %d\n", words[0], words[1], status);
	FUZZ_HOLDS(known);
	FUZZ_HOLDS(fuzz_next_fd() == before);
	return status;
}
