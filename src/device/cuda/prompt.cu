/*
 * A decoder's layer for many tokens, two stretches of calls:
 *
 *   rms_norm, products for q, k and v, norms of heads, rope, kv_update twice, sdpa, its result by tokens, a product
 *   rms_norm, products for gate and up, swiglu (or its like), a product
 *
 * Run one by one each product rounds its x to bf16 first; here what makes an x rounds it, once, as it is written, and
 * products read that: the same values. Halves lie where the calls between would have put their f32: rows of bf16 in
 * the result of rms_norm and of sdpa, or in the first half of each row of a product's.
 *
 * As in step.cu, what a stretch consists of is read off the calls by the memory that they share, when the program is
 * built and again when it is recorded.
 */
#include "device/cuda/prompt.h"

#include "device/cuda/attention_flash.cuh"
#include "device/cuda/blas.h"
#include "device/cuda/gemv.cuh"
#include "device/cuda/layer.cuh"
#include "device/cuda/matmul.cuh"
#include "device/cuda/merge.h"
#include "device/cuda/prompt_rows.cuh"

namespace
{

enum {
    MOST = 16,      /* calls that run together */
    FEWEST = 16,    /* tokens */
    TEMPORARIES = 6 /* results that hold something else than their call's */
};

int64_t rows_of(const em__tensor *t)
{
    const int64_t last = em__last_of(t);
    return last ? em__spec_size(&t->spec) / last : 0;
}

/* Of rows side by side. */
bool is_norm(const em__call *call)
{
    return em__is_step_norm(call) && em__tensor_is_contiguous(&call->in[0]);
}

/* One that begins a stretch. */
bool is_first(const em__call *call)
{
    const int64_t rows = is_norm(call) ? rows_of(&call->in[0]) : 0, n = em__last_of(&call->in[0]);
    return rows >= FEWEST && rows < 1 << 24 && n % 8 == 0 && n <= EM_PROMPT_MOST;
}

/* A product of f32, rounded, with a weight of bf16. */
typedef struct product {
    const em__call *call;
    const void *w;
    const float *bias, *residual;
    int64_t m, n, k;
    float *out;
    bool constant;
} product;

bool read_product(const em__call *call, const void *x, product *p)
{
    em__gemv job;
    if (!em__gemv_read(call, &job) || !call->half_products || job.x != x || job.weights != EM_BF16 ||
        job.x_dtype != EM_F32 || job.out_dtype != EM_F32 || job.activation != EM__OP_COPY ||
        job.end[0] != em_gemv_rows(job) || em_gemv_rows(job) % 8 || job.depth % 8 ||
        !em__tensor_is_contiguous(&call->in[0]))
        return false;
    *p = {call,      job.weight[0],       job.bias,    job.residual, rows_of(&call->out), em_gemv_rows(job),
          job.depth, (float *)job.out[0], job.constant};
    return true;
}

em__gemm gemm_of(const product *p, int64_t x_step)
{
    em__gemm g = {};
    g.from = EM_BF16;
    g.to = EM_F32;
    g.m = p->m;
    g.n = p->n;
    g.k = p->k;
    g.batch = 1;
    g.a.ld = x_step;
    g.b.ld = p->k;
    g.ldd = p->n;
    g.add = p->residual != NULL;
    g.bias = p->bias != NULL;
    return g;
}

bool can_multiply(em__cuda *cuda, const product *p, int64_t x_step)
{
    const em__gemm g = gemm_of(p, x_step);
    return em__cuda_gemm_takes(cuda, &g);
}

/* Rows of x lie x_step apart. */
em_status multiply(em__cuda *cuda, const product *p, const void *x, int64_t x_step)
{
    const em__gemm g = gemm_of(p, x_step);
    return em__cuda_gemm(cuda, &g, x, p->w, p->bias, p->residual, p->out);
}

em_status round_norm(em__cuda *cuda, const em__call *norm, const em_prompt_turns &turns)
{
    return em_prompt_norm(cuda, (const float *)norm->in[0].data, em__gain_of(norm), (float)norm->floats[0],
                          rows_of(&norm->in[0]), em__last_of(&norm->in[0]), (__nv_bfloat16 *)norm->out.data, &turns);
}

typedef struct attention {
    const em__call *norm, *sdpa, *turned;
    em__parts parts;
    product made[EM_PARTS]; /* that each part began as */
    product out;
    int64_t tokens, heads, kv_heads, size;
} attention;

const product &made_as(const attention *a, int role)
{
    return a->made[a->parts.at[role]];
}

/* [1, heads, tokens, size] of what lies as [tokens, heads, size]. */
bool is_by_tokens(const em__tensor *t)
{
    const int64_t *d = t->spec.dims, *s = t->strides;
    return t->spec.rank == 4 && d[0] == 1 && s[3] == 1 && (d[1] == 1 || s[1] == d[3]) && s[2] == d[1] * d[3];
}

/* The call as a stage of q, k or v of many tokens. */
bool take_stage(attention *a, const em__call *call)
{
    if (!em__parts_take(&a->parts, call))
        return false;
    if (call->op == EM__OP_ROPE)
        return call->ints[3] == 1 && call->in[0].spec.rank == 4;
    return call->op != EM__OP_KV_UPDATE || is_by_tokens(&call->in[1]);
}

bool take_product(attention *a, const em__call *call)
{
    product p;
    if (a->parts.n == EM_PARTS || !read_product(call, a->norm->out.data, &p) || p.residual)
        return false;
    a->made[a->parts.n] = p;
    a->parts.each[a->parts.n++] = {call->out.data, NULL, NULL, NULL};
    return true;
}

/* Which part is which, once the sdpa call says so. */
bool take_sdpa(attention *a, const em__call *call)
{
    a->sdpa = call;
    const em__spec *cache = &call->in[1].spec;
    if (!em__parts_close(&a->parts, call) || call->ints[0] == 0 || cache->dtype != EM_BF16 ||
        !is_by_tokens(&call->in[0]))
        return false;
    const product &q = made_as(a, EM_QUERIES), &k = made_as(a, EM_KEYS), &v = made_as(a, EM_VALUES);
    a->tokens = call->in[0].spec.dims[2];
    a->heads = call->in[0].spec.dims[1];
    a->kv_heads = cache->dims[1];
    a->size = cache->dims[3];
    return a->size % 8 == 0 && a->size <= EM_PROMPT_HEAD && q.m == a->tokens && q.n == a->heads * a->size &&
           k.n == a->kv_heads * a->size && v.n == k.n;
}

/* The result of sdpa by tokens, row-major. */
bool take_turned(attention *a, const em__call *call)
{
    const em__tensor *t = &call->in[0];
    a->turned = call;
    return a->sdpa && t->data == a->sdpa->out.data && t->spec.dtype == EM_F32 && t->spec.rank == 4 &&
           t->spec.dims[1] == a->tokens && t->spec.dims[2] == a->heads && t->spec.dims[3] == a->size &&
           t->strides[1] == a->size && t->strides[2] == a->tokens * a->size && t->strides[3] == 1;
}

/* Whether no two of them share memory. */
bool are_apart(const em__tensor *const *t, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (em__cuda_overlap(t[i], t[j]))
                return false;
    return true;
}

bool places_suit(const attention *a)
{
    const em__tensor *const held[] = {&a->norm->in[0],       &a->norm->out,         &a->made[0].call->out,
                                      &a->made[1].call->out, &a->made[2].call->out, &a->sdpa->out};
    return are_apart(held, TEMPORARIES) && !em__cuda_overlap(&a->out.call->out, &a->sdpa->out);
}

/* What attention reads and writes here: queries and results are bf16; queries side by side, or in the first half of
 * each head of f32. */
em_attend attend_of(const attention *a, bool side_by_side, em_attend_out *out)
{
    em_attend attend = em_attend_of(a->sdpa);
    attend.dtype = EM_BF16;
    attend.q.data = made_as(a, EM_QUERIES).out;
    attend.q.head = side_by_side ? a->size : 2 * a->size;
    attend.q.token = a->heads * attend.q.head;
    attend.q.batch = attend.q.token * a->tokens;
    attend.q.wide = true;
    *out = {a->heads * a->size * a->tokens, a->size, a->heads * a->size};
    return attend;
}

/* How many of the calls are a stretch from rms_norm to the product behind attention: 0 for none. */
size_t read_attention(em__call *const *calls, size_t n, attention *a)
{
    *a = {};
    a->norm = calls[0];
    for (size_t i = 1; i < n; i++) {
        const em__call *call = calls[i];
        bool taken = false;
        if (a->turned)
            return read_product(call, a->turned->out.data, &a->out) && places_suit(a) ? i + 1 : 0;
        if (call->op == EM__OP_SDPA)
            taken = !a->sdpa && take_sdpa(a, call);
        else if (call->op == EM__OP_COPY)
            taken = take_turned(a, call);
        else
            taken = !a->sdpa && (take_product(a, call) || take_stage(a, call));
        if (!taken)
            return 0;
    }
    return 0;
}

bool is_aligned(const void *a, const void *b, const void *c)
{
    return (((uintptr_t)a | (uintptr_t)b | (uintptr_t)c) & 15) == 0;
}

em_prompt_heads heads_of(const attention *a)
{
    const em__part *q = em__part_as(&a->parts, EM_QUERIES), *k = em__part_as(&a->parts, EM_KEYS);
    const em__call *rope = q->rope;
    em_prompt_heads h = {};
    h.q = made_as(a, EM_QUERIES).out;
    h.k = made_as(a, EM_KEYS).out;
    h.v = made_as(a, EM_VALUES).out;
    h.q_gain = em__part_gain(q);
    h.k_gain = em__part_gain(k);
    h.q_eps = em__part_eps(q);
    h.k_eps = em__part_eps(k);
    h.periods = rope ? (const float *)rope->in[2].data : NULL;
    h.at = rope ? (const int32_t *)rope->in[1].data : NULL;
    h.step = rope ? rope->floats[1] : 0;
    h.k_slot = (const int32_t *)k->update->in[2].data;
    h.v_slot = (const int32_t *)em__part_as(&a->parts, EM_VALUES)->update->in[2].data;
    h.keys = (__nv_bfloat16 *)a->sdpa->in[1].data;
    h.values = (__nv_bfloat16 *)a->sdpa->in[2].data;
    h.tokens = (int)a->tokens;
    h.heads = (int)a->heads;
    h.kv_heads = (int)a->kv_heads;
    h.size = (int)a->size;
    h.capacity = (int)a->sdpa->in[1].spec.dims[2];
    return h;
}

/* The angles of queries and keys, in the place of the keys' product. */
em_prompt_turns turns_of(const attention *a)
{
    const em_prompt_heads h = heads_of(a);
    return {(float2 *)made_as(a, EM_KEYS).out, h.periods, h.at, h.step, h.size / 2};
}

/* All three products with what makes heads of them: queries lie side by side in the place of their product. */
em__matmul projection_of(const attention *a, em__matmul_heads *heads)
{
    const em_prompt_heads h = heads_of(a);
    const int64_t row = h.size, apart = h.capacity * row;
    const int last = h.capacity - h.tokens;
    *heads = {h.size, (const float2 *)h.k, {}};
    heads->of[0] = {h.q_gain, h.q_eps, h.periods != NULL, h.q, row, a->heads * row, NULL, 0};
    heads->of[1] = {h.k_gain, h.k_eps, h.periods != NULL, h.keys, apart, row, h.k_slot, last};
    heads->of[2] = {NULL, 0, false, h.values, apart, row, h.v_slot, last};
    em__matmul job = {};
    job.dtype = job.out_dtype = EM_BF16;
    job.m = a->tokens;
    job.k = job.x_step = made_as(a, EM_QUERIES).k;
    job.x = a->norm->out.data;
    job.matrices = EM_PARTS;
    job.constant = true;
    job.activation = EM__OP_COPY;
    job.bias_dtype = job.residual_dtype = EM_F32;
    job.heads = heads;
    for (int i = 0; i < EM_PARTS; i++) {
        const product &p = made_as(a, i);
        job.matrix[i] = {p.n, p.w, p.k, p.bias, NULL};
        job.constant = job.constant && p.constant;
    }
    return job;
}

bool projects(const em__cuda *cuda, const em__matmul *job)
{
    return em__matmul_takes(cuda, job) && em__matmul_pays(cuda, job) && em__matmul_aligned(job);
}

/* Queries, keys and values where attention reads them. */
em_status make_heads(em__cuda *cuda, const attention *a, const em_prompt_heads *heads)
{
    EM__TRY(round_norm(cuda, a->norm, {}));
    for (const product &p : a->made)
        EM__TRY(multiply(cuda, &p, a->norm->out.data, p.k));
    return em_prompt_place(cuda, heads);
}

em_status make_heads_at_once(em__cuda *cuda, const attention *a, const em__matmul *projection)
{
    EM__TRY(round_norm(cuda, a->norm, turns_of(a)));
    return em__matmul_run(cuda, projection, "heads of a prompt");
}

em_status run_attention(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    attention a;
    const size_t n = read_attention(call->merged, MOST, &a);
    EM__FAIL_IF(n == 0, EM_ERROR_INTERNAL, "%s: a merged layer is not what it was", cuda->name);
    const em_prompt_heads heads = heads_of(&a);
    if (!is_aligned(a.norm->in[0].data, em__gain_of(a.norm), heads.keys) ||
        !is_aligned(heads.values, heads.q_gain, heads.k_gain))
        return em__cuda_run_apart(device, call);
    em__matmul_heads ends;
    const em__matmul projection = projection_of(&a, &ends);
    const bool at_once = projects(cuda, &projection);
    EM__TRY(at_once ? make_heads_at_once(cuda, &a, &projection) : make_heads(cuda, &a, &heads));
    em_attend_out out;
    const em_attend attend = attend_of(&a, at_once, &out);
    EM__TRY(em_attend_flash(cuda, &attend, &out, true));
    return multiply(cuda, &a.out, a.sdpa->out.data, a.out.k);
}

bool can_attend(em__cuda *cuda, const attention *a)
{
    em_attend_out out;
    const em_attend attend = attend_of(a, false, &out);
    bool can = em_attend_flash_takes(&attend) && can_multiply(cuda, &a->out, a->out.k);
    for (const product &p : a->made)
        can = can && can_multiply(cuda, &p, p.k);
    return can;
}

typedef struct gates {
    const em__call *norm;
    em__op activation;
    product gate, up, down;
} gates;

/* How many of the calls are a stretch from rms_norm over gates to a product: 0 for none. */
size_t read_gates(em__call *const *calls, size_t n, gates *g)
{
    if (n < 5)
        return 0;
    const em__call *join = calls[3];
    product first, second;
    g->norm = calls[0];
    g->activation = em__gate_of(join->op);
    if (g->activation == EM__OP_COPY || !read_product(calls[1], calls[0]->out.data, &first) ||
        !read_product(calls[2], calls[0]->out.data, &second) || first.residual || second.residual ||
        first.n != second.n || first.n > EM_PROMPT_MOST || !read_product(calls[4], join->out.data, &g->down))
        return 0;
    const bool turned = join->in[0].data == second.out;
    g->gate = turned ? second : first;
    g->up = turned ? first : second;
    const em__tensor *const held[] = {&g->norm->in[0], &g->norm->out, &first.call->out, &second.call->out};
    return join->in[0].data == g->gate.out && join->in[1].data == g->up.out && join->in[0].spec.dtype == EM_F32 &&
                   em__tensor_is_contiguous(&join->in[0]) && em__tensor_is_contiguous(&join->in[1]) &&
                   g->down.k == first.n && g->down.m == first.m && are_apart(held, 4) &&
                   !em__cuda_overlap(&g->down.call->out, &g->gate.call->out)
               ? 5
               : 0;
}

/* Gate and up in one kernel, which leaves them gated: bf16 in the place of the gate's product. */
em__matmul pair_of(const gates *g)
{
    em__matmul job = {};
    job.dtype = job.out_dtype = EM_BF16;
    job.m = g->gate.m;
    job.k = job.x_step = g->gate.k;
    job.x = g->norm->out.data;
    job.matrices = 2;
    job.pair = true;
    job.matrix[0] = {g->gate.n, g->gate.w, g->gate.k, NULL, g->gate.out};
    job.matrix[1] = {g->up.n, g->up.w, g->up.k, NULL, NULL};
    job.constant = g->gate.constant && g->up.constant;
    job.activation = g->activation;
    job.bias_dtype = job.residual_dtype = EM_F32;
    return job;
}

/* Gated, in the place of the gate's product, in rows *step apart. */
em_status multiply_gates(em__cuda *cuda, const gates *g, int64_t *step)
{
    const em__matmul pair = pair_of(g);
    const bool one = !g->gate.bias && !g->up.bias && em__matmul_takes(cuda, &pair) && em__matmul_aligned(&pair);
    *step = one ? g->down.k : 2 * g->down.k;
    if (one)
        return em__matmul_run(cuda, &pair, "gates of a prompt");
    EM__TRY(multiply(cuda, &g->gate, g->norm->out.data, g->gate.k));
    EM__TRY(multiply(cuda, &g->up, g->norm->out.data, g->up.k));
    return em_prompt_gate(cuda, g->activation, g->gate.out, g->up.out, g->gate.m, g->gate.n);
}

em_status run_gates(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    gates g;
    const size_t n = read_gates(call->merged, MOST, &g);
    EM__FAIL_IF(n == 0, EM_ERROR_INTERNAL, "%s: a merged layer is not what it was", cuda->name);
    if (!is_aligned(g.norm->in[0].data, em__gain_of(g.norm), NULL))
        return em__cuda_run_apart(device, call);
    EM__TRY(round_norm(cuda, g.norm, {}));
    int64_t step;
    EM__TRY(multiply_gates(cuda, &g, &step));
    return multiply(cuda, &g.down, g.gate.out, step);
}

bool can_gate(em__cuda *cuda, const gates *g)
{
    return can_multiply(cuda, &g->gate, g->gate.k) && can_multiply(cuda, &g->up, g->up.k) &&
           can_multiply(cuda, &g->down, 2 * g->down.k) && can_multiply(cuda, &g->down, g->down.k);
}

} // namespace

extern "C" size_t em__cuda_merge_prompt(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel)
{
    em__cuda *cuda = em__cuda_of(device);
    em__call *list[MOST];
    const size_t seen = n < (size_t)MOST ? n : (size_t)MOST;
    attention a;
    gates g;
    for (size_t i = 0; i < seen; i++)
        list[i] = calls[i].call;
    if (!is_first(list[0]))
        return 0;
    size_t taken = read_attention(list, seen, &a);
    if (taken && can_attend(cuda, &a)) {
        *kernel = run_attention;
    } else if ((taken = read_gates(list, seen, &g)) && can_gate(cuda, &g)) {
        *kernel = run_gates;
    } else {
        return 0;
    }
    return em__cuda_hides(calls, taken) ? taken : 0;
}
