/* ring.h: the records that --broadcast and --hub still owe to somebody: one ring of bytes, one of record
 * ends, for all clients; each client has its place in them (.pos, .rec). */
#ifndef IPC_SOCK_RING_H
#define IPC_SOCK_RING_H

#include "ipc-sock.h"

/* Make it, for two of the longest records at least. 0 or a status. */
int ring_start(struct server *s);
/* Forget what everybody has. */
void ring_trim(struct server *s);
/* Is there room for one record of LEN bytes? */
bool ring_room(const struct backlog *log, size_t len);
void ring_append(struct backlog *log, const char *data, size_t len, uint64_t from);
/* C cannot keep up: it keeps the record that it has a part of, and goes on with the next to come. 0; -1 ENOMEM. */
int ring_skip(struct client *c);
/* The next bytes that are C's and lie in one piece: *LEN of them, 0 when there are none; of packets, one, which
 * ring_packet() puts together when it wraps round the end. */
const char *ring_piece(struct client *c, size_t *len);
const char *ring_packet(struct client *c, const char *piece, size_t len);
/* C has got N bytes more. */
void ring_advance(struct client *c, size_t n);

#endif
