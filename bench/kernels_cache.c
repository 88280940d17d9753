/*
 * Attention over a cache of keys and values, of 16 query heads, 8 key heads and 128 features. Decoding: one query
 * against many keys, in a cache with room for twice as many, over layers enough that no cache of the processor holds
 * them; the rate of reading keys and values beside that of only reading so much memory, taken in turns. Prefill: 512
 * queries at once. Use: kernels_cache [threads] [level]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/float16.h"
#include "core/str.h"
#include "device/cpu/attention.h"
#include "timing.h"

enum { HEADS = 16, KV_HEADS = 8, DIM = 128, ROUNDS = 7, SINKS = 256 };

#define BYTES ((int64_t)1 << 28) /* of all layers */
#define PIECE ((int64_t)1 << 18) /* that a thread reads at a time */

typedef struct bench {
    em__pool *pool;
    const em__attention_kernels *kernels;
    char *cache;
    float *q, *out, *scales; /* of s8: the same for all layers */
    double sink[SINKS][8];
} bench;

typedef double lanes __attribute__((vector_size(64)));

static void read_piece(void *context, int64_t piece, int worker)
{
    bench *b = context;
    const lanes *from = (const lanes *)(const void *)(b->cache + piece * PIECE);
    lanes sum[4] = {{0}};
    for (size_t i = 0; i < PIECE / sizeof *from; i += 4)
        for (int j = 0; j < 4; j++)
            sum[j] += from[i + (size_t)j];
    sum[0] += sum[1] + sum[2] + sum[3];
    memcpy(b->sink[worker % SINKS], &sum[0], sizeof sum[0]);
}

static em__attention_args args_of(const bench *b, em_dtype cache, int64_t batch, int64_t queries, int64_t room,
                                  const int32_t *length)
{
    em__attention_args args = {.batch = batch, .heads = HEADS, .kv_heads = KV_HEADS, .head_dim = DIM};
    args.value_dim = DIM;
    args.queries = queries;
    args.keys = room;
    args.dtype = EM_F32;
    args.cache = cache;
    args.q = (em__attention_operand){b->q, HEADS * queries * DIM, queries * DIM, DIM};
    args.k = (em__attention_operand){b->cache, KV_HEADS * room * DIM, room * DIM, DIM};
    args.v = args.k;
    if (cache == EM_S8)
        args.k_scales = args.v_scales = (em__attention_scales){b->scales, KV_HEADS * room, room};
    args.out = b->out;
    args.out_batch = HEADS * queries * DIM;
    args.out_head = queries * DIM;
    args.out_token = DIM;
    args.scale = 1 / sqrtf(DIM);
    args.causal = true;
    args.lengths = length;
    return args;
}

/* Small numbers, in f32 too such as halves hold; codes of any bits. */
static void fill(bench *b, em_dtype dtype)
{
    for (int64_t i = 0; i < BYTES / (int64_t)em_dtype_size(dtype) && dtype != EM_S8; i++) {
        float x = (float)(i * 7919 % 1009) / 504 - 1;
        uint16_t half = dtype == EM_F16 ? em__f32_to_f16(x) : em__f32_to_bf16(x);
        if (dtype == EM_F32)
            ((float *)(void *)b->cache)[i] = x;
        else
            ((uint16_t *)(void *)b->cache)[i] = half;
    }
}

/* One layer's worth of microseconds, best of all rounds; and the gigabytes a second of reading alone. */
static void decode(bench *b, em_dtype dtype, int64_t batch, int32_t context)
{
    const int64_t room = 2 * context, element = (int64_t)em_dtype_size(dtype);
    const int64_t plane = batch * KV_HEADS * room * DIM * element,
                  layers = BYTES / (2 * plane) < 64 ? BYTES / (2 * plane) : 64;
    em__attention_args args = args_of(b, dtype, batch, 1, room, &context);
    float *scratch = em__block_alloc(em__attention_decode_scratch(&args));
    double best = 1e9, read = 1e9;
    for (int round = 0; round < ROUNDS && scratch; round++) {
        double start = now();
        for (int64_t l = 0; l < layers; l++) {
            args.k.data = b->cache + 2 * l * plane;
            args.v.data = b->cache + (2 * l + 1) * plane;
            if (em__attention_decode(b->kernels, b->pool, &args, scratch) != EM_OK)
                return;
        }
        double middle = now();
        em__pool_run(b->pool, read_piece, b, BYTES / 2 / PIECE);
        read = fmin(read, now() - middle);
        best = fmin(best, (middle - start) / (double)layers);
    }
    double gbs = (double)(plane + (dtype == EM_S8 ? plane / DIM * 4 : 0)) / best * 1e-9,
           limit = (double)(BYTES / 2) / read * 1e-9;
    printf("decode  %-4s batch %ld, context %5d: %8.1f us a layer, %5.1f GB/s, %3.0f %% of %.1f\n",
           em_dtype_name(dtype), (long)batch, (int)context, best * 1e6, gbs, 100 * gbs / limit, limit);
    em__block_free(scratch, em__attention_decode_scratch(&args));
}

static double prefill(bench *b, em_dtype dtype, int32_t length)
{
    em__attention_args args = args_of(b, dtype, 1, 512, 2048, &length);
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        if (em__attention_f32(b->kernels, b->pool, &args) != EM_OK)
            return 0;
        best = fmin(best, now() - start);
    }
    return best;
}

int main(int argc, char **argv)
{
    static bench b;
    em__cpu_level level = em__cpu_get()->level;
    for (int i = 0; argc > 2 && i < EM__CPU_LEVEL_COUNT; i++)
        if (strcmp(argv[2], em__cpu_level_name(i)) == 0)
            level = i;
    long long threads = 0;
    if ((argc > 1 && !em__parse_i64(argv[1], &threads)) || em__pool_new((int)threads, &b.pool) != EM_OK)
        return 2;
    b.kernels = em__attention_kernels_get(level);
    b.cache = em__block_alloc((size_t)BYTES);
    b.q = em__block_alloc((size_t)1 << 23);
    b.out = em__block_alloc((size_t)1 << 23);
    b.scales = em__block_alloc((size_t)1 << 21);
    if (!b.cache || !b.q || !b.out || !b.scales)
        return 2;
    for (int i = 0; i < 1 << 19; i++)
        b.scales[i] = 0.01f;
    for (int i = 0; i < 1 << 21; i++)
        b.q[i] = (float)(i % 17) / 17;
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_F16, EM_S8};
    double wide[2] = {0};
    for (int d = 0; d < 4; d++) {
        fill(&b, dtypes[d]);
        for (int32_t context = 64; context <= 4096; context *= context == 64 ? 16 : 4)
            decode(&b, dtypes[d], 1, context);
        decode(&b, dtypes[d], 8, 512);
        for (int32_t i = 0; i < 2; i++) {
            double took = prefill(&b, dtypes[d], i ? 2048 : 512);
            wide[i] = d ? wide[i] : took;
            printf("prefill %-4s 512 of %4d keys: %8.1f us, %.2f of f32's\n", em_dtype_name(dtypes[d]), i ? 2048 : 512,
                   took * 1e6, took / wide[i]);
        }
    }
    em__pool_free(b.pool);
    return 0;
}
