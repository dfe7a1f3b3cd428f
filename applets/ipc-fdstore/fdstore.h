/* fdstore.h: private to ipc-fdstore: what its client and its server say to each other, and the server.
 *
 * The socket is SOCK_SEQPACKET: a request is one packet, its answer is one packet, descriptors come
 * with them. A client asks one thing at a time, so the server never has to queue anything for anybody.
 */
#ifndef IPC_FDSTORE_H
#define IPC_FDSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "addr.h"
#include "call.h"
#include "cmsg.h"
#include "loop.h"
#include "peer.h"
#include "quota.h"
#include "sock.h"
#include "spawn.h"

enum {
	SERVE_TAKEOVER,
	SERVE_NOTIFY,
	SERVE_ALLOW,
	SERVE_MAX,
	SERVE_MAX_PER_UID,
	SERVE_IDLE,
};
enum {
	CLIENT_RETRY,
	STORE_EXPIRE,
	STORE_ONCE,
	STORE_HANGUP,
	STORE_ALLOW,
	STORE_REPLACE,
	RETRIEVE_TO = STORE_EXPIRE,
	RETRIEVE_REMOVE,
};

#define NAME_LONGEST 255 /* as FDNAME of sd_notify(3) */
#define ALLOW_LONGEST 1023
#define COMMAND_LONGEST 255
#define NAMES_MOST 64 /* in one request */
#define BATCH_FDS 64  /* in one packet of a handover: few of a user's descriptors are in flight */

/* May NAME be one? It goes into $LISTEN_FDNAMES: no colon, no control characters. */
bool fds_name_ok(const char *name);

/* ---- packets (packet.c) */

#define PACKET_MAX 32768
#define PACKET_MAGIC 0x73666469u /* "idfs" */
#define PACKET_VERSION 1

enum op {
	OP_STORE,    /* one descriptor; name, allow; STORE_* flags; num: ns to live or 0 */
	OP_RETRIEVE, /* count names; GIVE_REMOVE */
	OP_DONE,     /* what was retrieved has arrived: remove what is to be */
	OP_LIST,     /* the name after which to go on, "" from the start */
	OP_REMOVE,   /* a name */
	/* The handover, in this order. */
	OP_TAKEOVER, /* answer: the listening socket, struct handover */
	OP_ENTRIES,  /* the name after which to go on; answer: as OP_LIST, with the descriptors */
	OP_CLIENTS,  /* num: the id after which to go on; answer: ids, with the connections */
	OP_COMMIT,   /* all has arrived, the old server is to end */
	OP_N
};

enum reason {
	WHY_OK,
	WHY_BAD, /* not understood */
	WHY_VERSION,
	WHY_DENIED,  /* not let in */
	WHY_NONE,    /* no such name; count is its index */
	WHY_FOREIGN, /* belongs to uid num */
	WHY_TAKEN,   /* the name is, by uid num */
	WHY_BUSY,    /* somebody is just taking it out */
	WHY_FULL,    /* limits; num is the limit */
	WHY_FULL_UID,
	WHY_NOFILE,
	WHY_FLIGHT,
	WHY_MEMORY,
	WHY_CROWD, /* this user has num connections already */
	WHY_N
};

struct head {
	uint32_t magic, size; /* of the whole packet */
	uint16_t version, op;
	uint32_t reason; /* in answers */
	uint32_t flags, count;
	int64_t num;
};

#define ASK_LAST 0x80000000u /* nothing more will be asked: the server may close */
#define GIVE_REMOVE 1u       /* OP_RETRIEVE: take it out */
#define GIVE_CLAIMED 1u      /* its answer: say OP_DONE */
#define KEEP_ONCE 1u         /* OP_STORE and records */
#define KEEP_HANGUP 2u       /* only until the other end hangs up */
#define KEEP_REPLACE 4u      /* OP_STORE: another of that name gives way */
#define KEEP_NOTIFY 4u       /* records: came by sd_notify(3) */
#define KEEP_ALIVE 8u        /* records: its storer still runs */
#define KEEP_LISTENS 16u     /* records: a listening socket */

/* A record of OP_LIST and OP_ENTRIES; behind it name, command, allow, type, what and peer, each with its
 * NUL. */
struct record {
	uint32_t size, flags; /* SIZE: of these members; a later version may have more */
	uint32_t uid, gid, pid, getfl;
	uint64_t start, given, claim;
	int64_t since;      /* CLOCK_REALTIME, ns */
	int64_t expires;    /* ns left, -1: never */
	int64_t pos, bytes; /* of a file, else -1 */
};
enum { TEXT_NAME, TEXT_COMMAND, TEXT_ALLOW, TEXT_TYPE, TEXT_WHAT, TEXT_PEER, TEXT_N };

/* Behind the head of OP_TAKEOVER's answer. */
struct handover {
	uint64_t entries, clients, next_id;
	uint64_t dev, ino;               /* of the path; 0: not the server's to remove */
	uint64_t notify_dev, notify_ino; /* the same */
};

struct packet {
	size_t len;
	bool full; /* something did not fit */
	char data[PACKET_MAX];
};
struct reader {
	const char *at, *end;
};

void fds_packet_start(struct packet *p, const struct head *head);
void fds_packet_put(struct packet *p, const void *data, size_t len);
void fds_packet_str(struct packet *p, const char *s);
/* Write size and COUNT into the head. */
void fds_packet_seal(struct packet *p, uint32_t count);
/* Check a packet of LEN bytes that came; READ is what follows the head. WHY_OK, WHY_BAD, WHY_VERSION. */
enum reason fds_packet_open(const char *data, size_t len, struct head *head, struct reader *read);
bool fds_read_bytes(struct reader *r, void *data, size_t len);
const char *fds_read_str(struct reader *r); /* NULL: not terminated */
bool fds_read_record(struct reader *r, struct record *record, const char *texts[TEXT_N]);

/* ---- clients (link.c) */

struct link {
	struct call *call;
	struct addr addr;
	int sock;
	int64_t deadline;
	struct packet packet; /* the request, then the answer */
	struct head head;     /* the answer's */
	struct reader read;
};
/* Connect to the store SOCK. 0 and *OPENED, or a status. */
int fds_link_open(struct call *call, const char *sock, struct link **opened);
/* The address SOCK, which must be one that a store can have. 0, or a status. */
int fds_link_address(struct call *call, const char *sock, struct addr *addr);
/* Send .packet with NFDS descriptors and receive the answer with at most CAP of them into GOT. 0, and .head
 * and .read are set (.head.reason may still be a refusal); -1 with errno: ECONNRESET, EPIPE (the server has
 * gone), EBADMSG (no answer of a store), EPROTONOSUPPORT (of another version), or as cmsg.h says. */
int fds_link_try(struct link *l, const int *fds, size_t nfds, int *got, size_t cap, size_t *ngot);
/* The same; 0, or a message and its status. */
int fds_link_ask(struct link *l, const int *fds, size_t nfds, int *got, size_t cap, size_t *ngot);
/* The message and the status for .head.reason, about NAME. */
int fds_link_refused(const struct link *l, const char *name);
/* The message and the status for a failed link_try. */
int fds_link_lost(const struct link *l, int errnum);

/* ---- the server */

struct entry {
	struct store *store;
	struct loop_watch
		watch; /* .fd is the descriptor; watched for its end only with KEEP_HANGUP */
	struct loop_timer expiry;
	const char *name, *command, *allow; /* behind the struct; ALLOW may be "" */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t start, given, claim; /* CLAIM: the client that is just taking it out, or 0 */
	int64_t since;
	uint32_t flags;
	char text[];
};

struct client {
	struct store *store;
	struct client *prev, *next; /* by age, so by id */
	struct loop_watch watch;
	struct loop_timer idle;
	struct peer peer;
	struct quota_user *user; /* counted; NULL: our own */
	uint64_t id;
	unsigned claims;
};

struct store {
	struct call *call;
	struct loop loop;
	struct addr addr, notify_addr;
	struct sock_bound *bound, *notify;
	struct loop_watch listener, notified;
	struct loop_timer accept_again, quiet;
	struct allow allow;
	struct entry **entries; /* by name */
	size_t n, cap;
	size_t max, max_per_uid, max_clients;
	struct client *oldest, *newest;
	size_t nclients;
	struct quota quota; /* of other users' connections */
	uint64_t next_id;
	struct client *taker; /* while it takes over, nobody else is listened to */
	bool handed, stopping, paused, warned;
	int64_t idle;
	struct rlimit nofile;
	struct packet in, out;
};

/* serve.c */
#define CLIENT_PATIENCE (10 * NS_PER_S) /* one that asks nothing for so long is let go */
struct client *fds_store_adopt(struct store *s, int fd, const struct peer *peer, uint64_t id);
/* Be told when C asks something, for so long as we are patient. 0; -1: C is closed. */
int fds_client_wait(struct client *c);
void fds_client_close(struct client *c);
/* Listen to everybody, or (ON false) only to s->taker. */
void fds_store_listen(struct store *s, bool on);
/* Something has gone: begin to count --idle when nothing is left. */
void fds_store_left(struct store *s);

/* entry.c */
struct keep {
	const char *name, *command, *allow;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t start;
	int64_t expires; /* ns from now; -1: never */
	uint32_t flags;
};
/* Where NAME is, or would be, in .entries. */
size_t fds_entry_index(const struct store *s, const char *name);
struct entry *fds_entry_find(const struct store *s, const char *name);
/* Keep FD, whose name is free. NULL with errno: FD is still the caller's. */
struct entry *fds_entry_add(struct store *s, int fd, const struct keep *keep);
void fds_entry_drop(struct entry *e);
/* Is there room for one more of UID? WHY_OK, WHY_FULL, WHY_FULL_UID. */
enum reason fds_entry_room(const struct store *s, uid_t uid, int64_t *limit);
bool fds_entry_mine(const struct entry *e, const struct peer *peer);
bool fds_entry_open_to(const struct entry *e, const struct peer *peer, int sock);
/* The process that stores, for whom PEER speaks: fills PID, START and COMMAND of KEEP. */
void fds_keep_who(struct keep *keep, const struct peer *peer, char command[COMMAND_LONGEST + 1]);
/* Append the record of E; WHAT: with what it is. False when there is no room. */
bool fds_entry_record(const struct entry *e, struct packet *p, bool what);

/* request.c */
void fds_client_ready(struct loop *loop, struct loop_watch *w, uint32_t events);
struct request {
	struct store *store;
	struct client *client;
	struct head head;
	struct reader read;
	int *fds; /* that came; one that is kept is set to -1 */
	size_t nfds;
	int give[BATCH_FDS]; /* to be sent with the answer: borrowed */
	size_t ngive;
	uint32_t flags, count; /* of the answer */
	int64_t num;
};
_Static_assert(BATCH_FDS >= NAMES_MOST, "an answer has room for all names");

/* handover.c */
enum reason fds_handover_begin(struct request *r);
enum reason fds_handover_entries(struct request *r);
enum reason fds_handover_clients(struct request *r);
enum reason fds_handover_commit(struct request *r);
/* After the answer to that: nothing is ours any more. */
void fds_handover_done(struct request *r);
/* Become the successor of the server at s->addr. 0; *TAKEN false when nobody is there. */
int fds_handover_take(struct store *s, bool *taken);

/* notify.c */
void fds_notify_ready(struct loop *loop, struct loop_watch *w, uint32_t events);

/* describe.c */
struct what {
	char type[24], name[4096 + 16], peer[ADDR_TEXT];
	uint32_t getfl;
	bool listens;
	int64_t pos, bytes; /* of a file, else -1 */
};
void fds_describe(int fd, struct what *w);

int fdstore_serve(struct call *call);
int fdstore_store(struct call *call);
int fdstore_retrieve(struct call *call);
int fdstore_ls(struct call *call);
int fdstore_rm(struct call *call);

#endif
