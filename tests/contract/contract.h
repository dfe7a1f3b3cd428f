/* tests/contract/contract.h: what the parts of the contract test share. */
#ifndef IPC_TEST_CONTRACT_H
#define IPC_TEST_CONTRACT_H

#include "call.h"

#include <stdio.h>

/* Everything that a verb could leave behind in this process, as text; free(3) it. */
char *snapshot(void);
/* The lines that only one of the two has. */
void show_difference(FILE *report, const char *before, const char *after);
/* With LeakSanitizer linked in: is there memory that nothing points to? */
int memory_leaks(void);
/* Run a verb as hosts do, and unwind. Its status, or -1: no such applet. */
int host(char *const *argv, struct stop stop);
/* contract --refuse: ARGV begins behind it. Not in the host that contract.bats links. */
int disturbed(char **argv) __attribute__((weak));

#endif
