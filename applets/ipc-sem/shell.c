/* applets/ipc-sem/shell.c: slots that the shell which runs us in its process holds itself: no keeper, no fork.
 *
 * Of each file it keeps two descriptions (lib/host.h): one that it looks through, which holds nothing between
 * calls, and another that holds all slots it has there: a description does not see its own locks. The kernel
 * takes the slots back when the shell ends, however that comes about. Subshells and commands have no part in it.
 */
#define _GNU_SOURCE
#include "sem.h"

#include "fd.h"
#include "lock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BITS 64u

struct held {
	struct kept kept; /* pinned while a slot is held */
	unsigned n;
	uint64_t slots[SLOTS_MAX / BITS];
};

static const char look_type; /* its address is the type of what slots are looked for through */

static void end_look(struct kept *k)
{
	fd_close(k->fd);
	free(k);
}

bool shell_recall(struct sem *s, unsigned how)
{
	struct kept *k = kept_find(s->call, &look_type, s->text, how);
	if (k != NULL)
		s->fd = k->fd;
	return s->kept = k != NULL;
}

void shell_offer(struct sem *s, unsigned how)
{
	struct kept *k = malloc(sizeof *k);
	if (k == NULL)
		return;
	*k = (struct kept){.fd = s->fd, .end = end_look};
	s->kept = kept_add(s->call, k, &look_type, s->text, how, &s->obj, "sem");
	if (!s->kept) {
		free(k);
		return;
	}
	s->fd = k->fd;
	(void)lseek(s->fd, KEPT_IDLE, SEEK_SET);
}

void shell_sleeps(const struct sem *s, bool yes)
{
	int e = errno;
	if (s->kept)
		(void)lseek(s->fd, yes ? 0 : KEPT_IDLE, SEEK_SET);
	errno = e;
}

/* ---- the slots */

static const char type; /* its address is the type of what is kept */

static struct held *of_kept(struct kept *k)
{
	return (struct held *)(void *)((char *)k - offsetof(struct held, kept));
}

/* Not a descriptor that by now is another file's: the shell may have closed ours. */
static void end_held(struct kept *k)
{
	if (kept_open(k))
		fd_close(k->fd);
	free(of_kept(k));
}

/* The one for S's file, or a new one. NULL with *STATUS. */
static struct held *find(struct sem *s, int *status)
{
	struct call *call = s->call;
	struct kept *k = kept_pinned_file(call, &type, s->fd);
	if (k == NULL)
		k = kept_find(call, &type, s->text, 0);
	if (k != NULL)
		return of_kept(k);
	struct held *h = calloc(1, sizeof *h);
	int fd = h != NULL ? slots_reopen(s) : -1;
	if (fd < 0) {
		*status = call_error(call, h != NULL ? errno : ENOMEM, "open %s", s->text);
		free(h);
		return NULL;
	}
	h->kept = (struct kept){.fd = fd, .end = end_held};
	if (kept_add(call, &h->kept, &type, s->text, 0, &s->obj, "sem")) {
		(void)lseek(h->kept.fd, KEPT_IDLE, SEEK_SET);
		return h;
	}
	fd_close(fd);
	free(h);
	*status = call_fail(call, ST_LIMIT, 0,
		"%s: was removed, or this shell holds %d objects already", s->text, KEPT_MAX);
	return NULL;
}

int shell_take(struct sem *s, unsigned k, int64_t deadline)
{
	struct call *call = s->call;
	int status;
	struct held *h = find(s, &status);
	if (h == NULL)
		return status;
	s->hold = h->kept.fd;
	if (slots_take(s, k, NULL, getpid(), deadline) < 0) {
		status = sem_waited(s, k, errno);
		if (h->n == 0)
			kept_drop(call, &h->kept, true);
		return status;
	}
	for (unsigned i = 0; i < k; i++) {
		h->slots[s->slot[i] / BITS] |= UINT64_C(1) << s->slot[i] % BITS;
		if (call->host->into)
			out_fmt(&call->out, "%u\n", s->slot[i]);
	}
	h->n += k;
	h->kept.pinned = true;
	return ST_OK;
}

/* The highest slot that it holds; there is one. */
static unsigned highest(const struct held *h)
{
	unsigned i = SLOTS_MAX / BITS - 1;
	while (h->slots[i] == 0)
		i--;
	return i * BITS + BITS - 1 - (unsigned)__builtin_clzll(h->slots[i]);
}

int shell_post(struct call *call, struct sem *s, unsigned k)
{
	struct kept *kept = s != NULL ? kept_pinned_file(call, &type, s->fd)
				      : kept_pinned(call, &type, call->args[0].str, -1);
	if (kept == NULL)
		return -1;
	struct held *h = of_kept(kept);
	if (h->n < k)
		return call_fail(call, ST_NOPEER, 0, "%s: this shell has %u slots, not %u",
			call->args[0].str, h->n, k);
	for (h->n -= k; k > 0; k--) {
		unsigned slot = highest(h);
		h->slots[slot / BITS] &= ~(UINT64_C(1) << slot % BITS);
		lock_fcntl_free(kept->fd, LOCK_OFD, slots_byte(slot), 1);
	}
	slots_ring(kept->fd);
	kept->pinned = h->n > 0;
	return ST_OK;
}
