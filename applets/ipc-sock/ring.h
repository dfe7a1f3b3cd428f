/* ring.h: the records that --broadcast and --hub still owe to somebody: one ring of bytes, one of record
 * ends, for all clients; each client has its place in them (.pos, .rec). */
#ifndef IPC_SOCK_RING_H
#define IPC_SOCK_RING_H

#include "ipc-sock.h"

/* Make it, for two of the longest records at least. 0 or a status. */
int backlog_start(struct server *s);
/* Forget what everybody has. */
void backlog_trim(struct server *s);
/* Is there room for one record of LEN bytes? */
bool backlog_room(const struct backlog *log, size_t len);
void backlog_append(struct backlog *log, const char *data, size_t len, uint64_t from);
/* C cannot keep up: it keeps the record that it has a part of, and goes on with the next to come. 0; -1 ENOMEM. */
int backlog_skip(struct client *c);
/* The next bytes that are C's and lie in one piece: *LEN of them, 0 when there are none; of packets, one, which
 * backlog_packet() puts together when it wraps round the end. */
const char *backlog_piece(struct client *c, size_t *len);
const char *backlog_packet(struct client *c, const char *piece, size_t len);
/* C has got N bytes more. */
void backlog_advance(struct client *c, size_t n);

#endif
