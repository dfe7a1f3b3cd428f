/* lib/peer.h: who is at the other end of a unix socket, and whom to let in. Decisions rest on uid
 * and gid alone: the pid may be recycled and is only told, never trusted (unix(7), SO_PEERCRED). */
#ifndef IPC_PEER_H
#define IPC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
	bool known; /* false for TCP and the like */
	uid_t uid;
	gid_t gid;
	pid_t pid; /* as of connect(2), listen(2) or socketpair(2); 0: in another pid namespace */
};

/* Ask the kernel (SO_PEERCRED). 0; -1 with errno when SOCK is no connected unix socket. */
int peer_of(int sock, struct peer *peer);

/* Is PEER certainly the user UID, or (peer_ours) our own user or root? In a user namespace the kernel
 * gives all users that it does not know the overflow uid (65534): such a peer is nobody's, not even ours
 * when we are unknown there ourselves. */
bool peer_is(const struct peer *peer, uid_t uid);
bool peer_ours(const struct peer *peer);

/* A parsed --allow list: "uid:N|NAME,gid:N|NAME,any". */
struct allow {
	const char *text; /* NULL: the default, same uid and root */
};
/* Check the form of TEXT and that its names exist. NULL, or what is wrong. */
const char *allow_parse(struct allow *allow, const char *text);
/* Is PEER (of SOCK, for its supplementary groups: SO_PEERGROUPS) let in? Root and our own uid always are. */
bool allow_peer(const struct allow *allow, const struct peer *peer, int sock);

#endif
