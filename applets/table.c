/* applets/table.c: the applets, in display order. */
#include "applet.h"

extern const struct applet ipc_fifo;
extern const struct applet ipc_lock;

const struct applet *const applets[] = {
	&ipc_lock,
	&ipc_fifo,
	NULL,
};
