/* tests/unit/addr.c: addresses as text, both ways; what is none, and what is too long. */
#define _GNU_SOURCE
#include "addr.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* TEXT is an address that is written as WANT. */
static void reads(const char *text, const char *want)
{
	static struct addr a;
	char buf[ADDR_TEXT];
	const char *why = addr_parse(&a, text);
	if (why == NULL)
		why = addr_resolve(&a, true);
	OKF(why == NULL && a.n > 0, "%s: %s", text, why != NULL ? why : "nothing");
	if (why != NULL || a.n == 0)
		return;
	addr_text(&a.list[0].sa, a.list[0].len, a.type, buf);
	OKF(strcmp(buf, want) == 0, "%s: \"%s\", not \"%s\"", text, buf, want);
}

/* TEXT is none, or names nothing, for a reason with WHY in it. */
static void refuses(const char *text, const char *want)
{
	static struct addr a;
	const char *why = addr_parse(&a, text);
	if (why == NULL)
		why = addr_resolve(&a, false);
	OKF(why != NULL && strstr(why, want) != NULL, "%.60s: \"%s\", not \"%s\"", text,
		why != NULL ? why : "", want);
}

static char *many(const char *head, char c, size_t n, const char *tail)
{
	size_t len = strlen(head);
	char *s = calloc(1, len + n + strlen(tail) + 1);
	if (s == NULL)
		exit(70);
	strcpy(s, head);
	memset(s + len, c, n);
	strcpy(s + len + n, tail);
	return s;
}

static void texts(void)
{
	reads("tcp:127.0.0.1:80", "tcp:127.0.0.1:80");
	reads("udp:[::1]:53", "udp:[::1]:53");
	reads("tcp:*:7", "tcp:[::]:7");
	reads("tcp::7", "tcp:[::]:7");
	reads("tcp:[::ffff:10.0.0.1]:9", "tcp:10.0.0.1:9");
	reads("vsock:3:1024", "vsock:3:1024");
	reads("vsock:host:1", "vsock:2:1");
	reads("vsock:local:1", "vsock:1:1");
	reads("vsock:any:1", "vsock:4294967295:1");
	reads("vsock::1", "vsock:4294967295:1");
	reads("@a\\x20b\\\\", "@a\\x20b\\\\");
	refuses("vsock:3", "not vsock:CID:PORT");
	refuses("vsock:abcdefghijklmnopq:1", "not vsock:CID:PORT");
	refuses("vsock:-1:1", "not a vsock CID");
	refuses("vsock:x:1", "not a vsock CID");
	refuses("vsock:1:x", "not a vsock port");
	refuses("vsock:1:4294967296", "not a vsock port");
	refuses("tcp:::1:80", "written [::1]:PORT");
	refuses("tcp:[::1]80", "not HOST:PORT");
	refuses("tcp:host", "not HOST:PORT");
	refuses("tcp:host:", "the port is missing");
	refuses("tcp::80", "the host is missing");
	refuses("tcp:127.0.0.1:65536", "0 to 65535");
	refuses("tcp:127.0.0.1:-1", "0 to 65535");
	refuses("@a\\q", "not an escape");
	refuses("@a\\x2", "not an escape");
	refuses("./dir/", "a directory");
	char *s = many("@", 'x', 107, "");
	reads(s, s);
	free(s);
	refuses(s = many("@", 'x', 108, ""), "longer than 107 bytes");
	free(s);
	refuses(s = many("./", 'x', 4100, ""), "longer than 4095 bytes");
	free(s);
	refuses(s = many("tcp:", 'x', 2000, ":80"), "host name too long");
	free(s);
}

static void places(void)
{
	char host[64], buf[ADDR_TEXT];
	unsigned port;
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "./a"}, b = a, c = a;
	struct sockaddr other = {.sa_family = AF_NETLINK};
	socklen_t len = sizeof a, bare = sizeof a.sun_family;
	const struct sockaddr *sa = (struct sockaddr *)&a, *sb = (struct sockaddr *)&b,
			      *sc = (struct sockaddr *)&c;
	strcpy(c.sun_path, "./c");
	OK(addr_equal(sa, len, sb, len) && !addr_equal(sa, len, sc, len));
	OK(!addr_equal(sa, bare, sb, bare) && !addr_equal(sa, 0, sb, len));
	OK(!addr_equal(sa, len, &other, sizeof other));
	OK(!addr_host_port(&other, host, &port) && *host == '\0' && port == 0);
	OK(*addr_text(&other, sizeof other, SOCK_STREAM, buf) == '\0');
	OK(*addr_text(&other, 0, SOCK_STREAM, buf) == '\0');
	OK(strcmp(addr_text(sa, len, SOCK_STREAM, buf), "./a") == 0);
	strcpy(a.sun_path, "word");
	OK(strcmp(addr_text(sa, len, SOCK_STREAM, buf), "unix:word") == 0);
}

/* Paths that do not fit into an address. */
static void far(void)
{
	struct addr_at at;
	char *name = many("", 'n', 100, ""), *dir = many("", 'd', 200, ""), *path;
	OK(addr_enter("./short", false, &at) == 0 && at.fd == -1);
	OK(mkdir(dir, 0700) == 0);
	path = many(dir, '/', 1, "s");
	OK(addr_enter(path, false, &at) == 0 && at.fd > 2);
	OK(strncmp(((struct sockaddr_un *)&at.sa.ss)->sun_path, "/proc/self/fd/", 14) == 0);
	addr_leave(&at);
	OK(at.fd == -1);
	free(path);
	/* The last part is too long as well: only one that is there can be reached. */
	path = many(dir, '/', 1, name);
	OK(addr_enter(path, false, &at) < 0 && errno == ENAMETOOLONG && at.fd == -1);
	OK(addr_enter(path, true, &at) < 0 && errno == ENOENT);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	OK(addr_enter(path, true, &at) == 0);
	addr_leave(&at);
	OK(unlink(path) == 0 && rmdir(dir) == 0);
	free(path);
	path = many("", '/', 5000, "s");
	OK(addr_enter(path, false, &at) < 0 && errno == ENAMETOOLONG);
	free(path);
	OK(addr_enter(dir, false, &at) < 0 && errno == ENAMETOOLONG);
	free(name);
	free(dir);
}

void test_addr(void)
{
	texts();
	places();
	far();
}
