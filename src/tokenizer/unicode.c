/* Unfolding of the Unicode tables; decomposition and composition by way of utf8proc, held to what Unicode 9 knew. */
#include "tokenizer/unicode.h"

#include <pthread.h>
#include <utf8proc.h>

uint16_t em__uc_block_of[0x110000 / EM_UC_BLOCK];
uint16_t em__uc_blocks[EM_UC_BLOCKS][EM_UC_BLOCK];

static uint16_t find_block(size_t used, const uint16_t *block)
{
    for (size_t i = used; i-- > 0;) {
        size_t k = 0;
        while (k < EM_UC_BLOCK && em__uc_blocks[i][k] == block[k])
            k++;
        if (k == EM_UC_BLOCK)
            return (uint16_t)i;
    }
    return UINT16_MAX;
}

/* unicode_tables.py refuses to write tables of more than EM_UC_BLOCKS different blocks. */
static void unfold(void)
{
    size_t run = 0, used = 0;
    int was_uniform = 0;
    uint16_t last_flags = 0;
    uint16_t block[EM_UC_BLOCK];
    for (size_t b = 0; b < 0x110000 / EM_UC_BLOCK; b++) {
        uint32_t first = (uint32_t)(b * EM_UC_BLOCK);
        int uniform = run + 1 >= em__uc_run_count || em__uc_runs[run + 1].start >= first + EM_UC_BLOCK;
        if (uniform && was_uniform && last_flags == em__uc_runs[run].flags) {
            em__uc_block_of[b] = em__uc_block_of[b - 1];
            continue;
        }
        for (uint32_t k = 0; k < EM_UC_BLOCK; k++) {
            while (run + 1 < em__uc_run_count && em__uc_runs[run + 1].start <= first + k)
                run++;
            block[k] = em__uc_runs[run].flags;
        }
        uint16_t same = find_block(used, block);
        if (same == UINT16_MAX) {
            same = (uint16_t)used++;
            for (size_t k = 0; k < EM_UC_BLOCK; k++)
                em__uc_blocks[same][k] = block[k];
        }
        em__uc_block_of[b] = same;
        was_uniform = uniform;
        last_flags = em__uc_runs[run].flags;
    }
}

void em__uc_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, unfold);
}

uint32_t em__uc_lower(uint32_t c)
{
    size_t low = 0, high = em__uc_lower_run_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const em__uc_lower_run *run = &em__uc_lower_runs[middle];
        if (c < run->first)
            high = middle;
        else if (c > run->last)
            low = middle + 1;
        else
            return (c - run->first) % run->step == 0 ? c + (uint32_t)run->delta : c;
    }
    return c;
}

int em__uc_decompose(uint32_t c, int compatible, uint32_t *out)
{
    utf8proc_int32_t parts[32];
    int boundary = 0;
    utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    utf8proc_ssize_t count = 0;
    if (em__uc_flags(c) & (compatible ? EM_UC_NFKD : EM_UC_NFD))
        count = utf8proc_decompose_char((utf8proc_int32_t)c, parts, 32, options, &boundary);
    if (count < 1 || count > 32) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (int)count;
}

int em__uc_class(uint32_t c)
{
    unsigned flags = em__uc_flags(c);
    if (!(flags & EM_UC_NFD) || (flags & EM_UC_LATE))
        return 0;
    return utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

uint32_t em__uc_compose(uint32_t a, uint32_t b)
{
    if (!(em__uc_flags(b) & EM_UC_NFC) || b < 0x80)
        return 0;
    utf8proc_int32_t pair[4] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    utf8proc_ssize_t count = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (count != 1 || (em__uc_flags((uint32_t)pair[0]) & EM_UC_LATE))
        return 0;
    return (uint32_t)pair[0];
}
