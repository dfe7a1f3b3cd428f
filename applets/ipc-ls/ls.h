/* ipc-ls's own: what its files share. */
#ifndef IPC_LS_H
#define IPC_LS_H

#include <termios.h>

#include "call.h"
#include "inventory.h"

enum {
	LS_KIND,
	LS_OUTPUT,
	LS_BYTES,
	LS_NOHEADINGS,
	LS_OWNER,
	LS_STALE,
	LS_OLDER,
	LS_PID,
	LS_WATCH,
	LS_INTERVAL
};

enum column {
	COL_KIND,
	COL_NAME,
	COL_PATH,
	COL_OWNER,
	COL_UID,
	COL_GID,
	COL_MODE,
	COL_SIZE,
	COL_USE,
	COL_CREATED,
	COL_USED,
	COL_USERS,
	COL_HOLDERS,
	COL_WAITERS,
	COL_VERDICT,
	COL_WHY,
	COL_STATE,
	COL_PEER,
	COL_STALE,
	COL_WARNING,
	COL_NOTE,
	COL_ID,
	COL_KEY,
	COL_INODE,
	COL_N
};

struct column_kind {
	const char *name, *head;
	bool right; /* aligned */
	bool soft;  /* may be cut to fit the terminal */
};
extern const struct column_kind ls_columns[COL_N];

/* What is shown, and how. */
struct ls {
	struct call *call;
	unsigned kinds;
	enum column cols[COL_N];
	unsigned ncols;
	bool chosen;    /* by -o: empty columns are shown, too */
	bool bytes;     /* exact sizes */
	unsigned width; /* of the terminal; 0: no limit */
	unsigned rows;  /* of the terminal */
	bool color;
	bool quiet; /* what could not be seen was said before */
};

/* The rows to show, sorted. */
struct rows {
	struct inv *inv;
	struct inv_object **v;
	size_t n;
};

/* Look, and choose. 0 or a status. */
int ls_look(struct ls *ls, struct rows *rows);

/* columns.c: "kind,name" or "+inode" into ls->cols. NULL, or what is wrong. */
const char *ls_parse_columns(struct ls *ls, const char *list, char bad[32]);
/* The text of a cell, the inventory's; "" when there is nothing to say. */
const char *ls_cell(
	const struct ls *ls, struct inv *inv, const struct inv_object *o, enum column col);

/* table.c: at most MAX rows (0: all). REDRAW: over what stands on the terminal. */
int ls_table(struct ls *ls, const struct rows *rows, unsigned max, bool redraw);
/* S, or a copy that cannot drive a terminal: control characters as ^X. */
const char *ls_clean(struct inv *inv, const char *s);
/* json.c. EVENT: what --watch noticed, else NULL. */
void ls_json_object(struct ls *ls, struct json *j, struct inv *inv, const struct inv_object *o,
	const char *event);
int ls_watch(struct ls *ls); /* watch.c */

/* screen.c: the alternate screen of the terminal FD, and its keys. All zeros at first. */
struct screen {
	int fd;
	bool on, keys;
	struct termios mode; /* as it was */
};
void screen_enter(struct screen *s, int fd);
/* Give the terminal back as it was; nothing when that is done. */
void screen_leave(struct screen *s);
/* Until DEADLINE or a key. */
enum screen_key { SCREEN_TIME, SCREEN_QUIT, SCREEN_STOPPED };
enum screen_key screen_wait(struct screen *s, int64_t deadline, const struct stop *stop);

#endif
