/* Rotary kernels at every level this machine runs: against loops in double, and the same bits at every level. */
#include <math.h>
#include <string.h>

#include "core/float16.h"
#include "device/cpu/rotary.h"
#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#define MOST 700

static const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16};

typedef struct rows {
    uint8_t x[MOST * 4], out[MOST * 4];
    float c[MOST], s[MOST];
} rows;

/* How far one rounding to the dtype may be off, as a part of the value. */
static double unit(em_dtype dtype)
{
    return dtype == EM_F32 ? 0x1p-22 : dtype == EM_F16 ? 0x1p-10 : 0x1p-7;
}

static void fill(rows *r, em_dtype dtype, rng *random)
{
    float x[MOST];
    for (int i = 0; i < MOST; i++) {
        x[i] = 4 * (float)rng_unit(random) - 2;
        r->c[i] = cosf(9 * x[i]);
        r->s[i] = sinf(9 * x[i]);
        uint16_t half = dtype == EM_F16 ? em__f32_to_f16(x[i]) : em__f32_to_bf16(x[i]);
        if (dtype == EM_F32)
            memcpy(r->x + 4 * i, &x[i], 4);
        else
            memcpy(r->x + 2 * i, &half, 2);
    }
}

static void check(const rows *r, em_dtype dtype, int64_t half, bool full, bool pairs)
{
    for (int64_t i = 0; i < half; i++) {
        int64_t at[2] = {pairs ? 2 * i : i, pairs ? 2 * i + 1 : half + i};
        double a = expect_element(dtype, r->x, (size_t)at[0]), b = expect_element(dtype, r->x, (size_t)at[1]);
        for (int k = 0; k < 2; k++) {
            int64_t table = full ? at[k] : i;
            double c = (double)r->c[table], s = (double)r->s[table], want = k ? b * c + a * s : a * c - b * s;
            double got = expect_element(dtype, r->out, (size_t)at[k]);
            double slack = 0x1p-22 * (fabs(a) + fabs(b)) + unit(dtype) * fabs(want);
            if (!(fabs(got - want) <= slack))
                fail_msg("%s half %d: feature %d is %g, expected %g", em_dtype_name(dtype), (int)half, (int)at[k], got,
                         want);
        }
    }
}

static void test_turns(void **state)
{
    (void)state;
    static rows r, first;
    rng random = {3};
    for (size_t d = 0; d < 3; d++)
        for (int64_t half = 1; half <= MOST / 2; half += half < 40 ? 1 : 61)
            for (int form = 0; form < 4; form++) {
                bool full = form & 1, pairs = form & 2;
                fill(&r, dtypes[d], &random);
                for (int level = 0; level <= (int)levels_best(); level++) {
                    em__rotary k;
                    em__rotary_init(&k, (em__cpu_level)level);
                    (pairs ? k.pairs : k.halves)[dtypes[d]](r.out, r.x, r.c, r.s, half, full);
                    check(&r, dtypes[d], half, full, pairs);
                    if (level == 0)
                        first = r;
                    if (memcmp(r.out, first.out, (size_t)(2 * half) * em_dtype_size(dtypes[d])))
                        fail_msg("%s half %d form %d: level %d differs", em_dtype_name(dtypes[d]), (int)half, form,
                                 level);
                }
            }
}

/* Angles of positions up to millions keep 2e-7 or what the f64 product loses. */
static void test_angles(void **state)
{
    (void)state;
    enum { N = 37 };
    double turn[N];
    float c[N], s[N];
    for (int i = 0; i < N; i++)
        turn[i] = pow(10000, -(double)i / N);
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__rotary k;
        em__rotary_init(&k, (em__cpu_level)level);
        for (double position = -5; position < 3e7; position = 3 * fabs(position) + 1.25) {
            k.angles(c, s, turn, position, N);
            for (int i = 0; i < N; i++) {
                double slack = 3.2e-7 + 4e-16 * fabs(position);
                assert_true(fabs((double)c[i] - cos(position * turn[i])) <= slack);
                assert_true(fabs((double)s[i] - sin(position * turn[i])) <= slack);
            }
        }
    }
    levels_report();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns), cmocka_unit_test(test_angles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
