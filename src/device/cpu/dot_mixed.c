/*
 * DOT_GENERAL and FUSED_LINEAR of f32 with half weights, which are read where they lie (em__gemm_half_run). A weight
 * whose rows or depth do not step evenly, and an x whose depth is not contiguous, are first copied row-major. A large
 * constant weight of bf16 is packed (gemm_packed.h), for the same bits. A call that lets x be rounded
 * has its products with bf16 by gemm_round.h, if there are rows enough to pay for it.
 */
#include <stdatomic.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/cpu.h"
#include "device/cpu/dot.h"
#include "device/cpu/gemm.h"
#include "device/cpu/gemm_packed.h"
#include "device/cpu/gemm_round.h"

#define MOST_WEIGHTS 8

/* A smaller weight stays as it is: it will be met in a cache. */
static atomic_size_t least_packed = (size_t)1 << 20;

size_t em__cpu_least_packed(void)
{
    return atomic_load(&least_packed);
}

void em__cpu_set_least_packed(size_t bytes)
{
    atomic_store(&least_packed, bytes);
}

typedef struct side {
    em__dot_operand as; /* as the product reads it */
    em__tensor ordered; /* as it must be copied first, */
    size_t bytes;       /* of the copy; 0: it lies well */
} side;

typedef struct mixed {
    em__dot dot; /* of a DOT_GENERAL, or of the products that a FUSED_LINEAR stands for */
    side x, w[MOST_WEIGHTS];
    int weights;
    size_t copied; /* bytes of x's copy and the largest of a weight */
    size_t laid;   /* bytes of x as packed weights want it */
} mixed;

static side describe_side(const em__tensor *t, const int64_t *contract, int n_contract, bool rows_only)
{
    side s = {.as = em__dot_describe(t, contract, n_contract, NULL, 0)};
    if (s.as.even && (!rows_only || s.as.depth_stride == 1 || s.as.depth <= 1))
        return s;
    s.ordered = em__dot_in_order(t, contract, n_contract, NULL, 0);
    s.bytes = em__align64(em__spec_bytes(&t->spec));
    s.as.row_stride = s.as.depth;
    s.as.depth_stride = 1;
    return s;
}

static mixed describe(const em__call *call)
{
    static const int64_t axes[EM_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    const bool fused = call->op == EM__OP_FUSED_LINEAR;
    mixed m = {.weights = fused ? (int)call->ints[2] : 1};
    m.dot =
        fused ? (em__dot){1, 0, &axes[call->in[0].spec.rank - 1], &axes[1], NULL, NULL} : em__dot_decode(call->ints);
    m.x = describe_side(&call->in[0], m.dot.contract_a, m.dot.n_contract, true);
    for (int i = 0; i < m.weights && i < MOST_WEIGHTS; i++) {
        const em__tensor *w = &call->in[fused ? em__linear_weight(call->ints, i) : 1];
        m.w[i] = describe_side(w, m.dot.contract_b, m.dot.n_contract, false);
        m.copied = m.w[i].bytes > m.copied ? m.w[i].bytes : m.copied;
    }
    m.copied += m.x.bytes;
    if (call->packed)
        m.laid = em__gemm_laid_bytes(em__gemm_kernels_get(em__cpu_get()->level), m.x.as.rows, m.x.as.depth);
    return m;
}

/* Where the side lies when the product reads it. */
static em_status place(em_device *device, side *s, const em__tensor *t, void *room, const void **data)
{
    *data = t->data;
    if (!s->bytes)
        return EM_OK;
    *data = room;
    return em__dot_copy(device, &s->ordered, room);
}

/* What every weight's product has in common; an epilogue begins at column 0. */
static em__gemm_args common_args(em__cpu *cpu, const em__call *call, const mixed *m)
{
    em__gemm_args args = {.m = m->x.as.rows, .k = m->x.as.depth, .lda = m->x.as.row_stride, .c = call->out.data};
    int next = 2;
    for (int i = 0; i < m->weights; i++)
        args.ldc += m->w[i].as.rows;
    if (call->op != EM__OP_FUSED_LINEAR)
        return args;
    if (call->ints[1] & 1)
        args.bias = call->in[next++].data;
    if (call->ints[1] & 2)
        args.residual = call->in[next].data;
    args.ldr = args.ldc;
    args.activation = em__cpu_activation(cpu, (em__op)call->ints[0]);
    return args;
}

static const em__tensor *weight_at(const em__call *call, int i)
{
    return &call->in[call->op == EM__OP_FUSED_LINEAR ? em__linear_weight(call->ints, i) : 1];
}

static em_status run_all(em_device *device, const em__call *call, const em__round_kernels *rounding)
{
    em__cpu *cpu = em__cpu_of(device);
    mixed m = describe(call);
    const char *packed = call->packed;
    const void *data;
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    uint16_t *rounded = rounding ? (uint16_t *)(void *)((char *)call->scratch + m.copied) : NULL;
    em__gemm_args args = common_args(cpu, call, &m);
    EM__TRY(place(device, &m.x, &call->in[0], call->scratch, &data));
    args.a = data;
    if (m.laid && !rounding) {
        float *laid = (float *)(void *)((char *)call->scratch + m.copied);
        em__gemm_lay(em__gemm_kernels_get(cpu->level), &args, laid);
        args.laid = laid;
    }
    if (rounding)
        em__round_rows(rounding, cpu->pool, &args, rounded);
    for (int i = 0; i < m.weights; i++) {
        const em__tensor *w = weight_at(call, i);
        args.n = m.w[i].as.rows;
        if (call->packed) {
            args.half = (em__gemm_half){(const void *)packed, EM_BF16, args.k, 1, true};
            packed += em__bf12_bytes(args.n, args.k);
        } else {
            EM__TRY(place(device, &m.w[i], w, m.x.bytes ? (char *)call->scratch + m.x.bytes : call->scratch, &data));
            args.half = (em__gemm_half){data, w->spec.dtype, m.w[i].as.row_stride, m.w[i].as.depth_stride, false};
        }
        EM__TRY(rounding ? em__round_run(rounding, cpu->pool, &args, rounded, NULL)
                         : em__gemm_half_run(em__gemm_kernels_get(cpu->level), cpu->pool, &args));
        args.c += args.n;
        args.bias = args.bias ? args.bias + args.n : NULL;
        args.residual = args.residual ? args.residual + args.n : NULL;
    }
    return EM_OK;
}

static em_status run_mixed(em_device *device, const em__call *call)
{
    return run_all(device, call, NULL);
}

static em_status run_rounded(em_device *device, const em__call *call)
{
    return run_all(device, call, em__round_kernels_get(em__cpu_of(device)->level));
}

static bool may_round(const em__cpu *cpu, const em__call *call, const mixed *m)
{
    if (!call->half_products || m->x.as.rows < EM__ROUND_ROWS || !em__round_kernels_get(cpu->level))
        return false;
    for (int i = 0; i < m->weights; i++) {
        if (weight_at(call, i)->spec.dtype != EM_BF16 || m->w[i].as.depth_stride != 1)
            return false;
    }
    return true;
}

static bool is_mixed(const em__call *call)
{
    return (call->op == EM__OP_DOT_GENERAL || call->op == EM__OP_FUSED_LINEAR) &&
           em__dot_mixes(call->in[0].spec.dtype, call->in[1].spec.dtype) &&
           (call->op != EM__OP_FUSED_LINEAR || call->ints[2] <= MOST_WEIGHTS);
}

size_t em__cpu_packed_bytes_mixed(em_device *device, const em__call *call)
{
    size_t total = 0, elements = 0;
    (void)device;
    if (!is_mixed(call) || call->in[1].spec.dtype != EM_BF16)
        return 0;
    const mixed m = describe(call);
    for (int i = 0; i < m.weights; i++) {
        const em__dot_operand *w = &m.w[i].as;
        const size_t bytes = m.w[i].bytes || w->depth_stride != 1 ? 0 : em__bf12_bytes(w->rows, w->depth);
        if (!bytes)
            return 0;
        total += bytes;
        elements += (size_t)(w->rows * w->depth);
    }
    return elements * sizeof(uint16_t) >= em__cpu_least_packed() ? total : 0;
}

em_status em__cpu_pack_mixed(em_device *device, const em__call *call, void *to)
{
    em__cpu *cpu = em__cpu_of(device);
    const mixed m = describe(call);
    char *at = to;
    for (int i = 0; i < m.weights; i++) {
        const em__dot_operand *w = &m.w[i].as;
        if (!em__bf12_pack(em__gemm_kernels_get(cpu->level), cpu->pool, at, weight_at(call, i)->data, w->rows, w->depth,
                           w->row_stride))
            return EM_ERROR_UNSUPPORTED;
        at += em__bf12_bytes(w->rows, w->depth);
    }
    return EM_OK;
}

bool em__cpu_prepare_dot_mixed(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    if (!is_mixed(call))
        return false;
    const mixed m = describe(call);
    plan->kernel = run_mixed;
    plan->scratch = m.copied + m.laid;
    plan->workers = em__gemm_half_scratch_bytes(em__gemm_kernels_get(em__cpu_get()->level), m.x.as.depth);
    if (may_round(cpu, call, &m)) {
        plan->kernel = run_rounded;
        plan->scratch += em__round_bytes(m.x.as.rows, m.x.as.depth);
        plan->workers = em__round_scratch_bytes(em__round_kernels_get(cpu->level), NULL);
    }
    plan->strided = ~(uint64_t)0; /* but bias and residual must be row-major */
    for (int i = 2; call->op == EM__OP_FUSED_LINEAR && i < em__linear_weight(call->ints, 1); i++)
        plan->strided &= ~((uint64_t)1 << i);
    return true;
}
