/* describe.c: what a descriptor is, asked without waiting for anybody: a stored file may lie on a file system
 * whose server has died, so only what the kernel has at hand is looked at (AT_STATX_DONT_SYNC). */
#define _GNU_SOURCE
#include "fdstore.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The head of the kernel's struct statx, which older C libraries lack. */
struct kernel_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size;
	uint64_t rest[26];
};
_Static_assert(sizeof(struct kernel_statx) == 256, "statx(2)");
#define DONT_SYNC 0x4000     /* AT_STATX_DONT_SYNC */
#define TYPE_AND_SIZE 0x0201 /* STATX_TYPE | STATX_SIZE */

static void describe_socket(int fd, struct what *w)
{
	char name[ADDR_TEXT];
	struct peer peer;
	int domain = 0;
	socklen_t len = sizeof domain;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	int type = sock_type(fd);
	w->listens = sock_is_listening(fd);
	if (domain == AF_UNIX)
		snprintf(w->type, sizeof w->type, "unix-%s", sock_type_name(type));
	else if (domain == AF_INET || domain == AF_INET6)
		strcpy(w->type, type == SOCK_STREAM ? "tcp" : type == SOCK_DGRAM ? "udp" : "ip");
	else
		strcpy(w->type, domain == AF_VSOCK ? "vsock" : "socket");
	if (*sock_name(fd, false, name) != '\0')
		strcpy(w->name, name);
	if (w->listens)
		return;
	sock_name(fd, true, w->peer);
	/* Who connected, or made the pair; of one that never was connected nobody. */
	if (*w->peer == '\0' && domain == AF_UNIX && type != SOCK_DGRAM && peer_of(fd, &peer) == 0)
		snprintf(w->peer, sizeof w->peer, "pid %ld", (long)peer.pid);
}

/* "anon_inode:[eventfd]", "anon_inode:inotify". */
static bool anonymous(struct what *w)
{
	static const char prefix[] = "anon_inode:";
	if (strncmp(w->name, prefix, sizeof prefix - 1) != 0)
		return false;
	const char *s = w->name + sizeof prefix - 1;
	s += *s == '[';
	size_t len = strcspn(s, "]");
	len = len < sizeof w->type ? len : sizeof w->type - 1;
	memcpy(w->type, s, len);
	w->type[len] = '\0';
	return true;
}

static const char *type_of(const struct what *w, unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return strncmp(w->name, "/memfd:", 7) == 0 ? "memfd" : "file";
	case S_IFDIR: return "directory";
	case S_IFCHR: return "chardev";
	case S_IFBLK: return "blockdev";
	case S_IFIFO: return strncmp(w->name, "pipe:", 5) == 0 ? "pipe" : "fifo";
	case S_IFSOCK: return "socket";
	case S_IFLNK: return "symlink";
	default: return "other";
	}
}

void fds_describe(int fd, struct what *w)
{
	char path[40];
	struct kernel_statx st;
	w->peer[0] = w->type[0] = '\0';
	w->listens = false;
	w->pos = w->bytes = -1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, w->name, sizeof w->name - 1);
	w->name[n > 0 ? n : 0] = '\0';
	int flags = fcntl(fd, F_GETFL);
	w->getfl = flags < 0 ? 0 : (uint32_t)flags;
	if (anonymous(w))
		return;
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | DONT_SYNC, TYPE_AND_SIZE, &st) < 0) {
		strcpy(w->type, "?");
		return;
	}
	strcpy(w->type, type_of(w, st.mode));
	if (S_ISSOCK(st.mode) && (w->getfl & O_PATH) == 0)
		describe_socket(fd, w);
	if (!S_ISREG(st.mode))
		return;
	w->bytes = (int64_t)st.size;
	if ((w->getfl & O_PATH) == 0)
		w->pos = lseek(fd, 0, SEEK_CUR);
}
