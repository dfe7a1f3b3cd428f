/* lib/psem.h: named POSIX semaphores as the system's C library lays them out in /dev/shm, whatever
 * library we are linked with: glibc's (since 2.21) and musl's (since 1.0). So sem_open(3), sem_wait(3) and
 * sem_post(3) of any program of our word size meet these; one of the other word size has another layout,
 * and opening it fails with EBADMSG. The build says which library (SYSTEM_MUSL, else glibc). sem_overview(7).
 */
#ifndef IPC_PSEM_H
#define IPC_PSEM_H

#include <stdbool.h>
#include <stdint.h>

#include "wait.h"

#define PSEM_VALUE_MAX INT32_MAX
#define PSEM_DIR "/dev/shm"
#define PSEM_PATH 280

struct psem_map;

struct psem {
	int fd;
	struct psem_map *map;
	char path[PSEM_PATH];
};

/* The file of NAME ("/x") into BUF. 0; -1 EINVAL (empty, or a second slash), ENAMETOOLONG. */
int psem_path(const char *name, char buf[PSEM_PATH]);
/* The name of the semaphore that FILE of PSEM_DIR is, or NULL when it cannot be one. */
const char *psem_file(const char *file);
/* Open NAME. 0; -1 with errno: ENOENT, EACCES, EBADMSG (no semaphore's size) ... Give S to psem_close. */
int psem_open(struct psem *s, const char *name);
/* Make NAME, complete before it has a name, with exactly MODE: EEXIST when it is there. */
int psem_create(struct psem *s, const char *name, unsigned mode, unsigned value);
void psem_close(struct psem *s);
/* The value and the sleepers of the semaphore whose file FD is, without mapping it: read access is
 * enough. 0; -1 EBADMSG (no semaphore's size), ENOSYS. */
int psem_peek(int fd, unsigned *value, unsigned *waiters);
/* Take K at once, or none: K above 1 waits for that many (other programs' sem_wait(3) may overtake).
 * 0; -1 ETIMEDOUT, EAGAIN, EINTR. */
int psem_wait(struct psem *s, unsigned k, int64_t deadline, const struct stop *stop);
/* Add K. 0; -1 EOVERFLOW. */
int psem_post(struct psem *s, unsigned k);
unsigned psem_value(const struct psem *s);
/* How many sleep, as the semaphore itself counts them: who was killed asleep stays counted. */
unsigned psem_waiters(const struct psem *s);
/* Give it the value N, waking who may pass. */
void psem_set(struct psem *s, unsigned n);
/* Wait for the value 0. sem_wait(3) wakes nobody, so this looks again every few ms. */
int psem_zero(struct psem *s, int64_t deadline, const struct stop *stop);

#endif
