/* applets/table.c: the applets, in display order. */
#include "applet.h"

extern const struct applet ipc_lock;
extern const struct applet ipc_fifo;
extern const struct applet ipc_pipe;
extern const struct applet ipc_mq;
extern const struct applet ipc_ring;
extern const struct applet ipc_spool;
extern const struct applet ipc_shm;
extern const struct applet ipc_sem;
extern const struct applet ipc_event;
extern const struct applet ipc_barrier;
extern const struct applet ipc_signal;
extern const struct applet ipc_sock;
extern const struct applet ipc_sendfd;
extern const struct applet ipc_recvfd;
extern const struct applet ipc_fdstore;
extern const struct applet ipc_door;
extern const struct applet ipc_ls;
extern const struct applet ipc_rm;
extern const struct applet ipc_bench;

const struct applet *const applets[] = {
	&ipc_lock,
	&ipc_fifo,
	&ipc_pipe,
	&ipc_mq,
	&ipc_ring,
	&ipc_spool,
	&ipc_shm,
	&ipc_sem,
	&ipc_event,
	&ipc_barrier,
	&ipc_signal,
	&ipc_sock,
	&ipc_sendfd,
	&ipc_recvfd,
	&ipc_fdstore,
	&ipc_door,
	&ipc_ls,
	&ipc_rm,
	&ipc_bench,
	NULL,
};
