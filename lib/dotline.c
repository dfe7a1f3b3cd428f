/* lib/dotline.c: see dotline.h. The machine-id is no secret of ours to write into files that others read
 * (machine-id(5)), so a hash stands there; nobody but the owner of a machine could want to forge it. */
#define _GNU_SOURCE
#include "dotline.h"

#include "fd.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIGITS 16 /* of the machine */

static void lack(struct dotline_self *s, const char *what)
{
	if (s->lacks == NULL)
		s->err = errno != 0 ? errno : ENOENT;
	s->lacks = s->lacks == NULL ? what : s->lacks;
}

static bool all_hex(const char *text, size_t n)
{
	return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* FNV-1a of the machine-id, "" when there is none. */
static void read_machine(char machine[20])
{
	char id[64];
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	int fd = fd_open(AT_FDCWD, "/etc/machine-id", O_RDONLY | O_NONBLOCK, 0);
	ssize_t n = fd >= 0 ? fd_read(fd, id, sizeof id - 1) : -1;
	fd_close(fd);
	machine[0] = '\0';
	id[n > 0 ? n : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
	if (!all_hex(id, 32))
		return;
	for (const char *p = id; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	snprintf(machine, 20, "%016llx", (unsigned long long)hash);
}

void dotline_self(struct dotline_self *s)
{
	*s = (struct dotline_self){.start = 0};
	if (proc_boot_id(s->boot) < 0)
		lack(s, PROC_BOOT_ID);
	ssize_t n = readlink("/proc/self/ns/pid", s->ns, sizeof s->ns - 1);
	s->ns[n > 0 ? n : 0] = '\0';
	if (n <= 0)
		lack(s, "/proc/self/ns/pid");
	if ((s->start = proc_start(getpid())) == 0)
		lack(s, "/proc/self/stat");
	if (gethostname(s->host, sizeof s->host) < 0 || s->host[0] == '\0')
		snprintf(s->host, sizeof s->host, "localhost");
	s->host[sizeof s->host - 1] = '\0';
	read_machine(s->machine);
}

int dotline_add(int fd, const struct dotline_self *s)
{
	char line[256];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int n = snprintf(line, sizeof line, "%ld %llu %s %s %lld %s%s%s\n", (long)getpid(),
		(unsigned long long)s->start, s->boot, s->ns, (long long)now.tv_sec, s->host,
		s->machine[0] != '\0' ? " " : "", s->machine);
	return lseek(fd, 0, SEEK_END) < 0 ? -1 : fd_write(fd, line, (size_t)n);
}

/* Split off the next word of *P. */
static char *cut(char **p)
{
	char *word = *p;
	size_t len = strcspn(word, " ");
	*p = word + len;
	if (**p == ' ')
		*(*p)++ = '\0';
	return word;
}

/* Split off what follows the host, or "". */
static const char *cut_machine(char *host)
{
	char *blank = strrchr(host, ' ');
	if (blank == NULL || !all_hex(blank + 1, DIGITS))
		return "";
	*blank = '\0';
	return blank + 1;
}

int dotline_judge(char *line, const struct dotline_self *s, struct dotline *d)
{
	int64_t pid, start, since;
	char *pid_word = cut(&line), *start_word = cut(&line);
	char *boot = cut(&line), *ns = cut(&line), *since_word = cut(&line);
	const char *machine = cut_machine(line);
	if (num_int(pid_word, &pid) != NULL || pid <= 0 || pid > INT32_MAX ||
		num_int(start_word, &start) != NULL || start < 0 ||
		num_int(since_word, &since) != NULL || *line == '\0')
		return -1;
	*d = (struct dotline){.pid = (pid_t)pid, .start = (uint64_t)start, .since = since};
	snprintf(d->host, sizeof d->host, "%s", line);
	if (strlen(boot) != 36 || s->boot[0] == '\0')
		return 1; /* of a boot that was not, or is not, known */
	if (strcmp(boot, s->boot) != 0) {
		d->reboot = machine[0] == '\0' || strcmp(machine, s->machine) != 0;
		return d->reboot;
	}
	if (strcmp(ns, s->ns) != 0 || strncmp(ns, "pid:", 4) != 0)
		return 1;
	d->here = true;
	return proc_life((struct proc_id){d->pid, d->start}) != PROC_DEAD;
}
