/* tests/contract/state.c: see contract.h. */
#define _GNU_SOURCE
#include "contract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void put_file(FILE *out, const char *path, const char *only)
{
	char line[4096];
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL)
		if (only == NULL || strncmp(line, only, strlen(only)) == 0)
			fputs(line, out);
	fclose(f);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return atoi((*a)->d_name) - atoi((*b)->d_name);
}

static void put_fds(FILE *out)
{
	struct dirent **list;
	int n = scandir("/proc/self/fd", &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		char path[300], target[4096];
		int fd = atoi(list[i]->d_name), flags = fcntl(fd, F_GETFD);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, target, sizeof target - 1);
		if (list[i]->d_name[0] != '.' && flags >= 0 && len >= 0)
			fprintf(out, "fd %d %.*s flags %x %x\n", fd, (int)len, target, flags,
				(unsigned)fcntl(fd, F_GETFL));
		free(list[i]);
	}
	free(n >= 0 ? (void *)list : NULL);
}

/* The kernel's own view: musl hides 32 to 34, glibc 32 and 33. */
static void put_signals(FILE *out)
{
	uint64_t mask = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
	fprintf(out, "mask %llx\n", (unsigned long long)mask);
	for (int sig = 1; sig <= 64; sig++) {
		struct {
			void *handler;
			unsigned long flags;
			void *restorer;
			uint64_t mask;
		} act = {0};
		if (syscall(SYS_rt_sigaction, sig, NULL, &act, 8) == 0)
			fprintf(out, "signal %d %p %lx %llx\n", sig, act.handler,
				act.flags & ~0x4000000UL, /* SA_RESTORER, which libc adds */
				(unsigned long long)act.mask);
	}
	struct itimerval real = {0}, virt = {0}, prof = {0};
	if (getitimer(ITIMER_REAL, &real) < 0 || getitimer(ITIMER_VIRTUAL, &virt) < 0 ||
		getitimer(ITIMER_PROF, &prof) < 0)
		fprintf(out, "itimers not readable\n");
	fprintf(out, "itimers %d %d %d\n", timerisset(&real.it_value), timerisset(&virt.it_value),
		timerisset(&prof.it_value));
	put_file(out, "/proc/self/timers", NULL);
}

static void put_children(FILE *out)
{
	siginfo_t info = {0};
	int r = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
	fprintf(out, "children %s\n", r < 0 && errno == ECHILD ? "none" : "left");
	struct stat st;
	if (stat("/proc/self/task", &st) == 0)
		fprintf(out, "threads %lu\n", (unsigned long)st.st_nlink - 2);
}

/* Files and shared memory that are mapped; the heap may grow. */
static void put_maps(FILE *out)
{
	char line[4096];
	FILE *f = fopen("/proc/self/maps", "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		char *name = strchr(line, '/');
		if (name != NULL)
			fprintf(out, "map %s", name);
	}
	if (f != NULL)
		fclose(f);
}

char *snapshot(void)
{
	char *text = NULL, cwd[4096] = "?";
	size_t len;
	int subreaper = 0, death = 0;
	fflush(NULL);
	FILE *out = open_memstream(&text, &len);
	if (out == NULL)
		exit(70);
	put_fds(out);
	put_signals(out);
	put_children(out);
	put_maps(out);
	put_file(out, "/proc/self/status", "Umask:");
	put_file(out, "/proc/self/limits", NULL);
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	prctl(PR_GET_PDEATHSIG, &death);
	fprintf(out, "cwd %s\n", getcwd(cwd, sizeof cwd) != NULL ? cwd : "?");
	fprintf(out, "group %d session %d subreaper %d death %d dumpable %d name ", (int)getpgrp(),
		(int)getsid(0), subreaper, death, prctl(PR_GET_DUMPABLE));
	put_file(out, "/proc/self/comm", NULL);
	for (char **e = environ; *e != NULL; e++)
		fprintf(out, "env %p %s\n", (void *)*e, *e);
	fclose(out);
	return text;
}

void show_difference(FILE *report, const char *before, const char *after)
{
	for (int side = 0; side < 2; side++) {
		const char *a = side == 0 ? before : after, *b = side == 0 ? after : before;
		for (const char *end; *a != '\0'; a = end + (*end != '\0')) {
			end = a + strcspn(a, "\n");
			char *line = strndup(a, (size_t)(end - a));
			if (line != NULL && strstr(b, line) == NULL)
				fprintf(report, "# %s %s\n", side == 0 ? "gone:" : "left:", line);
			free(line);
		}
	}
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

int memory_leaks(void)
{
	return __lsan_do_recoverable_leak_check != NULL ? __lsan_do_recoverable_leak_check() : 0;
}
