/* ipc-rm's own: what its files share. */
#ifndef IPC_RM_H
#define IPC_RM_H

#include "call.h"
#include "inventory.h"

enum { RM_KIND, RM_STALE, RM_DRY, RM_FORCE, RM_OWNER, RM_OLDER };

struct rm {
	struct call *call;
	struct inv *inv;
	unsigned kinds;
	bool by_kind; /* -t was given */
	bool force, dry, stale;
	const char *whys[8]; /* reasons of keeping that were told */
	unsigned nwhys;
	uid_t owner; /* whose objects may be removed */
};

/* remove.c: remove O, unless it has become another or (not with --force) is in use by now. The message is
 * written. 0 or a status. */
int rm_remove(struct rm *rm, const struct inv_object *o);

#endif
