/* tests/unit/num.c: numbers as people write them. */
#include "num.h"

#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef const char *parser(const char *, int64_t *);

static void good(parser *parse, const char *text, int64_t want)
{
	int64_t n = -12345;
	const char *why = parse(text, &n);
	OKF(why == NULL && n == want, "\"%s\": %s, %lld, not %lld", text, why != NULL ? why : "",
		(long long)n, (long long)want);
}

static void bad(parser *parse, const char *text)
{
	int64_t n;
	OKF(parse(text, &n) != NULL, "\"%s\" was taken", text);
}

static void integers(void)
{
	uint64_t u;
	good(num_int, "0", 0);
	good(num_int, "+7", 7);
	good(num_int, "-7", -7);
	good(num_int, "0x1F", 31);
	good(num_int, "-0x10", -16);
	good(num_int, "010", 10);
	good(num_int, "9223372036854775807", INT64_MAX);
	good(num_int, "-9223372036854775808", INT64_MIN);
	static const char *const wrong[] = {"", " ", " 1", "1 ", "1x", "x", "-", "+", "--1", "+-1",
		"0x", "1e3", "1.0", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "99999999999999999999999999", "1\n"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		bad(num_int, wrong[i]);
	OK(num_uint("18446744073709551615", &u) == NULL && u == UINT64_MAX);
	OK(num_uint("0xffffffffffffffff", &u) == NULL && u == UINT64_MAX);
	OK(num_uint("18446744073709551616", &u) != NULL);
	OK(num_uint("-1", &u) != NULL);
	OK(num_uint("", &u) != NULL);
}

static void sizes(void)
{
	good(num_size, "0", 0);
	good(num_size, "512", 512);
	good(num_size, "1K", 1024);
	good(num_size, "1k", 1024);
	good(num_size, "1KiB", 1024);
	good(num_size, "1kB", 1024);
	good(num_size, "7B", 7);
	good(num_size, "1.5M", 1572864);
	good(num_size, ".5K", 512);
	good(num_size, "3G", INT64_C(3) << 30);
	good(num_size, "2T", INT64_C(2) << 40);
	good(num_size, "8388607T", INT64_C(8388607) << 40);
	static const char *const wrong[] = {"", "K", "-1", "1KK", "1X", "1.K", ".", "1 K", "1m",
		"8388608T", "9223372036854775808", "99999999999999999999T", "0x10"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		bad(num_size, wrong[i]);
}

static void durations(void)
{
	good(num_duration, "0", 0);
	good(num_duration, "1", 1000000000);
	good(num_duration, "1.5", 1500000000);
	good(num_duration, "0.000000001", 1);
	good(num_duration, "0.0000000019", 1);
	good(num_duration, ".25s", 250000000);
	good(num_duration, "200ms", 200000000);
	good(num_duration, "1.5ms", 1500000);
	good(num_duration, "7us", 7000);
	good(num_duration, "9ns", 9);
	good(num_duration, "2m", INT64_C(120000000000));
	good(num_duration, "1h", INT64_C(3600000000000));
	good(num_duration, "3d", INT64_C(259200000000000));
	good(num_duration, "inf", INT64_MAX);
	static const char *const wrong[] = {"", "-1", "s", "1x", "1 s", "1.", "1.5.5", "ms", "1sm",
		"infinity", "9999999999999", "300000000d", "18446744073709551616"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		bad(num_duration, wrong[i]);
}

static void signals(void)
{
	char buf[NUM_BUF];
	good(num_signal, "TERM", 15);
	good(num_signal, "SIGTERM", 15);
	good(num_signal, "term", 15);
	good(num_signal, "sigUsr1", 10);
	good(num_signal, "9", 9);
	good(num_signal, "0", 0);
	good(num_signal, "64", 64);
	/* The system's, whatever libc this was linked with. */
	good(num_signal, "RTMIN", 34);
	good(num_signal, "RTMIN+3", 37);
	good(num_signal, "SIGRTMIN+30", 64);
	good(num_signal, "RTMAX", 64);
	good(num_signal, "RTMAX-1", 63);
	static const char *const wrong[] = {"", "SIG", "NOPE", "65", "-1", "RTMIN+31", "RTMIN-1",
		"RTMAX+1", "RTMIN+", "RTMIN+x", "15x", "SIG15"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		bad(num_signal, wrong[i]);
	for (int sig = 1; sig <= 64; sig++) {
		int64_t n = 0;
		const char *name = num_signal_name(sig, buf);
		OKF(num_signal(name, &n) == NULL && n == sig, "%d is called %s, which is %lld", sig,
			name, (long long)n);
	}
}

static void others(void)
{
	char buf[NUM_BUF];
	good(num_mode, "644", 0644);
	good(num_mode, "0600", 0600);
	good(num_mode, "7777", 07777);
	bad(num_mode, "10000");
	bad(num_mode, "8");
	bad(num_mode, "");
	bad(num_mode, "u+x");
	bad(num_mode, "0x1ff");
	good(num_user, "root", 0);
	good(num_user, "0", 0);
	good(num_user, "4294967294", 4294967294);
	bad(num_user, "4294967295"); /* chown(2) takes it for "leave alone" */
	bad(num_user, "no-such-user-here");
	bad(num_user, "");
	good(num_group, "root", 0);
	bad(num_group, "no-such-group-here");
	num_user_name(0, buf, sizeof buf);
	OK(strcmp(buf, "root") == 0);
	num_user_name(4000000000u, buf, sizeof buf);
	OK(strcmp(buf, "4000000000") == 0);
}

static void shown(void)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} sizes_shown[] = {{0, "0"}, {1023, "1023"}, {1024, "1.0K"}, {10239, "9.9K"},
		{10240, "10K"}, {UINT64_C(1) << 20, "1.0M"}, {UINT64_C(17) << 20, "17M"},
		{UINT64_MAX, NULL}};
	static const struct {
		int64_t ns;
		const char *want;
	} durations_shown[] = {{0, "0ms"}, {250000000, "250ms"}, {1500000000, "1.5s"},
		{INT64_C(125000000000), "2m05s"}, {INT64_C(11400000000000), "3h10m"},
		{INT64_MAX, NULL}};
	char buf[NUM_BUF];
	for (size_t i = 0; i < sizeof sizes_shown / sizeof *sizes_shown; i++) {
		const char *got = num_show_size(sizes_shown[i].bytes, buf),
			   *want = sizes_shown[i].want;
		OKF(strlen(got) < NUM_BUF && (want == NULL || strcmp(got, want) == 0),
			"%llu is shown as %s", (unsigned long long)sizes_shown[i].bytes, got);
	}
	for (size_t i = 0; i < sizeof durations_shown / sizeof *durations_shown; i++) {
		const char *got = num_show_duration(durations_shown[i].ns, buf);
		const char *want = durations_shown[i].want;
		OKF(strlen(got) < NUM_BUF && (want == NULL || strcmp(got, want) == 0),
			"%lld is shown as %s", (long long)durations_shown[i].ns, got);
	}
}

void test_num(void)
{
	integers();
	sizes();
	durations();
	signals();
	others();
	shown();
}
