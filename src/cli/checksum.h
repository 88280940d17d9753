/* A checksum of files that the command keeps for itself, at about the speed of memory: it tells of damage, not of
 * malice. */
#ifndef EMILY_CLI_CHECKSUM_H
#define EMILY_CLI_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `sum` is one of, 0 for nothing, and these bytes behind it. */
uint64_t cli_checksum(uint64_t sum, const void *data, size_t bytes);

#endif
