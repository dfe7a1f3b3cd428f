/* tests/unit/object.c: the names of objects, and which directories are trusted. */
#define _GNU_SOURCE
#include "object.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void is(const char *text, enum object_kind kind, const char *name)
{
	struct object obj;
	const char *why = object_parse(&obj, text);
	OKF(why == NULL && obj.kind == kind && strcmp(obj.name, name) == 0 && obj.text == text,
		"\"%s\": %s, kind %d, name \"%s\"", text, why != NULL ? why : "fine", (int)obj.kind,
		obj.name);
}

static void is_sysv(const char *text, enum object_sysv sysv, int32_t key)
{
	struct object obj;
	const char *why = object_parse(&obj, text);
	OKF(why == NULL && obj.kind == OBJECT_SYSV && obj.sysv == sysv && obj.key == key,
		"\"%s\": %s, sysv %d, key %d", text, why != NULL ? why : "fine", (int)obj.sysv,
		(int)obj.key);
}

static void not(const char *text)
{
	struct object obj;
	OKF(object_parse(&obj, text) != NULL, "\"%s\" was taken", text);
}

static void forms(void)
{
	struct object obj;
	is("word", OBJECT_WORD, "word");
	is("two words.x", OBJECT_WORD, "two words.x");
	is("caf\xc3\xa9", OBJECT_WORD, "caf\xc3\xa9");
	is("./x", OBJECT_FILE, "./x");
	is("/x", OBJECT_FILE, "/x");
	is("a/b", OBJECT_FILE, "a/b");
	is("file:x", OBJECT_FILE, "x");
	is("file:a:b", OBJECT_FILE, "a:b");
	is("unix:x", OBJECT_UNIX, "x");
	is("unix:/run/x", OBJECT_UNIX, "/run/x");
	is("@name", OBJECT_ABSTRACT, "name");
	is("abstract:name", OBJECT_ABSTRACT, "name");
	is("tcp:localhost:80", OBJECT_TCP, "localhost:80");
	is("tcp:[::1]:80", OBJECT_TCP, "[::1]:80");
	is("udp:127.0.0.1:53", OBJECT_UDP, "127.0.0.1:53");
	is("vsock:2:1000", OBJECT_VSOCK, "2:1000");
	is("posix:/q", OBJECT_POSIX, "/q");
	OK(object_parse(&obj, "fd:7") == NULL && obj.kind == OBJECT_FD && obj.fd == 7);
	is_sysv("sysv:0x1234", SYSV_KEY, 0x1234);
	is_sysv("sysv:77", SYSV_KEY, 77);
	is_sysv("sysv:0xffffffff", SYSV_KEY, -1);
	is_sysv("sysv:-1", SYSV_KEY, -1);
	is_sysv("sysv:id=0", SYSV_ID, 0);
	is_sysv("sysv:id=65536", SYSV_ID, 65536);
	is_sysv("sysv:private", SYSV_PRIVATE, 0);
	is_sysv("sysv:/etc/passwd#x", SYSV_FTOK, 'x');
	is_sysv("sysv:a#b#c", SYSV_FTOK, 'c');
}

static void bad_forms(void)
{
	static const char *const wrong[] = {"", ".", "..", ".hidden", "-x", "a\nb", "a\x7f",
		"file:", "unix:", "@", "abstract:", "tcp:", "posix:", "posix:q", "posix:/",
		"posix:/a/b", "sysv:", "sysv:x", "sysv:0", "sysv:0x0", "sysv:0x100000000",
		"sysv:id=", "sysv:id=-1", "sysv:id=2147483648", "sysv:#", "sysv:#x", "sysv:p#",
		"sysv:p#xy", "fd:", "fd:x", "fd:-1", "fd:9999999999"};
	char longest[OBJECT_WORD_MAX + 2];
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		not(wrong[i]);
	memset(longest, 'x', sizeof longest);
	longest[OBJECT_WORD_MAX + 1] = '\0';
	not(longest);
	longest[OBJECT_WORD_MAX] = '\0';
	is(longest, OBJECT_WORD, longest);
}

static int opened(const char *dir, bool create)
{
	if (dir != NULL)
		setenv("IPC_DIR", dir, 1);
	int fd = object_dir("spool", create);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : errno;
}

static void directories(void)
{
	struct stat st;
	umask(0);
	rmdir("d");
	OK(opened("d", false) == ENOENT);
	OK(opened("d", true) == 0);
	OK(stat("d", &st) == 0 && (st.st_mode & 07777) == 0700);
	chmod("d", 0770); /* a group of its own choice */
	OK(opened("d", false) == 0);
	chmod("d", 0777);
	OK(opened("d", false) == EPERM);
	chmod("d", 01777); /* as /tmp is */
	OK(opened("d", false) == 0);
	chmod("d", 0700);
	if (getuid() == 0) {
		OK(chown("d", 12345, 0) == 0);
		OK(opened("d", false) == EPERM);
		OK(chown("d", 0, 0) == 0);
	}
	unlink("l");
	OK(symlink("d", "l") == 0 && opened("l", false) == 0);
	unlink("f");
	close(open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	OK(opened("f", true) == ENOTDIR);
	OK(opened("missing/d", true) == ENOENT);
}

/* The default of spools, made below a home that is ours; the other default is in tests/places.bats. */
static void home_directory(void)
{
	char dir[] = "/tmp/unit.XXXXXX", home[200], state[300], buf[OBJECT_DIR_MAX];
	struct stat st;
	unsetenv("IPC_DIR");
	unsetenv("XDG_STATE_HOME");
	if (mkdtemp(dir) == NULL)
		exit(70);
	snprintf(home, sizeof home, "%s/home", dir);
	snprintf(state, sizeof state, "%s/.local/state/ipc", home);
	setenv("HOME", home, 1);
	OK(opened(NULL, false) == ENOENT);
	OK(opened(NULL, true) == 0);
	OK(stat(state, &st) == 0 && (st.st_mode & 07777) == 0700);
	OK(strcmp(object_dir_path("spool", buf), state) == 0);
	chmod(state, 0770);
	OK(opened(NULL, false) == EPERM);
	rmdir(state);
	if (getuid() == 0) { /* as under sudo: nothing is made in another's home */
		OK(chown(home, 12345, 0) == 0);
		snprintf(state, sizeof state, "%s/.local", home);
		OK(chown(state, 12345, 0) == 0);
		snprintf(state, sizeof state, "%s/.local/state", home);
		OK(chown(state, 12345, 0) == 0);
		OK(opened(NULL, true) == EPERM);
	}
	setenv("XDG_STATE_HOME", dir, 1);
	snprintf(state, sizeof state, "%s/ipc", dir);
	OK(strcmp(object_dir_path("spool", buf), state) == 0 && opened(NULL, true) == 0);
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	OK(object_dir_path("spool", buf) == NULL && errno == EDESTADDRREQ);
	char *longest = calloc(1, 5000);
	memset(longest, '/', 4999);
	setenv("HOME", longest, 1);
	OK(opened(NULL, true) == ENAMETOOLONG);
	setenv("IPC_DIR", longest, 1);
	OK(object_dir_path("lock", buf) == NULL && errno == ENAMETOOLONG);
	free(longest);
}

static int count(void *arg, const char *name, const char *kind)
{
	char *all = arg;
	strcat(strcat(strcat(strcat(all, name), "/"), kind), " ");
	return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void places(void)
{
	struct object obj;
	struct object_at at;
	char buf[300], all[500] = "";
	OK(setenv("IPC_DIR", "d", 1) == 0 && object_parse(&obj, "w") == NULL);
	OK(object_at(&obj, "lock", false, &at) == 0 && at.dirfd >= 0 &&
		strcmp(at.rel, "w.lock") == 0);
	object_at_close(&at);
	OK(strcmp(object_path(&obj, "lock", buf, sizeof buf), "d/w.lock") == 0);
	OK(object_path(&obj, "lock", buf, 8) == NULL && errno == ENAMETOOLONG);
	OK(object_parse(&obj, "./w") == NULL && object_at(&obj, "lock", false, &at) == 0);
	OK(at.dirfd == AT_FDCWD && strcmp(at.rel, "./w") == 0);
	object_at_close(&at);
	OK(object_parse(&obj, "posix:/w") == NULL && object_at(&obj, "lock", false, &at) < 0 &&
		errno == EINVAL);
	static const char *const names[] = {
		"d/a.lock", "d/b.ring", "d/.new.lock", "d/plain", "d/.lock"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		close(open(names[i], O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	OK(object_each("lock", count, all) == 0);
	OKF(strcmp(all, "a/lock ") == 0, "locks: %s", all);
	all[0] = '\0';
	OK(object_each(NULL, count, all) == 0);
	OKF(strlen(all) == strlen("a/lock b/ring "), "all: %s", all);
	close(open("d/stop.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	OK(object_each("lock", count, all) == 7);
	setenv("IPC_DIR", "nowhere", 1);
	OK(object_each("lock", count, all) == 0);
}

void test_object(void)
{
	forms();
	bad_forms();
	directories();
	home_directory();
	places();
}
