/* See checksum.h. Words go through eight sums side by side, since one would wait for each product. */
#include "cli/checksum.h"

#include <string.h>

enum { LANES = 8, BLOCK = LANES * 8 };

/* One to one in the sum and in the word: a single word that changed is always seen. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

static void add_block(uint64_t *lanes, const char *block)
{
    uint64_t words[LANES];
    memcpy(words, block, sizeof words);
    for (int i = 0; i < LANES; i++)
        lanes[i] = mix(lanes[i], words[i]);
}

uint64_t cli_checksum(uint64_t sum, const void *data, size_t bytes)
{
    uint64_t lanes[LANES];
    char last[BLOCK] = {0};
    size_t at = 0;
    for (uint64_t i = 0; i < LANES; i++)
        lanes[i] = mix(sum, i);
    for (; bytes - at >= BLOCK; at += BLOCK)
        add_block(lanes, (const char *)data + at);
    if (at < bytes)
        memcpy(last, (const char *)data + at, bytes - at);
    add_block(lanes, last);
    sum = mix(sum, bytes);
    for (int i = 0; i < LANES; i++)
        sum = mix(sum, lanes[i]);
    return sum;
}
