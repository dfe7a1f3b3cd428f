/* ipc-shm ls: the segments of this machine that have a name that can be listed: POSIX, System V, words. */
#define _GNU_SOURCE
#include "shm.h"

#include "fd.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

struct list {
	struct call *call;
	struct table table;
	struct json json;
	bool as_json;
};

/* ATTACHED -1: not known without a search. */
static void row(struct list *l, const char *object, const char *kind, uint64_t size, unsigned mode,
	uid_t uid, int64_t attached)
{
	char user[256], number[24] = "-", octal[8];
	num_user_name(uid, user, sizeof user);
	snprintf(octal, sizeof octal, "%04o", mode & 07777);
	if (l->as_json) {
		json_open(&l->json, NULL, '{');
		json_str(&l->json, "object", object);
		json_str(&l->json, "kind", kind);
		json_uint(&l->json, "size", size);
		json_str(&l->json, "mode", octal);
		json_str(&l->json, "owner", user);
		if (attached >= 0)
			json_int(&l->json, "attached", attached);
		else
			json_null(&l->json, "attached");
		json_close(&l->json, '}');
		return;
	}
	if (attached >= 0)
		snprintf(number, sizeof number, "%lld", (long long)attached);
	if (l->table.nrows == 0) {
		static const char *const heads[] = {"SIZE", "MODE", "OWNER", "ATTACHED", "OBJECT"};
		for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
			table_cell(&l->table, heads[i]);
	}
	table_fmt(&l->table, "%llu", (unsigned long long)size);
	table_cell(&l->table, octal);
	table_cell(&l->table, user);
	table_cell(&l->table, number);
	table_cell(&l->table, object);
}

static void file_row(struct list *l, int dirfd, const char *file, const char *prefix,
	const char *name, const char *kind)
{
	struct stat st;
	char object[300];
	if (fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	snprintf(object, sizeof object, "%s%s", prefix, name);
	row(l, object, kind, (uint64_t)st.st_size, st.st_mode, st.st_uid, -1);
}

static int list_posix(struct list *l)
{
	int fd = fd_open(AT_FDCWD, SHM_DIR, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int e = errno;
		fd_close(fd);
		return e == ENOENT ? 0 : call_error(l->call, e, "list " SHM_DIR);
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (strncmp(e->d_name, SHM_LOCK_PREFIX, strlen(SHM_LOCK_PREFIX)) != 0 &&
			strncmp(e->d_name, SHM_SEM_PREFIX, strlen(SHM_SEM_PREFIX)) != 0)
			file_row(l, fd, e->d_name, "posix:/", e->d_name, "posix");
	closedir(dir);
	return 0;
}

/* The columns of /proc/sysvipc/shm: key shmid perms size cpid lpid nattch uid ... */
static void sysv_row(struct list *l, char *line)
{
	enum { KEY, ID, PERMS, SIZE, CPID, LPID, NATTCH, UID, N };
	int64_t v[N];
	char object[40];
	for (unsigned i = 0; i < N; i++) {
		line += strspn(line, " ");
		char *end = line + strcspn(line, " ");
		if (*end == '\0')
			return;
		*end = '\0';
		if (i == PERMS ? num_mode(line + strlen(line) -
						 (strlen(line) > 4 ? 4 : strlen(line)),
					 &v[i]) != NULL
			       : num_int(line, &v[i]) != NULL)
			return;
		line = end + 1;
	}
	if (v[KEY] == 0)
		snprintf(object, sizeof object, "sysv:id=%lld", (long long)v[ID]);
	else
		snprintf(object, sizeof object, "sysv:0x%08x", (unsigned)v[KEY]);
	row(l, object, "sysv", (uint64_t)v[SIZE], (unsigned)v[PERMS] & 0777, (uid_t)v[UID],
		v[NATTCH]);
}

static int list_sysv(struct list *l)
{
	char *text;
	size_t len;
	if (fd_slurp(-1, "/proc/sysvipc/shm", 64u << 20, &text, &len) < 0)
		return errno == ENOENT ? 0 : call_error(l->call, errno, "read /proc/sysvipc/shm");
	char *line = strchr(text, '\n'); /* behind the heads of the columns */
	while (line != NULL && *++line != '\0') {
		char *next = strchr(line, '\n');
		if (next != NULL)
			*next = '\0';
		sysv_row(l, line);
		line = next;
	}
	fd_slurp_free(text);
	return 0;
}

struct words {
	struct list *list;
	int dirfd;
};

static int word_row(void *arg, const char *name, const char *kind)
{
	struct words *w = arg;
	char file[300];
	snprintf(file, sizeof file, "%s.%s", name, kind);
	file_row(w->list, w->dirfd, file, "", name, "word");
	return 0;
}

static int list_words(struct list *l)
{
	struct words w = {l, object_dir("shm", false)};
	if (w.dirfd < 0)
		return errno == ENOENT ? 0 : call_error(l->call, errno, "open $IPC_DIR");
	int r = object_each("shm", word_row, &w);
	int e = errno;
	fd_close(w.dirfd);
	return r < 0 ? call_error(l->call, e, "list $IPC_DIR") : 0;
}

int shm_ls(struct call *call)
{
	struct list l = {.call = call, .as_json = call->std[STD_JSON].count > 0};
	if (l.as_json) {
		json_start(&l.json, &call->out);
		json_open(&l.json, NULL, '[');
	} else {
		table_start(&l.table, 5, 1);
	}
	int status = list_posix(&l);
	if (status == 0)
		status = list_sysv(&l);
	if (status == 0)
		status = list_words(&l);
	if (l.as_json)
		json_close(&l.json, ']');
	else if (table_end(&l.table, &call->out) < 0 && status == 0)
		status = call_error(call, call->out.err, "list");
	return status;
}
