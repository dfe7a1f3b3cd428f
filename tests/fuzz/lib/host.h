/* tests/fuzz/lib/host.h: what the fuzz targets share: bytes taken from the front of an input, a directory of
 * one's own, and a host for verbs. A target that finds a promise broken says so and aborts, which libFuzzer
 * takes for a crash as it does a report of the sanitizers.
 */
#ifndef IPC_FUZZ_HOST_H
#define IPC_FUZZ_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	const uint8_t *at;
	size_t len;
};
/* The next byte; 0 when there is none. */
unsigned fuzz_byte(struct input *in);
/* At most LEN bytes; how many in *GOT. Never NULL. */
const uint8_t *fuzz_bytes(struct input *in, size_t len, size_t *got);
/* The next line (without its newline; a NUL ends it early), to be freed; NULL at the end. */
char *fuzz_line(struct input *in);
/* All that is left as a string, to be freed. */
char *fuzz_rest(struct input *in);

#define FUZZ_HOLDS(cond) ((cond) ? (void)0 : fuzz_broken(#cond, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* Make a directory below $TMPDIR and go there; $IPC_DIR is in it. Ignores SIGPIPE, as main.c does. */
void fuzz_home(void);
/* The file NAME with what DATA says. */
void fuzz_file(const char *name, const void *data, size_t len);
/* A descriptor on a nameless file with what DATA says, at its start. */
int fuzz_memfd(const void *data, size_t len);
/* The number that the next descriptor gets: it moves when one is left open. */
int fuzz_next_fd(void);

/* A call that writes to nowhere and reads the end of input; one at a time. */
struct call *fuzz_call(void);
void fuzz_call_end(struct call *call);
/* Run the verb in WORDS ("ipc-ring", "get", ...; NULL at the end). Its status, which is one of those that
 * are documented. */
int fuzz_run(const char *const *words);
#define FUZZ_RUN(...) fuzz_run((const char *const[]){__VA_ARGS__, NULL})

#endif
