/* pump.h: both directions between stdin, stdout and a connection. */
#ifndef IPC_SOCK_PUMP_H
#define IPC_SOCK_PUMP_H

#include <stdint.h>

struct addr;
struct call;

/* Bytes. IDLE: ns without any after which it gives up, DEADLINE_NONE. A status. */
int pump_stream(struct call *call, const struct addr *a, int sock, int64_t idle);
/* Records, one packet or datagram (TYPE) each. */
int pump_records(struct call *call, const struct addr *a, int sock, int type, int64_t idle);

#endif
