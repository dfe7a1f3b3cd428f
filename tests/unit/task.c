/* tests/unit/task.c: processes as others see them, who may come in, and how one is started. */
#define _GNU_SOURCE
#include "task.h"

#include "peer.h"
#include "proc.h"
#include "spawn.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 2000 };

/* A child that has done what PREPARE does, and waits to be killed. */
static pid_t child(void (*prepare)(void))
{
	int p[2];
	char c;
	OK(pipe2(p, O_CLOEXEC) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		prepare();
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	OK(read(p[0], &c, 1) == 1);
	close(p[0]);
	return pid;
}

static void end(pid_t pid)
{
	OK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* A name that tries to be the rest of the line. */
static void odd_name(void)
{
	prctl(PR_SET_NAME, ") R 1 1\n1 1", 0, 0, 0);
	signal(SIGUSR1, SIG_IGN);
}

static void many_groups(void)
{
	static gid_t groups[MANY];
	for (gid_t i = 0; i < MANY; i++)
		groups[i] = 100000000 + i;
	if (setgroups(MANY, groups) < 0)
		_exit(2);
	signal(SIGUSR2, SIG_IGN);
}

static void tasks(void)
{
	struct task t, *list = NULL;
	struct task_signals s;
	size_t n = 0, at = 0;
	unsigned denied = 7;
	pid_t pid = child(odd_name);
	OK(task_read(pid, &t) == 0 && t.id.pid == pid && t.parent == getpid());
	OK(t.pgrp == getpgrp() && t.state != ')' && t.id.start == proc_start(pid));
	OK(task_signals(pid, &s) == 0 && s.uid == getuid() &&
		(s.ignored >> (SIGUSR1 - 1) & 1) != 0);
	OK(s.limit > 0);
	OK(task_list(&list, &n) == 0 && n > 1);
	for (size_t i = 0; i < n; i++)
		at = list[i].id.pid == pid ? i : at;
	OK(at > 0 && at < n && list[at].parent == getpid() && list[at - 1].id.pid < pid);
	bool *mark = calloc(n + 1, sizeof *mark);
	for (size_t i = 0; mark != NULL && i < n; i++)
		mark[i] = list[i].id.pid == getpid();
	if (mark != NULL)
		task_mark_descendants(list, n, mark);
	OK(mark != NULL && mark[at]);
	free(mark);
	free(list);
	int fd = task_open(t.id);
	OK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
	OK(task_open((struct proc_id){.pid = pid, .start = t.id.start + 1}) < 0 && errno == ESRCH);
	/* One that is stopped is woken, so that it can end. */
	OK(kill(pid, SIGSTOP) == 0 && waitpid(pid, NULL, WUNTRACED) == pid);
	OK(task_signal_descendants(SIGTERM, NULL, TASK_ALL, &denied) == 1 && denied == 0);
	OK(waitpid(pid, NULL, 0) == pid);
	OK(task_open(t.id) < 0 && errno == ESRCH && task_read(pid, &t) < 0 && errno == ESRCH);
	OK(task_signals(pid, &s) < 0 && errno == ESRCH && proc_start(pid) == 0);
	OK(proc_started_ns(pid) == -1 && proc_started_ns(getpid()) >= 0);
	if (getuid() != 0)
		return;
	pid = child(many_groups);
	OK(task_signals(pid, &s) == 0 && (s.ignored >> (SIGUSR2 - 1) & 1) != 0 && s.uid == 0);
	end(pid);
}

static void words(void)
{
	static const char *const bad[] = {"", "x", "0", "-1", "12x", "12:", "12:x", "12:0", "12:-1",
		"99999999999", "1:99999999999999999999999"};
	struct proc_id id;
	char buf[64], name[16];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		OKF(task_parse(bad[i], &id) != NULL, "\"%s\" is a process", bad[i]);
	OK(task_parse("12:34", &id) == NULL && id.pid == 12 && id.start == 34);
	OK(task_parse("2147483647", &id) == NULL && id.start == 0);
	OK(strcmp(proc_command(getpid(), buf, 4), "?") == 0);
	OK(strlen(proc_command(getpid(), buf, 8)) == 7);
	OK(strcmp(proc_command(2147483647, buf, sizeof buf), "?") == 0);
	OK(proc_parent(getpid(), name) == getppid() && *name != '\0');
	OK(proc_parent(2147483647, name) == 0 && *name == '\0');
}

/* The rules of --allow, for somebody who is not us. */
static void peers(void)
{
	struct allow allow = {NULL};
	struct peer us, other = {.known = true, .uid = 12345, .gid = 12345};
	int s[2], lone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0 && lone >= 0);
	OK(peer_of(s[0], &us) == 0 && us.known && us.uid == geteuid() && us.pid == getpid());
	OK(peer_of(lone, &us) < 0 && errno == ENOTCONN && !us.known);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	OK(peer_of(null, &us) < 0 && errno == ENOTSOCK);
	close(null);
	OK(!allow_peer(&allow, &other, s[0]));
	OK(allow_peer(&allow, &(struct peer){.known = false}, s[0]));
	OK(allow_peer(&allow, &(struct peer){.known = true, .uid = geteuid()}, s[0]));
	OK(allow_parse(&allow, "uid:1,gid:12345") == NULL && allow_peer(&allow, &other, s[0]));
	OK(!allow_peer(&allow, &(struct peer){.known = false}, s[0]));
	OK(allow_parse(&allow, "gid:54321,uid:7") == NULL && !allow_peer(&allow, &other, s[0]));
	OK(allow_parse(&allow, "uid:12345") == NULL && allow_peer(&allow, &other, s[0]));
	OK(allow_parse(&allow, "any") == NULL && allow_peer(&allow, &other, s[0]));
	OK(allow_parse(&allow, "uid:") != NULL && allow_parse(&allow, "gid:no-such-group") != NULL);
	OK(allow_parse(&allow, "user:x") != NULL);
	char *word = calloc(1, 400);
	if (word != NULL)
		memset(word, 'a', 399);
	OK(allow_parse(&allow, word) != NULL);
	free(word);
	close(s[0]);
	close(s[1]);
	close(lone);
}

/* Groups beyond the first, and more of them than are asked for at once. */
static void grouped(void)
{
	struct allow allow;
	struct peer other = {.known = true, .uid = 12345, .gid = 12345};
	int s[2], st = -1;
	if (getuid() != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		many_groups();
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
			_exit(3);
		bool last = allow_parse(&allow, "gid:100001999") == NULL &&
			allow_peer(&allow, &other, s[0]);
		bool none = allow_parse(&allow, "gid:100002000") == NULL &&
			!allow_peer(&allow, &other, s[0]);
		_exit(last && none ? 0 : 4);
	}
	OK(waitpid(pid, &st, 0) == pid);
	OKF(st == 0, "status %x", (unsigned)st);
}

static int refuse(void *arg)
{
	(void)arg;
	return EXDEV;
}

/* Start WORDS in an environment with PATH; the status as wait(2) has it, or -1 with errno in *ERR. */
static int started(char *const *words, const char *path, int *err)
{
	struct spawn s = {.argv = words};
	char *old = getenv("PATH");
	char *keep = old != NULL ? strdup(old) : NULL;
	int st = -1, execed;
	pid_t pid;
	if (path != NULL)
		setenv("PATH", path, 1);
	else
		unsetenv("PATH");
	*err = spawn(&s, &pid, &execed);
	if (*err == 0)
		OK(waitpid(pid, &st, 0) == pid);
	if (keep != NULL)
		setenv("PATH", keep, 1);
	free(keep);
	return st;
}

static void starts(void)
{
	char exit_[] = "exit 3", sh[] = "sh", c[] = "-c", script[] = "script", five[] = "5",
	     empty[] = "";
	int err, execed, fd = open("script", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	pid_t pid;
	OK(started((char *[]){sh, c, exit_, NULL}, NULL, &err) == 0x300);
	OK(started((char *[]){sh, c, exit_, NULL}, "/nowhere:/bin", &err) == 0x300);
	OK(started((char *[]){empty, NULL}, "/bin", &err) < 0 && err == ENOENT);
	/* No #! line: sh reads it, with its arguments. */
	OK(write(fd, "exit $1\n", 8) == 8 && close(fd) == 0);
	OK(started((char *[]){script, five, NULL}, "/nowhere:.", &err) == 0x500);
	OK(started((char *[]){script, five, NULL}, ":/nowhere", &err) == 0x500);
	OK(chmod("script", 0600) == 0);
	OK(started((char *[]){script, five, NULL}, ".:/nowhere", &err) < 0 && err == EACCES);
	OK(unlink("script") == 0);
	OK(started((char *[]){script, NULL}, "/dev/null:/nowhere", &err) < 0 && err == ENOENT);
	struct spawn s = {.argv = (char *[]){sh, NULL}, .hook = refuse};
	OK(spawn(&s, &pid, &execed) == EXDEV && execed == 0);
	s = (struct spawn){.argv = (char *[]){(char[]){"no-such-command"}, NULL}};
	OK(spawn(&s, &pid, &execed) == ENOENT && execed == 1);
	/* Two that change places, with nothing above to keep one in. */
	int a = open("/dev/null", O_RDONLY | O_CLOEXEC),
	    b = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char swapped[120], *words[] = {sh, c, swapped, NULL};
	snprintf(swapped, sizeof swapped,
		"test \"$(readlink /proc/$$/fd/%d /proc/$$/fd/%d | tr '\\n' ' ')\" = '/dev/zero /dev/null '",
		a, b);
	const struct spawn_fd fds[] = {{b, a}, {a, b}, {-1, 2}};
	int st = -1;
	s = (struct spawn){.argv = words, .fds = fds, .nfds = 3, .flags = SPAWN_SESSION};
	OK(spawn(&s, &pid, &execed) == 0 && waitpid(pid, &st, 0) == pid && st == 0);
	const struct spawn_fd closed[] = {{999, 5}};
	s = (struct spawn){.argv = words, .fds = closed, .nfds = 1};
	OK(spawn(&s, &pid, &execed) == EBADF && execed == 0);
	OK(spawn_exec(&s, &execed) == EBADF && !execed);
	close(a);
	close(b);
}

void test_task(void)
{
	tasks();
	words();
	peers();
	grouped();
	starts();
}
