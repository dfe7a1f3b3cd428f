/* ipc-signal wait: block the signals, say that we are ready, print each as it is taken. Nothing can be
 * lost in between: a blocked signal stays with the process until it is asked for. */
#include "ipc-signal.h"

#include "hold.h"
#include "num.h"
#include "sig.h"

#include <errno.h>
#include <string.h>

/* What siginfo_t says of where a signal comes from; which members are set depends on si_code,
 * sigaction(2). */
struct origin {
	const char *code;
	bool sender, value;
};

static struct origin origin_of(const siginfo_t *info, int sig)
{
	static const char *const child[] = {[CLD_EXITED] = "exited",
		[CLD_KILLED] = "killed",
		[CLD_DUMPED] = "dumped",
		[CLD_TRAPPED] = "trapped",
		[CLD_STOPPED] = "stopped",
		[CLD_CONTINUED] = "continued"};
	int code = info->si_code;
	switch (code) {
	case SI_USER: return (struct origin){"user", true, false};
	case SI_QUEUE: return (struct origin){"queue", true, true};
	case SI_TKILL: return (struct origin){"tkill", true, false};
	case SI_MESGQ: return (struct origin){"mesgq", true, true};
	case SI_TIMER: return (struct origin){"timer", false, true};
	case SI_ASYNCIO: return (struct origin){"asyncio", false, true};
	case SI_SIGIO: return (struct origin){"sigio", false, false};
	case SI_KERNEL: return (struct origin){"kernel", false, false};
	default: break;
	}
	if (code < 0)
		return (struct origin){"other", true, true};
	if (sig == SIGCHLD && code >= CLD_EXITED && code <= CLD_CONTINUED)
		return (struct origin){child[code], true, false};
	return (struct origin){"kernel", false, false};
}

static void put_number(struct out *out, bool known, int64_t n)
{
	if (known)
		out_fmt(out, "%lld", (long long)n);
	else
		out_char(out, '-');
}

static void put_json(struct call *call, const char *name, int sig, const struct origin *from,
	const siginfo_t *info)
{
	struct json j;
	json_start(&j, &call->out);
	json_open(&j, NULL, '{');
	json_str(&j, "signal", name);
	json_int(&j, "number", sig);
	if (from->sender) {
		json_int(&j, "pid", info->si_pid);
		json_int(&j, "uid", info->si_uid);
	} else {
		json_null(&j, "pid");
		json_null(&j, "uid");
	}
	if (from->value)
		json_int(&j, "value", info->si_value.sival_int);
	else
		json_null(&j, "value");
	json_str(&j, "code", from->code);
	json_close(&j, '}');
}

static void put_formatted(struct out *out, const char *fmt, const char *name, int sig,
	const struct origin *from, const siginfo_t *info)
{
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			out_char(out, *fmt);
			continue;
		}
		switch (*++fmt) {
		case 'n': out_str(out, name); break;
		case 's': out_fmt(out, "%d", sig); break;
		case 'p': put_number(out, from->sender, info->si_pid); break;
		case 'u': put_number(out, from->sender, info->si_uid); break;
		case 'v': put_number(out, from->value, info->si_value.sival_int); break;
		case 'c': out_str(out, from->code); break;
		default: out_char(out, '%'); break;
		}
	}
	out_char(out, '\n');
}

static int print(struct call *call, int sig, const siginfo_t *info)
{
	char buf[NUM_BUF];
	const char *name = num_signal_name(sig, buf);
	struct origin from = origin_of(info, sig);
	if (call->std[STD_JSON].count > 0)
		put_json(call, name, sig, &from, info);
	else if (call->opt[WAIT_FORMAT].count > 0)
		put_formatted(&call->out, call->opt[WAIT_FORMAT].str, name, sig, &from, info);
	else
		put_formatted(
			&call->out, "%n pid=%p uid=%u value=%v code=%c", name, sig, &from, info);
	return call_flush(call);
}

static const char *check_format(const char *fmt)
{
	while ((fmt = strchr(fmt, '%')) != NULL) {
		if (fmt[1] == '\0' || strchr("nspuvc%", fmt[1]) == NULL)
			return fmt;
		fmt += 2;
	}
	return NULL;
}

/* Take a signal, or wait for one. Between two signals nothing is written, so that a reader who has
 * gone would be noticed too late: stdout is watched meanwhile. Returns as sig_take(); -1 with EPIPE
 * when nobody reads us any more. */
static int take(struct call *call, uint64_t set, int fd, siginfo_t *info, int64_t deadline)
{
	for (;;) {
		struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = call->out.fd}};
		if (wait_poll(p, 2, deadline, &call->stop) < 0)
			return -1;
		int sig = p[0].revents != 0 ? sig_take(set, info, DEADLINE_NOW) : 0;
		if (sig > 0 || (sig < 0 && errno != EAGAIN))
			return sig;
		if (sig == 0 && p[1].revents != 0) {
			errno = EPIPE;
			return -1;
		}
	}
}

/* Take the signals of SET and print each, as many as are wanted; for an array what is there, once there is
 * something. */
static int receive(struct call *call, uint64_t set, int fd, int64_t deadline)
{
	bool follow = call->std[STD_FOLLOW].count > 0, batch = call_batch(call), some = false;
	int64_t left = call->std[STD_COUNT].count > 0 ? call->std[STD_COUNT].num : 1;
	int status = ST_OK;
	for (; status == ST_OK && (follow || batch || left > 0); left--) {
		siginfo_t info;
		int sig = take(call, set, fd, &info, batch && some ? DEADLINE_NOW : deadline);
		if (sig < 0 && errno == EAGAIN && batch && some)
			return ST_OK;
		some = true;
		status = sig > 0         ? print(call, sig, &info)
			: errno == EPIPE ? ST_SIGPIPE
			: follow         ? call_waited(call, errno, "wait for a signal")
				 : call_waited(call, errno, "wait for a signal, %lld to come",
					   (long long)left);
	}
	return status;
}

int signal_wait(struct call *call)
{
	uint64_t set;
	bool follow = call->std[STD_FOLLOW].count > 0;
	const char *fmt = call->opt[WAIT_FORMAT].str;
	if (follow && call->std[STD_COUNT].count > 0)
		return call_fail(call, ST_USAGE, 0, "-c and -f exclude each other");
	if (fmt != NULL && call->std[STD_JSON].count > 0)
		return call_fail(call, ST_USAGE, 0, "--format and -J exclude each other");
	const char *bad = fmt != NULL ? check_format(fmt) : NULL;
	if (bad != NULL)
		return call_fail(call, ST_USAGE, 0,
			"--format: %.2s is none of %%n %%s %%p %%u %%v %%c %%%%", bad);
	int status = wanted_signals(call, &set);
	if (status == 0)
		status = hold_for_call(call, set);
	if (status != 0)
		return status;
	int fd = call_own(call, sig_fd(set));
	if (fd < 0)
		return call_error(call, errno, "make a descriptor for signals");
	int64_t deadline = call_deadline(call);
	status = call_ready(call);
	return status != 0 ? status : receive(call, set, fd, deadline);
}
