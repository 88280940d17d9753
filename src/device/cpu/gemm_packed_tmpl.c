/*
 * Weights of bf16 in 12 bits (gemm_packed.h) at a level, included behind gemm_thin_tmpl.c. Besides what that one asks
 * for, the level defines
 *
 *   ivec, BYTES (of one), LOAD_I(p), STORE_I(p, v), TABLE(p) 16 bytes in each 16-byte lane, SHUFFLE(table, v),
 *   SET8(x), AND, OR, MAX16, MIN16 (unsigned), MIN8, SUB8, LEFT16(v, n), RIGHT16(v, n), LOW8(a, b), HIGH8(a, b) that
 *   unpack bytes, AS_VEC(v), PACK16(a, b), KEEP(v, w) v where w is not zero, OTHER(a, b) a bit for each byte that
 *   differs; PACKED_ROWS (of A that meet a block side by side, 4 or 16), PACKED_MOST
 */
#include "device/cpu/gemm_packed.h"

#define AHEAD_PACKED 8192 /* bytes: blocks follow each other, and a pair of them is worked on at a time */
#define UNROLL_UNITS for (int u = 0; u < EM__BF12_UNITS; u++)
#define ELEMENTS EM__BF12_ELEMENTS
#define HALF(p, i, g) ((p) + (i)*32 + (g) * (BYTES / 2)) /* group g's elements of vector i */

ALWAYS ivec table_of(const em__bf12_head *head)
{
    _Alignas(16) uint8_t bytes[16];
    em__bf12_table(head, bytes);
    return TABLE(bytes);
}

/* Group g of a unit's four vectors. */
ALWAYS void unpack_unit(ivec v[4], const uint8_t *unit, ivec table, int g)
{
    const ivec codes = LOAD_I(unit + g * BYTES), low4 = SET8(15);
    const ivec high0 = SHUFFLE(table, AND(codes, low4)), high1 = SHUFFLE(table, AND(RIGHT16(codes, 4), low4));
    const ivec low0 = LOAD_I(unit + 64 + g * BYTES), low1 = LOAD_I(unit + 128 + g * BYTES);
    v[0] = LOW8(low0, high0);
    v[1] = HIGH8(low0, high0);
    v[2] = LOW8(low1, high1);
    v[3] = HIGH8(low1, high1);
}

ALWAYS void call_ahead(const uint8_t *unit)
{
    for (int line = 0; line < EM__BF12_UNIT; line += 64)
        _mm_prefetch((const char *)unit + line + AHEAD_PACKED, _MM_HINT_T1);
}

ALWAYS void unpack_block(uint16_t *dst, int64_t step, const uint8_t *block, const em__bf12_head *head)
{
    const ivec table = table_of(head);
    UNROLL_UNITS
    {
        const uint8_t *unit = block + u * EM__BF12_UNIT;
        call_ahead(unit);
        UNROLL_GROUPS
        {
            ivec v[4];
            unpack_unit(v, unit, table, g);
            for (int i = 0; i < 4; i++)
                STORE_I(HALF(dst + u / 4 * step + u % 4 * 128, i, g), v[i]);
        }
    }
}

static void bf12_unpack(uint16_t *dst, int64_t step, const uint8_t *block, const em__bf12_head *head)
{
    unpack_block(dst, step, block, head);
}

static void bf12_turn(uint16_t *dst, const uint16_t *src, int64_t row, int columns)
{
    const char *column[COLUMNS];
    for (int j = 0; j < COLUMNS; j++)
        column[j] = (const char *)(src + (j < columns ? j : 0) * row);
    for (int k = 0; k < EM__BF12_DEPTH; k += 2 * LANES)
        UNROLL_GROUPS
        {
            vec v[LANES];
            load_turned(v, column + g * LANES, k, AHEAD, EM__B_BF16);
            UNROLL_LANES STORE((float *)(void *)HALF(dst, k / 2 + i, g), v[i]);
        }
}

static void choose_table(const uint16_t *turned, em__bf12_head *head)
{
    const ivec mask = LEFT16(SET8(0x7f), 8);
    uint16_t highs[BYTES / 2], lows[BYTES / 2];
    ivec high = SET8(0), low = mask;
    for (int i = 0; i < ELEMENTS; i += BYTES / 2) {
        const ivec v = AND(LOAD_I(turned + i), mask);
        high = MAX16(high, v);
        low = MIN16(low, v);
    }
    STORE_I(highs, high);
    STORE_I(lows, low);
    int last = 7;
    bool zero = false;
    for (int i = 0; i < BYTES / 2; i++) {
        last = highs[i] >> 8 > last ? highs[i] >> 8 : last;
        zero |= lows[i] == 0;
    }
    head->last = (uint8_t)last;
    head->first = (uint8_t)(zero ? 0 : last - 7);
}

/* The codes of the high bytes of two vectors; what is odd among them is listed. */
ALWAYS ivec encode(ivec high, ivec table, const uint16_t *turned, int vector, int g, em__bf12_head *head, uint32_t *odd)
{
    const ivec magnitude = AND(high, SET8(0x7f));
    const ivec code = KEEP(MIN8(SUB8(magnitude, SET8((char)(head->last - 7))), SET8(7)), magnitude);
    const ivec codes = OR(code, AND(RIGHT16(high, 4), SET8(8)));
    for (uint64_t other = OTHER(SHUFFLE(table, codes), high); other; other &= other - 1) {
        const int byte = __builtin_ctzll(other);
        const int at = (vector + byte % 16 / 8) * 32 + g * (BYTES / 2) + byte / 16 * 8 + byte % 8;
        if (head->odd < EM__BF12_MOST_ODD)
            odd[head->odd] = (uint32_t)at << 16 | turned[at];
        head->odd++;
    }
    return codes;
}

static void bf12_pack(uint8_t *block, const uint16_t *turned, em__bf12_head *head, uint32_t *odd)
{
    choose_table(turned, head);
    const ivec table = table_of(head), byte = RIGHT16(SET8((char)0xff), 8);
    UNROLL_UNITS
    {
        uint8_t *unit = block + u * EM__BF12_UNIT;
        UNROLL_GROUPS
        {
            ivec codes[2];
            for (int i = 0; i < 2; i++) {
                const int vector = 4 * u + 2 * i;
                const ivec a = LOAD_I(HALF(turned, vector, g)), b = LOAD_I(HALF(turned, vector + 1, g));
                STORE_I(unit + 64 + 64 * i + g * BYTES, PACK16(AND(a, byte), AND(b, byte)));
                codes[i] = encode(PACK16(RIGHT16(a, 8), RIGHT16(b, 8)), table, turned, vector, g, head, odd);
            }
            STORE_I(unit + g * BYTES, OR(codes[0], LEFT16(codes[1], 4)));
        }
    }
}

static void bf12_widen(float *dst, const uint16_t *turned)
{
    for (int i = 0; i < EM__BF12_VECTORS; i++)
        UNROLL_GROUPS
        {
            const vec v = LOAD(HALF(turned, i, g));
            STORE(dst + 2 * i * EM__GEMM_PANEL + g * LANES, LOW(v));
            STORE(dst + (2 * i + 1) * EM__GEMM_PANEL + g * LANES, HIGH(v));
        }
}

/* Block `index` as it was, in `room` or where it stands. */
ALWAYS const uint16_t *open_block(const em__bf12 *w, int64_t index, uint16_t *room)
{
    const em__bf12_head *head = em__bf12_head_at(w, index);
    if (head->odd == EM__BF12_RAW)
        return em__bf12_side_at(w, head);
    unpack_block(room, EM__BF12_STEP, em__bf12_block_at(w, index), head);
    if (head->odd)
        em__bf12_mend(room, EM__BF12_STEP, w, head);
    return room;
}

/* sum += two elements of k. */
ALWAYS void meet_vector(vec sum[PACKED_ROWS][GROUPS], const float *a, vec v, int g, const int rows)
{
    const vec low = LOW(v), high = HIGH(v);
    UNROLL_ROWS sum[r][g] = FMA(SET1(a[r]), low, sum[r][g]);
    UNROLL_ROWS sum[r][g] = FMA(SET1(a[rows + r]), high, sum[r][g]);
}

/* Vector i of an open block. */
ALWAYS void meet_turned(vec sum[PACKED_ROWS][GROUPS], const float *a, const uint16_t *turned, int i, const int rows)
{
    UNROLL_GROUPS meet_vector(sum, a + 2 * i * rows, LOAD(HALF(turned, i, g)), g, rows);
}

/* A unit without odd elements. */
ALWAYS void meet_unit(vec sum[PACKED_ROWS][GROUPS], const float *a, const uint8_t *unit, ivec table, const int rows)
{
    call_ahead(unit);
    UNROLL_GROUPS
    {
        ivec v[4];
        unpack_unit(v, unit, table, g);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            meet_vector(sum, a + 2 * i * rows, AS_VEC(v[i]), g, rows);
    }
}

ALWAYS void clear(vec sum[PACKED_ROWS][GROUPS], const int rows)
{
    UNROLL_ROWS
    {
        UNROLL_GROUPS sum[r][g] = ZERO;
    }
}

/* Two blocks that follow each other. */
ALWAYS void meet_pair(vec sum[PACKED_ROWS][GROUPS], vec other[PACKED_ROWS][GROUPS], const em__bf12 *w, int64_t index,
                      const float *a, const int rows)
{
    const em__bf12_head *head = em__bf12_head_at(w, index);
    clear(sum, rows);
    clear(other, rows);
    if (!(head[0].odd | head[1].odd)) {
        const ivec one = table_of(&head[0]), two = table_of(&head[1]);
        const uint8_t *block = em__bf12_block_at(w, index);
        UNROLL_UNITS
        {
            meet_unit(sum, a + 8 * u * rows, block + u * EM__BF12_UNIT, one, rows);
            meet_unit(other, a + (EM__BF12_DEPTH + 8 * u) * rows, block + EM__BF12_BYTES + u * EM__BF12_UNIT, two,
                      rows);
        }
        return;
    }
    _Alignas(64) uint16_t room[2][ELEMENTS];
    const uint16_t *one = open_block(w, index, room[0]), *two = open_block(w, index + 1, room[1]);
    for (int i = 0; i < EM__BF12_VECTORS; i++) {
        meet_turned(sum, a, one, i, rows);
        meet_turned(other, a + EM__BF12_DEPTH * rows, two, i, rows);
    }
}

/* One block. */
ALWAYS void meet_block(vec sum[PACKED_ROWS][GROUPS], const em__bf12 *w, int64_t index, const float *a, const int rows)
{
    const em__bf12_head *head = em__bf12_head_at(w, index);
    clear(sum, rows);
    if (!head->odd) {
        const ivec table = table_of(head);
        const uint8_t *block = em__bf12_block_at(w, index);
        UNROLL_UNITS meet_unit(sum, a + 8 * u * rows, block + u * EM__BF12_UNIT, table, rows);
        return;
    }
    _Alignas(64) uint16_t room[ELEMENTS];
    const uint16_t *turned = open_block(w, index, room);
    for (int i = 0; i < EM__BF12_VECTORS; i++)
        meet_turned(sum, a, turned, i, rows);
}

ALWAYS void packed_body(const em__gemm_thin *t, const em__bf12 *w, int64_t group, const int rows)
{
    vec total[PACKED_ROWS][GROUPS], sum[PACKED_ROWS][GROUPS];
    const int64_t first = group * w->chunks;
    int64_t chunk = 0;
    clear(total, rows);
    for (; rows <= PAIRED && chunk + 2 <= w->chunks; chunk += 2) {
        vec other[PACKED_ROWS][GROUPS];
        meet_pair(sum, other, w, first + chunk, t->a + chunk * EM__BF12_DEPTH * rows, rows);
        add_chunk(total, sum, chunk > 0, rows);
        add_chunk(total, other, true, rows);
    }
    for (; chunk < w->chunks; chunk++) {
        meet_block(sum, w, first + chunk, t->a + chunk * EM__BF12_DEPTH * rows, rows);
        add_chunk(total, sum, chunk > 0, rows);
    }
    UNROLL_ROWS
    {
        UNROLL_GROUPS STORE(t->c + r * COLUMNS + g * LANES, total[r][g]);
    }
}

#define PACKED(rows)                                                                                                   \
    static void packed_##rows(const em__gemm_thin *t, const em__bf12 *w, int64_t group)                                \
    {                                                                                                                  \
        packed_body(t, w, group, rows);                                                                                \
    }
#define FOUR(x) x(1) x(2) x(3) x(4)
#define SIXTEEN(x) FOUR(x) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15) x(16)
#if PACKED_ROWS == 16
#define EACH SIXTEEN
#else
#define EACH FOUR
#endif
#define BODY(rows) packed_##rows,
EACH(PACKED)

static void bf12_thin(const em__gemm_thin *t, const em__bf12 *w, int64_t group)
{
    static void (*const bodies[PACKED_ROWS])(const em__gemm_thin *, const em__bf12 *, int64_t) = {EACH(BODY)};
    bodies[t->rows - 1](t, w, group);
}

/* What a store writes beyond its rows the next one writes over. */
static void bf12_lay(float *dst, const float *a, int64_t lda, int rows, int64_t k)
{
    for (int64_t from = 0; from < k; from += LANES) {
        vec v[LANES];
        UNROLL_LANES v[i] = LOAD(a + (i < rows ? i : 0) * lda + from);
        TURN(v);
        UNROLL_LANES STORE(dst + (from + i) * rows, v[i]);
    }
}

static void fill_packed(em__gemm_kernels *kernels)
{
    kernels->bf12_turn = bf12_turn;
    kernels->bf12_pack = bf12_pack;
    kernels->bf12_unpack = bf12_unpack;
    kernels->bf12_widen = bf12_widen;
    kernels->packed_rows = PACKED_ROWS;
    kernels->packed_most = PACKED_MOST;
    kernels->bf12_thin = bf12_thin;
    kernels->bf12_lay = bf12_lay;
}
