/* tests/fuzz/mapped.c: rings, events and barriers whose file holds anything at all. Every verb that opens it ends at
 * once with a documented status: no offset, count or length in the file is trusted, no lock that nobody holds is
 * waited for.
 *
 * Input: a byte for the kind, a byte of flags (1: the head is left as it is, else it is made whole; 2: the lock's
 * owner is dead), a byte for the order of the verbs, then the file.
 */
#define _GNU_SOURCE
#include "lib/host.h"

#include "shared.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the kernel leaves it; an owner that only seems to be there costs seconds of looking. */
#define DEAD 0x40000000u /* FUTEX_OWNER_DIED */

static const struct kind {
	const char *applet, *magic;
	const char *verbs[8][6];
} kinds[] = {
	{"ipc-ring", "ipcring",
		{{"get", "-n", "./m"}, {"put", "-n", "./m", "one", "two"}, {"stat", "./m"},
			{"stat", "-J", "./m"}, {"put", "--full=drop-oldest", "./m", "x"},
			{"get", "-n", "-c2", "./m"}, {"put", "--full=fail", "./m", ""},
			{"close", "./m"}}},
	{"ipc-event", "ipcevent",
		{{"wait", "-n", "./m"}, {"set", "./m"}, {"pulse", "./m"}, {"stat", "./m"},
			{"wait", "-n", "--since=1", "./m"}, {"wait", "-n", "--auto", "./m"},
			{"set", "--auto", "./m"}, {"clear", "./m"}}},
	{"ipc-barrier", "ipcbarr",
		{{"wait", "-n", "-c1", "./m"}, {"stat", "./m"}, {"wait", "-n", "-c2", "./m"},
			{"stat", "-J", "./m"}, {"break", "./m"}, {"wait", "-n", "-c3", "./m"},
			{"wait", "-n", "./m"}, {"break", "./m"}}},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Who has the file open is no matter here, and to look costs more than all the rest: ld's --wrap (see the
 * Makefile) leads opendir(3) here, and /proc is empty. */
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);

DIR *__wrap_opendir(const char *path)
{
	return __real_opendir(strcmp(path, "/proc") == 0 ? "ipc" : path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_home();
	return 0;
}

static void make_whole(struct shared_head *head, const struct kind *k, size_t size, unsigned flags)
{
	memcpy(head->magic, k->magic, strnlen(k->magic, sizeof head->magic));
	memset(head->magic + strlen(k->magic), 0, sizeof head->magic - strlen(k->magic));
	head->version = 1;
	head->abi = SHARED_ABI;
	head->size = size;
	head->lock = (flags & 2) != 0 ? DEAD | (head->lock & 0x80000000u) : 0;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char hex[40] = "";
	if (fd < 0 || read(fd, hex, sizeof hex - 1) < 0)
		abort();
	close(fd);
	unsigned char *to = head->boot;
	for (const char *p = hex; *p != '\0' && to < head->boot + sizeof head->boot;) {
		char two[3] = {p[0], p[1], '\0'};
		if (*p == '-') {
			p++;
			continue;
		}
		*to++ = (unsigned char)strtoul(two, NULL, 16);
		p += 2;
	}
}

static void run(const struct kind *k, const char *const *verb)
{
	const char *words[8] = {k->applet};
	for (size_t i = 0; i < 6; i++)
		words[i + 1] = verb[i];
	(void)fuzz_run(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const struct kind *k = &kinds[fuzz_byte(&in) % KINDS];
	unsigned flags = fuzz_byte(&in), order = fuzz_byte(&in);
	size_t len = in.len;
	unsigned char *file = calloc(1, len + 1);
	if (file == NULL)
		return 0;
	memcpy(file, in.at, len);
	if (len >= sizeof(struct shared_head)) {
		struct shared_head head;
		memcpy(&head, file, sizeof head);
		if ((flags & 1) == 0)
			make_whole(&head, k, len, flags);
		else if (head.lock != 0)
			head.lock = (head.lock & 0x80000000u) | DEAD;
		memcpy(file, &head, sizeof head);
	}
	fuzz_file("m", file, len);
	free(file);
	for (unsigned i = 0; i < 4; i++)
		run(k, k->verbs[(order + i * (flags / 4 * 2 + 1)) % 8]);
	unlink("m");
	return 0;
}
