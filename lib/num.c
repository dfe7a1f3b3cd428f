/* lib/num.c: see num.h. No locale, no floating point, no strtol: each parser takes the whole word
 * and checks overflow itself. */
#include "num.h"

#include "fd.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char not_a_number[] = "not a number";
static const char too_large[] = "too large";

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Digits of BASE from *S on; *S is left behind the last one. */
static const char *digits(const char **s, unsigned base, uint64_t *n)
{
	const char *p = *s;
	*n = 0;
	for (; (unsigned)digit(*p) < base; p++)
		if (__builtin_mul_overflow(*n, base, n) ||
			__builtin_add_overflow(*n, (unsigned)digit(*p), n))
			return too_large;
	if (p == *s)
		return not_a_number;
	*s = p;
	return NULL;
}

static const char *magnitude(const char *s, uint64_t *n)
{
	unsigned base = 10;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	const char *why = digits(&s, base, n);
	if (why != NULL)
		return why;
	return *s == '\0' ? NULL : not_a_number;
}

const char *num_uint(const char *s, uint64_t *n)
{
	return magnitude(*s == '+' ? s + 1 : s, n);
}

const char *num_int(const char *s, int64_t *n)
{
	bool negative = *s == '-';
	uint64_t u;
	const char *why = magnitude(negative || *s == '+' ? s + 1 : s, &u);
	if (why != NULL)
		return why;
	if (u > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return too_large;
	*n = negative ? (int64_t)(0 - u) : (int64_t)u;
	return NULL;
}

/* NUMBER[.FRACTION] times UNIT, where *S stands at the number; *REST is set behind it first, so
 * that the caller can find the unit. Fractions beyond the 9th digit are dropped. */
static const char *scaled(uint64_t whole, uint64_t frac9, uint64_t unit, int64_t *n)
{
	uint64_t a, b;
	if (__builtin_mul_overflow(whole, unit, &a))
		return too_large;
	/* Two parts, each of which fits: FRAC9 * UNIT may not. */
	b = frac9 * (unit / 1000000000u) + frac9 * (unit % 1000000000u) / 1000000000u;
	if (__builtin_add_overflow(a, b, &a) || a > INT64_MAX)
		return too_large;
	*n = (int64_t)a;
	return NULL;
}

static const char *decimal(const char **s, uint64_t *whole, uint64_t *frac9)
{
	const char *why = NULL;
	*whole = *frac9 = 0;
	if (**s != '.')
		why = digits(s, 10, whole);
	if (why != NULL || **s != '.')
		return why;
	const char *p = ++*s;
	uint64_t place = 100000000;
	for (; *p >= '0' && *p <= '9'; p++, place /= 10)
		*frac9 += place * (uint64_t)(*p - '0');
	if (p == *s)
		return not_a_number;
	*s = p;
	return NULL;
}

const char *num_size(const char *s, int64_t *n)
{
	static const char units[] = "KMGT";
	uint64_t whole, frac9, unit = 1;
	const char *why = decimal(&s, &whole, &frac9);
	if (why != NULL)
		return why;
	const char *u = *s != '\0' ? strchr(units, *s == 'k' ? 'K' : *s) : NULL;
	if (u != NULL) {
		unit = UINT64_C(1024) << (10 * (u - units));
		s++;
		if (*s == 'i')
			s++;
	}
	if (*s == 'B')
		s++;
	if (*s != '\0')
		return "not a size (suffixes are K M G T)";
	return scaled(whole, frac9, unit, n);
}

const char *num_duration(const char *s, int64_t *ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {{"", 1000000000}, {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000},
		{"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
		{"w", 604800000000000}};
	uint64_t whole, frac9;
	if (strcmp(s, "inf") == 0) {
		*ns = INT64_MAX;
		return NULL;
	}
	const char *why = decimal(&s, &whole, &frac9);
	if (why != NULL)
		return why;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(s, units[i].suffix) == 0)
			return scaled(whole, frac9, units[i].ns, ns);
	return "not a duration (suffixes are ms s m h d)";
}

const char *num_mode(const char *s, int64_t *mode)
{
	uint64_t n;
	const char *why = digits(&s, 8, &n);
	if (why != NULL || *s != '\0' || n > 07777)
		return "not an octal mode";
	*mode = (int64_t)n;
	return NULL;
}

static const struct {
	const char *name;
	int sig;
} signals[] = {{"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"ILL", SIGILL},
	{"TRAP", SIGTRAP}, {"ABRT", SIGABRT}, {"BUS", SIGBUS}, {"FPE", SIGFPE}, {"KILL", SIGKILL},
	{"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},
	{"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD},
	{"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU}, {"URG", SIGURG}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"POLL", SIGPOLL},
	{"PWR", SIGPWR}, {"SYS", SIGSYS}, {"CLD", SIGCHLD}, {"IO", SIGPOLL}, {"IOT", SIGABRT},
	{"EXIT", 0}};
#define NSIGNALS (sizeof signals / sizeof *signals)

static const char *realtime(const char *s, int base, int64_t *sig)
{
	int64_t n = 0;
	if (*s != '\0' && num_int(s, &n) != NULL)
		return "not a signal";
	n += base;
	if (n < NUM_SIGRTMIN || n > NUM_SIGRTMAX)
		return "not a signal (RTMIN to RTMIN+30)";
	*sig = n;
	return NULL;
}

const char *num_signal(const char *s, int64_t *sig)
{
	if (*s >= '0' && *s <= '9') {
		if (num_int(s, sig) != NULL || *sig > NUM_SIGRTMAX)
			return "not a signal (0 to 64)";
		return NULL;
	}
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	if (strncasecmp(s, "RTMIN", 5) == 0)
		return realtime(s + 5, NUM_SIGRTMIN, sig);
	if (strncasecmp(s, "RTMAX", 5) == 0)
		return realtime(s + 5, NUM_SIGRTMAX, sig);
	for (size_t i = 0; i < NSIGNALS; i++)
		if (strcasecmp(s, signals[i].name) == 0) {
			*sig = signals[i].sig;
			return NULL;
		}
	return "not a signal";
}

const char *num_signal_name(int sig, char buf[NUM_BUF])
{
	for (size_t i = 0; i < NSIGNALS; i++)
		if (signals[i].sig == sig)
			return signals[i].name;
	if (sig == NUM_SIGRTMIN)
		return "RTMIN";
	if (sig > NUM_SIGRTMIN && sig <= NUM_SIGRTMAX)
		snprintf(buf, NUM_BUF, "RTMIN+%d", sig - NUM_SIGRTMIN);
	else
		snprintf(buf, NUM_BUF, "%d", sig);
	return buf;
}

/* Field 3 of the passwd or group line whose field WANT (1 or 3) is KEY; the line's name goes to NAME. */
static bool lookup(
	const char *file, int want, const char *key, int64_t *id, char *name, size_t size)
{
	char *text;
	size_t len;
	bool found = false;
	if (fd_slurp(AT_FDCWD, file, 1 << 20, &text, &len) < 0)
		return false;
	for (char *line = text, *next; !found && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		char *f2 = strchr(line, ':');
		char *f3 = f2 != NULL ? strchr(f2 + 1, ':') : NULL;
		if (f3 == NULL)
			continue;
		*f2 = '\0';
		*f3++ = '\0';
		f3[strcspn(f3, ":")] = '\0';
		if (strcmp(want == 1 ? line : f3, key) != 0 || num_int(f3, id) != NULL)
			continue;
		found = true;
		if (name != NULL)
			snprintf(name, size, "%s", line);
	}
	fd_slurp_free(text);
	return found;
}

static const char *id_of(const char *file, const char *s, int64_t *id, const char *none)
{
	if (*s >= '0' && *s <= '9') {
		if (num_int(s, id) != NULL || *id > UINT32_MAX - 1)
			return none;
		return NULL;
	}
	return lookup(file, 1, s, id, NULL, 0) ? NULL : none;
}

const char *num_user(const char *s, int64_t *uid)
{
	return id_of("/etc/passwd", s, uid, "no such user");
}

const char *num_group(const char *s, int64_t *gid)
{
	return id_of("/etc/group", s, gid, "no such group");
}

void num_user_name(unsigned uid, char *buf, size_t size)
{
	char key[NUM_BUF];
	int64_t id;
	snprintf(key, sizeof key, "%u", uid);
	if (!lookup("/etc/passwd", 3, key, &id, buf, size))
		snprintf(buf, size, "%u", uid);
}

const char *num_show_size(uint64_t bytes, char buf[NUM_BUF])
{
	unsigned u = 0;
	uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
	for (; tenths >= 10240 && u < 6; u++)
		tenths /= 1024;
	if (u == 0)
		snprintf(buf, NUM_BUF, "%u", (unsigned)bytes);
	else if (tenths < 100)
		snprintf(buf, NUM_BUF, "%u.%u%c", (unsigned)tenths / 10, (unsigned)tenths % 10,
			" KMGTPE"[u]);
	else
		snprintf(buf, NUM_BUF, "%u%c", (unsigned)tenths / 10, " KMGTPE"[u]);
	return buf;
}

const char *num_show_duration(int64_t ns, char buf[NUM_BUF])
{
	int64_t ms = ns / 1000000, s = ms / 1000;
	if (s < 1)
		snprintf(buf, NUM_BUF, "%dms", (int)ms);
	else if (s < 60)
		snprintf(buf, NUM_BUF, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(buf, NUM_BUF, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 360000)
		snprintf(buf, NUM_BUF, "%dh%02dm", (int)(s / 3600), (int)(s % 3600 / 60));
	else
		snprintf(buf, NUM_BUF, "%lldd", (long long)(s / 86400));
	return buf;
}

const char *num_time_text(int64_t seconds, char buf[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	buf[0] = '\0';
	if (gmtime_r(&t, &tm) != NULL)
		strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}
