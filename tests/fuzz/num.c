/* tests/fuzz/num.c: numbers, sizes, durations, modes, signals, users, processes, lists of who is let in. Any text
 * is taken or refused with a phrase; what is taken is in range and reads the same when it is written again.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "num.h"
#include "peer.h"
#include "task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void integers(const char *s)
{
	char text[32];
	int64_t n = 0, again = 0;
	uint64_t u = 0, v = 0;
	if (num_int(s, &n) == NULL) {
		snprintf(text, sizeof text, "%" PRId64, n);
		FUZZ_HOLDS(num_int(text, &again) == NULL && again == n);
	}
	if (num_uint(s, &u) == NULL) {
		snprintf(text, sizeof text, "%#" PRIx64, u);
		FUZZ_HOLDS(num_uint(u == 0 ? "0x0" : text, &v) == NULL && v == u);
	}
	/* What both take is one number. */
	if (num_int(s, &n) == NULL && num_uint(s, &u) == NULL)
		FUZZ_HOLDS(n >= 0 && (uint64_t)n == u);
}

static void quantities(const char *s)
{
	char text[NUM_BUF];
	int64_t n;
	if (num_size(s, &n) == NULL) {
		FUZZ_HOLDS(n >= 0);
		FUZZ_HOLDS(strlen(num_show_size((uint64_t)n, text)) < NUM_BUF);
	}
	if (num_duration(s, &n) == NULL) {
		FUZZ_HOLDS(n >= 0);
		FUZZ_HOLDS(strlen(num_show_duration(n, text)) < NUM_BUF);
	}
	if (num_mode(s, &n) == NULL)
		FUZZ_HOLDS(n >= 0 && n <= 07777);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char *s = fuzz_rest(&in), text[NUM_BUF];
	int64_t n, again;
	struct proc_id id;
	struct allow allow;
	integers(s);
	quantities(s);
	if (num_signal(s, &n) == NULL) {
		FUZZ_HOLDS(n >= 0 && n <= NUM_SIGRTMAX);
		FUZZ_HOLDS(num_signal(num_signal_name((int)n, text), &again) == NULL && again == n);
	}
	if (num_user(s, &n) == NULL)
		FUZZ_HOLDS(n >= 0 && n <= UINT32_MAX);
	if (num_group(s, &n) == NULL)
		FUZZ_HOLDS(n >= 0 && n <= UINT32_MAX);
	if (task_parse(s, &id) == NULL)
		FUZZ_HOLDS(id.pid > 0);
	if (allow_parse(&allow, s) == NULL)
		(void)allow_peer(&allow, &(struct peer){.known = true, .uid = 1, .gid = 1}, -1);
	if (size >= sizeof n) {
		memcpy(&n, data, sizeof n);
		num_show_size((uint64_t)n, text);
		num_show_duration(n, text);
		num_signal_name((int)n, text);
	}
	free(s);
	return 0;
}
