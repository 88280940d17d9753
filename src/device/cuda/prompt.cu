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
#include "device/cuda/codes.cuh"
#include "device/cuda/gemv.cuh"
#include "device/cuda/layer.cuh"
#include "device/cuda/matmul.cuh"
#include "device/cuda/merge.h"
#include "device/cuda/prompt_rows.cuh"
#include "device/cuda/quantized.h"

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

/* A product of f32, rounded, with a weight of bf16, or of 4-bit codes. */
typedef struct product {
    const em__call *call; /* whose result it is */
    const void *w;
    const float *bias, *residual;
    int64_t m, n, k;
    float *out;
    bool constant;
    int shift; /* of codes: log2 of a group; else 0 */
    const void *scales, *biases;
    const em__call *codes; /* the QUANTIZED_MATMUL, of codes */
} product;

bool read_product(const em__call *call, const void *x, product *p)
{
    em__gemv job;
    if (!em__gemv_read(call, &job) || !call->half_products || job.x != x || job.x_dtype != EM_F32 ||
        job.out_dtype != EM_F32 || job.activation != EM__OP_COPY || job.end[0] != em_gemv_rows(job) ||
        em_gemv_rows(job) % 8 || job.depth % 8 || !em__tensor_is_contiguous(&call->in[0]))
        return false;
    const bool codes = job.weights == EM_U32;
    *p = {call,
          job.weight[0],
          job.bias,
          job.residual,
          rows_of(&call->out),
          em_gemv_rows(job),
          job.depth,
          (float *)job.out[0],
          job.constant,
          codes ? job.shift : 0,
          job.scales[0],
          job.biases[0],
          codes ? call : NULL};
    return codes ? job.scale == EM_BF16 && job.shift : job.weights == EM_BF16;
}

/* A product that ends a stretch, with the sum behind it where codes have their residual: of how many calls. */
size_t read_last(em__call *const *calls, size_t n, const void *x, product *p)
{
    if (n == 0 || !read_product(calls[0], x, p))
        return 0;
    const em__tensor *other = p->shift && n > 1 ? em__cuda_added(calls[0], calls[1]) : NULL;
    if (!other)
        return 1;
    p->call = calls[1];
    p->residual = (const float *)other->data;
    p->out = (float *)calls[1]->out.data;
    return 2;
}

/* The products of one x, rows of which lie x_step apart. */
em__matmul matmul_of(const product *const *of, int n, const void *x, int64_t x_step)
{
    em__matmul job = {};
    job.dtype = EM_BF16;
    job.m = of[0]->m;
    job.k = of[0]->k;
    job.x = x;
    job.x_step = x_step;
    job.matrices = n;
    job.constant = true;
    job.shift = of[0]->shift;
    job.activation = EM__OP_COPY;
    job.residual = n == 1 ? of[0]->residual : NULL;
    job.bias_dtype = job.residual_dtype = job.out_dtype = EM_F32;
    for (int i = 0; i < n; i++) {
        const product *p = of[i];
        job.matrix[i] = {p->n, p->w, p->k, p->bias, p->out, p->scales, p->biases};
        job.constant = job.constant && p->constant;
    }
    return job;
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

/* Whether there is a kernel wherever they lie; of codes, where they lie well. */
bool can_multiply(em__cuda *cuda, const product *p, int64_t x_step)
{
    const em__gemm g = gemm_of(p, x_step);
    const em__matmul job = matmul_of(&p, 1, NULL, x_step);
    return (!p->shift || em__matmul_takes(cuda, &job)) && em__cuda_gemm_takes(cuda, &g);
}

/* Weights of codes become bf16 in the scratch of their calls, where that is faster: from then on the products are ones
 * of bf16. */
em_status widen(em__cuda *cuda, product *const *of, int n)
{
    em_codes_matrix matrices[EM_CODES_MATRICES];
    for (int i = 0; i < n; i++) {
        product *p = of[i];
        if (!p->shift || !em__cuda_quantized_widens(cuda, p->codes))
            return EM_OK;
        matrices[i] = {(const uint32_t *)p->w,
                       (const __nv_bfloat16 *)p->scales,
                       (const __nv_bfloat16 *)p->biases,
                       p->n * p->k / 8,
                       p->shift,
                       (uint4 *)p->codes->scratch};
    }
    for (int i = 0; i < n; i++) {
        of[i]->w = of[i]->codes->scratch;
        of[i]->shift = 0;
        of[i]->constant = false;
    }
    return em_codes_widen(cuda, matrices, n);
}

/* Products that are alike, each to its own result. Rows of x lie x_step apart. */
em_status multiply_all(em__cuda *cuda, const product *const *of, int n, const void *x, int64_t x_step)
{
    const em__matmul job = matmul_of(of, n, x, x_step);
    if (job.shift || (em__matmul_takes(cuda, &job) && em__matmul_pays(cuda, &job) && em__matmul_aligned(&job)))
        return em__matmul_run(cuda, &job, "products of a prompt");
    for (int i = 0; i < n; i++) {
        const em__gemm g = gemm_of(of[i], x_step);
        EM__TRY(em__cuda_gemm(cuda, &g, x, of[i]->w, of[i]->bias, of[i]->residual, of[i]->out));
    }
    return EM_OK;
}

em_status multiply(em__cuda *cuda, const product *p, const void *x, int64_t x_step)
{
    return multiply_all(cuda, &p, 1, x, x_step);
}

/* Whether codes lie where the copy engine can read them; other weights may lie anyhow. */
bool lies_well(const product *p)
{
    const em__matmul job = matmul_of(&p, 1, NULL, p->k);
    return !p->shift || em__matmul_aligned(&job);
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
    if (a->parts.n == EM_PARTS || !read_product(call, a->norm->out.data, &p) || p.residual ||
        (a->parts.n > 0 && (p.shift != a->made[0].shift || p.m != a->made[0].m)))
        return false; /* rows of x that begin where x does are not x */
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
        if (a->turned) {
            const size_t last = read_last(calls + i, n - i, a->turned->out.data, &a->out);
            return last && places_suit(a) ? i + last : 0;
        }
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
    const product *const parts[] = {&made_as(a, EM_QUERIES), &made_as(a, EM_KEYS), &made_as(a, EM_VALUES)};
    em__matmul job = matmul_of(parts, EM_PARTS, a->norm->out.data, parts[0]->k);
    job.out_dtype = EM_BF16;
    job.heads = heads;
    return job;
}

bool projects(const em__cuda *cuda, const em__matmul *job)
{
    return em__matmul_takes(cuda, job) && em__matmul_pays(cuda, job) && em__matmul_aligned(job);
}

/* Queries, keys and values where attention reads them. */
em_status make_heads(em__cuda *cuda, const attention *a, const em_prompt_heads *heads)
{
    const product *const parts[] = {&a->made[0], &a->made[1], &a->made[2]};
    EM__TRY(round_norm(cuda, a->norm, {}));
    EM__TRY(multiply_all(cuda, parts, EM_PARTS, a->norm->out.data, parts[0]->k));
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
    product *const parts[] = {&a.made[0], &a.made[1], &a.made[2]}, *const last[] = {&a.out};
    const em_prompt_heads heads = heads_of(&a);
    if (!is_aligned(a.norm->in[0].data, em__gain_of(a.norm), heads.keys) ||
        !is_aligned(heads.values, heads.q_gain, heads.k_gain) || !lies_well(&a.made[0]) || !lies_well(&a.made[1]) ||
        !lies_well(&a.made[2]) || !lies_well(&a.out))
        return em__cuda_run_apart(device, call);
    EM__TRY(widen(cuda, parts, EM_PARTS));
    em__matmul_heads ends;
    const em__matmul projection = projection_of(&a, &ends);
    const bool at_once = projects(cuda, &projection);
    EM__TRY(at_once ? make_heads_at_once(cuda, &a, &projection) : make_heads(cuda, &a, &heads));
    em_attend_out out;
    const em_attend attend = attend_of(&a, at_once, &out);
    EM__TRY(em_attend_flash(cuda, &attend, &out, true));
    EM__TRY(widen(cuda, last, 1));
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
        first.n != second.n || first.shift != second.shift || first.n > EM_PROMPT_MOST)
        return 0;
    const size_t last = read_last(calls + 4, n - 4, join->out.data, &g->down);
    const bool turned = join->in[0].data == second.out;
    g->gate = turned ? second : first;
    g->up = turned ? first : second;
    const em__tensor *const held[] = {&g->norm->in[0], &g->norm->out, &first.call->out, &second.call->out};
    return last && join->in[0].data == g->gate.out && join->in[1].data == g->up.out &&
                   join->in[0].spec.dtype == EM_F32 && em__tensor_is_contiguous(&join->in[0]) &&
                   em__tensor_is_contiguous(&join->in[1]) && g->down.k == first.n && g->down.m == first.m &&
                   are_apart(held, 4) && !em__cuda_overlap(&g->down.call->out, &g->gate.call->out)
               ? 4 + last
               : 0;
}

/* Gate and up in one kernel, which leaves them gated: bf16 in the place of the gate's product. */
em__matmul pair_of(const gates *g)
{
    const product *const both[] = {&g->gate, &g->up};
    em__matmul job = matmul_of(both, 2, g->norm->out.data, g->gate.k);
    job.pair = true;
    job.out_dtype = EM_BF16;
    job.activation = g->activation;
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
    const product *const both[] = {&g->gate, &g->up};
    EM__TRY(multiply_all(cuda, both, 2, g->norm->out.data, g->gate.k));
    return em_prompt_gate(cuda, g->activation, g->gate.out, g->up.out, g->gate.m, g->gate.n);
}

em_status run_gates(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    gates g;
    const size_t n = read_gates(call->merged, MOST, &g);
    EM__FAIL_IF(n == 0, EM_ERROR_INTERNAL, "%s: a merged layer is not what it was", cuda->name);
    if (!is_aligned(g.norm->in[0].data, em__gain_of(g.norm), NULL) || !lies_well(&g.gate) || !lies_well(&g.up) ||
        !lies_well(&g.down))
        return em__cuda_run_apart(device, call);
    product *const both[] = {&g.gate, &g.up}, *const last[] = {&g.down};
    EM__TRY(widen(cuda, both, 2));
    EM__TRY(round_norm(cuda, g.norm, {}));
    int64_t step;
    EM__TRY(multiply_gates(cuda, &g, &step));
    EM__TRY(widen(cuda, last, 1));
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
