/* applets/ipc-fifo/scratch.c: the pipe that a reader of records looks at a FIFO's content through. It is empty between
 * calls and nobody else's, so that a shell can keep it (lib/host.h); no end of the FIFO itself is kept, since
 * an end that is open is a reader or a writer.
 */
#define _GNU_SOURCE
#include "fifo.h"

#include "fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
	struct kept kept; /* .fd: the end to read from */
	int in, slots;
};

static const char type; /* its address is the type of what is kept */

static struct scratch *of_kept(struct kept *k)
{
	return (struct scratch *)(void *)((char *)k - offsetof(struct scratch, kept));
}

static void end_kept(struct kept *k)
{
	struct scratch *s = of_kept(k);
	/* Not what by now is another file's: the script may have closed ours. */
	if (kept_open(k)) {
		fd_close(k->fd);
		fd_close(s->in);
	}
	free(s);
}

/* Let a host that lives on have it: false, it is still the call's. */
static bool offer(struct call *call, struct fifo_scratch *p)
{
	struct scratch *s = call->host != NULL ? malloc(sizeof *s) : NULL;
	if (s == NULL)
		return false;
	*s = (struct scratch){.kept = {.fd = p->out, .end = end_kept}, .in = p->in};
	if (!kept_add(call, &s->kept, &type, "", 0, NULL, NULL)) {
		free(s);
		return false;
	}
	s->in = fd_raise(s->in, KEPT_FD);
	*p = (struct fifo_scratch){.out = s->kept.fd, .in = s->in, .slots = &s->slots};
	return true;
}

int fifo_scratch(struct call *call, struct fifo_scratch *p)
{
	struct kept *k = kept_recall(call, &type, "", 0);
	int ends[2];
	if (k != NULL && kept_open(k)) {
		struct scratch *s = of_kept(k);
		*p = (struct fifo_scratch){.out = k->fd, .in = s->in, .slots = &s->slots};
		return 0;
	}
	if (k != NULL)
		kept_drop(call, k, true);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	*p = (struct fifo_scratch){.out = ends[0], .in = ends[1], .slots = &p->own};
	if (offer(call, p))
		return 0;
	return call_own(call, ends[0]) < 0 || call_own(call, ends[1]) < 0 ? -1 : 0;
}
