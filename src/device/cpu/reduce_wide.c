/*
 * The reductions that the kernels of reduce.h do not take as they lie, brought to them through scratch memory: axes
 * that stand apart are copied so that those reduced come last; f8 becomes f32; truth of complex numbers becomes pred.
 * Sums of complex columns are sums of twice as many real ones. Rows of complex numbers, and their products, have loops
 * here: in double, by parts of PART elements, so that results do not depend on the pool.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#include "core/whole.h"
#include "device/complex_math.h"
#include "device/cpu/cpu.h"

#define PART 16384

/* What is done to the operand before and after; sizes in bytes. */
typedef struct steps {
    em__reduce_op op;
    bool arg, apart, by_rows, casts;
    em_dtype from, by; /* of the operand, and of the kernel */
    em__reduce_split split;
    size_t copy, cast, result; /* scratch: the operand in order, the operand as `by`, results as `by` or partial ones */
} steps;

/* False when no kernel takes the dtype. */
static bool plan_steps(const em__cpu *cpu, const em__call *call, steps *s)
{
    const em__spec *in = &call->in[0].spec;
    size_t size = (size_t)em__spec_size(in), results = (size_t)em__spec_size(&call->out.spec);
    *s = (steps){.from = in->dtype, .by = em__elementwise_by(in->dtype)};
    s->arg = !em__cpu_reduce_op(call->op, &s->op);
    int64_t mask = s->arg ? (int64_t)1 << call->ints[0] : call->ints[1];
    s->apart = !em__cpu_split_axes(in, mask, &s->split);
    if (s->apart)
        s->split = (em__reduce_split){results, results ? size / results : 0, 1};
    if (em_dtype_get_kind(s->from) == EM_KIND_COMPLEX) {
        bool truth = s->op == EM__REDUCE_ALL || s->op == EM__REDUCE_ANY;
        s->by_rows = s->op == EM__REDUCE_PRODUCT || (s->op == EM__REDUCE_SUM && s->split.inner == 1);
        s->by = truth ? EM_PRED : s->by_rows ? s->from : em__real_dtype(s->from);
    }
    size_t parts = s->split.outer * s->split.inner * ((s->split.reduce + PART - 1) / PART);
    s->copy = s->apart ? em__align64(size * em_dtype_size(s->from)) : 0;
    s->casts = (s->by == EM_PRED || s->by == EM_F32) && s->from != s->by && !(s->from == EM_C64 && s->by == EM_F32);
    s->cast = s->casts ? em__align64(size * em_dtype_size(s->by)) : 0;
    s->result = s->by_rows ? em__align64(parts * 2 * sizeof(double)) : s->from != s->by ? em__align64(results * 4) : 0;
    if (s->arg)
        return cpu->reduce->arg[call->op == EM__OP_ARGMAX ? EM__ARG_MAX : EM__ARG_MIN][s->by] != NULL;
    bool same = call->out.spec.dtype == s->from || s->op >= EM__REDUCE_ALL;
    return same && (s->by_rows || (cpu->reduce->row[s->op][s->by] && cpu->reduce->column[s->op][s->by]));
}

/* The operand with the reduced axes last, the others before them, each in their order. */
static void copy_in_order(em__cpu *cpu, const em__call *call, int64_t mask, void *to)
{
    const em__tensor *in = &call->in[0];
    em__copy_layout layout = {.rank = in->spec.rank, .size = em_dtype_size(in->spec.dtype)};
    int64_t step = 1;
    memcpy(layout.dims, in->spec.dims, sizeof layout.dims);
    memcpy(layout.in_strides, in->strides, sizeof layout.in_strides);
    for (int turn = 1; turn >= 0; turn--)
        for (int d = in->spec.rank - 1; d >= 0; d--)
            if ((mask >> d & 1) == turn) {
                layout.out_strides[d] = step;
                step *= in->spec.dims[d];
            }
    em__copy_run(cpu->copy, cpu->pool, to, in->data, &layout);
}

typedef struct row_job {
    const steps *s;
    const void *x;
    double *partial; /* [result][part] pairs */
    size_t parts;
} row_job;

static em__c128 element(em_dtype dtype, const void *x, size_t i)
{
    return dtype == EM_C64 ? em__c128_of((double)((const float *)x)[2 * i], (double)((const float *)x)[2 * i + 1])
                           : em__c128_of(((const double *)x)[2 * i], ((const double *)x)[2 * i + 1]);
}

/* The product of n elements `step` apart, in four lanes. */
static em__c128 product_of(em_dtype dtype, const void *x, size_t first, size_t step, size_t n)
{
    em__c128 acc[4];
    for (int lane = 0; lane < 4; lane++)
        acc[lane] = em__c128_of(1, 0);
    for (size_t i = 0; i < n; i++)
        acc[i % 4] = em__c128_mul(acc[i % 4], element(dtype, x, first + i * step));
    return em__c128_mul(em__c128_mul(acc[0], acc[1]), em__c128_mul(acc[2], acc[3]));
}

/* The sum of n neighbours: their parts in sixteen lanes, the real ones in the even lanes. */
static em__c128 sum_of(em_dtype dtype, const void *x, size_t first, size_t n)
{
    double lanes[16] = {0};
    const float *f = (const float *)x + 2 * first;
    const double *d = (const double *)x + 2 * first;
    size_t i = 0;
    for (; i + 8 <= n && dtype == EM_C64; i += 8)
        for (size_t k = 0; k < 16; k++)
            lanes[k] += (double)f[2 * i + k];
    for (; i + 8 <= n && dtype == EM_C128; i += 8)
        for (size_t k = 0; k < 16; k++)
            lanes[k] += d[2 * i + k];
    for (size_t k = 0; i < n; i++, k += 2) {
        lanes[k] += dtype == EM_C64 ? (double)f[2 * i] : d[2 * i];
        lanes[k + 1] += dtype == EM_C64 ? (double)f[2 * i + 1] : d[2 * i + 1];
    }
    for (size_t width = 8; width > 1; width /= 2)
        for (size_t k = 0; k < width; k++)
            lanes[k] += lanes[k + width];
    return em__c128_of(lanes[0], lanes[1]);
}

static void row_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const row_job *j = context;
    const em__reduce_split *split = &j->s->split;
    size_t result = (size_t)chunk / j->parts, from = (size_t)chunk % j->parts * PART;
    size_t n = split->reduce - from < PART ? split->reduce - from : PART;
    size_t first = result / split->inner * split->reduce * split->inner + result % split->inner + from * split->inner;
    em__c128 total = j->s->op == EM__REDUCE_PRODUCT ? product_of(j->s->from, j->x, first, split->inner, n)
                                                    : sum_of(j->s->from, j->x, first, n);
    j->partial[2 * chunk] = creal(total);
    j->partial[2 * chunk + 1] = cimag(total);
}

static void run_rows(em__cpu *cpu, const steps *s, void *out, const void *x, void *partial)
{
    size_t results = s->split.outer * s->split.inner;
    row_job j = {s, x, partial, (s->split.reduce + PART - 1) / PART};
    if (j.parts)
        em__pool_run(cpu->pool, row_chunk, &j, (int64_t)(results * j.parts));
    for (size_t i = 0; i < results; i++) {
        bool product = s->op == EM__REDUCE_PRODUCT;
        em__c128 total = em__c128_of(product ? 1 : 0, 0);
        for (size_t p = 0; p < j.parts; p++) {
            em__c128 z = element(EM_C128, partial, i * j.parts + p);
            total = product ? em__c128_mul(total, z) : em__c128_add(total, z);
        }
        double both[2] = {creal(total), cimag(total)};
        if (s->from == EM_C64)
            memcpy((float *)out + 2 * i, (float[]){(float)both[0], (float)both[1]}, 2 * sizeof(float));
        else
            memcpy((double *)out + 2 * i, both, sizeof both);
    }
}

static em_status run(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    steps s;
    plan_steps(cpu, call, &s);
    uint8_t *scratch = call->scratch, *cast = scratch ? scratch + s.copy : NULL, *result = cast ? cast + s.cast : NULL;
    const void *x = call->in[0].data;
    size_t size = (size_t)em__spec_size(&call->in[0].spec), results = (size_t)em__spec_size(&call->out.spec);
    size_t wide = em_dtype_get_kind(s.from) == EM_KIND_COMPLEX && s.by != EM_PRED ? 2 : 1; /* parts as columns */
    if (s.apart && size) {
        copy_in_order(cpu, call, s.arg ? (int64_t)1 << call->ints[0] : call->ints[1], scratch);
        x = scratch;
    }
    if (s.by_rows) {
        run_rows(cpu, &s, call->out.data, x, result);
        return EM_OK;
    }
    if (s.casts) {
        em__cast_run(cpu->cast, cpu->pool, s.from, s.by, cast, x, size);
        x = cast;
    }
    if (s.arg) {
        em__arg_op op = call->op == EM__OP_ARGMAX ? EM__ARG_MAX : EM__ARG_MIN;
        em__reduce_arg(cpu->reduce, cpu->pool, op, s.by, call->out.data, x, s.split.outer, s.split.reduce,
                       s.split.inner, call->ints[1] != 0);
        return EM_OK;
    }
    bool back = s.casts && s.op < EM__REDUCE_ALL;
    em__reduce_run(cpu->reduce, cpu->pool, s.op, s.by, back ? result : call->out.data, x, s.split.outer, s.split.reduce,
                   s.split.inner * wide);
    if (back)
        em__cast_run(cpu->cast, cpu->pool, s.by, s.from, call->out.data, result, results);
    return EM_OK;
}

bool em__cpu_prepare_reduce_wide(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    steps s;
    if (!plan_steps(cpu, call, &s))
        return false;
    *plan = (em__plan){.kernel = run, .scratch = s.copy + s.cast + s.result, .strided = s.apart ? 1 : 0};
    return true;
}
