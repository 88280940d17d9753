/*
 * Weights of bf16 packed into 12 bits: every element comes back bit for bit at every level, whichever level packed it,
 * and products have the bits of those that read the weight where it lies.
 */
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_packed.h"
#include "harness/expect.h"
#include "harness/rng.h"

static const int thread_counts[] = {1, 2, 3, 5};
static em__pool *pools[4];

/* What a weight is filled with. */
enum { USUAL, ZEROS, ALL_ZERO, SUBNORMALS, SPECIALS, ANYTHING, WIDE_ROWS, EXTREMES, FILLS };

static uint16_t element(rng *r, int fill, int64_t row)
{
    static const uint16_t special[] = {0x7f80, 0xff80, 0x7fc0, 0xffff, 0x7f81, 0x8000, 0x0001, 0x7f7f};
    static const uint16_t extreme[] = {0x7f7f, 0x7f00, 0xff7f, 0x7e80};
    const uint64_t bits = rng_u64(r);
    const uint16_t usual = (uint16_t)((bits & 0x80ff) | (0x3b + (bits >> 20) % 4) << 8);
    switch (fill) {
    case ZEROS: return bits >> 32 & 1 ? usual : 0;
    case ALL_ZERO: return bits & 1 ? 0x8000 : 0;
    case SUBNORMALS: return bits & 0x807f;
    case SPECIALS: return (bits >> 40) % 500 == 0 ? special[(bits >> 32) % 8] : usual;
    case ANYTHING: return (uint16_t)bits;
    case WIDE_ROWS: return row % 40 == 7 ? (uint16_t)bits : usual;
    case EXTREMES: return extreme[bits >> 30 & 3];
    default: return (bits >> 40) % 5000 == 0 ? (uint16_t)(bits & 0x87ff) : usual;
    }
}

typedef struct weight {
    int64_t n, k, row;
    uint16_t *data;
    void *packed;
    size_t bytes;
    bool fits;
} weight;

static weight weight_new(rng *r, const em__gemm_kernels *kernels, int64_t n, int64_t k, int fill)
{
    weight w = {.n = n, .k = k, .row = k + (fill == USUAL ? 8 : 0), .bytes = em__bf12_bytes(n, k)};
    assert_true(w.bytes > 0);
    w.data = malloc((size_t)(n * w.row) * sizeof *w.data);
    assert_non_null(w.data);
    for (int64_t i = 0; i < n * w.row; i++)
        w.data[i] = element(r, fill, i / w.row);
    w.packed = em__block_alloc(w.bytes);
    assert_non_null(w.packed);
    w.fits = em__bf12_pack(kernels, pools[rng_below(r, 4)], w.packed, w.data, n, k, w.row);
    return w;
}

static void weight_free(weight *w)
{
    em__block_free(w->packed, w->bytes);
    free(w->data);
}

static bool runs_here(int level)
{
    return em__gemm_kernels_level(em__gemm_kernels_get(level)) == (em__cpu_level)level;
}

/* Every element, read with the kernels of another level too; columns beyond the last are the group's first. */
static void check_elements(const em__gemm_kernels *kernels, const weight *w)
{
    const em__bf12 *packed = w->packed;
    _Alignas(64) uint16_t turned[EM__BF12_ELEMENTS];
    for (int64_t group = 0; group * 16 < w->n; group++)
        for (int64_t chunk = 0; chunk < w->k / 128; chunk++) {
            em__bf12_unpack(kernels, packed, group * packed->chunks + chunk, turned, EM__BF12_STEP);
            for (int64_t j = 0; j < 16; j++)
                for (int64_t k = 0; k < 128; k++) {
                    const int64_t column = group * 16 + (group * 16 + j < w->n ? j : 0);
                    const uint16_t want = w->data[column * w->row + chunk * 128 + k];
                    const uint16_t got = turned[k / 2 * 32 + 2 * j + k % 2];
                    if (got != want)
                        fail_msg("column %d, k %d: %04x, expected %04x", (int)column, (int)(chunk * 128 + k), got,
                                 want);
                }
        }
}

/* Rows of finite numbers against the weight, packed and as it lies. */
static void check_products(rng *r, const em__gemm_kernels *kernels, const weight *w, int64_t m)
{
    float *a = malloc((size_t)(m * w->k) * sizeof *a), *bias = malloc((size_t)w->n * sizeof *bias);
    float *c[2] = {malloc((size_t)(m * w->n) * sizeof *a), malloc((size_t)(m * w->n) * sizeof *a)};
    rng_fill(r, EM_F32, a, (size_t)(m * w->k));
    rng_fill(r, EM_F32, bias, (size_t)w->n);
    em__gemm_args args = {.m = m, .n = w->n, .k = w->k, .a = a, .lda = w->k, .ldc = w->n, .bias = bias};
    for (int packed = 0; packed < 2; packed++) {
        args.half = (em__gemm_half){w->data, EM_BF16, w->row, 1, false};
        if (packed)
            args.half = (em__gemm_half){w->packed, EM_BF16, w->k, 1, true};
        args.c = c[packed];
        EXPECT_OK(em__gemm_half_run(kernels, pools[rng_below(r, 4)], &args));
    }
    EXPECT_SAME_BITS(EM_F32, c[1], c[0], (size_t)(m * w->n));
    const size_t bytes = em__gemm_laid_bytes(kernels, m, w->k);
    if (bytes) {
        float *laid = em__block_alloc(bytes);
        assert_non_null(laid);
        em__gemm_lay(kernels, &args, laid);
        args.laid = laid;
        memset(c[1], 0, (size_t)(m * w->n) * sizeof *a);
        EXPECT_OK(em__gemm_half_run(kernels, pools[rng_below(r, 4)], &args));
        EXPECT_SAME_BITS(EM_F32, c[1], c[0], (size_t)(m * w->n));
        em__block_free(laid, bytes);
    }
    free(a), free(bias), free(c[0]), free(c[1]);
}

static const int64_t shapes[][2] = {{1, 128}, {16, 128}, {37, 256}, {70, 384}, {100, 1024}, {49, 3072}};

static void test_elements(void **state)
{
    rng r = {5};
    (void)state;
    for (int by = 0; by < EM__CPU_LEVEL_COUNT; by++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes && runs_here(by); s++)
            for (int fill = 0; fill < FILLS; fill++) {
                weight w = weight_new(&r, em__gemm_kernels_get(by), shapes[s][0], shapes[s][1], fill);
                assert_true(w.fits || fill >= SPECIALS);
                for (int level = 0; level < EM__CPU_LEVEL_COUNT && w.fits; level++)
                    if (runs_here(level))
                        check_elements(em__gemm_kernels_get(level), &w);
                weight_free(&w);
            }
}

static void test_products(void **state)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 33, 50, 64, 65};
    static const int fills[] = {USUAL, ZEROS, SUBNORMALS};
    rng r = {6};
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes && runs_here(level); s++)
            for (size_t f = 0; f < 3; f++) {
                weight w = weight_new(&r, em__gemm_kernels_get(level), shapes[s][0], shapes[s][1], fills[f]);
                assert_true(w.fits);
                for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                    check_products(&r, em__gemm_kernels_get(level), &w, rows[i]);
                weight_free(&w);
            }
}

/* Some blocks stand at the side as they are: of 13 x 100 blocks a few. */
static void test_raw_blocks(void **state)
{
    rng r = {7};
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = em__gemm_kernels_get(level);
        const int64_t n = 200, k = 12800;
        weight w = weight_new(&r, kernels, n, k, USUAL);
        for (int64_t i = 0; i < 10; i++)
            for (int64_t j = 0; j < 128; j++)
                w.data[(17 * i + 3) * w.row + 256 * i + j] = (uint16_t)(rng_u64(&r) & 0xbfff);
        assert_true(em__bf12_pack(kernels, pools[1], w.packed, w.data, n, k, w.row));
        size_t raw = 0;
        for (int64_t i = 0; i < 13 * 100; i++)
            raw += em__bf12_head_at(w.packed, i)->odd == EM__BF12_RAW;
        assert_int_equal(raw, 10);
        check_elements(kernels, &w);
        check_products(&r, kernels, &w, 1);
        check_products(&r, kernels, &w, 20);
        weight_free(&w);
    }
}

/* Too much is odd; sizes that are not packed. */
static void test_refusals(void **state)
{
    rng r = {8};
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        weight w = weight_new(&r, em__gemm_kernels_get(level), 64, 256, ANYTHING);
        assert_false(w.fits);
        weight_free(&w);
    }
    assert_int_equal(em__bf12_bytes(16, 127), 0);
    assert_int_equal(em__bf12_bytes(0, 128), 0);
    assert_int_equal(em__bf12_bytes(16, 0), 0);
    assert_int_equal(em__bf12_bytes(INT64_MAX / 2, 128), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements), cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_raw_blocks), cmocka_unit_test(test_refusals)};
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &pools[i]) != EM_OK)
            return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 4; i++)
        em__pool_free(pools[i]);
    return failed;
}
