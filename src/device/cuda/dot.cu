/*
 * DOT_GENERAL: of halves by matmul.cuh where that is faster than cuBLASLt, of floats and complex by cuBLASLt, of f32
 * with half weights by mixed.h, of integers, predicates and f8 by a kernel of its own (dot_any.cu). Operands whose axes
 * do not step evenly are copied first.
 */
#include "device/cuda/dot.h"

#include "device/cuda/matmul.cuh"
#include "device/cuda/mixed.h"
#include "device/cuda/side.h"
#include "device/cuda/tiles.h"

typedef struct sides {
    em__side a, b;
} sides;

static sides sides_of(const em__call *call)
{
    em__dot dot = em__dot_decode(call->ints);
    sides s;
    s.a = em__side_of(&call->in[0], dot.contract_a, dot.n_contract, dot.batch_a, dot.n_batch);
    s.b = em__side_of(&call->in[1], dot.contract_b, dot.n_contract, dot.batch_b, dot.n_batch);
    return s;
}

static em__gemm gemm_of(const sides *s, em_dtype dtype)
{
    em__gemm g = {};
    g.from = g.to = dtype;
    g.m = s->a.rows;
    g.n = s->b.rows;
    g.k = s->a.depth;
    g.batch = s->a.batch;
    g.a = s->a.as;
    g.b = s->b.as;
    g.ldd = g.n;
    g.batch_step_d = g.m * g.n;
    return g;
}

static em__mixed mixed_of(const sides *s, const em__call *call)
{
    em__mixed m = {call->in[1].spec.dtype, call->half_products, s->a.rows, s->a.depth, s->a.as};
    return m;
}

static em__mixed_weight weight_of(const sides *s, const em__call *call)
{
    em__mixed_weight w = {s->b.rows, s->b.as, NULL, NULL, NULL, (float *)call->out.data, s->b.rows};
    return w;
}

/* A product whose operands lie where it finds them; the rest of the scratch. */
typedef struct placed {
    sides s;
    const void *a, *b;
    char *room;
} placed;

static em_status place(em__cuda *cuda, const em__call *call, placed *p)
{
    p->s = sides_of(call);
    p->room = (char *)call->scratch;
    EM__TRY(em__side_place(cuda, &p->s.a, &p->room, &p->a));
    return em__side_place(cuda, &p->s.b, &p->room, &p->b);
}

static em_status run_blas(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    placed p;
    EM__TRY(place(cuda, call, &p));
    em__gemm g = gemm_of(&p.s, call->out.spec.dtype);
    return em__cuda_gemm(cuda, &g, p.a, p.b, NULL, NULL, call->out.data);
}

/* Halves by halves; x of f32 that may be rounded lies rounded in scratch. */
static em__matmul matmul_of(const sides *s, const em__call *call, const void *x, const void *w)
{
    const bool rounds = call->in[1].spec.dtype != call->out.spec.dtype;
    em__matmul j = {};
    j.dtype = call->in[1].spec.dtype;
    j.m = s->a.rows;
    j.k = s->a.depth;
    j.x = x;
    j.x_step = rounds || j.m == 1 ? j.k : s->a.as.ld;
    j.matrices = 1;
    j.matrix[0].n = s->b.rows;
    j.matrix[0].weight = w;
    j.matrix[0].step = s->b.rows == 1 ? j.k : s->b.as.ld;
    j.matrix[0].out = call->out.data;
    j.constant = !s->b.copied && (call->constant >> 1 & 1);
    j.activation = EM__OP_COPY;
    j.out_dtype = call->out.spec.dtype;
    return j;
}

static bool suits_matmul(const em__cuda *cuda, const sides *s, const em__call *call)
{
    const em_dtype x = call->in[0].spec.dtype, w = call->in[1].spec.dtype, out = call->out.spec.dtype;
    const bool rounds = w == EM_BF16 && x == EM_F32 && out == EM_F32 && call->half_products;
    if (s->a.batch != 1 || s->b.as.across || (!rounds && (x != w || out != w || s->a.as.across)))
        return false;
    const em__matmul j = matmul_of(s, call, NULL, NULL);
    return em__matmul_takes(cuda, &j) && em__matmul_pays(cuda, &j);
}

static em_status run_matmul(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    placed p;
    EM__TRY(place(cuda, call, &p));
    em__gemm g = gemm_of(&p.s, call->out.spec.dtype);
    const em__matmul j = matmul_of(&p.s, call, p.a, p.b);
    return em__matmul_aligned(&j) ? em__matmul_run(cuda, &j, "dot_general")
                                  : em__cuda_gemm(cuda, &g, p.a, p.b, NULL, NULL, call->out.data);
}

static em_status run_any(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    placed p;
    EM__TRY(place(cuda, call, &p));
    em__gemm g = gemm_of(&p.s, call->out.spec.dtype);
    return em__cuda_product_any(cuda, &g, p.a, p.b, call->out.data);
}

static em__tiles tiles_of(const sides *s, const em__call *call, const void *x, const void *w)
{
    em__tiles t = {s->a.rows, s->b.rows, s->a.depth, call->half_products, false, false, EM__OP_COPY, s->a.as};
    t.at = (const float *)x;
    t.weights = 1;
    t.w[0].n = s->b.rows;
    t.w[0].as = s->b.as;
    t.w[0].at = w;
    t.out = (float *)call->out.data;
    return t;
}

/* What may come instead of cuBLASLt. */
typedef enum way { BY_BLAS, BY_TILES, BY_MATMUL } way;

/* As wanted where the copy engine can take the operands where they lie. */
static em_status run_sides(em_device *device, const em__call *call, way by)
{
    em__cuda *cuda = em__cuda_of(device);
    placed p;
    EM__TRY(place(cuda, call, &p));
    em__mixed m = mixed_of(&p.s, call);
    em__mixed_weight weight = weight_of(&p.s, call);
    weight.w = p.b;
    em__tiles t = tiles_of(&p.s, call, p.a, weight.w);
    if (by == BY_TILES && em__cuda_tiles_aligned(&t))
        return em__cuda_tiles(cuda, &t);
    EM__TRY(em__cuda_mixed_begin(cuda, &m, p.a, p.room));
    const em__matmul j = matmul_of(&p.s, call, p.room, weight.w);
    if (by == BY_MATMUL && em__matmul_aligned(&j))
        return em__matmul_run(cuda, &j, "dot_general");
    return em__cuda_mixed_run(cuda, &m, p.a, &weight, p.room);
}

static em_status run_tiles(em_device *device, const em__call *call)
{
    return run_sides(device, call, BY_TILES);
}

static em_status run_rounded(em_device *device, const em__call *call)
{
    return run_sides(device, call, BY_MATMUL);
}

static em_status run_mixed(em_device *device, const em__call *call)
{
    return run_sides(device, call, BY_BLAS);
}

extern "C" bool em__cuda_prepare_dot(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_DOT_GENERAL)
        return false;
    sides s = sides_of(call);
    const em_dtype dtype = call->out.spec.dtype;
    em__gemm g = gemm_of(&s, dtype);
    plan->strided = 3;
    plan->scratch = s.a.copied + s.b.copied;
    if (call->in[1].spec.dtype != dtype) {
        em__mixed m = mixed_of(&s, call);
        em__mixed_weight weight = weight_of(&s, call);
        plan->scratch += em__cuda_mixed_scratch(&m, s.b.rows);
        em__tiles t = tiles_of(&s, call, NULL, NULL);
        bool tiles = call->in[1].spec.dtype == EM_BF16 && em__cuda_tiles_takes(cuda, &t);
        plan->kernel = suits_matmul(cuda, &s, call) ? run_rounded : tiles ? run_tiles : run_mixed;
        return em__cuda_mixed_takes(cuda, &m, &weight);
    }
    plan->kernel = em__cuda_product_any_takes(&g) ? run_any : suits_matmul(cuda, &s, call) ? run_matmul : run_blas;
    return plan->kernel == run_any || em__cuda_gemm_takes(cuda, &g);
}
