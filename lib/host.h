/* lib/host.h: what a host that lives longer than one call (a shell that loaded the applets) does for a
 * verb: it keeps handles open from one call to the next, and takes charge of descriptors.
 *
 * A verb asks for what is kept where it would open, and offers what it has opened; in a process of its own
 * nothing is kept (call->host is NULL) and both do nothing. Only handles that hold nothing while nobody
 * uses them may be kept, or the verb says so (.pinned).
 */
#ifndef IPC_HOST_H
#define IPC_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct call;
struct object;

/* The head of a kept handle, which its owner has from malloc(3). A handle is known by TYPE, the address of
 * anything that belongs to one applet alone, by the word that the user wrote, and by HOW it was opened. */
struct kept {
	/* Set by the owner: */
	int fd;                      /* says what it is: device and inode; -1: none */
	void (*end)(struct kept *);  /* closes and frees it; frees no member of this struct */
	void (*rest)(struct kept *); /* end of a call that used it, may be NULL */
	bool fixed; /* the directory it lies in is never renamed: one fstat(2) tells */
	bool quiet; /* nothing that its users do moves its ctime: one fstat(2) tells, most of the time */
	bool pinned; /* holds something: kept until its owner drops it */
	bool forks;  /* may be used by a child of fork(2) beside us; else it is ended there */
	/* The host's: */
	const void *type;
	unsigned how;
	bool busy, dropped;
	unsigned used;  /* when */
	int64_t looked; /* when its path was last followed, ns */
	char *word, *path, *dir;
	const char *dir_kind; /* of what lies in .dir */
	struct stat st;       /* of the file, when it was last made sure that its name means it */
};

#define KEPT_MAX 32
/* A file that is kept open between calls stands at this position where others who look at /proc would otherwise take its
 * process for one that uses it or waits, and at another while it does. */
#define KEPT_IDLE 1
#define KEPT_FD 128 /* kept descriptors have numbers from here on, as far as the limit allows */

struct host {
	struct kept *kept[KEPT_MAX];
	unsigned tick;
	bool batch; /* the caller takes a batch: what is there once there is something, without -c or -f */
	bool into;     /* stdout is received into a variable */
	uint64_t held; /* signals that the shell keeps blocked from call to call (hold.h) */
	bool (*trapped)(int sig); /* has the shell a trap for it? */
	void (*masked)(uint64_t set,
		bool on); /* the mask that the shell goes back to blocks SET now, or not */
};

/* The one kept for WORD, in use until the call ends; NULL when there is none, or when the name means
 * another file by now (it was removed, replaced, $IPC_DIR is another one ...). */
struct kept *kept_find(struct call *call, const void *type, const char *word, unsigned how);
/* The same without asking whether the name still means it: the caller asks kept_current() later. */
struct kept *kept_recall(struct call *call, const void *type, const char *word, unsigned how);
/* The same for what is pinned. The newest one of that WORD; of that descriptor, when WORD is NULL. */
struct kept *kept_pinned(struct call *call, const void *type, const char *word, int fd);
/* The pinned one of the file that is open as FD, whatever word named it. */
struct kept *kept_pinned_file(struct call *call, const void *type, int fd);
/* Keep K, just opened for the object OBJ (of KIND, in $IPC_DIR; NULL: it has no path), in use until the call
 * ends. K->fd gets a high number. False when nothing can be kept: K is still the caller's. */
bool kept_add(struct call *call, struct kept *k, const void *type, const char *word, unsigned how,
	const struct object *obj, const char *kind);
/* Is it still what its name means? K->st is of now, then. */
bool kept_current(struct kept *k);
/* Is K->fd still the file that was opened? A script may have closed it, and have opened another by that number. */
bool kept_open(const struct kept *k);
/* Keep it no longer: it ends with the call, or, NOW, at once. */
void kept_drop(struct call *call, struct kept *k, bool now);

/* Give FD, the call's (call_own) or nobody's, to the shell: it stays open, close-on-exec, with a number from 10 on,
 * which goes to stdout as a line and so into the variable of -v or the array of -a. False, and nothing done, when
 * there is no shell that asked for it by these. */
bool host_give_fd(struct call *call, int fd);

/* Its name was removed: keep none of TYPE for WORD, but what holds something. */
void kept_forget(struct call *call, const void *type, const char *word);

/* For hosts: end all that is kept; in a child of fork(2), CHILD, what may not be used there. */
void host_drop(struct host *host, bool child);
/* Drop what the call has used: it failed, and what it used may be why. */
void host_distrust(struct host *host);

#endif
