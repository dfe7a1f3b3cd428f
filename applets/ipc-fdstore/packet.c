/* packet.c: how requests and answers are written and read. Nothing that comes is believed: every length is
 * checked, every string must end inside. Both ends are on one machine, so numbers are as the machine has them. */
#include "fdstore.h"

#include <string.h>

void fds_packet_start(struct packet *p, const struct head *head)
{
	struct head h = *head;
	h.magic = PACKET_MAGIC;
	h.version = PACKET_VERSION;
	p->len = 0;
	p->full = false;
	fds_packet_put(p, &h, sizeof h);
}

void fds_packet_put(struct packet *p, const void *data, size_t len)
{
	if (len > sizeof p->data - p->len) {
		p->full = true;
		return;
	}
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

void fds_packet_str(struct packet *p, const char *s)
{
	fds_packet_put(p, s, strlen(s) + 1);
}

void fds_packet_seal(struct packet *p, uint32_t count)
{
	struct head h;
	memcpy(&h, p->data, sizeof h);
	h.size = (uint32_t)p->len;
	h.count = count;
	memcpy(p->data, &h, sizeof h);
}

enum reason fds_packet_open(const char *data, size_t len, struct head *head, struct reader *read)
{
	*head = (struct head){.reason = WHY_BAD};
	if (len < sizeof *head)
		return WHY_BAD;
	memcpy(head, data, sizeof *head);
	*read = (struct reader){.at = data + sizeof *head, .end = data + len};
	if (head->magic != PACKET_MAGIC)
		return WHY_BAD;
	if (head->version != PACKET_VERSION)
		return WHY_VERSION;
	return head->size == len ? WHY_OK : WHY_BAD;
}

bool fds_read_bytes(struct reader *r, void *data, size_t len)
{
	if (len > (size_t)(r->end - r->at))
		return false;
	memcpy(data, r->at, len);
	r->at += len;
	return true;
}

const char *fds_read_str(struct reader *r)
{
	const char *s = r->at, *nul = memchr(s, '\0', (size_t)(r->end - s));
	if (nul == NULL)
		return NULL;
	r->at = nul + 1;
	return s;
}

bool fds_read_record(struct reader *r, struct record *record, const char *texts[TEXT_N])
{
	if (!fds_read_bytes(r, record, sizeof *record) || record->size < sizeof *record ||
		record->size - sizeof *record > (size_t)(r->end - r->at))
		return false;
	r->at += record->size - sizeof *record;
	for (int i = 0; i < TEXT_N; i++)
		if ((texts[i] = fds_read_str(r)) == NULL)
			return false;
	return true;
}
