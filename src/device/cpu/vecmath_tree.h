/*
 * Reductions in a fixed order: 64 running lanes, element i in lane i % 64, folded at the end by halves (lane i meets
 * lane i + 32, then + 16, and so on). The order is the same at every level and for every thread count, so AVX2 and
 * AVX-512 give the same bits; 64 short sums also lose less than one long one.
 *
 * Include one of vecmath_{portable,avx2,avx512}.h first.
 */
#ifndef EM_DEVICE_CPU_VECMATH_TREE_H
#define EM_DEVICE_CPU_VECMATH_TREE_H

#define VF_TREE_LANES 64
#define VF_TREE (VF_TREE_LANES / VF_LANES) /* vectors */

#if defined(__GNUC__) && !defined(__clang__)
#define VF_TREE_UNROLL _Pragma("GCC unroll 8")
#else
#define VF_TREE_UNROLL
#endif

static inline __attribute__((always_inline)) float vf_tree_add(vf acc[VF_TREE])
{
    for (int width = VF_TREE / 2; width > 0; width /= 2)
        VF_TREE_UNROLL
    for (int i = 0; i < width; i++)
        acc[i] = vf_add(acc[i], acc[i + width]);
    return vf_fold_add(acc[0]);
}

static inline __attribute__((always_inline)) float vf_tree_max(vf acc[VF_TREE])
{
    for (int width = VF_TREE / 2; width > 0; width /= 2)
        VF_TREE_UNROLL
    for (int i = 0; i < width; i++)
        acc[i] = vf_max(acc[i], acc[i + width]);
    return vf_fold_max(acc[0]);
}

#endif
