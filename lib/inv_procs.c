/* lib/inv_procs.c: which processes there are, and one or two looks at each. What vanishes on
 * the way is skipped. */
#define _GNU_SOURCE
#include "inv.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 64 /* the list of processes is read at most */

static void one_process(struct inv *inv, struct inv_looks *l, int root)
{
	char name[16], command[400];
	struct inv_proc *proc = l->proc;
	snprintf(name, sizeof name, "%d", (int)proc->pid);
	l->procfd = fd_open(root, name, O_RDONLY | O_DIRECTORY, 0);
	if (l->procfd < 0) {
		inv_ran_out(inv);
		return;
	}
	l->nfds = l->nmaps = 0;
	l->ns_ipc = 0;
	bool maps = (inv->kinds &
			    ~(1u << INV_SOCK | 1u << INV_FIFO | 1u << INV_PIPE | 1u << INV_EVENTFD |
				    1u << INV_LOCK)) != 0;
	if (maps)
		inv_scan_maps(inv, l);
	bool hidden = !inv_scan_fds(inv, l);
	inv->nhidden += hidden && !proc->hidden;
	proc->hidden = proc->hidden || hidden;
	if (!hidden) {
		inv_use_maps(inv, l);
		inv_waits(inv, l);
	}
	if (proc->used && proc->command == NULL) {
		proc_command(proc->pid, command, sizeof command);
		proc->command = inv_text(inv, command, strlen(command));
	}
	fd_close(l->procfd);
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = (*(struct inv_proc *const *)a)->pid, y = (*(struct inv_proc *const *)b)->pid;
	return (x > y) - (x < y);
}

/* Add the processes that are not in the list yet. */
static int list_processes(struct inv *inv, int root)
{
	size_t known = inv->nprocs;
	int fd = fd_open(root, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct inv_proc new = {0}, *key = &new;
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			new.pid = (pid_t)atoi(e->d_name);
		if (new.pid == 0 || new.pid == getpid() ||
			(known > 0 && bsearch(&key, inv->procs, known, sizeof key, by_pid)) ||
			!inv_grow(inv, &inv->procs, inv->nprocs, &inv->procs_cap, sizeof key) ||
			(key = inv_alloc(inv, sizeof *key)) == NULL)
			continue;
		*key = new;
		inv->procs[inv->nprocs++] = key;
	}
	closedir(dir);
	return 0;
}

/* Look at each process. What one has that ends meanwhile its child may have by then: so the
 * list is read again until it shows no new ones. */
static int scan(struct inv *inv, struct inv_looks *l)
{
	int root = fd_open(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0), r = root < 0 ? -1 : 0;
	bool settled = false;
	size_t from = 0;
	for (unsigned round = 0; r == 0 && !settled && round < ROUNDS; round++) {
		r = list_processes(inv, root);
		settled = round > 0 && from == inv->nprocs;
		for (size_t i = from; i < inv->nprocs; i++) {
			l->proc = inv->procs[i];
			one_process(inv, l, root);
		}
		from = inv->nprocs;
		if (from > 1)
			qsort(inv->procs, from, sizeof *inv->procs, by_pid);
	}
	inv->unsettled = inv->unsettled || !settled;
	int saved = errno;
	fd_close(root);
	free(l->fds);
	free(l->maps);
	errno = saved;
	return r;
}

void inv_scan_again(struct inv *inv)
{
	struct inv_priv *p = inv_priv(inv);
	size_t n = inv->n;
	if (p->looked_again)
		return;
	struct inv_looks l = {.buf = malloc(INV_BUF)};
	p->looked_again = p->second = true;
	if (l.buf == NULL || scan(inv, &l) < 0)
		inv->unsettled = true;
	p->second = false;
	inv->n = n; /* what is new since the first look is left to the next list */
	free(l.buf);
}

int inv_scan(struct inv *inv)
{
	struct inv_looks l = {.buf = malloc(INV_BUF)};
	int r = l.buf == NULL ? -1 : scan(inv, &l);
	free(l.buf);
	inv->blind = !proc_shows_all();
	if (inv->blind)
		inv_unseen(inv,
			"what processes hold that /proc does not show (hidepid, or outside of this "
			"pid namespace)");
	if (inv->nhidden > 0)
		inv_unseen(inv,
			inv_fmt(inv, "what %u of %zu processes hold (of other users; root sees it)",
				inv->nhidden, inv->nprocs));
	return r;
}
