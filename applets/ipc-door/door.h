/* door.h: what the files of ipc-door share: the protocol, and the server's records.
 *
 * A door is a unix stream socket. Each message is a struct door_head and LENGTH bytes; numbers are the
 * machine's own, since both ends are on it. A caller sends one DOOR_CALL, its descriptors with the first byte, then
 * DOOR_SIGNAL as often as it likes, and gets one DOOR_EXIT or DOOR_REFUSED; or it sends DOOR_STAT and gets
 * DOOR_STATE. The end of the caller's stream is the end of the call: whoever waits for the answer keeps his side open.
 */
#ifndef IPC_DOOR_H
#define IPC_DOOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "addr.h"
#include "call.h"
#include "loop.h"
#include "peer.h"
#include "quota.h"
#include "sock.h"

enum {
	D_JOBS,
	D_ALLOW,
	D_PASS,
	D_GRACE,
	D_DESCRIPTORS,
	D_RETRY,
};

#define DOOR_MAGIC "DOOR"
#define DOOR_VERSION 1
#define DOOR_FDS 64   /* descriptors of one call, stdin, stdout and stderr among them */
#define DOOR_ENV 256  /* variables of one call */
#define DOOR_TEXT 512 /* longest reason for a refusal */

enum door_type {
	DOOR_CALL = 1, /* .arg: flags; struct door_call and what it counts */
	DOOR_SIGNAL,   /* .arg: a signal for the handler's process group */
	DOOR_STAT,
	DOOR_EXIT,    /* .arg: the handler's exit status, as a shell gives it */
	DOOR_REFUSED, /* .arg: a status of ours; why, as text */
	DOOR_STATE,   /* struct door_state */
};

#define DOOR_NOWAIT 1 /* refuse with ST_BUSY rather than queue */

struct door_head {
	char magic[4];
	uint16_t version;
	uint16_t type;
	uint32_t arg;
	uint32_t length; /* of what follows */
};

/* Behind it: NFDS numbers (int32_t) that the descriptors are to have, then strings, each with its NUL: ARGC
 * arguments, ENVC variables (NAME=VALUE, or NAME to unset it), and one with the calls that this one is made from. */
struct door_call {
	uint32_t argc, envc, nfds;
};

struct door_state {
	int64_t since; /* seconds of CLOCK_REALTIME */
	int32_t pid;
	uint32_t uid, jobs;                /* jobs: -j */
	uint32_t running, queued, ending;  /* ending: cancelled, but still there */
	uint64_t done, cancelled, refused; /* calls: answered; cancelled while they ran or queued */
};

/* The variable that says which calls a handler was started by, innermost last: ID,ID,... where ID is the
 * server's secret and the number of the call. With it a door knows a call that is made from within one of its own. */
#define DOOR_CHAIN "IPC_DOOR_CHAIN"
#define DOOR_CHAIN_MAX 4096 /* deeper is taken for a recursion without end */

/* Fill in a head. */
void door_head(struct door_head *h, enum door_type type, uint32_t arg, uint32_t length);
/* NULL, or what is wrong with H, one that is to be answered. */
const char *door_head_wrong(const struct door_head *h);
/* Is NAME (up to '=' or its end) a variable that only the server sets? */
bool door_reserved(const char *name);
/* Is it a name at all: letters, digits, '_', no digit first? */
bool door_is_name(const char *name);
/* TEXT as a door. NULL, or what is wrong. */
const char *door_addr(struct addr *a, const char *text);
/* The same for a verb that talks to the server: connect within DEADLINE, for RETRY ns again and again. The
 * descriptor, O_NONBLOCK, is owned by the call. 0, or a status. */
int door_connect(struct call *call, const char *text, int64_t deadline, int64_t retry,
	struct addr *a, int *fd);
/* Wait for the answer, whose head is given and of whose body at most SIZE bytes are put into BODY. STOPPED is
 * called for each stop signal. NAME is for messages. 0, or a status. */
int door_answer(struct call *call, const char *name, int fd, int64_t deadline,
	void (*stopped)(struct call *call, int fd, int sig), struct door_head *h, void *body,
	size_t size);
/* The status for an answer that says no, or one that makes no sense. TEXT is not trusted. */
int door_refused(struct call *call, const char *name, const struct door_head *h, char *text);

struct door;

enum job_state { JOB_READING, JOB_QUEUED, JOB_RUNNING, JOB_ENDING, JOB_STATES };

/* One connection. */
struct job {
	struct loop_watch watch;
	struct loop_child child;
	struct loop_timer timer; /* the request must be there; the handler must have ended */
	struct door *door;
	struct job *prev, *next; /* of the same state, in the order they got there */
	enum job_state state;
	bool cancelled; /* its group was told to end */
	bool nowait;
	uint64_t id;
	struct peer peer;
	struct quota_user *user;  /* counted; NULL: our own, or not let in */
	size_t bytes;             /* how many of them are counted */
	struct buf buf;           /* what was received, first of all the request */
	struct door_call request; /* checked */
	int group;                /* pidfd of the handler, ended, whose group has not; -1 */
	size_t nfds;
	int fds[DOOR_FDS];
};

struct jobs {
	struct job *first, *last;
	unsigned n;
};

struct door {
	struct call *call;
	struct loop loop;
	struct sock_bound *bound;
	struct loop_watch listener;
	struct loop_timer accept_again, grace_over;
	struct addr addr;
	struct allow allow;
	const char *pass; /* what callers of other users may pass */
	unsigned max;
	uint64_t count, started, next_id, done, cancelled, refused;
	int64_t grace, since;
	size_t request_max;
	struct rlimit nofile; /* as we were started */
	size_t fds_max, held; /* descriptors: how many we may have; how many jobs have */
	struct quota quota;   /* what other users have of it */
	struct jobs jobs[JOB_STATES];
	bool accepting, warned;
	int stopping; /* how often we were told to */
	char secret[17];
	const char *object; /* IPC_OBJECT=... */
	char *scratch;
};

#define SCRATCH (64 * 1024)

/* serve.c */
void door_accepting(struct door *d, bool on);
/* A job has gone: accept again if that was for want of room, end if it was the last. */
void door_room(struct door *d);
/* No more calls; what waits is refused. */
void door_shut(struct door *d);

/* job.c */
void job_accept(struct loop *loop, struct loop_watch *w, uint32_t events);
void job_move(struct job *j, enum job_state to);
void job_free(struct job *j);
/* Count what it holds, with FDS more descriptors than before. False: its user has too much. */
bool door_job_count(struct job *j, size_t fds);
/* Close the connection: the caller sees the end. */
void job_hang_up(struct job *j);
/* Answer and forget a job that does not run. */
void job_refuse(struct job *j, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void job_send(struct job *j, enum door_type type, uint32_t arg, const void *body, size_t len);

/* request.c: the request in J->buf, all there: NULL when it is a good one, J->request is set then; else what is
 * wrong and the *STATUS for it. */
const char *request_check(struct job *j, int *status);
/* What follows its head, and then: */
size_t request_length(const struct job *j);
int32_t request_fd(const struct job *j, size_t i);
const char *request_strings(const struct job *j);
/* The calls that it is made from: its last string. */
const char *request_chain(const struct job *j);
/* Is it made from within a call that this door runs? */
bool request_nested(const struct job *j);

/* Be told what its caller does. False: it was not possible, and the job is gone. */
bool job_watch(struct job *j);
/* Its descriptors have been handed on, or are not needed. */
void job_close_fds(struct job *j);

/* handler.c */
/* Run it, or queue it. False: it is gone, refused. */
bool handler_take(struct job *j);
/* Tell the handler's group to end; KILL follows after GRACE. */
void handler_cancel(struct job *j, int64_t grace);
void handler_signal(struct job *j, int sig);
void handler_kill(struct job *j);

#endif
