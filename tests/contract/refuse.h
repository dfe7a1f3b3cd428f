/* tests/contract/refuse.h: what an applet asks of the C library, refused on demand. The linker puts the functions of
 * refuse.c between the objects and the C library (ld(1), --wrap); rules.mk finds their names there. */
#ifndef IPC_TEST_REFUSE_H
#define IPC_TEST_REFUSE_H

#include <stdbool.h>

enum refuse_kind { REFUSE_MEMORY, REFUSE_CALLS, REFUSE_KINDS };

/* From now on count the requests of KIND that this process makes, and refuse the one with number AT (from 1 on),
 * with the error that is number WHICH (from 0 on) in its list; AT 0 refuses none. */
void refuse_begin(enum refuse_kind kind, unsigned long at, unsigned which);
/* Refuse no more. How many there were. */
unsigned long refuse_end(void);
/* The name of what was refused, with its error's; NULL: nothing was. */
const char *refuse_what(void);

#endif
