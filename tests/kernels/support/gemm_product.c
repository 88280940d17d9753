/* One matrix product, and a loop in double precision that knows better. */
#include "kernels/support/gemm_product.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"

static const int thread_counts[] = {1, 2, 3, 5};
em__pool *gemm_pools[GEMM_POOLS];
static uint64_t seed = 1;

uint32_t gemm_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float random_value(void)
{
    return (float)gemm_random() / (float)(1u << 30) - 1.0f;
}

float *gemm_random_floats(int64_t count)
{
    float *x = malloc(((size_t)count + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = random_value();
    return x;
}

void gemm_halve_negative(void *out, const void *in, size_t n)
{
    float *y = out;
    const float *x = in;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? x[i] * 0.5f : x[i];
}

/* Room for B as any level here packs it. */
static size_t packed_room(int64_t n, int64_t k)
{
    size_t room = 0;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        size_t bytes = em__gemm_f32_packed_bytes(em__gemm_kernels_get(level), n, k);
        room = bytes > room ? bytes : room;
    }
    return room;
}

gemm_product gemm_product_new(int64_t m, int64_t n, int64_t k, bool transposed, int64_t pad)
{
    gemm_product p = {.transposed = transposed, .args = {.m = m, .n = n, .k = k}};
    p.args.lda = k + pad;
    p.args.ldc = n + pad;
    p.args.ldr = n + 2 * pad;
    p.args.a = p.a = gemm_random_floats(m * p.args.lda);
    p.source = gemm_random_floats(n * k);
    p.args.c = p.c = gemm_random_floats(m * p.args.ldc);
    p.bias = gemm_random_floats(n);
    p.residual = gemm_random_floats(m * p.args.ldr);
    p.packed_bytes = packed_room(n, k);
    p.args.b = p.packed = em__block_alloc(p.packed_bytes);
    assert_non_null(p.packed);
    return p;
}

void gemm_product_free(gemm_product *p)
{
    free(p->a);
    free(p->source);
    free(p->c);
    free(p->bias);
    free(p->residual);
    em__block_free(p->packed, p->packed_bytes);
}

void gemm_product_pack(gemm_product *p, const em__gemm_kernels *kernels, em__pool *pool)
{
    int64_t n = p->args.n, k = p->args.k;
    memset(p->packed, 0xff, p->packed_bytes);
    em__gemm_f32_pack(kernels, pool, p->packed, p->source, n, k, p->transposed ? k : 1, p->transposed ? 1 : n);
}

static double expected(const gemm_product *p, int64_t i, int64_t j, double *magnitude)
{
    double sum = 0;
    *magnitude = 1e-30;
    for (int64_t k = 0; k < p->args.k; k++) {
        double b = p->source[p->transposed ? j * p->args.k + k : k * p->args.n + j];
        sum += p->a[i * p->args.lda + k] * b;
        *magnitude += fabs(p->a[i * p->args.lda + k] * b);
    }
    sum += p->args.bias ? p->bias[j] : 0;
    sum = p->args.activation && sum < 0 ? sum * 0.5 : sum;
    *magnitude += fabs(sum);
    double residual = p->args.residual ? p->residual[i * p->args.ldr + j] : 0;
    *magnitude += fabs(residual);
    return sum + residual;
}

void gemm_product_check(const gemm_product *p, const char *what)
{
    for (int64_t i = 0; i < p->args.m; i++) {
        for (int64_t j = 0; j < p->args.n; j++) {
            double magnitude, want = expected(p, i, j, &magnitude), got = p->c[i * p->args.ldc + j];
            if (!(fabs(got - want) <= 1e-6 * magnitude + 1e-37))
                fail_msg("%s: m %d n %d k %d: element (%d, %d) is %.9g, expected %.9g", what, (int)p->args.m,
                         (int)p->args.n, (int)p->args.k, (int)i, (int)j, got, want);
        }
    }
}

const em__gemm_kernels *gemm_level(em__cpu_level level)
{
    const em__gemm_kernels *kernels = em__gemm_kernels_get(level);
    return em__gemm_kernels_level(kernels) == level ? kernels : NULL;
}

void gemm_product_run(gemm_product *p, const em__gemm_kernels *kernels, em__pool *pool)
{
    assert_int_equal(em__gemm_f32(kernels, pool, &p->args), EM_OK);
}

bool gemm_same_bits(const float *x, const float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (memcmp(x + i, y + i, sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i])))
            return false;
    return true;
}

int gemm_setup(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &gemm_pools[i]) != EM_OK)
            return -1;
    return 0;
}

int gemm_teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        em__pool_free(gemm_pools[i]);
    return 0;
}
