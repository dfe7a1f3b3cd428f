/* applets/ipc-mq/mq.h: what the files of ipc-mq share. The verbs are written once, on top of struct
 * backend; posix.c and sysv.c are the two kinds of queue. */
#ifndef IPC_MQ_PRIVATE_H
#define IPC_MQ_PRIVATE_H

#include "call.h"
#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum mq_opt {
	MQ_EXCLUSIVE,
	MQ_CREATE,
	MQ_DEPTH,
	MQ_SIZE,
	MQ_PRIORITY,
	MQ_TYPE,
	MQ_EXCEPT,
	MQ_ALL,
	MQ_FORMAT,
	MQ_OPTS
};

struct message {
	const char *data;
	size_t len;
	unsigned priority; /* POSIX */
	long type;         /* System V */
};

/* Which messages of a System V queue are meant: type 0 is any. */
struct choice {
	int64_t type;
	bool lowest; /* the lowest type <= .type */
	bool except; /* any type but .type */
};

/* The attributes that create shall give; 0: not asked for. */
struct wanted {
	bool exclusive, has_mode;
	unsigned mode;
	int64_t depth, size;
};

/* What is known about a queue; fields of the other kind are 0. */
struct info {
	uint64_t messages, bytes;
	bool counted, weighed; /* .messages, .bytes could be read */
	uint64_t depth, size;  /* POSIX: mq_maxmsg, mq_msgsize */
	uint64_t capacity;     /* System V: msg_qbytes */
	unsigned mode, uid, gid;
	int id, key;            /* System V */
	pid_t sender, receiver; /* System V: the last ones */
	int64_t sent, received; /* System V: when, seconds of the epoch, 0 never */
	int64_t changed;
	pid_t notify; /* POSIX: registered by mq_notify(3) */
};

enum access { MQ_READ = 4, MQ_WRITE = 2, MQ_LOOK = 0 };

struct queue;

/* open, create and remove say what is wrong and return a status; the others return 0, or -1 with
 * errno: EAGAIN (at DEADLINE_NOW), ETIMEDOUT, EINTR (a stop signal), EIDRM (removed meanwhile), EPIPE
 * (nobody reads stdout any more), EACCES ... */
struct backend {
	const char *kind;
	int (*open)(struct queue *q, enum access access);
	int (*create)(struct queue *q, const struct wanted *want);
	int (*send)(struct queue *q, const struct message *msg, int64_t deadline);
	int (*recv)(struct queue *q, struct message *msg, int64_t deadline);
	/* Send MSG, which recv has just taken, again. */
	int (*unread)(struct queue *q, const struct message *msg);
	int (*wait)(struct queue *q, int64_t deadline);
	int (*peek)(
		struct queue *q, unsigned long index, struct message *msg); /* ENOMSG: no more */
	int (*info)(struct queue *q, struct info *info);
	int (*remove)(struct queue *q);
};
extern const struct backend mq_posix, mq_sysv;

struct queue {
	struct call *call;
	const struct backend *be;
	struct object obj;
	const char *name;        /* as the user wrote it */
	int id;                  /* mqd or msqid, -1: not open */
	bool own;                /* id is a descriptor that is ours */
	struct kept_queue *kept; /* id is one that a host keeps */
	bool blocking;     /* POSIX: the descriptor blocks, so that send waits in mq_send itself */
	size_t max;        /* longest message the queue takes */
	const char *limit; /* where .max comes from */
	struct choice choice;
	int file;        /* with CMD: for the next message */
	const char *env; /* "IPC_OBJECT=NAME", made when CMD first needs it */
	char *buf;       /* for the back end; cap bytes, freed with the call */
	size_t cap;
};

/* ipc-mq.c */
/* Understand TEXT and make room for a queue that lives as long as the call. NULL with *STATUS. */
struct queue *mq_queue(struct call *call, const char *text, int *status);
/* mq_queue of the first operand, made with --create when it is missing, opened. */
struct queue *mq_open_queue(struct call *call, enum access access, int *status);
/* Room for N bytes in q->buf. 0, or -1 ENOMEM. */
int mq_reserve(struct queue *q, size_t n);
/* -T and --except into q->choice. 0 or a status. */
int mq_choose(struct queue *q);
/* True when stdout is a pipe or socket that nobody reads any more. */
bool mq_reader_gone(const struct call *call);
/* "10 of 10 messages", for the words on a full queue. */
const char *mq_fill(struct queue *q);
/* "; 3 sent before", or nothing when N is 0: for the end of a message. */
const char *mq_before(struct call *call, uint64_t n, const char *done);

int mq_run_send(struct call *call);
int mq_run_recv(struct call *call);
int mq_run_peek(struct call *call);
/* recv.c: say why messages of Q cannot be looked at: EOPNOTSUPP, ENOSYS, EMSGSIZE ... A status. */
int mq_not_shown(struct queue *q, int errnum);
int mq_run_stat(struct call *call);
int mq_run_ls(struct call *call);

/* limits.c: say which limit stopped the creation of Q as WANT asks, what it is, and what would fit. */
int mq_posix_refused(struct queue *q, const struct wanted *want, int errnum);
int mq_sysv_refused(struct queue *q, const struct wanted *want, int errnum);
/* A number from /proc/sys/fs/mqueue/NAME, or OTHERWISE. */
int64_t mq_sysctl(const char *name, int64_t otherwise);

/* format.c: how a received message is written. */
struct format {
	bool json;
	const char *text; /* --format, or NULL */
};
/* Read -J and --format. 0 or a status. */
int mq_format(struct call *call, struct format *f);
/* Write MSG, the NUMBERth of this call. 0 or a status. */
int mq_print(struct queue *q, const struct format *f, const struct message *msg, uint64_t number);

/* users.c: call FN for each process that has the queue open (POSIX) or sleeps on it (System V), as
 * far as we may see; *HIDDEN is set when some process could not be looked into. 0 or -1. */
typedef void mq_used(void *arg, pid_t pid, const char *doing);
int mq_each_user(const struct queue *q, mq_used *fn, void *arg, bool *hidden);

/* posix.c, sysv.c: each queue that can be seen, in no order. FN gets the name in a form that the
 * verbs take. 0, FN's value when not 0, or -1 with errno (EPERM: they cannot be listed). */
typedef int mq_seen(void *arg, const char *name, const struct info *info);
int mq_posix_each(mq_seen *fn, void *arg);
int mq_sysv_each(mq_seen *fn, void *arg);

#endif
