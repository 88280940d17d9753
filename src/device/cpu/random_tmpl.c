/*
 * Template: threefry2x32 in vectors of LANES words, table THREEFRY. A block is a chain of 60 dependent operations,
 * so SIDE vectors go side by side. The compiler's vector types serve every level.
 */
#include <string.h>

#include "device/cpu/random.h"

#define SIDE 4

typedef uint32_t words __attribute__((vector_size(4 * LANES)));

static inline __attribute__((always_inline)) void rounds(words *x, words *y, const int *by)
{
    for (int r = 0; r < 4; r++) {
        for (int s = 0; s < SIDE; s++) {
            x[s] += y[s];
            y[s] = (y[s] << by[r] | y[s] >> (32 - by[r])) ^ x[s];
        }
    }
}

/* SIDE * LANES blocks. */
static inline __attribute__((always_inline)) void blocks(const uint32_t *keys, uint32_t first, uint32_t second,
                                                         uint32_t *a, uint32_t *b)
{
    static const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    words x[SIDE], y[SIDE], lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = (uint32_t)i;
    for (int s = 0; s < SIDE; s++) {
        x[s] = lane + (first + (uint32_t)(s * LANES) + keys[0]);
        y[s] = lane + (second + (uint32_t)(s * LANES) + keys[1]);
    }
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
        rounds(x, y, rotations[i % 2]);
        for (int s = 0; s < SIDE; s++) {
            x[s] += keys[(i + 1) % 3];
            y[s] += keys[(i + 2) % 3] + (uint32_t)i + 1;
        }
    }
    memcpy(a, x, sizeof x);
    memcpy(b, y, sizeof y);
}

static void run(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a, uint32_t *b)
{
    enum { STEP = SIDE * LANES };
    const uint32_t keys[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA};
    uint32_t last[2][STEP];
    int64_t i = 0;
    for (; i + STEP <= n; i += STEP)
        blocks(keys, first + (uint32_t)i, second + (uint32_t)i, a + i, b + i);
    if (i == n)
        return;
    blocks(keys, first + (uint32_t)i, second + (uint32_t)i, last[0], last[1]);
    memcpy(a + i, last[0], (size_t)(n - i) * sizeof *a);
    memcpy(b + i, last[1], (size_t)(n - i) * sizeof *b);
}

typedef uint64_t pairs __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef double doubles __attribute__((vector_size(4 * LANES)));

/* Steps of a vector, or of its first `bytes`. The last one of a loop is apart: a copy of a size that is not known
 * passes through memory by pieces. A fraction's bits with the exponent of 1 are a number in [1, 2). */
static inline __attribute__((always_inline)) void f32_step(uint32_t *at, size_t bytes)
{
    words x = {0};
    memcpy(&x, at, bytes);
    const floats y = (floats)(x >> 9 | 0x3F800000u) - 1.0f;
    memcpy(at, &y, bytes);
}

static void to_f32(uint32_t *at, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        f32_step(at + i, sizeof(words));
    if (i < n)
        f32_step(at + i, (size_t)(n - i) * sizeof *at);
}

static inline __attribute__((always_inline)) void f64_step(uint64_t *at, size_t bytes)
{
    pairs x = {0};
    memcpy(&x, at, bytes);
    const doubles y = (doubles)(x >> 12 | 0x3FF0000000000000u) - 1.0;
    memcpy(at, &y, bytes);
}

static void to_f64(uint64_t *at, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES / 2 <= n; i += LANES / 2)
        f64_step(at + i, sizeof(pairs));
    if (i < n)
        f64_step(at + i, (size_t)(n - i) * sizeof *at);
}

/* x modulo span, x below 2^32: a quotient by the reciprocal is right or one too small. */
static inline pairs remainder_of(pairs x, uint64_t span, uint64_t reciprocal)
{
    pairs r = x - (x * reciprocal >> 32) * span;
    return r - (span & (pairs)(r >= span));
}

typedef struct range {
    uint64_t span, reciprocal;
    uint32_t first, factor;
} range;

static inline __attribute__((always_inline)) void range_step(const uint32_t *upper, uint32_t *lower, size_t bytes,
                                                             const range *r)
{
    const uint64_t low = UINT32_MAX;
    pairs x = {0}, y = {0}, half[2];
    memcpy(&x, upper, bytes);
    memcpy(&y, lower, bytes);
    for (int k = 0; k < 2; k++) { /* the even words, the odd ones */
        const pairs a = remainder_of(k ? x >> 32 : x & low, r->span, r->reciprocal);
        const pairs b = remainder_of(k ? y >> 32 : y & low, r->span, r->reciprocal);
        half[k] = (remainder_of((a * r->factor + b) & low, r->span, r->reciprocal) + r->first) & low;
    }
    y = half[0] | half[1] << 32;
    memcpy(lower, &y, bytes);
}

static void to_range(const uint32_t *upper, uint32_t *lower, int64_t n, uint32_t first, uint32_t span, uint32_t factor)
{
    const range r = {span, span > 1 ? ((uint64_t)1 << 32) / span : UINT32_MAX, first, factor};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        range_step(upper + i, lower + i, sizeof(words), &r);
    if (i < n)
        range_step(upper + i, lower + i, (size_t)(n - i) * sizeof *lower, &r);
}

const em__threefry THREEFRY = {run, to_f32, to_f64, to_range};
