/*
 * All row kernels of one level. Included by rows_portable.c and x86/rows_{avx2,avx512}.c after the level's vecmath
 * header, with FILL the name of the function that puts them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <math.h>

#include "device/cpu/rows.h"
#include "device/cpu/vecmath_tree.h"

static inline vf vf_first_of(vf h, vf shift)
{
    (void)shift;
    return h;
}

static inline vf vf_centred_square(vf h, vf shift)
{
    vf d = vf_sub(h, shift);
    return vf_mul(d, d);
}

/* exp(x - largest): the difference is never positive, so only the low end needs a bound. */
static inline vf vf_exp_term(vf x, vf largest)
{
    return vf_exp_bounded(vf_max(vf_set1(-104.0f), vf_sub(x, largest)));
}

static inline vf vf_nan_or_0(vf x, vf unused)
{
    (void)unused;
    return vf_select(vf_is_nan(x), x, vf_set1(0.0f));
}

static inline vf vf_exp_scale(vf x, vf largest, vf scale)
{
    return vf_mul(vf_exp_term(x, largest), scale);
}

static inline vf vf_scale_row(vf x, vf scale, vf unused)
{
    (void)unused;
    return vf_mul(x, scale);
}

static inline vf vf_sub_both(vf x, vf a, vf b)
{
    return vf_sub(vf_sub(x, a), b);
}

#define E float
#define FN(name) f32_##name
#define LOAD(p) vf_load(p)
#define LOAD_N(p, n) vf_load_n(p, n)
#define STORE(p, x) vf_store(p, x)
#define STORE_N(p, x, n) vf_store_n(p, x, n)
#define DTYPE EM_F32
#define EXACT 1
#include "device/cpu/rows_vf_tmpl.c"

#define E uint16_t
#define FN(name) f16_##name
#define LOAD(p) vf_load_f16(p)
#define LOAD_N(p, n) vf_load_f16_n(p, n)
#define STORE(p, x) vf_store_f16(p, x)
#define STORE_N(p, x, n) vf_store_f16_n(p, x, n)
#define DTYPE EM_F16
#define EXACT 0
#include "device/cpu/rows_vf_tmpl.c"

#define E uint16_t
#define FN(name) bf16_##name
#define LOAD(p) vf_load_bf16(p)
#define LOAD_N(p, n) vf_load_bf16_n(p, n)
#define STORE(p, x) vf_store_bf16(p, x)
#define STORE_N(p, x, n) vf_store_bf16_n(p, x, n)
#define DTYPE EM_BF16
#define EXACT 0
#include "device/cpu/rows_vf_tmpl.c"

void FILL(em__rows *k)
{
    f32_fill(k);
    f16_fill(k);
    bf16_fill(k);
}
