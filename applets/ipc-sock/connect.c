/* connect.c: the client: which socket, and a command on descriptors 6 and 7. The copying is in pump.c. */
#define _GNU_SOURCE
#include "ipc-sock.h"
#include "pump.h"

#include "command.h"
#include "fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

int run_sock_connect(struct call *call);

static const char *var(struct call *call, const char *name, const char *value)
{
	const char *s = *value != '\0' ? call_fmt(call, "%s=%s", name, value) : name;
	return s != NULL ? s : name;
}

/* The environment of UCSPI clients (s6-ipcclient(1), tcpclient(1)), and ours. */
static void client_env(struct call *call, int fd, const char *env[20])
{
	char local[ADDR_TEXT], remote[ADDR_TEXT], host[64], number[16];
	struct addr_sa sa = {.len = sizeof sa.ss};
	unsigned port;
	size_t n = 0;
	sock_name(fd, false, local);
	sock_name(fd, true, remote);
	env[n++] = var(call, "IPC_OBJECT", call->args[0].str);
	env[n++] = var(call, "IPC_LOCAL_ADDR", local);
	env[n++] = var(call, "IPC_PEER_ADDR", remote);
	for (int side = 0; side < 2; side++) {
		sa.len = sizeof sa.ss;
		int r = side == 0 ? getsockname(fd, &sa.sa, &sa.len)
				  : getpeername(fd, &sa.sa, &sa.len);
		if (r < 0 || !addr_host_port(&sa.sa, host, &port))
			continue;
		snprintf(number, sizeof number, "%u", port);
		env[n++] = var(call, side == 0 ? "TCPLOCALIP" : "TCPREMOTEIP", host);
		env[n++] = var(call, side == 0 ? "TCPLOCALPORT" : "TCPREMOTEPORT", number);
	}
	bool inet = n > 3;
	env[n++] = inet ? "PROTO=TCP" : "PROTO=IPC";
	if (!inet) {
		struct peer peer;
		env[n++] = var(call, "IPCLOCALPATH", local);
		env[n++] = var(call, "IPCREMOTEPATH", remote);
		if (peer_of(fd, &peer) == 0) {
			snprintf(number, sizeof number, "%u", (unsigned)peer.uid);
			env[n++] = var(call, "IPC_PEER_UID", number);
			snprintf(number, sizeof number, "%u", (unsigned)peer.gid);
			env[n++] = var(call, "IPC_PEER_GID", number);
			snprintf(number, sizeof number, "%d", (int)peer.pid);
			env[n++] = var(call, "IPC_PEER_PID", number);
		}
	}
	env[n] = NULL;
}

static int run_command(struct call *call, int fd)
{
	const char *env[20];
	client_env(call, fd, env);
	struct spawn_fd fds[] = {{fd, 6}, {fd, 7}};
	struct command cmd = {.spawn = {.argv = call->command, .env = env, .fds = fds, .nfds = 2}};
	return command_exec(call, &cmd);
}

int run_sock_connect(struct call *call)
{
	struct addr *a = call_alloc(call, sizeof *a);
	int fd;
	if (a == NULL)
		return call_error(call, ENOMEM, "connect");
	const char *why = addr_parse(a, call->args[0].str);
	if (why != NULL)
		return call_fail(call, ST_USAGE, 0, "%s: %s", call->args[0].str, why);
	int type = sock_opt_type(call, a->type);
	int status = sock_connect(call, a, type, call->opt[S_RETRY].num, &fd);
	if (status != 0)
		return status;
	if (call->command != NULL)
		return run_command(call, fd);
	int64_t idle = call->opt[S_IDLE].count > 0 ? call->opt[S_IDLE].num : DEADLINE_NONE;
	if (a->fd >= 0)
		type = sock_type(fd);
	return type == SOCK_STREAM ? pump_stream(call, a, fd, idle)
				   : pump_records(call, a, fd, type, idle);
}
