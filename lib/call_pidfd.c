/* lib/call_pidfd.c: wait_pidfd() for verbs, which say once with -v that the kernel refuses it: see call.h. */
#include "call.h"

#include <errno.h>

void call_note_pidfd(struct call *call, int fd)
{
	if (call->refused || call->std[STD_VERBOSE].count == 0 || !wait_pidfd_refused(fd))
		return;
	call->refused = true;
	call_note(call, 1,
		"pidfd_open(2) is refused here: processes are named by /proc, and looked at for "
		"their end");
}

int call_pidfd(struct call *call, pid_t pid)
{
	int fd = call_own(call, wait_pidfd(pid)), e = errno;
	call_note_pidfd(call, fd);
	errno = e;
	return fd;
}
