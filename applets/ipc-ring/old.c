/* ipc-ring get --old: what is in a ring that was found after another boot.
 *
 * Which of its pages had reached the disk when the machine went down is not known: its state and the
 * lengths of its records are checked, their bytes cannot be. So it is printed and not taken, and no
 * other verb believes it.
 */
#include "frame.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>

/* The next record to stdout. 1; 0: there is none; -1 and *STATUS. */
static int print_next(struct call *call, struct ring *r, struct frame frame, int *status)
{
	int64_t len = ring_next(r);
	if (len == -1)
		return 0;
	if (len < 0) {
		*status = call_fail(call, ST_DATA, 0, "%s: damaged after this", r->m->obj.text);
		return -1;
	}
	char *rec = malloc((size_t)len + 8);
	if (rec == NULL) {
		*status = call_error(call, ENOMEM, "a record of %lld bytes", (long long)len);
		return -1;
	}
	ring_take(r, rec, (size_t)len);
	int put = frame_put(&call->out, frame, rec, (size_t)len);
	free(rec);
	if (put < 0)
		*status = errno == EMSGSIZE
			? call_fail(call, ST_DATA, 0, "%s: the next record is not %zu bytes long",
				  r->m->obj.text, frame.size)
			: call_stdout_error(call, errno);
	return put < 0 ? -1 : 1;
}

int ring_old(struct call *call)
{
	struct ring r;
	struct frame frame = frame_of(call);
	bool count = call->std[STD_COUNT].count > 0;
	if (call->command != NULL || call->std[STD_FOLLOW].count > 0)
		return call_fail(call, ST_USAGE, 0, "--old prints; it excludes -f and -- CMD");
	int status = ring_look(call, &r, call->args[0].str);
	if (status == 0 && !ring_is_old(&r))
		status = call_fail(call, ST_USAGE, 0,
			"%s: is of this boot: get without --old takes records", r.m->obj.text);
	for (int64_t n = 0; status == 0 && (!count || n < call->std[STD_COUNT].num); n++)
		if (print_next(call, &r, frame, &status) <= 0)
			break;
	return status;
}
