/* ipc-sock.h: what the files of ipc-sock share. */
#ifndef IPC_SOCK_APPLET_H
#define IPC_SOCK_APPLET_H

#include <sys/resource.h>

#include "addr.h"
#include "call.h"
#include "frame.h"
#include "loop.h"
#include "peer.h"
#include "sock.h"

/* Options: those of serve, recv and relay, which share the engine of serve, then the rest. */
enum {
	S_TYPE,
	S_ECHO,
	S_COLLECT,
	S_BROADCAST,
	S_HUB,
	S_LISTEN_FDS,
	S_ITERATIVE,
	S_MAX_CLIENTS,
	S_MAX_PER_UID,
	S_MIN_CLIENTS,
	S_BACKLOG,
	S_IDLE,
	S_ALLOW,
	S_OWNER,
	S_FAREWELL,
	S_GRACE,
	S_SIZE,
	S_SLOW,
	S_RETRY,
	S_REPLY,
	S_TO_TYPE,
};

/* The values of -t; the same order as its choices. */
extern const int sock_types[];
/* The socket type that -t asks for, or DFLT. */
int sock_opt_type(const struct call *call, int dflt);

enum role { ROLE_CMD, ROLE_ECHO, ROLE_COLLECT, ROLE_BROADCAST, ROLE_HUB, ROLE_RELAY };
enum slow { SLOW_CLOSE, SLOW_DROP, SLOW_WAIT };

struct server;

/* One connection. An idle one costs this and a descriptor. */
struct client {
	struct loop_watch watch; /* the connection; with a command: not watched, .fd -1 */
	struct loop_child child; /* the command */
	struct server *srv;
	struct client *prev, *next; /* of all, the one that was active longest ago first */
	uint64_t id;
	struct peer peer;
	int64_t since, active;
	uint64_t in, out;
	struct buf buf;    /* echo: to be sent; collect and hub: a record that is not whole yet */
	struct buf rest;   /* broadcast and hub: what is left of a record, and the farewell */
	uint64_t pos, rec; /* broadcast and hub: place in the backlog of records */
	uint64_t dropped;
	struct link *link; /* relay: the other side */
	bool eof;          /* it has sent all */
	bool ending;       /* the server stops: half-close when all is sent */
	bool shut;         /* done: we have half-closed */
	bool counted;      /* in the table of uids */
	bool partly;       /* .pos is inside a record */
	bool paused;       /* not read from until there is room for what it says */
	bool starved;      /* it is not served yet, for lack of descriptors or memory */
};

#define READ_END (-2)

/* Bytes for stdout that it did not take yet. */
struct outq {
	struct loop_watch watch;
	struct buf buf;
	bool corked; /* collect first, write once */
	int pipe[2]; /* --collect --raw into a file: by way of this, nothing is copied; -1 */
};
#define OUTQ_MOST (256 * 1024) /* above this nothing more is read from clients */

/* What --broadcast and --hub still owe to some client: one ring for all of them. */
struct mark {
	uint64_t end;  /* of the record */
	uint64_t from; /* client that must not get it; 0: none */
};
struct backlog {
	char *data;
	struct mark *marks;
	size_t size, nmarks;  /* of the two rings: powers of two */
	uint64_t start, end;  /* bytes */
	uint64_t first, last; /* records */
	bool full;            /* inputs are paused */
	struct loop_timer stall, left;
};

struct stats {
	uint64_t accepted, refused, failed, idled, slow, dropped, in, out, peak;
};

struct server {
	struct call *call;
	struct loop loop;
	struct sock_bound *bound;
	struct loop_watch listener;
	struct addr addr;
	enum role role;
	int type;
	bool checks;     /* somebody is not let in */
	bool wants_peer; /* credentials are looked at */
	bool json;
	struct allow allow;
	uint64_t max, max_per_uid, min, count, served;
	unsigned starved; /* clients that are; none is accepted meanwhile */
	struct frame frame;
	size_t record_max;
	int64_t idle, grace;
	enum slow slow;
	const char *farewell;
	size_t farewell_len;
	struct rlimit nofile;          /* as we were started */
	int64_t deadline;              /* recv: give up then */
	uint64_t records, records_max; /* recv: end after so many; 0: never */
	uint64_t n, next_id;
	struct client *oldest, *newest;
	struct {
		uid_t uid;
		unsigned n;
	} * uids;
	size_t nuids;
	bool accepting, stopping;
	int status, stop_signal;
	struct loop_timer too_late, accept_again, grace_over, idle_check, feed_again;
	struct loop_signal usr1;
	struct outq outq;
	struct stats stats;
	char *scratch;
	size_t scratch_size;
	struct loop_watch input; /* --broadcast: stdin */
	struct buf pending;      /* its record that is not whole yet */
	struct backlog log;
	bool input_eof;
	struct relay *relay;
	bool warned;
};

/* serve.c */
int server_run(struct server *s);
/* The settings that all who run a server share, from the options. -1, or a status. */
int server_init(struct server *s, struct call *call, enum role role, int type);
void server_undo(void *server, intptr_t n);
/* Say that S is ready, and where: --ready-fd, -v, -J. 0, or a status. */
int server_serving(struct server *s);
/* End the server with STATUS, at once. */
void server_end(struct server *s, int status);
/* Stop as for a signal: no more clients, the present ones may finish. */
void server_stop(struct server *s);

/* accept.c */
void server_accept(struct loop *loop, struct loop_watch *w, uint32_t events);
/* A new connection FD (-1: a session of datagrams). It is served, or closed. */
void server_greet(struct server *s, int fd);
void server_accepting(struct server *s, bool on);
/* How many connections the user of C has, and one less. */
unsigned client_of_uid(struct client *c);
void client_uncount(struct client *c);
/* C cannot be served now by ERR, a lack of ours: nobody else is accepted until it is, client_fed(). */
void client_starved(struct client *c, int err);
void client_fed(struct client *c);

/* client.c */
/* C is the newest of its server. */
void client_link(struct client *c);
void client_close(struct client *c, int wstatus);
/* The same, when C has not got all that it was to get: its peer is reset as far as can be, sock_abort(). */
void client_abort(struct client *c);
/* It has done something: not idle. */
void client_active(struct client *c);
/* The server stops: what C still gets is the farewell and the end of the stream. */
void client_finish(struct client *c);
void server_idle_due(struct loop *loop, struct loop_timer *t);

/* handler.c */
int server_cmd_start(struct client *c, int fd);
void server_cmd_eof(struct client *c);
void server_cmd_signal(struct client *c, int sig);
int server_listen_fds(struct server *s);

/* report.c */
void server_report_open(struct client *c, int fd, const char *event);
/* The address that the kernel chose (port 0). */
void server_report_bound(struct server *s);
void server_report_close(struct client *c, int wstatus);
void server_report_stats(struct server *s);
void server_report_usr1(struct loop *loop, struct loop_signal *sig);

/* outq.c */
int outq_start(struct server *s);
void outq_put(struct server *s, const void *data, size_t len);
/* What FD has, straight to stdout: bytes, READ_END, -1 with errno (EINVAL: it cannot be done this way). */
ssize_t outq_splice(struct server *s, int fd);
void outq_end(struct server *s);
void outq_cork(struct server *s, bool on);
/* Wait for what is left, as long as DEADLINE. */
void outq_drain(struct server *s, int64_t deadline);

/* echo.c, collect.c, hub.c: what happens to the connection of a built-in service */
void echo_finish(struct client *c);
void echo_ready(struct loop *loop, struct loop_watch *w, uint32_t events);
void collect_ready(struct loop *loop, struct loop_watch *w, uint32_t events);
void collect_resume(struct server *s);
/* C goes without the end of its stream: what it has begun is lost, and that is said. */
void collect_lost(struct client *c);
/* One record of C (NULL: a datagram, PEER says whose) to stdout. */
void collect_record(
	struct server *s, struct client *c, const char *from, const char *rec, size_t len);
void hub_ready(struct loop *loop, struct loop_watch *w, uint32_t events);
int hub_start(struct server *s);
void hub_join(struct client *c);
int hub_input(struct server *s);
void hub_left(struct server *s);
void hub_finish(struct client *c);
void hub_free(struct server *s);
/* Records of stdin cannot be had, errno says why: the status. */
int sock_stdin_failed(struct call *call);
void server_dgram_ready(struct loop *loop, struct loop_watch *w, uint32_t events);

/* An empty packet and the end of a SOCK_SEQPACKET connection both read as 0 bytes. Is this the end? Only empty
 * packets right before it may be taken for it. */
bool packets_ended(int fd);

/* Read from C's connection into the scratch buffer. Bytes, READ_END; -1: nothing now, or C is gone
 * (*GONE). A record that is too long closes it. */
ssize_t client_read(struct client *c, bool *gone);
/* Send; bytes taken (0: no room now); -1: C is gone. */
ssize_t client_send(struct client *c, const void *data, size_t len);
/* The length of the record at DATA with its terminator, 0 when it is not whole. */
size_t sock_record_end(const struct server *s, struct frame frame, const char *data, size_t len,
	size_t *terminator);

/* relay.c */
struct relay;
int relay_begin(struct client *c, int fd);
/* How many descriptors a client takes. */
unsigned relay_cost(const struct server *s);
void relay_end(struct client *c);
void relay_finish(struct client *c);
void session_ready(struct loop *loop, struct loop_watch *w, uint32_t events);

#endif
