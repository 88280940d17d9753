/* Packing weights of bf16 into 12 bits (gemm_packed.h), reading them back, and both in portable C. */
#include "device/cpu/gemm_packed.h"

#include <stdatomic.h>
#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define COLUMNS EM__BF12_COLUMNS
#define DEPTH EM__BF12_DEPTH
#define ELEMENTS EM__BF12_ELEMENTS
#define PIECE 64 /* bytes */
#define RAW_PIECES (ELEMENTS * (int64_t)sizeof(uint16_t) / PIECE)

static int64_t rounded(int64_t bytes)
{
    return (bytes + PIECE - 1) / PIECE * PIECE;
}

/* One piece of side for each block: lists of up to 16 odd elements everywhere, or 1 block in 64 raw. */
static em__bf12 lay_out(int64_t n, int64_t k)
{
    em__bf12 w = {.n = n, .k = k, .chunks = k / DEPTH};
    const int64_t blocks = em__div_up(n, COLUMNS) * w.chunks;
    w.heads = rounded(sizeof w);
    w.blocks = w.heads + rounded(blocks * (int64_t)sizeof(em__bf12_head));
    w.side = w.blocks + blocks * EM__BF12_BYTES;
    w.pieces = blocks;
    return w;
}

size_t em__bf12_bytes(int64_t n, int64_t k)
{
    size_t elements;
    if (n <= 0 || k <= 0 || k % DEPTH || em__mul_overflows((size_t)n + COLUMNS, (size_t)k, &elements) ||
        elements > (size_t)1 << 40)
        return 0;
    const em__bf12 w = lay_out(n, k);
    return (size_t)(w.side + w.pieces * PIECE);
}

typedef struct pack_job {
    const em__gemm_kernels *kernels;
    em__bf12 *to;
    const uint16_t *src;
    int64_t row;
    atomic_llong pieces; /* of the side that were given away, or asked for */
} pack_job;

/* The side for a block; false when there is no more. */
static bool take_side(pack_job *job, em__bf12_head *head, const uint16_t *turned, const uint32_t *odd)
{
    const bool raw = head->odd > EM__BF12_MOST_ODD;
    const int64_t pieces = raw ? RAW_PIECES : em__div_up(head->odd * (int64_t)sizeof *odd, PIECE);
    if (pieces == 0)
        return true;
    const int64_t at = atomic_fetch_add(&job->pieces, pieces);
    if (at + pieces > job->to->pieces)
        return false;
    char *side = (char *)job->to + job->to->side + at * PIECE;
    if (raw)
        memcpy(side, turned, ELEMENTS * sizeof *turned);
    else
        memcpy(side, odd, head->odd * sizeof *odd);
    head->side = (uint32_t)at;
    head->odd = raw ? EM__BF12_RAW : head->odd;
    return true;
}

static void pack_group(void *context, int64_t group, int worker)
{
    pack_job *job = context;
    em__bf12 *w = job->to;
    _Alignas(64) uint16_t turned[ELEMENTS];
    uint32_t odd[EM__BF12_MOST_ODD];
    const int columns = (int)em__min(w->n - group * COLUMNS, COLUMNS);
    const uint16_t *src = job->src + group * COLUMNS * job->row;
    (void)worker;
    for (int64_t i = 0; i < w->chunks; i++) {
        const int64_t index = group * w->chunks + i;
        em__bf12_head head = {0};
        job->kernels->bf12_turn(turned, src + i * DEPTH, job->row, columns);
        job->kernels->bf12_pack((uint8_t *)w + w->blocks + index * EM__BF12_BYTES, turned, &head, odd);
        if (!take_side(job, &head, turned, odd))
            return;
        memcpy((char *)w + w->heads + index * (int64_t)sizeof head, &head, sizeof head);
    }
}

bool em__bf12_pack(const em__gemm_kernels *kernels, em__pool *pool, void *to, const uint16_t *src, int64_t n, int64_t k,
                   int64_t row)
{
    pack_job job = {kernels, to, src, row, 0};
    const int64_t groups = em__div_up(n, COLUMNS);
    *job.to = lay_out(n, k);
    em__pool_run(pool, pack_group, &job, groups);
    return atomic_load(&job.pieces) <= job.to->pieces;
}

void em__bf12_unpack(const em__gemm_kernels *kernels, const em__bf12 *w, int64_t index, uint16_t *dst, int64_t step)
{
    const em__bf12_head *head = em__bf12_head_at(w, index);
    if (head->odd == EM__BF12_RAW) {
        const uint16_t *raw = em__bf12_side_at(w, head);
        for (int i = 0; i < ELEMENTS / EM__BF12_STEP; i++)
            memcpy(dst + i * step, raw + i * EM__BF12_STEP, EM__BF12_STEP * sizeof *dst);
        return;
    }
    kernels->bf12_unpack(dst, step, em__bf12_block_at(w, index), head);
    em__bf12_mend(dst, step, w, head);
}

void em__bf12_widen_panel(const em__gemm_kernels *kernels, const em__bf12 *w, int64_t column, int columns, int64_t from,
                          int64_t k, float *dst)
{
    _Alignas(64) uint16_t turned[ELEMENTS];
    for (int half = 0; half < EM__GEMM_PANEL; half += COLUMNS) {
        const int64_t group = (column + (half < columns ? half : 0)) / COLUMNS;
        for (int64_t i = 0; i < k; i += DEPTH) {
            em__bf12_unpack(kernels, w, group * w->chunks + (from + i) / DEPTH, turned, EM__BF12_STEP);
            kernels->bf12_widen(dst + i * EM__GEMM_PANEL + half, turned);
        }
    }
}

void em__bf12_fetch(const em__bf12 *w, int64_t column, int64_t columns, int64_t from, int64_t k, int64_t index,
                    int64_t parts)
{
    const uint8_t *at = em__bf12_block_at(w, column / COLUMNS * w->chunks + from / DEPTH);
    em__gemm_fetch((const char *)at, w->chunks * EM__BF12_BYTES, em__div_up(columns, COLUMNS),
                   k / DEPTH * EM__BF12_BYTES, index, parts);
}

static void turn(uint16_t *dst, const uint16_t *src, int64_t row, int columns)
{
    for (int i = 0; i < DEPTH; i += 2)
        for (int j = 0; j < COLUMNS; j++)
            memcpy(dst + i * COLUMNS + 2 * j, src + (j < columns ? j : 0) * row + i, 2 * sizeof *dst);
}

/* The largest high byte without sign, and whether one is zero. */
static void choose_table(const uint16_t *turned, em__bf12_head *head)
{
    int last = 7;
    bool zero = false;
    for (int i = 0; i < ELEMENTS; i++) {
        const int high = turned[i] >> 8 & 0x7f;
        last = high > last ? high : last;
        zero |= high == 0;
    }
    head->last = (uint8_t)last;
    head->first = (uint8_t)(zero ? 0 : last - 7);
}

/* Where element i of four vectors has its low byte among the low bytes, and its code among the codes. */
static int byte_of(int i)
{
    const int vector = i / 32, lane = i % 32 / 8;
    return vector / 2 * 64 + lane * 16 + vector % 2 * 8 + i % 8;
}

static void pack(uint8_t *block, const uint16_t *turned, em__bf12_head *head, uint32_t *odd)
{
    uint8_t table[16];
    choose_table(turned, head);
    em__bf12_table(head, table);
    memset(block, 0, EM__BF12_BYTES);
    for (int i = 0; i < ELEMENTS; i++) {
        uint8_t *unit = block + i / 128 * EM__BF12_UNIT;
        const int at = byte_of(i % 128), high = turned[i] >> 8;
        const int code = em__min(high & 0x7f ? (uint8_t)((high & 0x7f) - head->last + 7) : 0, 7) | high >> 7 << 3;
        unit[64 + at] = (uint8_t)turned[i];
        unit[at % 64] |= (uint8_t)(code << (at / 64 * 4));
        if (table[code] == high)
            continue;
        if (head->odd < EM__BF12_MOST_ODD)
            odd[head->odd] = (uint32_t)i << 16 | turned[i];
        head->odd++;
    }
}

static void unpack(uint16_t *dst, int64_t step, const uint8_t *block, const em__bf12_head *head)
{
    uint8_t table[16];
    em__bf12_table(head, table);
    for (int i = 0; i < ELEMENTS; i++) {
        const uint8_t *unit = block + i / 128 * EM__BF12_UNIT;
        const int at = byte_of(i % 128), code = unit[at % 64] >> (at / 64 * 4) & 15;
        dst[i / EM__BF12_STEP * step + i % EM__BF12_STEP] = (uint16_t)(table[code] << 8 | unit[64 + at]);
    }
}

static void widen(float *dst, const uint16_t *turned)
{
    for (int i = 0; i < DEPTH; i++)
        for (int j = 0; j < COLUMNS; j++) {
            const uint32_t bits = (uint32_t)turned[i / 2 * 2 * COLUMNS + 2 * j + i % 2] << 16;
            memcpy(dst + i * EM__GEMM_PANEL + j, &bits, sizeof bits);
        }
}

void em__bf12_portable(em__gemm_kernels *kernels)
{
    kernels->bf12_turn = turn;
    kernels->bf12_pack = pack;
    kernels->bf12_unpack = unpack;
    kernels->bf12_widen = widen;
}
