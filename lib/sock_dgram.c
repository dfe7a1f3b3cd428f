/* lib/sock_dgram.c: see sock.h. Datagrams that are answered from the address that they were sent to.
 *
 * A socket that is bound to every address would answer from the one that routing prefers, and a peer that
 * asked another one drops such an answer. IP_PKTINFO and IPV6_RECVPKTINFO tell which it was.
 */
#define _GNU_SOURCE
#include "cmsg.h"
#include "sock.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Of the control messages: both kinds, since an IPv6 socket may get both for IPv4. */
union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

void sock_dgram_start(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

static void take_asked(struct sock_from *from, struct msghdr *msg)
{
	from->family = AF_UNSPEC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = cmsg_next(msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			from->asked6 = info.ipi6_addr;
			from->asked6_if = info.ipi6_ifindex;
			from->family = AF_INET6;
			return;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&from->asked4, CMSG_DATA(c), sizeof from->asked4);
			from->family = AF_INET;
		}
	}
}

ssize_t sock_dgram_recv(int fd, void *data, size_t len, struct sock_from *from)
{
	union control control;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {.msg_name = &from->sa.ss,
		.msg_namelen = sizeof from->sa.ss,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room};
	from->sa.len = 0;
	ssize_t n = recvmsg(fd, &msg, MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return n;
	from->sa.len = msg.msg_namelen;
	take_asked(from, &msg);
	return n;
}

/* The control message that sends from the address asked. Its length; 0: let routing choose. */
static size_t put_asked(const struct sock_from *to, union control *control)
{
	struct cmsghdr *c = &control->align;
	memset(control, 0, sizeof *control);
	if (to->family == AF_INET) {
		/* The local address; of a broadcast the one of the interface. */
		struct in_pktinfo info = {.ipi_spec_dst = to->asked4.ipi_spec_dst};
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		return CMSG_SPACE(sizeof info);
	}
	if (to->family != AF_INET6 || IN6_IS_ADDR_MULTICAST(&to->asked6))
		return 0;
	struct in6_pktinfo info = {.ipi6_addr = to->asked6};
	if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		info.ipi6_ifindex = to->asked6_if;
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof info);
	memcpy(CMSG_DATA(c), &info, sizeof info);
	return CMSG_SPACE(sizeof info);
}

ssize_t sock_dgram_answer(int fd, const void *data, size_t len, const struct sock_from *to)
{
	union control control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	size_t used = put_asked(to, &control);
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)&to->sa.ss,
		.msg_namelen = to->sa.len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = used > 0 ? control.room : NULL};
	msg.msg_controllen = (socklen_t)used;
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}
