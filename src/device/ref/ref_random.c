/*
 * Random bits: threefry2x32 over counters, laid out as jax.random does without jax_threefry_partitionable. The first
 * half of the counters makes the first words of the blocks, the second half (filled up by a 0 if their number is odd)
 * the second ones; results stand where their counters stood. Narrow results are parts of 32-bit ones, low bits first;
 * 64-bit ones have their upper words in the first half. A float is made of the leading bits, as a fraction below 1.
 */
#include <math.h>

#include "device/ref/ref.h"

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

/* 20 rounds on the block (x[0], x[1]). */
static void threefry(uint32_t k0, uint32_t k1, uint32_t *x)
{
    static const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    const uint32_t keys[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDA};
    x[0] += keys[0];
    x[1] += keys[1];
    for (int i = 0; i < 5; i++) {
        for (int r = 0; r < 4; r++) {
            x[0] += x[1];
            x[1] = rotate(x[1], rotations[i % 2 * 4 + r]) ^ x[0];
        }
        x[0] += keys[(i + 1) % 3];
        x[1] += keys[(i + 2) % 3] + (uint32_t)i + 1;
    }
}

/* Word `at` of `count` words in all. */
static uint32_t word(const em__call *call, int64_t at, int64_t count)
{
    const em__tensor *key = &call->in[0];
    const uint32_t *k = key->data;
    int64_t half = (count + 1) / 2, first = at < half ? at : at - half;
    uint32_t x[2] = {(uint32_t)first, first + half < count ? (uint32_t)(first + half) : 0};
    if (call->n_in == 2) {
        em__walk walk = {.spec = &call->in[1].spec};
        for (int64_t i = 0; i < count; i++, em__walk_next(&walk)) {
            uint32_t counter = ((const uint32_t *)call->in[1].data)[em__walk_offset(&walk, &call->in[1])];
            if (i == first)
                x[0] = counter;
            if (i == first + half)
                x[1] = counter;
        }
    }
    threefry(k[0], k[key->strides[0]], x);
    return at < half ? x[0] : x[1];
}

em_status em__ref_threefry(em_device *device, const em__call *call)
{
    (void)device;
    em_dtype dtype = call->out.spec.dtype;
    int bits = 8 * (int)em_dtype_size(dtype);
    int64_t size = em__spec_size(&call->out.spec), per_word = bits < 32 ? 32 / bits : 1;
    int64_t count = bits == 64 ? 2 * size : (size + per_word - 1) / per_word;
    for (int64_t i = 0; i < size; i++) {
        uint64_t value = word(call, i / per_word, count) >> (bits < 32 ? i % per_word * bits : 0);
        if (bits == 64)
            value = value << 32 | word(call, size + i, count);
        double fraction = bits == 64 ? ldexp((double)(value >> 12), -52) : ldexp((double)(value >> 9), -23);
        em__ref_store(dtype, call->out.data, i, (em__value){.u = value, .f = fraction});
    }
    return EM_OK;
}

/*
 * Two words from two keys, upper and lower, make 64 bits; what is left of them by division by the span is the number's
 * distance from the first. As jax.random takes it, modulo 2^32 between the steps.
 */
em_status em__ref_randint(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *keys = &call->in[0];
    const uint32_t *k = keys->data;
    uint32_t first = (uint32_t)call->ints[1], span = (uint32_t)call->ints[2];
    uint32_t root = span ? 65536 % span : 0, factor = span ? root * root % span : 0;
    int64_t size = em__spec_size(&call->out.spec), half = (size + 1) / 2;
    for (int64_t i = 0; i < size; i++) {
        uint32_t words[2], at = (uint32_t)(i < half ? i : i - half);
        for (int key = 0; key < 2; key++) {
            const uint32_t *own = k + key * keys->strides[0];
            uint32_t x[2] = {at, at + half < size ? at + (uint32_t)half : 0};
            threefry(own[0], own[keys->strides[1]], x);
            words[key] = i < half ? x[0] : x[1];
        }
        uint32_t offset = span ? (words[0] % span * factor + words[1] % span) % span : words[1];
        ((uint32_t *)call->out.data)[i] = first + offset;
    }
    return EM_OK;
}
