/*
 * Attention at the shapes of an encoder: time and GFLOP/s, counting the two products only (4 L L D a head), beside the
 * rate of the products' own tile when its operands are in the first cache. Use: kernels_attention [threads] [level]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/block.h"
#include "core/str.h"
#include "device/cpu/attention.h"

/* One thread is timed by the processor time that it got: other work on the machine then disturbs less. */
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench(const em__attention_kernels *kernels, em__pool *pool, int64_t batch, int64_t length, int heads,
                  int dim)
{
    const int64_t hidden = (int64_t)heads * dim, tokens = batch * length;
    const size_t bytes = (size_t)(tokens * hidden * 4) * sizeof(float);
    float *qkv = em__block_alloc(bytes);
    if (!qkv)
        return;
    for (int64_t i = 0; i < tokens * hidden * 4; i++)
        qkv[i] = (float)(i * 7919 % 1000) / 500 - 1;
    em__attention_args args = {.batch = batch, .heads = heads, .kv_heads = heads, .head_dim = dim, .value_dim = dim};
    args.dtype = args.cache = EM_F32;
    args.queries = args.keys = length;
    args.q = (em__attention_operand){qkv, length * hidden * 3, dim, hidden * 3};
    args.k = args.v = args.q;
    args.k.data = qkv + hidden;
    args.v.data = qkv + 2 * hidden;
    args.out = qkv + tokens * hidden * 3;
    args.out_batch = length * hidden;
    args.out_head = dim;
    args.out_token = hidden;
    args.scale = 1 / sqrtf((float)dim);
    double best = 1e9;
    for (int round = 0; round < 10; round++) {
        int runs = 0;
        double start = now(), spent;
        do {
            if (em__attention_f32(kernels, pool, &args) != EM_OK)
                return;
            runs++;
            spent = now() - start;
        } while (spent < 0.02);
        best = spent / runs < best ? spent / runs : best;
    }
    double flops = 4.0 * (double)batch * heads * (double)length * (double)length * dim;
    printf("%3ld x %4ld, %d heads of %3d: %9.1f us %7.1f GFLOP/s\n", (long)batch, (long)length, heads, dim, best * 1e6,
           flops / best * 1e-9);
    em__block_free(qkv, bytes);
}

int main(int argc, char **argv)
{
    em__pool *pool;
    em__cpu_level level = em__cpu_get()->level;
    for (int i = 0; argc > 2 && i < EM__CPU_LEVEL_COUNT; i++)
        if (strcmp(argv[2], em__cpu_level_name(i)) == 0)
            level = i;
    long long threads = 0;
    if ((argc > 1 && !em__parse_i64(argv[1], &threads)) || em__pool_new((int)threads, &pool) != EM_OK)
        return 2;
    bench_clock = em__pool_size(pool) == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const em__attention_kernels *kernels = em__attention_kernels_get(level);
    static const int64_t shapes[][4] = {{1, 16, 12, 32},   {1, 32, 12, 32},   {10, 32, 12, 32}, {10, 41, 12, 32},
                                        {100, 32, 12, 32}, {32, 128, 12, 32}, {1, 256, 12, 32}, {1, 256, 12, 64},
                                        {1, 512, 12, 64},  {1, 2048, 8, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench(kernels, pool, shapes[i][0], shapes[i][1], (int)shapes[i][2], (int)shapes[i][3]);
    em__pool_free(pool);
    return 0;
}
