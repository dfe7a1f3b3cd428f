/* applets/table.c: the applets, in display order. */
#include "applet.h"

extern const struct applet ipc_lock;
extern const struct applet ipc_signal;

const struct applet *const applets[] = {
	&ipc_lock,
	&ipc_signal,
	NULL,
};
