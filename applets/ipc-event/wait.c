/* ipc-event wait: sleep until the event lets us pass, or until a set makes CMD succeed. */
#include "event.h"

#include "command.h"
#include "lock.h"

#include <errno.h>

/* What a waiter waits for. */
struct waiter {
	uint64_t since; /* passes when seq is beyond it */
	bool level;     /* also when the event is set (not with --since nor a predicate) */
	bool takes;     /* an automatic set must be taken */
};

/* May the waiter pass? Takes an automatic set. Under the lock. */
static bool passes(struct event *ev, const struct waiter *w)
{
	if (ev->kind != KIND_AUTO || !w->takes)
		return ev->seq > w->since || (w->level && ev->set != 0);
	if (ev->set != 0)
		ev->set = 0;
	else if (ev->pulse > w->since)
		ev->pulse = 0;
	else
		return false;
	event_sign(ev);
	return true;
}

/* Wait, with the lock held at entry and given back at the end. 0, or a status. *SEQ is the sequence
 * number at which it passed. */
static int wait_passing(struct call *call, struct mapped *m, const struct waiter *w,
	int64_t deadline, uint64_t *seq)
{
	struct event *ev = event_of(m);
	int status = 0;
	for (;;) {
		bool pass = passes(ev, w);
		bool gone = ev->gone != 0;
		uint32_t bell = __atomic_load_n(&ev->bell, __ATOMIC_ACQUIRE);
		*seq = ev->seq;
		shared_unlock(&m->shared);
		if (pass)
			return 0;
		if (gone)
			return call_fail(call, ST_NOOBJ, 0, "%s: was removed", m->obj.text);
		call_waits(call, "waiting for a set of %s", m->obj.text);
		if (shared_wait(&m->shared, &ev->bell, bell, deadline, &call->stop) < 0)
			return errno == EBADMSG /* mapped_done says so */
				? ST_DATA
				: call_waited(call, errno, "wait for %s", m->obj.text);
		if (mapped_lock(call, m, deadline, &status) < 0)
			return status;
	}
}

/* Take --lock as ipc-lock does. 0 or a status. */
static int take_lock(struct call *call, struct lock *lock, int64_t deadline)
{
	const char *word = call->opt[WAIT_LOCK].str, *step;
	*lock = (struct lock){.fd = -1, .want = LOCK_OFD | LOCK_FLOCK};
	const char *why = object_parse(&lock->obj, word);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "--lock %s: %s", word, why);
	if (lock_take_all(lock, 1, deadline, &call->stop, NULL, &step) == 0)
		return 0;
	int e = errno;
	int status = step[0] == 'o' ? call_place_error(call, &lock->obj, "lock", e) : -1;
	return status >= 0 ? status : call_waited(call, e, "%s %s", step, word);
}

/* Run CMD, under --lock when given. Its status; or ours, above 63. */
static int run_predicate(struct call *call, const struct mapped *m, int64_t deadline, uint64_t seq)
{
	struct lock lock;
	bool locked = call->opt[WAIT_LOCK].count > 0;
	const char *env[] = {call_fmt(call, "IPC_EVENT_SEQ=%llu", (unsigned long long)seq),
		call_fmt(call, "IPC_OBJECT=%s", m->obj.text), NULL};
	if (env[0] == NULL || env[1] == NULL)
		return call_error(call, ENOMEM, "run %s", call->command[0]);
	int status = locked ? take_lock(call, &lock, deadline) : 0;
	if (status != 0)
		return status;
	/* Killed while CMD runs, we would leave it running without the lock: it goes with us. */
	struct command cmd = {.spawn = {
				      .argv = call->command,
				      .env = env,
				      .flags = locked ? SPAWN_DIE : 0,
			      }};
	status = command_run(call, &cmd);
	if (locked)
		lock_release_all(&lock, 1);
	return status;
}

/* The condition variable: CMD is the predicate, run again after each set or pulse until it succeeds.
 * The sequence number is read before it runs, so that a set in between is not slept through. */
static int wait_command(struct call *call, struct mapped *m, int64_t deadline)
{
	struct event *ev = event_of(m);
	struct waiter w = {.takes = true};
	for (;;) {
		int status;
		w.since = ev->seq;
		shared_unlock(&m->shared);
		status = run_predicate(call, m, deadline, w.since);
		/* Above 63 it is not CMD saying no, but CMD not running, or our own failure. */
		if (status == 0 || status > 63)
			return status;
		if (mapped_lock(call, m, deadline, &status) < 0)
			return status;
		uint64_t seq;
		status = wait_passing(call, m, &w, deadline, &seq);
		if (status != 0)
			return status;
		if (mapped_lock(call, m, deadline, &status) < 0)
			return status;
	}
}

/* Say --ready-fd without the lock, which is held at entry and, when it went well, at the end: nobody is to wait for
 * who reads it. From .since on no set is missed. */
static int say_ready(struct call *call, struct mapped *m, int64_t deadline)
{
	shared_unlock(&m->shared);
	int status = call_ready(call);
	if (status == 0)
		(void)mapped_lock(call, m, deadline, &status);
	return status;
}

int event_wait(struct call *call)
{
	struct mapped *m;
	int64_t deadline = call_deadline(call);
	bool since = call->opt[WAIT_SINCE].count > 0;
	if (call->opt[WAIT_LOCK].count > 0 && call->command == NULL)
		return call_fail(
			call, ST_USAGE, 0, "--lock needs -- CMD, which runs under the lock");
	if (since && call->command != NULL)
		return call_fail(call, ST_USAGE, 0, "--since and -- CMD exclude each other");
	int status = event_open(call, &m, call->args[0].str, SHARED_CREATE);
	if (status == 0)
		status = event_kind(call, m, call->opt[WAIT_AUTO].count > 0, false);
	if (status != 0)
		return status;
	struct event *ev = event_of(m);
	int64_t n = call->opt[WAIT_SINCE].num;
	/* A number that is still to come is of an event that was removed: all of this one is new. */
	if (since && (uint64_t)n > ev->seq)
		n = 0;
	struct waiter w = {
		.since = since ? (uint64_t)n : ev->seq, .level = !since, .takes = !since};
	mapped_waits(m);
	status = say_ready(call, m, deadline);
	if (status != 0)
		return status;
	if (call->command != NULL)
		return mapped_done(call, m, wait_command(call, m, deadline));
	uint64_t seq;
	status = wait_passing(call, m, &w, deadline, &seq);
	if (status == 0 && since)
		out_fmt(&call->out, "%llu\n", (unsigned long long)seq);
	return mapped_done(call, m, status);
}
