/* lib/addr_host.c: see addr.h. Hosts and ports. */
#define _GNU_SOURCE
#include "addr.h"
#include "fd.h"
#include "num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#ifdef __GLIBC__
/* Weak: a static link then does without it, and without the warning that it needs NSS at run time. */
#pragma weak getaddrinfo
#pragma weak freeaddrinfo
#endif

const char *addr_split(const char *s, size_t *skip, size_t *len, const char **port)
{
	*skip = s[0] == '[';
	const char *end = *skip ? strchr(s, ']') : strrchr(s, ':');
	if (end == NULL || (*skip && end[1] != ':'))
		return "not HOST:PORT (an IPv6 address is written [::1]:PORT)";
	*len = (size_t)(end - s) - *skip;
	*port = end + (*skip ? 2 : 1);
	if (!*skip && memchr(s, ':', *len) != NULL)
		return "an IPv6 address is written [::1]:PORT";
	if (**port == '\0')
		return "the port is missing";
	if (*len >= NI_MAXHOST)
		return "host name too long";
	return NULL;
}

static void add(struct addr *a, const void *sa, size_t len)
{
	if (a->n == ADDR_MAX)
		return;
	struct addr_sa *to = &a->list[a->n++];
	memset(to, 0, sizeof *to);
	memcpy(&to->ss, sa, len);
	to->len = (socklen_t)len;
}

static void add4(struct addr *a, struct in_addr in, unsigned port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = in};
	add(a, &sin, sizeof sin);
}

static void add6(struct addr *a, const struct in6_addr *in, unsigned port)
{
	struct sockaddr_in6 sin = {
		.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *in};
	add(a, &sin, sizeof sin);
}

/* Addresses that need no looking up. True when HOST is one. */
static bool numeric(struct addr *a, const char *host, unsigned port, bool passive)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (passive && (*host == '\0' || strcmp(host, "*") == 0)) {
		/* Both families on one socket, as far as net.ipv6.bindv6only allows. */
		add6(a, &in6addr_any, port);
		add4(a, (struct in_addr){.s_addr = htonl(INADDR_ANY)}, port);
		return true;
	}
	if (inet_pton(AF_INET, host, &v4) == 1)
		return add4(a, v4, port), true;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return add6(a, &v6, port), true;
	return false;
}

/* hosts(5), for a static glibc binary. */
static void read_hosts(struct addr *a, const char *host, unsigned port)
{
	char *text, *line, *next;
	size_t len;
	if (fd_slurp(AT_FDCWD, "/etc/hosts", 1 << 20, &text, &len) < 0)
		return;
	for (line = text; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		char *save, *ip = strtok_r(line, " \t\r", &save), *name = ip;
		while (name != NULL && (name = strtok_r(NULL, " \t\r", &save)) != NULL)
			if (strcasecmp(name, host) == 0) {
				(void)numeric(a, ip, port, false);
				break;
			}
	}
	fd_slurp_free(text);
}

static const char *ask(struct addr *a, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = a->type}, *list = NULL;
	int r = getaddrinfo(host, port, &hints, &list);
	for (struct addrinfo *i = list; r == 0 && i != NULL; i = i->ai_next)
		add(a, i->ai_addr, i->ai_addrlen);
	if (r == 0)
		freeaddrinfo(list);
	return r == EAI_SERVICE  ? "not a port"
		: r == EAI_AGAIN ? "host name cannot be looked up now"
		: a->n == 0      ? "host name not found"
				 : NULL;
}

const char *addr_resolve(struct addr *a, bool passive)
{
	char host[NI_MAXHOST];
	const char *port;
	size_t skip, len;
	int64_t num = -1;
	if (a->family != AF_INET || a->n > 0)
		return NULL;
	const char *why = addr_split(a->obj.name, &skip, &len, &port);
	if (why != NULL)
		return why;
	snprintf(host, sizeof host, "%.*s", (int)len, a->obj.name + skip);
	bool is_num = num_int(port, &num) == NULL;
	if (is_num && (num < 0 || num > 65535))
		return "a port is 0 to 65535";
	if (is_num && numeric(a, host, (unsigned)num, passive))
		return NULL;
	if (*host == '\0')
		return "the host is missing";
#ifdef __GLIBC__
	if (getaddrinfo == NULL) {
		if (!is_num)
			return "this static binary knows ports by number only";
		read_hosts(a, host, (unsigned)num);
		return a->n > 0 ? NULL : "not in /etc/hosts, and this static binary has no DNS";
	}
#else
	(void)read_hosts;
#endif
	return ask(a, host, port);
}
