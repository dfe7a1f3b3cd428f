/* ipc-shm stat: size, mode, owner, and who has it mapped or open. */
#define _GNU_SOURCE
#include "shm.h"

#include "maps.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

struct holders {
	pid_t *pids;
	bool *mapped;
	size_t n, cap;
	pid_t self;
	const struct stat *st; /* files: NULL for System V */
};

static int add_holder(struct holders *h, pid_t pid, bool mapped)
{
	if (pid == h->self)
		return 0;
	for (size_t i = 0; i < h->n; i++)
		if (h->pids[i] == pid)
			return 0;
	if (h->st != NULL && segment_idle(pid, h->st))
		return 0;
	if (h->n == h->cap) {
		size_t cap = h->cap > 0 ? h->cap * 2 : 16;
		pid_t *pids = realloc(h->pids, cap * sizeof *pids);
		h->pids = pids != NULL ? pids : h->pids;
		bool *flags = realloc(h->mapped, cap * sizeof *flags);
		h->mapped = flags != NULL ? flags : h->mapped;
		if (pids == NULL || flags == NULL)
			return 1;
		h->cap = cap;
	}
	h->pids[h->n] = pid;
	h->mapped[h->n++] = mapped;
	return 0;
}

static int add_mapper(void *arg, pid_t pid)
{
	return add_holder(arg, pid, true);
}

static int add_opener(void *arg, const struct proc_fd *fd)
{
	return add_holder(arg, fd->pid, false);
}

static void undo_holders(void *arg, intptr_t n)
{
	struct holders *h = arg;
	(void)n;
	free(h->pids);
	free(h->mapped);
}

/* What stat tells of both kinds. */
struct facts {
	const char *kind;
	unsigned mode;
	uid_t uid;
	gid_t gid;
	struct shmid_ds ds; /* System V */
	uint64_t backed;    /* files: bytes that memory or disk stands behind */
	bool nameless, hidden;
	struct holders holders;
};

static int find_facts(struct call *call, const struct segment *seg, struct facts *f)
{
	static const char *const kinds[] = {[OBJECT_WORD] = "word",
		[OBJECT_FILE] = "file",
		[OBJECT_POSIX] = "posix",
		[OBJECT_FD] = "fd"};
	struct maps_key key;
	struct stat st;
	bool hidden = false;
	f->holders.self = getpid();
	call_undo(call, undo_holders, &f->holders, 0);
	if (seg->sysv) {
		if (shmctl(seg->id, IPC_STAT, &f->ds) < 0)
			return call_error(call, errno, "look at %s", seg->obj.text);
		f->kind = "sysv";
		f->mode = f->ds.shm_perm.mode & 0777u;
		f->uid = f->ds.shm_perm.uid;
		f->gid = f->ds.shm_perm.gid;
		f->nameless = (f->ds.shm_perm.mode & SHM_DEST) != 0;
		maps_sysv(seg->id, &key);
		(void)maps_each(&key, add_mapper, &f->holders, &f->hidden);
		return 0;
	}
	if (fstat(seg->fd, &st) < 0)
		return call_error(call, errno, "look at %s", seg->obj.text);
	f->kind = kinds[seg->obj.kind];
	f->mode = st.st_mode & 07777u;
	f->uid = st.st_uid;
	f->gid = st.st_gid;
	f->nameless = seg->nameless;
	f->holders.st = &st;
	f->backed = (uint64_t)st.st_blocks * 512;
	if (seg->size > 0 && maps_file(seg->fd, &key) == 0)
		(void)maps_each(&key, add_mapper, &f->holders, &hidden);
	(void)proc_each_fd(&st, false, add_opener, &f->holders, &f->hidden);
	f->hidden = f->hidden || hidden;
	f->holders.st = NULL;
	return 0;
}

static void print_json(struct call *call, const struct segment *seg, const struct facts *f)
{
	struct json j;
	char user[256];
	num_user_name(f->uid, user, sizeof user);
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "object", seg->obj.text);
	json_str(&j, "kind", f->kind);
	json_uint(&j, "size", seg->size);
	json_str(&j, "mode", call_fmt(call, "%04o", f->mode));
	json_str(&j, "owner", user);
	json_uint(&j, "uid", f->uid);
	json_uint(&j, "gid", f->gid);
	if (seg->sysv) {
		json_int(&j, "id", seg->id);
		json_str(&j, "key", call_fmt(call, "0x%08x", (unsigned)f->ds.shm_perm.__key));
		json_uint(&j, "attached", f->ds.shm_nattch);
		json_int(&j, "creator_pid", f->ds.shm_cpid);
		json_int(&j, "last_pid", f->ds.shm_lpid);
	} else {
		json_uint(&j, "backed", f->backed);
	}
	json_bool(&j, "nameless", f->nameless);
	json_bool(&j, "some_hidden", f->hidden);
	json_open(&j, "holders", '[');
	for (size_t i = 0; i < f->holders.n; i++) {
		char command[256];
		json_open(&j, NULL, '{');
		json_int(&j, "pid", f->holders.pids[i]);
		json_bool(&j, "mapped", f->holders.mapped[i]);
		json_str(&j, "command", proc_command(f->holders.pids[i], command, sizeof command));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

static void print_text(struct call *call, const struct segment *seg, const struct facts *f)
{
	struct table t;
	char user[256];
	num_user_name(f->uid, user, sizeof user);
	out_fmt(&call->out, "kind %s\nsize %llu\nmode %04o\nowner %s\n", f->kind,
		(unsigned long long)seg->size, f->mode, user);
	if (seg->sysv)
		out_fmt(&call->out, "id %d\nkey 0x%08x\nattached %llu\n", seg->id,
			(unsigned)f->ds.shm_perm.__key, (unsigned long long)f->ds.shm_nattch);
	else if (f->backed < seg->size)
		out_fmt(&call->out, "backed %llu\n", (unsigned long long)f->backed);
	if (f->nameless)
		out_str(&call->out, "without a name: lives while it is held\n");
	table_start(&t, 3, 1);
	for (size_t i = 0; i < f->holders.n; i++) {
		char command[256];
		if (i == 0) {
			table_cell(&t, "PID");
			table_cell(&t, "HOW");
			table_cell(&t, "HOLDER");
		}
		table_fmt(&t, "%ld", (long)f->holders.pids[i]);
		table_cell(&t, f->holders.mapped[i] ? "mapped" : "open");
		table_cell(&t, proc_command(f->holders.pids[i], command, sizeof command));
	}
	(void)table_end(&t, &call->out);
	if (f->hidden)
		call_note(call, 1, "processes of others cannot be looked into");
}

int shm_stat(struct call *call)
{
	struct segment *seg;
	struct facts *facts = call_alloc(call, sizeof *facts);
	if (facts == NULL)
		return call_error(call, errno, "look at %s", call->args[0].str);
	int status = segment_open(call, &seg, call->args[0].str, 0);
	if (status == 0)
		status = find_facts(call, seg, facts);
	if (status != 0)
		return status;
	if (call->std[STD_JSON].count > 0)
		print_json(call, seg, facts);
	else
		print_text(call, seg, facts);
	return 0;
}
