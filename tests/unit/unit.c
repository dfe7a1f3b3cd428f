/* tests/unit/unit.c: unit GROUP: run one group of checks on the functions of lib/. Status 0 when all hold. */
#define _GNU_SOURCE
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int checks, failures;

void unit_check(bool good, const char *file, int line, const char *fmt, ...)
{
	checks++;
	if (good)
		return;
	failures++;
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int unit_file(const char *text, size_t len)
{
	char name[] = "unit.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0 ||
		unlink(name) != 0) {
		perror("unit_file");
		exit(70);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} groups[] = {{"num", test_num}, {"frame", test_frame}, {"object", test_object},
		{"out", test_out}, {"call", test_call}, {"args", test_args}, {"fd", test_fd},
		{"wait", test_wait}, {"addr", test_addr}, {"shared", test_shared},
		{"task", test_task}, {"blocked", test_blocked}};
	for (size_t i = 0; argc == 2 && i < sizeof groups / sizeof *groups; i++) {
		if (strcmp(argv[1], groups[i].name) != 0)
			continue;
		signal(SIGPIPE, SIG_IGN); // NOLINT: as main.c does
		groups[i].run();
		printf("%d checks, %d failed\n", checks, failures);
		return failures > 0;
	}
	fputs("usage: unit num|frame|object|out|call|args|fd|wait|addr|shared|task|blocked\n",
		stderr);
	return 64;
}
