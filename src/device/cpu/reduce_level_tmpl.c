/*
 * All reduction kernels of one level. Included by reduce_portable.c and x86/reduce_{avx2,avx512}.c after the level's
 * vecmath header, with FILL the name of the function that puts them into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <math.h>
#include <string.h>

#include "core/float16.h"
#include "device/cpu/reduce.h"
#include "device/cpu/vecmath_tree.h"

#define SUM_BLOCK 4096
#define COLUMN_BLOCKS 64

/* NaN wins and stays. */
static inline vf vf_larger(vf a, vf b)
{
    return vf_select(vf_is_nan(a), a, vf_max(a, b));
}

static inline vf vf_smaller(vf a, vf b)
{
    return vf_select(vf_is_nan(a), a, vf_min(a, b));
}

/* The largest lane; NaN if there is one. */
static inline __attribute__((always_inline)) float fold_larger(vf acc[VF_TREE])
{
    for (int width = VF_TREE / 2; width > 0; width /= 2)
        VF_TREE_UNROLL
    for (int i = 0; i < width; i++)
        acc[i] = vf_larger(acc[i], acc[i + width]);
    return vm_any(vf_is_nan(acc[0])) ? (float)NAN : vf_fold_max(acc[0]);
}

/* vf_tree_add's order for any operation. */
static inline __attribute__((always_inline)) float fold_lanes(vf acc[VF_TREE], vf (*f)(vf, vf))
{
    for (int width = VF_TREE / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            acc[i] = f(acc[i], acc[i + width]);
    float lanes[2 * VF_LANES];
    vf_store(lanes + VF_LANES, acc[0]);
    for (int width = VF_LANES / 2; width > 0; width /= 2) {
        vf_store(lanes, acc[0]);
        acc[0] = f(acc[0], vf_load(lanes + width));
    }
    vf_store(lanes, acc[0]);
    return lanes[0];
}

#define E float
#define FN(name) f32_##name
#define DTYPE EM_F32
#define LOAD(p) vf_load(p)
#define LOAD_N(p, n) vf_load_n(p, n)
#define ONE(p) (*(p))
#include "device/cpu/reduce_vf_tmpl.c"

#define E uint16_t
#define FN(name) f16_##name
#define DTYPE EM_F16
#define LOAD(p) vf_load_f16(p)
#define LOAD_N(p, n) vf_load_f16_n(p, n)
#define ONE(p) em__f16_to_f32(*(p))
#include "device/cpu/reduce_vf_tmpl.c"

#define E uint16_t
#define FN(name) bf16_##name
#define DTYPE EM_BF16
#define LOAD(p) vf_load_bf16(p)
#define LOAD_N(p, n) vf_load_bf16_n(p, n)
#define ONE(p) em__bf16_to_f32(*(p))
#include "device/cpu/reduce_vf_tmpl.c"

#define T double
#define FN(name) f64_##name
#define DTYPE EM_F64
#define ADD(a, b) ((a) + (b))
#define MUL(a, b) ((a) * (b))
#define LOWEST (-(double)INFINITY)
#define HIGHEST ((double)INFINITY)
#define NAN_HERE(x) ((x) != (x))
#include "device/cpu/reduce_scalar_tmpl.c"

#define T uint8_t
#define FN(name) u8_##name
#define DTYPE EM_U8
#define ADD(a, b) ((uint8_t)(uint8_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((uint8_t)(uint8_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST 0
#define HIGHEST UINT8_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T uint16_t
#define FN(name) u16_##name
#define DTYPE EM_U16
#define ADD(a, b) ((uint16_t)(uint16_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((uint16_t)(uint16_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST 0
#define HIGHEST UINT16_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T uint32_t
#define FN(name) u32_##name
#define DTYPE EM_U32
#define ADD(a, b) ((uint32_t)(uint32_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((uint32_t)(uint32_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST 0
#define HIGHEST UINT32_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T uint64_t
#define FN(name) u64_##name
#define DTYPE EM_U64
#define ADD(a, b) ((uint64_t)(uint64_t)((uint64_t)(a) + (uint64_t)(b)))
#define MUL(a, b) ((uint64_t)(uint64_t)((uint64_t)(a) * (uint64_t)(b)))
#define LOWEST 0
#define HIGHEST UINT64_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T int8_t
#define FN(name) s8_##name
#define DTYPE EM_S8
#define ADD(a, b) ((int8_t)(uint8_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((int8_t)(uint8_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST INT8_MIN
#define HIGHEST INT8_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T int16_t
#define FN(name) s16_##name
#define DTYPE EM_S16
#define ADD(a, b) ((int16_t)(uint16_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((int16_t)(uint16_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST INT16_MIN
#define HIGHEST INT16_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T int32_t
#define FN(name) s32_##name
#define DTYPE EM_S32
#define ADD(a, b) ((int32_t)(uint32_t)((uint32_t)(a) + (uint32_t)(b)))
#define MUL(a, b) ((int32_t)(uint32_t)((uint32_t)(a) * (uint32_t)(b)))
#define LOWEST INT32_MIN
#define HIGHEST INT32_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T int64_t
#define FN(name) s64_##name
#define DTYPE EM_S64
#define ADD(a, b) ((int64_t)(uint64_t)((uint64_t)(a) + (uint64_t)(b)))
#define MUL(a, b) ((int64_t)(uint64_t)((uint64_t)(a) * (uint64_t)(b)))
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#define NAN_HERE(x) 0
#include "device/cpu/reduce_scalar_tmpl.c"

#define T uint8_t
#define MASK 0xffu
#define FN(name) byte_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint16_t
#define MASK 0xffffu
#define FN(name) word_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint16_t
#define MASK 0x7fffu
#define FN(name) half_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint32_t
#define MASK 0xffffffffu
#define FN(name) long_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint32_t
#define MASK 0x7fffffffu
#define FN(name) single_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint64_t
#define MASK UINT64_MAX
#define FN(name) quad_##name
#include "device/cpu/reduce_truth_tmpl.c"

#define T uint64_t
#define MASK (UINT64_MAX >> 1)
#define FN(name) double_##name
#include "device/cpu/reduce_truth_tmpl.c"

void FILL(em__reduce *k)
{
    f32_fill(k);
    f16_fill(k);
    bf16_fill(k);
    f64_fill(k);
    u8_fill(k);
    u16_fill(k);
    u32_fill(k);
    u64_fill(k);
    s8_fill(k);
    s16_fill(k);
    s32_fill(k);
    s64_fill(k);
    byte_fill(k, EM_PRED);
    byte_fill(k, EM_U8);
    byte_fill(k, EM_S8);
    word_fill(k, EM_U16);
    word_fill(k, EM_S16);
    half_fill(k, EM_F16);
    half_fill(k, EM_BF16);
    long_fill(k, EM_U32);
    long_fill(k, EM_S32);
    single_fill(k, EM_F32);
    quad_fill(k, EM_U64);
    quad_fill(k, EM_S64);
    double_fill(k, EM_F64);
    /* pred: the largest is any, the least is all, the index of the first true or false. */
    k->row[EM__REDUCE_MAX][EM_PRED] = k->row[EM__REDUCE_MAX][EM_U8];
    k->row[EM__REDUCE_MIN][EM_PRED] = k->row[EM__REDUCE_MIN][EM_U8];
    k->column[EM__REDUCE_MAX][EM_PRED] = k->column[EM__REDUCE_MAX][EM_U8];
    k->column[EM__REDUCE_MIN][EM_PRED] = k->column[EM__REDUCE_MIN][EM_U8];
    k->arg[EM__ARG_MAX][EM_PRED] = k->arg[EM__ARG_MAX][EM_U8];
    k->arg[EM__ARG_MIN][EM_PRED] = k->arg[EM__ARG_MIN][EM_U8];
}
