/* Pairs of chain steps at every level against the two operations one after the other, bit for bit but for NaN. */
#include <math.h>
#include <string.h>

#include "device/cpu/chain_pairs.h"
#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#define MOST 70

static float apply(em__pair_op op, float x, float y)
{
    switch (op) {
    case EM__PAIR_ADD: return x + y;
    case EM__PAIR_SUB: return x - y;
    case EM__PAIR_MUL: return x * y;
    case EM__PAIR_DIV: return x / y;
    case EM__PAIR_RSUB: return y - x;
    default: return y / x;
    }
}

static void check(em__cpu_level level, em__pair_op first, em__pair_op second, size_t n, int scalars, rng *r)
{
    float a[MOST], b[MOST], c[MOST], out[MOST + 1];
    rng_fill_edges(r, EM_F32, a, MOST);
    rng_fill_edges(r, EM_F32, b, MOST);
    rng_fill(r, EM_F32, c, MOST);
    out[n] = 42;
    (*em__pairs_get(level))[first][second](out, a, b, c, n, scalars);
    assert_true(out[n] == 42);
    for (size_t i = 0; i < n; i++) {
        volatile float inner = apply(first, a[i], b[scalars & EM__PAIR_B ? 0 : i]);
        float want = apply(second, inner, c[scalars & EM__PAIR_C ? 0 : i]);
        if (memcmp(&want, &out[i], sizeof want) != 0 && !(isnan(want) && isnan(out[i])))
            fail_msg("%s, ops %d and %d, n %zu, scalars %d: element %zu is %a, should be %a", em__cpu_level_name(level),
                     (int)first, (int)second, n, scalars, i, (double)out[i], (double)want);
    }
    (*em__pairs_get(level))[first][second](a, a, b, c, n, scalars); /* in place */
    for (size_t i = 0; i < n; i++)
        assert_true(memcmp(&a[i], &out[i], sizeof out[i]) == 0 || isnan(out[i]));
}

static void test_every_pair(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 16, 17, 33, MOST};
    rng r = {3};
    (void)state;
    levels_report();
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        for (int first = 0; first < EM__PAIR_RSUB; first++)
            for (int second = 0; second < EM__PAIR_COUNT; second++)
                for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                    check((em__cpu_level)level, (em__pair_op)first, (em__pair_op)second, sizes[i], (int)(i % 4), &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_pair)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
