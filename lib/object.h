/* lib/object.h: the names of objects, alike in all applets (ipcbox(1), OBJECTS). */
#ifndef IPC_OBJECT_H
#define IPC_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum object_kind {
	OBJECT_WORD,     /* NAME: $IPC_DIR/NAME.KIND */
	OBJECT_FILE,     /* file:PATH, or a word with a '/' */
	OBJECT_POSIX,    /* posix:/NAME */
	OBJECT_SYSV,     /* sysv:... */
	OBJECT_UNIX,     /* unix:PATH */
	OBJECT_ABSTRACT, /* @NAME, abstract:NAME */
	OBJECT_TCP,      /* tcp:HOST:PORT */
	OBJECT_UDP,
	OBJECT_VSOCK, /* vsock:CID:PORT */
	OBJECT_FD,    /* fd:N */
};

enum object_sysv { SYSV_KEY, SYSV_ID, SYSV_PRIVATE, SYSV_FTOK };

struct object {
	enum object_kind kind;
	const char *text;      /* as the user wrote it, for messages and IPC_OBJECT */
	const char *name;      /* behind the prefix: path, word, "/NAME", address text */
	enum object_sysv sysv; /* OBJECT_SYSV only */
	int32_t key; /* SYSV_KEY (a signed key_t), SYSV_ID, SYSV_FTOK's project character */
	int fd;      /* OBJECT_FD */
};

/* Longest bare word, so that "NAME.KIND" and temporary names fit NAME_MAX. */
#define OBJECT_WORD_MAX 200

/* Read TEXT. NULL, or a phrase that says what is wrong. OBJ points into TEXT. A SYSV_FTOK name keeps
 * "PATH#C" in .name: its path is what precedes the last '#'. */
const char *object_parse(struct object *obj, const char *text);

/* Where a word or file object lives: a directory descriptor and a name relative to it. */
struct object_at {
	int dirfd;       /* AT_FDCWD for files; own descriptor for words: close it */
	const char *rel; /* path for openat(2) and friends; points into the object or .buf */
	bool old;        /* a word found where version 0.1 made it */
	char buf[OBJECT_WORD_MAX + 56];
};

/* The directory of bare words of KIND: $IPC_DIR; by default for spools $XDG_STATE_HOME/ipc or
 * ~/.local/state/ipc, for all else /tmp/ipc-UID. Its path; NULL with errno ENAMETOOLONG, or
 * EDESTADDRREQ: a spool, and no $HOME. */
#define OBJECT_DIR_MAX 4096
const char *object_dir_path(const char *kind, char buf[OBJECT_DIR_MAX]);
/* Its descriptor, O_CLOEXEC. Made with mode 0700 when CREATE, but nothing is made in another user's
 * home. It must be a directory, owned by us (by us or root when $IPC_DIR names it), in /tmp no
 * symbolic link, and not writable by others (unless $IPC_DIR names it and it is sticky): else -1
 * EPERM. -1 with errno otherwise. */
int object_dir(const char *kind, bool create);
/* Resolve a WORD (as DIRECTORY/NAME.KIND, also where version 0.1 made it) or FILE object. 0, or -1
 * with errno (EINVAL: OBJ is of another kind). */
int object_at(const struct object *obj, const char *kind, bool create_dir, struct object_at *at);
/* Give back AT's descriptor. */
void object_at_close(struct object_at *at);
/* unlinkat(2), if the name PATH still is that of the file ST, or of a symbolic link to it. The directory is opened
 * once, so that whoever can swap it for another between the look and the removal gains nothing. 0, or -1 with
 * errno: ENOENT also when another file has the name. */
int object_unlink(int dirfd, const char *path, const struct stat *st, int flags);
/* Where it is as one path for people and for IPC_OBJECT: PATH or "DIRECTORY/NAME.KIND". Written into
 * BUF of SIZE bytes; NULL with ENAMETOOLONG when it does not fit. */
const char *object_path(const struct object *obj, const char *kind, char *buf, size_t size);

struct call;
/* For a verb that could not open or make the directory of OBJ's word (ERRNUM): the message names the
 * directory, whose it is, and the way out. A status; -1 without a message when the directory is
 * not what is wrong. */
int call_place_error(struct call *call, const struct object *obj, const char *kind, int errnum);
/* Warn when OBJ was found where version 0.1 made it (OLD). */
void call_place_old(struct call *call, const struct object *obj, const char *kind, bool old);

/* Call FN with the path of each directory in which bare words may lie, there or not, until it
 * returns non-zero. 0 or FN's value. */
int object_each_dir(int (*fn)(void *arg, const char *path), void *arg);
/* Call FN for each bare word's object whose kind is KIND (NULL: all), until it returns non-zero.
 * 0, FN's value, or -1 with errno; no directory is no objects. */
int object_each(
	const char *kind, int (*fn)(void *arg, const char *name, const char *kind), void *arg);

#endif
