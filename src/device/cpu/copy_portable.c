/* The strided loops at level portable, for all element sizes. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include "device/cpu/copy.h"

#define BLOCK 16

/* A c64 needs no more alignment than its halves. */
typedef uint64_t __attribute__((aligned(4))) eight;

typedef struct pair {
    uint64_t half[2];
} pair;

#define T uint8_t
#define FN(name) size1_##name
#include "device/cpu/copy_tmpl.c"

#define T uint16_t
#define FN(name) size2_##name
#include "device/cpu/copy_tmpl.c"

#define T uint32_t
#define FN(name) size4_##name
#include "device/cpu/copy_tmpl.c"

#define T eight
#define FN(name) size8_##name
#include "device/cpu/copy_tmpl.c"

#define T pair
#define FN(name) size16_##name
#include "device/cpu/copy_tmpl.c"

void em__copy_fill_portable(em__copy *k)
{
    em__transpose_fn transposes[5] = {size1_transpose, size2_transpose, size4_transpose, size8_transpose,
                                      size16_transpose};
    em__line_fn lines[5] = {size1_line, size2_line, size4_line, size8_line, size16_line};
    for (int i = 0; i < 5; i++) {
        k->transpose[i] = transposes[i];
        k->line[i] = lines[i];
    }
}
