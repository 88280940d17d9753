/*
 * Strided copies against an index-by-index loop: random ranks, permutations, slices, reversals and broadcasts of every
 * element size at every level this machine runs; transposes of all small shapes; nothing written between the strides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "device/cpu/copy.h"

#define ROOM (4 << 20) /* bytes */

static em__copy tables[EM__CPU_AVX512 + 1];
static em__pool *pools[3];
static uint8_t *source, *got, *want;

static void naive(uint8_t *out, const uint8_t *in, const em__copy_layout *l, int axis)
{
    int64_t size = (int64_t)l->size;
    if (axis == l->rank) {
        memcpy(out, in, l->size);
        return;
    }
    for (int64_t i = 0; i < l->dims[axis]; i++)
        naive(out + i * l->out_strides[axis] * size, in + i * l->in_strides[axis] * size, l, axis + 1);
}

/* A layout over ROOM bytes; *out and *in become the offsets, in bytes, of the first elements. */
static em__copy_layout random_layout(rng *r, int trial, size_t *out, size_t *in)
{
    em__copy_layout l = {.rank = (int)rng_below(r, EM__COPY_RANK + 1), .size = (size_t)1 << (trial % 5)};
    int64_t most = l.rank > 4 ? 5 : l.rank > 2 ? 17 : l.rank == 2 ? 150 : 3000, strides[2] = {1, 1};
    int order[2][EM__COPY_RANK];
    for (int i = 0; i < l.rank; i++) {
        l.dims[i] = 1 + (int64_t)rng_below(r, (size_t)most);
        order[0][i] = order[1][i] = i;
    }
    for (int side = 0; side < 2; side++) {
        for (int i = l.rank - 1; i > 0 && rng_below(r, 3); i--) {
            int j = (int)rng_below(r, (size_t)i + 1), t = order[side][i];
            order[side][i] = order[side][j];
            order[side][j] = t;
        }
    }
    *out = *in = 0;
    for (int i = l.rank - 1; i >= 0; i--) {
        for (int side = 0; side < 2; side++) {
            int a = order[side][i];
            int64_t stride = strides[side];
            strides[side] = stride * l.dims[a] + (rng_below(r, 4) ? 0 : (int64_t)rng_below(r, 3));
            if (side == 1 && rng_below(r, 6) == 0) {
                stride = 0;
            } else if (rng_below(r, 6) == 0) {
                *(side ? in : out) += (size_t)(stride * (l.dims[a] - 1)) * l.size;
                stride = -stride;
            }
            (side ? l.in_strides : l.out_strides)[a] = stride;
        }
    }
    assert_true((size_t)strides[0] * l.size <= ROOM && (size_t)strides[1] * l.size <= ROOM);
    return l;
}

static void any_layout(void **state)
{
    (void)state;
    rng r = {1};
    for (int trial = 0; trial < 600; trial++) {
        size_t out, in;
        em__copy_layout l = random_layout(&r, trial, &out, &in);
        memset(got, 0x5a, ROOM);
        memset(want, 0x5a, ROOM);
        naive(want + out, source + in, &l, 0);
        int level = trial % ((int)levels_best() + 1);
        em__copy_run(&tables[level], trial % 4 ? pools[trial % 3] : NULL, got + out, source + in, &l);
        assert_memory_equal(got, want, ROOM);
    }
}

static void transposes(void **state)
{
    (void)state;
    static const int64_t sides[][2] = {{1, 1},   {7, 5},   {8, 8},     {16, 16},   {17, 16},  {16, 31},
                                       {33, 40}, {64, 65}, {200, 100}, {513, 300}, {400, 512}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides * 5; i++) {
        int64_t m = sides[i / 5][0], n = sides[i / 5][1];
        em__copy_layout l = {.rank = 2, .size = (size_t)1 << (i % 5), .dims = {m, n}, .out_strides = {n, 1}};
        l.in_strides[0] = 1;
        l.in_strides[1] = m;
        for (int level = 0; level <= (int)levels_best(); level++) {
            memset(got, 0x5a, ROOM);
            memset(want, 0x5a, ROOM);
            naive(want, source, &l, 0);
            em__copy_run(&tables[level], pools[i % 3], got, source, &l);
            assert_memory_equal(got, want, ROOM);
        }
    }
}

static void fills_and_long_lines(void **state)
{
    (void)state;
    float value = 2.5f, *out = (float *)got;
    em__copy_fill(&tables[levels_best()], pools[1], out, &value, sizeof value, 300001);
    for (size_t i = 0; i < 300001; i++)
        assert_true(out[i] == 2.5f);
    em__copy_layout l = {.rank = 1, .size = 4, .dims = {777777}, .out_strides = {1}, .in_strides = {1}};
    em__copy_run(&tables[levels_best()], pools[2], got, source, &l);
    assert_memory_equal(got, source, 777777 * 4);
    l.dims[0] = 0;
    got[0] = (uint8_t)(source[0] ^ 1);
    em__copy_run(&tables[levels_best()], NULL, got, source, &l);
    assert_true(got[0] != source[0]);
}

static int setup(void **state)
{
    (void)state;
    rng r = {9};
    source = malloc(ROOM);
    got = malloc(ROOM);
    want = malloc(ROOM);
    if (!source || !got || !want)
        return -1;
    for (size_t i = 0; i < ROOM; i++)
        source[i] = (uint8_t)rng_u64(&r);
    for (int level = 0; level <= (int)levels_best(); level++)
        em__copy_init(&tables[level], (em__cpu_level)level);
    for (int i = 0; i < 3; i++)
        EXPECT_OK(em__pool_new(i + 1, &pools[i]));
    levels_report();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        em__pool_free(pools[i]);
    free(source), free(got), free(want);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_layout),
        cmocka_unit_test(transposes),
        cmocka_unit_test(fills_and_long_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
