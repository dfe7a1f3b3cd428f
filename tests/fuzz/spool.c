/* tests/fuzz/spool.c: a spool directory in which anything stands: names of jobs and buckets, settings, the counter.
 * Every verb ends with a documented status, a name that is read as a job's is written the same, and what
 * stands outside of the spool is not touched.
 *
 * Input: a byte for the verbs, then lines: "PATH" is made as a file (directories on the way too), "=TEXT" goes
 * into the file made last, "@TARGET" makes it a symbolic link instead.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "applets/ipc-spool/spool.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_home();
	fuzz_file("outside", "kept", 4);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Below the spool only: what the input says must not lead out of it, that is the verbs' task. */
static bool inside(const char *path)
{
	return *path != '\0' && *path != '/' && strstr(path, "..") == NULL && strlen(path) < 200;
}

static void make_file(const char *line, char path[256])
{
	snprintf(path, 256, "s/%s", line);
	for (char *slash = path + 2; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static void add_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0 || write(fd, "\n", 1) < 0)
		abort();
	close(fd);
}

static void furnish(struct input *in)
{
	char path[256] = "s/x", *line;
	for (int i = 0; i < 40 && (line = fuzz_line(in)) != NULL; i++) {
		if (*line == '=')
			add_text(path, line + 1);
		else if (*line == '@') {
			unlink(path);
			(void)!symlink(line + 1, path);
		} else if (inside(line))
			make_file(line, path);
		free(line);
	}
}

static void names(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char *text, name[NAME_SIZE], bucket[PATH_SIZE];
	struct job job;
	while ((text = fuzz_line(&in)) != NULL) {
		const char *base = strrchr(text, '/');
		base = base != NULL ? base + 1 : text;
		for (int state = 0; state < JOB_STATES; state++)
			if (job_parse(&job, (enum state)state, base)) {
				FUZZ_HOLDS(strcmp(job_name(&job, name), base) == 0);
				FUZZ_HOLDS(strlen(job_bucket(&job, bucket)) < sizeof bucket - 1);
			}
		free(text);
	}
}

static void verbs(unsigned which)
{
	FUZZ_RUN("ipc-spool", "ls", "./s");
	FUZZ_RUN("ipc-spool", "stat", "-J", "./s");
	if ((which & 1) != 0)
		FUZZ_RUN("ipc-spool", "put", "-n", "--sync=none", "./s", "../outside");
	if ((which & 2) != 0)
		FUZZ_RUN("ipc-spool", "ack", "-n", "./s", "1");
	if ((which & 4) != 0)
		FUZZ_RUN("ipc-spool", "nack", "-n", "./s", "1");
	if ((which & 8) != 0)
		FUZZ_RUN("ipc-spool", "requeue", "-n", "./s", "1");
	if ((which & 16) != 0)
		FUZZ_RUN("ipc-spool", "wait", "-n", "./s", "1");
	if ((which & 32) != 0)
		FUZZ_RUN("ipc-spool", "create", "--depth=3", "./s");
	if ((which & 64) != 0)
		FUZZ_RUN("ipc-spool", "rm", "./s");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned which = fuzz_byte(&in);
	names(in.at, in.len);
	if ((which & 128) == 0)
		FUZZ_RUN("ipc-spool", "create", "./s");
	else
		mkdir("s", 0700);
	furnish(&in);
	verbs(which);
	nftw("s", remove_one, 16, FTW_DEPTH | FTW_PHYS);
	FUZZ_HOLDS(access("outside", F_OK) == 0);
	return 0;
}
