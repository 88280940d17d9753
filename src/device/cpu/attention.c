/*
 * The driver of attention: tasks, blocks of keys, masks. The arithmetic is in the tiles of the matrix product and in
 * the row operations of attention_tmpl.c.
 *
 * A task is one head of one sequence, or a run of its queries when there are few heads. It takes up to PART_ROWS
 * queries at a time through all blocks of BLOCK_KEYS keys: k and v of the block are widened if they are halves and
 * packed into panels, as weights of a product are; then per tile of rows: scores = q k', softmax, output += scores v.
 * With rounding the panels are those of gemm_round.h, made of the cache as it lies; they fit where those of f32 would.
 */
#include "device/cpu/attention.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/attention_kernels.h"
#include "device/cpu/gemm_round.h"

#define BLOCK_KEYS 512
#define PART_ROWS 192
#define PANEL EM__GEMM_PANEL
#define SCORE_PAD 16 /* keeps rows of scores off the same cache lines */
#define PAGE 4096
#define HALF EM__ROUND_COLUMNS

/* The layout of a worker's scratch, in floats from its start. */
typedef struct attention_layout {
    int64_t block_keys; /* a multiple of PANEL, at most BLOCK_KEYS */
    int64_t value_panels;
    int64_t score_stride, out_stride;
    int64_t values, scores, out, query, add, states, wide, total; /* packed keys are at 0 */
} attention_layout;

typedef struct attention_plan {
    const em__attention_kernels *kernels;
    const em__round_kernels *rounding; /* or NULL */
    em__pool *pool;
    const em__attention_args *args;
    attention_layout layout;
    int64_t part_rows, parts; /* queries of a task, tasks of a head */
} attention_plan;

/* One head of one sequence, and this worker's scratch. */
typedef struct attention_head {
    const attention_plan *plan;
    const float *q;
    const char *k, *v;
    const float *k_scales, *v_scales;
    float *out;
    em__attention_place at;
    float *packed_keys, *packed_values, *scores, *sums, *query, *add, *wide;
    em__softmax_state *states;
    int64_t packed_block; /* whose keys are packed; -1 for none */
    int64_t first_block;  /* the first that this run of queries looks at */
} attention_head;

static int64_t longest_sequence(const em__attention_args *args, int64_t dense)
{
    int64_t longest = args->offsets ? 0 : dense;
    for (int64_t b = 0; args->offsets && b < args->batch; b++)
        longest = em__max(longest, args->offsets[b + 1] - args->offsets[b]);
    return longest;
}

static const em__round_kernels *choose_rounding(const em__attention_kernels *kernels, const em__attention_args *args)
{
    if (!args->may_round || args->cache != EM_BF16 || args->queries < EM__ROUND_ROWS)
        return NULL;
    return em__round_kernels_get(em__gemm_kernels_level(kernels->gemm));
}

/* Queries that meet a block of keys at a time. */
static int64_t tile_rows(const em__attention_kernels *kernels, const em__round_kernels *rounding)
{
    return rounding ? rounding->tile_rows : kernels->gemm->tile_rows;
}

static attention_layout make_layout(const em__attention_kernels *kernels, const em__attention_args *args)
{
    attention_layout layout;
    const int64_t rows = tile_rows(kernels, choose_rounding(kernels, args));
    layout.block_keys = em__max(PANEL, em__min(BLOCK_KEYS, em__round_up(longest_sequence(args, args->keys), PANEL)));
    layout.value_panels = em__round_up(args->value_dim, PANEL) / PANEL;
    layout.score_stride = layout.block_keys + SCORE_PAD;
    layout.out_stride = layout.value_panels * PANEL + SCORE_PAD;
    layout.values = layout.block_keys * args->head_dim;
    layout.scores = layout.values + layout.block_keys * layout.value_panels * PANEL;
    layout.out = layout.scores + rows * layout.score_stride;
    layout.query = layout.out + PART_ROWS * layout.out_stride;
    layout.add = layout.query + rows * em__round_up(args->head_dim + SCORE_PAD, SCORE_PAD);
    layout.states = layout.add + layout.block_keys;
    layout.wide = layout.states + PART_ROWS * (int64_t)(sizeof(em__softmax_state) / sizeof(float));
    layout.total = layout.wide + (args->cache == EM_F32 ? 0 : PANEL * em__max(args->head_dim, args->value_dim));
    return layout;
}

size_t em__attention_scratch_bytes(const em__attention_kernels *kernels, const em__attention_args *args)
{
    return (size_t)make_layout(kernels, args).total * sizeof(float);
}

/* `rows` tokens of `dim` elements from `data` on, as f32: where they lie or, widened, in the scratch, times `scales`
 * unless that is NULL. `token` becomes their distance. */
static const float *in_f32(const attention_head *head, const char *data, int64_t *token, int rows, int64_t dim,
                           const float *scales)
{
    const em_dtype dtype = head->plan->args->cache;
    if (dtype == EM_F32)
        return (const float *)(const void *)data;
    const int64_t step = *token * (int64_t)em_dtype_size(dtype);
    for (int r = 0; r < rows; r++) {
        head->plan->kernels->decode[dtype].widen(head->wide + r * dim, data + r * step, dim);
        if (scales)
            head->plan->kernels->scale(head->wide + r * dim, head->wide + r * dim, scales[r], dim);
    }
    *token = dim;
    return head->wide;
}

/* Elements of a key or a query that is rounded. */
static int64_t even_dim(const em__attention_args *args)
{
    return em__round_up(args->head_dim, 2);
}

static uint16_t *halves(float *at)
{
    return (uint16_t *)(void *)at;
}

/* Keys as columns of panels, values as rows of them; where there are none they are zeros. */
static void pack_rounded(const attention_head *head, int64_t block, int64_t n)
{
    const attention_plan *plan = head->plan;
    const em__attention_args *args = plan->args;
    const uint16_t *k = (const uint16_t *)(const void *)head->k + block * args->k.token;
    const uint16_t *v = (const uint16_t *)(const void *)head->v + block * args->v.token;
    for (int64_t j = 0; j < em__round_up(n, PANEL); j += HALF)
        plan->rounding->turn(halves(head->packed_keys) + j * even_dim(args), k + j * args->k.token, args->k.token,
                             (int)em__max(0, em__min(HALF, n - j)), args->head_dim);
    for (int64_t j = 0; j < plan->layout.value_panels * PANEL; j += HALF)
        plan->rounding->pair(halves(head->packed_values) + j * plan->layout.block_keys, v + j, args->v.token,
                             (int)em__max(0, em__min(HALF, args->value_dim - j)), n);
}

static void pack_block(attention_head *head, int64_t block, int64_t n)
{
    const attention_plan *plan = head->plan;
    head->packed_block = block;
    if (plan->rounding) {
        pack_rounded(head, block, n);
        return;
    }
    const em__attention_args *args = plan->args;
    const em__gemm_kernels *gemm = plan->kernels->gemm;
    const int64_t size = (int64_t)em_dtype_size(args->cache);
    for (int64_t j = 0; j < n; j += PANEL) {
        const int rows = (int)em__min(PANEL, n - j);
        int64_t token = args->k.token;
        const float *from = in_f32(head, head->k + (block + j) * token * size, &token, rows, args->head_dim,
                                   head->k_scales ? head->k_scales + block + j : NULL);
        gemm->pack_rows(head->packed_keys + j * args->head_dim, from, token, rows, args->head_dim, false);
        token = args->v.token;
        from = in_f32(head, head->v + (block + j) * token * size, &token, rows, args->value_dim,
                      head->v_scales ? head->v_scales + block + j : NULL);
        for (int64_t p = 0; p < plan->layout.value_panels; p++)
            gemm->pack_columns(head->packed_values + p * PANEL * plan->layout.block_keys + j * PANEL, from + p * PANEL,
                               token, (int)em__min(PANEL, args->value_dim - p * PANEL), rows, false);
    }
}

static void score_rounded(const attention_head *head, int64_t query, int rows, int64_t n)
{
    const attention_plan *plan = head->plan;
    const em__attention_args *args = plan->args;
    const int64_t dim = even_dim(args);
    em__round_tile tile = {.a = halves(head->query),
                           .lda = em__round_up(dim, 2 * SCORE_PAD) + 2 * SCORE_PAD,
                           .half = HALF * dim,
                           .ldc = plan->layout.score_stride,
                           .pairs = dim / 2,
                           .rows = rows,
                           .columns = PANEL,
                           .first = true};
    for (int r = 0; r < rows; r++)
        plan->rounding->round(halves(head->query) + r * tile.lda, head->q + (query + r) * args->q.token,
                              args->head_dim);
    for (int64_t j = 0; j < n; j += PANEL) {
        tile.b = halves(head->packed_keys) + j * dim;
        tile.c = head->scores + j;
        plan->rounding->tile(&tile);
    }
}

/* Raw scores of `rows` queries from `query` on against the first n packed keys, rounded up to whole panels. */
static void score_tile(const attention_head *head, int64_t query, int rows, int64_t n)
{
    const attention_plan *plan = head->plan;
    const em__attention_args *args = plan->args;
    if (plan->rounding) {
        score_rounded(head, query, rows, n);
        return;
    }
    em__gemm_tile tile = {.a = head->q + query * args->q.token,
                          .lda = args->q.token,
                          .ldb = PANEL,
                          .ldc = plan->layout.score_stride,
                          .k = args->head_dim,
                          .rows = rows,
                          .columns = PANEL,
                          .first = true,
                          .prefetch = (const char *)head->packed_keys};
    if (args->q.token * (int64_t)sizeof(float) % PAGE == 0) {
        tile.lda = em__round_up(args->head_dim + SCORE_PAD, SCORE_PAD);
        for (int r = 0; r < rows; r++)
            memcpy(head->query + r * tile.lda, tile.a + r * args->q.token, (size_t)args->head_dim * sizeof(float));
        tile.a = head->query;
    }
    for (int64_t j = 0; j < n; j += PANEL) {
        tile.b = head->packed_keys + j * args->head_dim;
        tile.c = head->scores + j;
        plan->kernels->gemm->tile(&tile);
    }
}

static void softmax_tile(const attention_head *head, int64_t query, int64_t row, int rows, int64_t block, int64_t n)
{
    const attention_plan *plan = head->plan;
    for (int r = 0; r < rows; r++) {
        int64_t seen = em__max(0, em__min(n, em__attention_end(head->plan->args, &head->at, query + r) - block));
        const float *add =
            seen > 0 ? em__attention_addend(plan->args, &head->at, query + r, block, seen, head->add) : NULL;
        float *scores = head->scores + r * plan->layout.score_stride, scale = plan->args->scale;
        if (plan->args->softcap != 0) {
            plan->kernels->cap(scores, seen, scale / plan->args->softcap, plan->args->softcap);
            scale = 1;
        }
        float kept = plan->kernels->softmax(scores, add, seen, n, scale, &head->states[row + r]);
        float *out = head->sums + (row + r) * plan->layout.out_stride;
        if (block > head->first_block && kept != 1)
            plan->kernels->scale(out, out, kept, plan->layout.value_panels * PANEL);
    }
}

/* The values of `key`, a pair's second, become those of `with`, and those its own. */
static void swap_values(uint16_t *panel, int64_t half, int64_t key, uint16_t with[PANEL])
{
    for (int i = 0; i < PANEL; i++) {
        uint16_t *value = panel + i / HALF * half + key / 2 * 2 * HALF + i % HALF * 2 + 1;
        const uint16_t own = *value;
        *value = with[i];
        with[i] = own;
    }
}

/* The rows of scores are rounded where they lie: a row moves to the front half of its room. Of an odd n the last pair's
 * second value is one that no row sees; it gives way to zero, since zero times what it may be is no zero. */
static void value_rounded(const attention_head *head, int64_t row, int rows, int64_t n, bool first)
{
    const attention_layout *layout = &head->plan->layout;
    const em__round_kernels *rounding = head->plan->rounding;
    em__round_tile tile = {.a = halves(head->scores),
                           .lda = 2 * layout->score_stride,
                           .half = HALF * layout->block_keys,
                           .ldc = layout->out_stride,
                           .pairs = (n + 1) / 2,
                           .rows = rows,
                           .columns = PANEL,
                           .first = first};
    for (int r = 0; r < rows; r++)
        rounding->round(halves(head->scores + r * layout->score_stride), head->scores + r * layout->score_stride, n);
    for (int64_t p = 0; p < layout->value_panels; p++) {
        uint16_t *panel = halves(head->packed_values) + p * PANEL * layout->block_keys, unseen[PANEL] = {0};
        tile.b = panel;
        tile.c = head->sums + row * layout->out_stride + p * PANEL;
        if (n % 2)
            swap_values(panel, tile.half, n, unseen);
        rounding->tile(&tile);
        if (n % 2)
            swap_values(panel, tile.half, n, unseen);
    }
}

static void value_tile(const attention_head *head, int64_t row, int rows, int64_t n, bool first)
{
    const attention_layout *layout = &head->plan->layout;
    if (head->plan->rounding) {
        value_rounded(head, row, rows, n, first);
        return;
    }
    em__gemm_tile tile = {.a = head->scores,
                          .lda = layout->score_stride,
                          .ldb = PANEL,
                          .ldc = layout->out_stride,
                          .k = n,
                          .rows = rows,
                          .columns = PANEL,
                          .first = first,
                          .prefetch = (const char *)head->packed_values};
    for (int64_t p = 0; p < layout->value_panels; p++) {
        tile.b = head->packed_values + p * PANEL * layout->block_keys;
        tile.c = head->sums + row * layout->out_stride + p * PANEL;
        head->plan->kernels->gemm->tile(&tile);
    }
}

/* Queries [query, query + rows) against the block of keys that begins at `block`. */
static void run_block(attention_head *head, int64_t query, int64_t rows, int64_t block)
{
    const attention_layout *layout = &head->plan->layout;
    const int64_t keys = em__min(head->at.keys - block, layout->block_keys);
    const int64_t tiles = em__div_up(rows, tile_rows(head->plan->kernels, head->plan->rounding));
    if (em__attention_end(head->plan->args, &head->at, query + rows - 1) > block && head->packed_block != block)
        pack_block(head, block, keys);
    for (int64_t i = 0; i < tiles; i++) {
        int64_t row = rows * i / tiles;
        int height = (int)(rows * (i + 1) / tiles - row);
        int64_t n = em__min(keys, em__attention_end(head->plan->args, &head->at, query + row + height - 1) - block);
        if (n > 0) {
            score_tile(head, query + row, height, n);
            softmax_tile(head, query + row, row, height, block, n);
            value_tile(head, row, height, n, block == head->first_block);
        } else if (block == head->first_block) {
            memset(head->sums + row * layout->out_stride, 0, (size_t)(height * layout->out_stride) * sizeof(float));
        }
    }
}

static void run_rows(attention_head *head, int64_t query, int64_t rows)
{
    const attention_plan *plan = head->plan;
    const em__attention_args *args = plan->args;
    const float sink = args->sinks ? args->sinks[head->at.head] : -INFINITY;
    for (int64_t r = 0; r < rows; r++)
        head->states[r] = (em__softmax_state){.maximum = sink, .sum = args->sinks ? 1 : 0};
    int64_t block =
        em__attention_first(head->plan->args, &head->at, query) / plan->layout.block_keys * plan->layout.block_keys;
    head->first_block = block;
    do {
        run_block(head, query, rows, block);
        block += plan->layout.block_keys;
    } while (block < head->at.keys);
    for (int64_t r = 0; r < rows; r++) {
        float sum = head->states[r].sum;
        plan->kernels->scale(head->out + (query + r) * args->out_token, head->sums + r * plan->layout.out_stride,
                             sum == 0 ? 0 : 1 / sum, args->value_dim);
    }
}

static void find_head(attention_head *head, const attention_plan *plan, int64_t index)
{
    const em__attention_args *args = plan->args;
    int64_t b = index / args->heads, h = index % args->heads, kv = h / (args->heads / args->kv_heads);
    const int64_t begin = args->offsets ? args->offsets[b] : 0, dense = args->offsets ? 0 : b;
    const int64_t size = (int64_t)em_dtype_size(args->cache);
    head->plan = plan;
    head->at.sequence = b;
    head->at.head = h;
    head->at.queries = args->offsets ? args->offsets[b + 1] - begin : args->queries;
    head->at.keys = args->offsets ? head->at.queries : args->keys;
    if (args->lengths)
        head->at.keys = em__max(0, em__min(head->at.keys, args->lengths[b * args->length_stride]));
    head->q = (const float *)args->q.data + dense * args->q.batch + begin * args->q.token + h * args->q.head;
    head->k = (const char *)args->k.data + (dense * args->k.batch + begin * args->k.token + kv * args->k.head) * size;
    head->v = (const char *)args->v.data + (dense * args->v.batch + begin * args->v.token + kv * args->v.head) * size;
    head->out = (float *)args->out + dense * args->out_batch + begin * args->out_token + h * args->out_head;
    head->k_scales = em__attention_scales_of(&args->k_scales, b, kv);
    head->v_scales = em__attention_scales_of(&args->v_scales, b, kv);
    head->packed_block = -1;
}

static void run_task(void *context, int64_t index, int worker)
{
    const attention_plan *plan = context;
    attention_head head;
    find_head(&head, plan, index / plan->parts);
    float *scratch = em__pool_scratch(plan->pool, worker);
    head.packed_keys = scratch;
    head.packed_values = scratch + plan->layout.values;
    head.scores = scratch + plan->layout.scores;
    head.sums = scratch + plan->layout.out;
    head.query = scratch + plan->layout.query;
    head.add = scratch + plan->layout.add;
    head.states = (em__softmax_state *)(scratch + plan->layout.states);
    head.wide = scratch + plan->layout.wide;
    int64_t query = index % plan->parts * plan->part_rows;
    int64_t end = em__min(head.at.queries, query + plan->part_rows);
    em__round_begin(plan->rounding);
    for (; query < end; query += PART_ROWS)
        run_rows(&head, query, em__min(PART_ROWS, end - query));
    em__round_end(plan->rounding);
}

/* Few heads are cut into parts so that every thread has work. A causal tile multiplies keys that some of its rows do
 * not see by zero, which is no zero when a value is infinite: there the parts don't depend on the thread count. */
static int64_t choose_part_rows(const attention_plan *plan, int64_t heads, int64_t longest)
{
    const int64_t wanted = 4 * em__pool_size(plan->pool), rows = tile_rows(plan->kernels, plan->rounding);
    if (plan->args->causal || plan->args->window)
        return PART_ROWS;
    if (heads >= wanted)
        return longest;
    return em__max(2 * rows, em__round_up(longest / ((wanted + heads - 1) / heads), rows));
}

em_status em__attention_f32(const em__attention_kernels *kernels, em__pool *pool, const em__attention_args *args)
{
    const int64_t longest = longest_sequence(args, args->queries);
    const int64_t heads = args->batch * args->heads;
    if (heads <= 0 || longest <= 0 || args->value_dim <= 0)
        return EM_OK;
    attention_plan plan = {.kernels = kernels, .pool = pool, .args = args, .layout = make_layout(kernels, args)};
    plan.rounding = choose_rounding(kernels, args);
    EM__TRY(em__pool_reserve(pool, (size_t)plan.layout.total * sizeof(float)));
    plan.part_rows = choose_part_rows(&plan, heads, longest);
    plan.parts = (longest + plan.part_rows - 1) / plan.part_rows;
    em__pool_run(pool, run_task, &plan, heads * plan.parts);
    return EM_OK;
}
