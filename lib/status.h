/* lib/status.h: the exit statuses, the same everywhere (ipcbox(1), EXIT STATUS). */
#ifndef IPC_STATUS_H
#define IPC_STATUS_H

enum status {
	/* Not in this process: from a VERB_INPROC verb under a host that is a shell (call->host), before it
	 * has done anything; the host then runs it as a process of its own. */
	ST_ELSEWHERE = -1,
	ST_OK = 0,
	ST_NO = 1,        /* a test verb's plain "no" */
	ST_USAGE = 64,    /* the command line is wrong */
	ST_DATA = 65,     /* bad data: record too long, truncated, bad magic */
	ST_NOOBJ = 66,    /* no such object */
	ST_NOPEER = 69,   /* refused, no reader, owner gone */
	ST_INTERNAL = 70, /* a bug here */
	ST_LIMIT = 71,    /* a resource or limit of the system */
	ST_EXISTS = 73,   /* exists, or cannot be created */
	ST_IO = 74,       /* input/output error */
	ST_BUSY = 75,     /* would block (-n) */
	ST_BROKEN = 76,   /* object broken by a dead owner; barrier broken */
	ST_PERM = 77,     /* permission denied */
	ST_TIMEOUT = 124, /* -w ran out */
	ST_EARLY = 125,   /* failed before CMD ran */
	ST_NOEXEC = 126,  /* CMD is not executable */
	ST_NOCMD = 127,   /* CMD not found */
	ST_SIGNAL = 128,  /* + N: killed by signal N */
	ST_SIGPIPE = 128 +
		13, /* the reader of stdout has gone: the host dies of SIGPIPE, as filters do */
	ST_DEATH =
		256 /* + N: CMD was killed by signal N, and the verb ends with it: the host dies of N.
			* Seen by a shell as 128+N all the same. */
};

/* The status for an errno: ENOENT 66, EACCES 77, EEXIST 73, EMFILE 71 and so on; ST_IO when no
 * rule fits. Only a default: a caller that knows better passes its own. */
int status_of(int errnum);

#endif
