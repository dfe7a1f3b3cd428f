/* lib/crc32c.h: CRC-32C (Castagnoli, RFC 3720, appendix B.4): the checksum of data that a power
 * cut may damage. */
#ifndef IPC_CRC32C_H
#define IPC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of LEN bytes at P that follow those whose checksum is CRC; 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *p, size_t len);
/* The length and checksum of the file FD from its start, whatever its position is. 0, or -1 with
 * errno. */
int crc32c_file(int fd, uint64_t *len, uint32_t *crc);

#endif
