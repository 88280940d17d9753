/*
 * Random numbers by counter: a key, u32 [2], and a shape give the same numbers on every machine, device and run, and
 * the same as jax.random (threefry2x32, jax_threefry_partitionable off) and Nx.Random. A key is spent by one use; split
 * it for more. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
 *
 * Keys are arrays like others, so a program may take one as an input. Scopes, ownership and statuses are as in ops.h.
 */
#ifndef EMILY_RANDOM_H
#define EMILY_RANDOM_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The key of a seed: its high and its low 32 bits. */
EM_API em_array *em_random_key(em_scope *scope, uint64_t seed);

/* n keys out of one: u32 [n, 2]. em_random_split_at is one of them, i in [0, n), ready for use. */
EM_API em_array *em_random_split(em_scope *scope, em_array *key, int64_t n);
EM_API em_array *em_random_split_at(em_scope *scope, em_array *key, int64_t n, int64_t i);

/* The key with a number worked into it. */
EM_API em_array *em_random_fold_in(em_scope *scope, em_array *key, uint32_t data);

/* Uniform bits; dtype u8, u16, u32 or u64. */
EM_API em_array *em_random_bits(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims);

/* Uniform in [low, high); f16, bf16, f32, f64. */
EM_API em_array *em_random_uniform(em_scope *scope, em_array *key, double low, double high, em_dtype dtype,
                                   em_dims dims);

/* Mean 0, deviation 1. */
EM_API em_array *em_random_normal(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims);

/* Integers in [low, high), any integer dtype; `low` when high <= low. high may be one past the dtype's greatest.
 * Bounds outside the dtype are cut to it. */
EM_API em_array *em_random_randint(em_scope *scope, em_array *key, int64_t low, int64_t high, em_dtype dtype,
                                   em_dims dims);

/* pred: true with probability p, a scalar or an array that broadcasts to dims (cast to f32 unless it is a float). */
EM_API em_array *em_random_bernoulli(em_scope *scope, em_array *key, em_array *p, em_dims dims);

/* -log(-log(u)) of a uniform u. */
EM_API em_array *em_random_gumbel(em_scope *scope, em_array *key, em_dtype dtype, em_dims dims);

/* Indices (s64) along `axis` drawn with probabilities softmax(logits): `count` draws for each of the others, count
 * first: [count, logits without axis]; count 0 means one, without that axis. */
EM_API em_array *em_random_categorical(em_scope *scope, em_array *key, em_array *logits, int axis, int64_t count);

/* a's slices along `axis` in random order; 0, 1, ..., n - 1 (s64) in random order. */
EM_API em_array *em_random_permutation(em_scope *scope, em_array *key, em_array *a, int axis);
EM_API em_array *em_random_permutation_of(em_scope *scope, em_array *key, int64_t n);

/* `count` slices of a along `axis`, drawn with replacement or without (then count is at most the axis's size). */
EM_API em_array *em_random_choice(em_scope *scope, em_array *key, em_array *a, int axis, int64_t count, bool replace);

#ifdef __cplusplus
}
#endif
#endif
