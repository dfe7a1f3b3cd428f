/* ipc-ring put: records from operands or stdin into the ring, as many under one lock as are there.
 *
 * Stdin is read without the lock; what one read(2) brought goes in at once, is published by one store,
 * and wakes one reader. */
#include "frame.h"
#include "ring.h"

#include <errno.h>

/* The record in hand. */
struct next {
	char *rec;
	size_t len;
};

struct putter {
	struct ring *r;
	struct records src;
	enum ring_full full;
	uint64_t done;    /* published */
	uint64_t pending; /* appended, not yet published */
};

/* 1 and the next record; 0 at the end; -1 and *STATUS. */
static int next_record(struct call *call, struct putter *p, struct next *n, int *status)
{
	int got = records_next(&p->src, &n->rec, &n->len);
	if (got >= 0)
		return got;
	*status = errno == EMSGSIZE
		? call_fail(call, ST_DATA, 0,
			  "%s: record %llu is longer than the ring can hold (%llu bytes)",
			  p->r->m->obj.text, (unsigned long long)(p->done + p->pending + 1),
			  (unsigned long long)ring_longest(p->r))
		: errno == EBADMSG ? call_fail(call, ST_DATA, 0, "stdin ends inside record %llu",
					     (unsigned long long)(p->done + p->pending + 1))
				   : call_error(call, errno, "read records");
	return -1;
}

static void publish(struct putter *p)
{
	if (p->pending == 0)
		return;
	ring_publish(p->r);
	p->done += p->pending;
	p->pending = 0;
}

/* Give the lock back with what was appended published, and wake a reader. */
static void hand_over(struct putter *p)
{
	publish(p);
	ring_unlock(p->r);
	ring_wake(p->r, RING_DATA);
}

/* Make room by dropping the oldest. They must be gone before their bytes are written over: a process
 * killed in between leaves a ring without them, not one with torn records. */
static int drop(struct call *call, struct putter *p, uint64_t need)
{
	struct ring *r = p->r;
	publish(p);
	while (ring_free(r) < need) {
		int64_t len = ring_next(r);
		if (len < 0)
			return call_fail(call, ST_DATA, 0, "%s: damaged", r->m->obj.text);
		r->s.head += ring_need((uint64_t)len);
		r->s.drops++;
	}
	ring_publish(r);
	return 0;
}

/* Under the lock: until there are NEED bytes. 0; or a status, the lock given back. */
static int make_room(struct call *call, struct putter *p, uint64_t need)
{
	struct ring *r = p->r;
	int64_t deadline = 0; /* no clock is asked as long as there is room */
	int status = 0;
	while (status == 0 && ring_free(r) < need) {
		if (p->full == FULL_DROP) {
			status = drop(call, p, need);
			if (status != 0)
				hand_over(p);
			continue;
		}
		if (p->pending > 0) {
			hand_over(p);
			status = ring_lock(call, r, call_deadline(call));
			if (status == 0 && r->f->closed != 0)
				break;
			continue;
		}
		if (deadline == 0)
			deadline = p->full == FULL_FAIL ? DEADLINE_NOW : call_deadline(call);
		status = ring_wait(call, r, RING_SPACE, deadline);
		if (status == 0 && r->f->closed != 0)
			break;
	}
	return status;
}

static int closed(struct call *call, struct putter *p)
{
	hand_over(p);
	return call_fail(call, ST_NOPEER, 0, "%s: closed", p->r->m->obj.text);
}

/* The record in hand and all that are there without waiting. 0, or a status. *MORE: there may be more. */
static int put_batch(struct call *call, struct putter *p, struct next *n, bool *more)
{
	struct ring *r = p->r;
	int status = ring_lock(call, r, call_deadline(call)), got = 1;
	if (status != 0)
		return status;
	for (;;) {
		status = r->f->closed == 0 ? make_room(call, p, ring_need(n->len)) : 0;
		if (status != 0)
			return status;
		if (r->f->closed != 0)
			return closed(call, p);
		ring_append(r, n->rec, n->len);
		p->pending++;
		if (!records_ready(&p->src))
			break;
		got = next_record(call, p, n, &status);
		if (got <= 0)
			break;
	}
	hand_over(p);
	*more = got > 0;
	return status;
}

static int put_all(struct call *call, struct putter *p)
{
	struct next n;
	int status = 0;
	bool more = true;
	while (status == 0 && more) {
		int got = next_record(call, p, &n, &status);
		if (got <= 0)
			break;
		status = put_batch(call, p, &n, &more);
	}
	return status;
}

int ring_put(struct call *call)
{
	struct ring r;
	struct putter p = {.r = &r, .full = (enum ring_full)call->opt[PUT_FULL].num};
	bool size = call->opt[PUT_SIZE].count > 0;
	int status = ring_open(call, &r, call->args[0].str,
		call->opt[PUT_CREATE].count > 0 ? SHARED_CREATE : 0,
		size ? (uint64_t)call->opt[PUT_SIZE].num : RING_DEFAULT);
	if (status != 0)
		return status;
	records_start(&p.src, call, 1, (size_t)ring_longest(&r));
	status = put_all(call, &p);
	records_end(&p.src);
	if (status != 0 && p.done > 0)
		call_warn(call, 0, "%s: %llu records were put before", r.m->obj.text,
			(unsigned long long)p.done);
	return mapped_done(call, r.m, status);
}
