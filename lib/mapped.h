/* lib/mapped.h: objects that are mapped files (rings, events, barriers), opened for a verb: name,
 * file, checks, messages and undo in one step. */
#ifndef IPC_MAPPED_H
#define IPC_MAPPED_H

#include "call.h"
#include "object.h"
#include "shared.h"

struct mapped {
	struct kept kept; /* of a host that keeps it from call to call */
	bool is_kept, waits;
	bool own;  /* by malloc(3), not from the call */
	bool ends; /* with the process, which unmaps it for less than munmap(2) */
	struct object obj;
	struct object_at at;
	struct shared shared;
};

/* How an applet's files look. */
struct mapped_type {
	const char *kind; /* suffix in $IPC_DIR and word in messages: "event" */
	struct shared_type file;
	size_t size; /* of a new file */
	void (*init)(void *base, size_t size, void *arg);
};

/* Open the object that WORD names (a bare word or a file) with FLAGS of shared_open; a new one gets
 * SIZE bytes (0: the type's) and the mode of -m, or 0600. *M lives as long as the call, which is why
 * it is no variable of the verb's: the host closes it after the verb has returned, or keeps it open for
 * the next call that means the same file. 0; or a status, the message written: 64 not such a name, 65 damaged or
 * another kind of file, 66 missing, 71 no space, 73 exists, 77 permission. */
int mapped_open(struct call *call, struct mapped **m, const char *word,
	const struct mapped_type *type, int flags, size_t size, void *arg);
/* Say that this call waits: the file, when a host keeps it, stands at 0 instead of KEPT_IDLE until it ends. */
void mapped_waits(struct mapped *m);
/* Close it now (a host would at the end). */
void mapped_close(struct call *call, struct mapped *m);
/* Remove its name. 0 or a status with its message. */
int mapped_unlink(struct call *call, struct mapped *m);
/* Lock it, until DEADLINE, and in any case not longer than a lock that is held for microseconds can be
 * waited for: 75 then, naming the holder. DEADLINE_NOW waits for a second, since others hold it only in
 * passing: then 75. 0: locked; 1: locked, the last owner died holding it, or
 * never was one; else -1 and *STATUS with the message written. */
int mapped_lock(struct call *call, struct mapped *m, int64_t deadline, int *status);
/* The DEADLINE for a lock that is needed once more after the wait of CALL is over: some seconds when -w or -n
 * bound the call, else DEADLINE_NONE. */
int64_t mapped_last(const struct call *call);
/* 65 with its message when the file was cut short or damaged under us, else STATUS. The last step of
 * a verb. */
int mapped_done(struct call *call, struct mapped *m, int status);

#endif
