/*
 * The rotary kernels of one level. Included by rotary_portable.c and x86/rotary_{avx2,avx512}.c after the level's
 * vecmath header, with FILL the name of the function that puts them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <math.h>

#include "device/cpu/rotary.h"

#define BLOCK 512 /* features at a time that go through the stack; a multiple of every vector */

static void part(float *restrict even, float *restrict odd, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        even[i] = x[2 * i];
        odd[i] = x[2 * i + 1];
    }
}

/* n <= BLOCK / 2 pairs. In separate streams: GCC makes a loop over pairs fused multiply-adds, whatever it is told. */
static void turn_pairs(float *out, const float *x, const float *c, const float *s, int64_t n, bool full)
{
    float a[BLOCK / 2], b[BLOCK / 2], tables[4][BLOCK / 2];
    const float *c1 = c, *s1 = s, *c2 = c, *s2 = s;
    part(a, b, x, n);
    if (full) {
        part(tables[0], tables[1], c, n);
        part(tables[2], tables[3], s, n);
        c1 = tables[0], c2 = tables[1], s1 = tables[2], s2 = tables[3];
    }
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf p = vf_load_n(a + i, count), q = vf_load_n(b + i, count);
        vf first = vf_sub(vf_mul(p, vf_load_n(c1 + i, count)), vf_mul(q, vf_load_n(s1 + i, count)));
        vf second = vf_add(vf_mul(q, vf_load_n(c2 + i, count)), vf_mul(p, vf_load_n(s2 + i, count)));
        vf_store_n(a + i, first, count);
        vf_store_n(b + i, second, count);
    }
    for (int64_t i = 0; i < n; i++) {
        out[2 * i] = a[i];
        out[2 * i + 1] = b[i];
    }
}

/* x - k * y, k and the product in double: 2 pi in two pieces, so that a position of millions keeps its angle. */
static void angles(float *cosine, float *sine, const double *turn, double position, int64_t n)
{
    const double shift = 0x1.8p52; /* adding it rounds to the nearest integer */
    for (int64_t i = 0; i < n; i++) {
        double angle = position * turn[i], k = angle * 0.15915494309189535;
        k = fabs(k) < 1e15 ? (k + shift) - shift : 0;
        cosine[i] = (float)((angle - k * 0x1.921fb54p+2) - k * 0x1.10b4611a62633p-28);
    }
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf x = vf_load_n(cosine + i, count);
        vf_store_n(sine + i, vf_sin(x), count);
        vf_store_n(cosine + i, vf_cos(x), count);
    }
}

#define E float
#define FN(name) f32_##name
#define LOAD(p) vf_load(p)
#define LOAD_N(p, n) vf_load_n(p, n)
#define STORE(p, x) vf_store(p, x)
#define STORE_N(p, x, n) vf_store_n(p, x, n)
#define DTYPE EM_F32
#include "device/cpu/rotary_tmpl.c"

#define E uint16_t
#define FN(name) f16_##name
#define LOAD(p) vf_load_f16(p)
#define LOAD_N(p, n) vf_load_f16_n(p, n)
#define STORE(p, x) vf_store_f16(p, x)
#define STORE_N(p, x, n) vf_store_f16_n(p, x, n)
#define DTYPE EM_F16
#include "device/cpu/rotary_tmpl.c"

#define E uint16_t
#define FN(name) bf16_##name
#define LOAD(p) vf_load_bf16(p)
#define LOAD_N(p, n) vf_load_bf16_n(p, n)
#define STORE(p, x) vf_store_bf16(p, x)
#define STORE_N(p, x, n) vf_store_bf16_n(p, x, n)
#define DTYPE EM_BF16
#include "device/cpu/rotary_tmpl.c"

void FILL(em__rotary *k)
{
    f32_fill(k);
    f16_fill(k);
    bf16_fill(k);
    k->angles = angles;
}
