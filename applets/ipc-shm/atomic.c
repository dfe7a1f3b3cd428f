/* ipc-shm get, set, add, cas, swap, wait: single words, atomically, as C programs share them. No lock is
 * taken: an atomic word needs none, and C programs know none.
 */
#include "shm.h"

#include "futex.h"

#include <errno.h>
#include <limits.h>

#define RECHECK_FIRST NS_PER_MS /* how soon a change by one who does not wake us is seen ... */
#define RECHECK_LAST (50 * NS_PER_MS) /* ... and how late, after a long wait */

/* The word that the operands SHM OFF name, and its values. */
struct word {
	struct segment *seg;
	struct word_type type;
	uint64_t off;
	unsigned char *p;
};

static int word_open(struct call *call, struct word *w, bool write)
{
	const char *word = call->args[0].str;
	w->p = NULL;
	w->seg = NULL;
	w->type = word_type(call);
	w->off = (uint64_t)call->args[1].num;
	if (w->off % w->type.width != 0)
		return call_fail(call, ST_USAGE, 0,
			"offset %llu: a word of %u bytes is at a multiple of %u",
			(unsigned long long)w->off, w->type.width, w->type.width);
	int status = segment_open(call, &w->seg, word, SEGMENT_KEEP | (write ? SEGMENT_WRITE : 0));
	if (status == 0)
		status = segment_fits(call, w->seg, w->off, w->type.width);
	if (status == 0 && write) /* a hole in a file: its store could find the disk full */
		status = segment_back(call, w->seg, w->off, w->off + w->type.width);
	if (status == 0)
		status = segment_map(call, w->seg, w->off, w->type.width, write);
	if (status == 0)
		w->p = segment_at(w->seg, w->off);
	return status;
}

/* Operand I as a value of the type. 0 or 64. */
static int operand(struct call *call, const struct word *w, unsigned i, bool delta, uint64_t *bits)
{
	const char *text = call->args[i].str;
	const char *why = word_parse(w->type, text, delta, bits);
	if (why == NULL)
		return 0;
	return call_fail(call, ST_USAGE, 0, "%s: %s as %s", text, why,
		call->opt[WORD_TYPE].count > 0 ? call->opt[WORD_TYPE].str : "i64");
}

/* The last step: was the file cut short meanwhile? */
static int word_done(struct call *call, struct word *w, int status)
{
	int cut = segment_intact(call, w->seg, w->off + w->type.width, false);
	return cut != 0 ? cut : status;
}

static void wake(const struct word *w)
{
	(void)futex_wake(word_futex(w->p, w->type.width), INT_MAX);
}

int shm_get(struct call *call)
{
	struct word w;
	int status = word_open(call, &w, false);
	if (status != 0)
		return status;
	uint64_t now = word_load(w.p, w.type.width);
	status = word_done(call, &w, 0);
	if (status == 0)
		word_print(&call->out, w.type, now);
	return status;
}

enum change { CHANGE_SET, CHANGE_ADD, CHANGE_SWAP };

/* Print the value after the change (add), before it (swap), or nothing (set). */
static int change(struct call *call, enum change what)
{
	struct word w;
	uint64_t value, old, new;
	w.type = word_type(call);
	int status = operand(call, &w, 2, what == CHANGE_ADD, &value);
	if (status == 0)
		status = word_open(call, &w, true);
	if (status != 0)
		return status;
	old = word_load(w.p, w.type.width);
	do
		new = what == CHANGE_ADD ? word_add(w.type, old, value) : value;
	while (!word_cas(w.p, w.type.width, &old, new));
	wake(&w);
	status = word_done(call, &w, 0);
	if (status == 0 && what != CHANGE_SET)
		word_print(&call->out, w.type, what == CHANGE_ADD ? new : old);
	return status;
}

int shm_set(struct call *call)
{
	return change(call, CHANGE_SET);
}

int shm_add(struct call *call)
{
	return change(call, CHANGE_ADD);
}

int shm_swap(struct call *call)
{
	return change(call, CHANGE_SWAP);
}

int shm_cas(struct call *call)
{
	struct word w;
	uint64_t old, new;
	w.type = word_type(call);
	int status = operand(call, &w, 2, false, &old);
	if (status == 0)
		status = operand(call, &w, 3, false, &new);
	if (status == 0)
		status = word_open(call, &w, true);
	if (status != 0)
		return status;
	bool done = word_cas(w.p, w.type.width, &old, new);
	if (done)
		wake(&w);
	status = word_done(call, &w, done ? ST_OK : ST_NO);
	if (status <= ST_NO)
		word_print(&call->out, w.type, old);
	return status;
}

enum test { TEST_EQ, TEST_NE, TEST_LT, TEST_LE, TEST_GT, TEST_GE, TEST_BITS };

static bool passes(struct word_type type, enum test test, uint64_t now, uint64_t value)
{
	int c = word_compare(type, now, value);
	switch (test) {
	case TEST_EQ: return c == 0;
	case TEST_NE: return c != 0;
	case TEST_LT: return c == -1;
	case TEST_LE: return c == -1 || c == 0;
	case TEST_GT: return c == 1;
	case TEST_GE: return c == 1 || c == 0;
	default: return (now & value) == value;
	}
}

/* Sleep until the word may have changed: a wake-up, or the time to look again, *STEP later. 0, or -1 as
 * futex_wait. */
static int sleep_on(
	struct call *call, uint32_t *futex, uint32_t seen, int64_t deadline, int64_t *step)
{
	int64_t look = wait_until(*step);
	*step = *step * 2 < RECHECK_LAST ? *step * 2 : RECHECK_LAST;
	if (futex_wait(futex, seen, look < deadline ? look : deadline, &call->stop) == 0) {
		*step = RECHECK_FIRST;
		return 0;
	}
	if (errno != ETIMEDOUT || (deadline != DEADLINE_NONE && wait_now() >= deadline))
		return -1;
	return 0;
}

int shm_wait(struct call *call)
{
	struct word w;
	uint64_t value, now;
	int64_t deadline = call_deadline(call), step = RECHECK_FIRST;
	enum test test = (enum test)call->args[2].num;
	w.type = word_type(call);
	if (test == TEST_BITS && w.type.is == CLASS_FLOAT)
		return call_fail(call, ST_USAGE, 0, "bits: a float has none to test");
	int status = operand(call, &w, 3, false, &value);
	if (status == 0)
		status = word_open(call, &w, false);
	if (status == 0)
		status = call_ready(call);
	uint32_t *futex = status == 0 ? word_futex(w.p, w.type.width) : NULL;
	while (status == 0) {
		uint32_t seen = __atomic_load_n(futex, __ATOMIC_SEQ_CST);
		now = word_load(w.p, w.type.width);
		status = segment_intact(call, w.seg, w.off + w.type.width, true);
		if (status != 0)
			break;
		if (passes(w.type, test, now, value)) {
			word_print(&call->out, w.type, now);
			break;
		}
		if (step == RECHECK_FIRST)
			segment_waits(w.seg);
		call_waits(call, "waiting for %s at %llu %s %s", call->args[0].str,
			(unsigned long long)w.off, call->args[2].str, call->args[3].str);
		if (sleep_on(call, futex, seen, deadline, &step) < 0)
			status = call_waited(call, errno, "wait for %s at %llu %s %s",
				call->args[0].str, (unsigned long long)w.off, call->args[2].str,
				call->args[3].str);
	}
	return status;
}
