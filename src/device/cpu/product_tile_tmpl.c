/*
 * One kind's tile: ROWS x 2 vectors of sums in registers, one broadcast of A and two vectors of B a step. Defines
 * tile_NAME. The including file gives NAME, ELEM, vec (LANES of ELEM), ROWS, SPLAT(x), MULADD(sum, a, b), and CHUNK,
 * the steps of one chain.
 */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define LANES ((int)(sizeof(vec) / sizeof(ELEM)))

static inline __attribute__((always_inline)) void JOIN(add_, NAME)(vec sum[ROWS][2], const ELEM *x, int64_t stride,
                                                                   const int rows)
{
    _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
    {
        vec before;
        memcpy(&before, x + r * stride + i * LANES, sizeof before);
        sum[r][i] = before + sum[r][i];
    }
}

static inline __attribute__((always_inline)) void JOIN(store_, NAME)(vec sum[ROWS][2], ELEM *x, int64_t stride,
                                                                     const int rows)
{
    _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
        memcpy(x + r * stride + i * LANES, &sum[r][i], sizeof(vec));
}

/* The edge of C, element by element. */
static inline void JOIN(edge_, NAME)(const em__product_tile *t, const ELEM *sum)
{
    for (int r = 0; r < t->rows; r++)
        for (int j = 0; j < t->columns; j++) {
            ELEM *c = (ELEM *)t->c + r * t->ldc + j;
            *c = t->first ? sum[r * 2 * LANES + j] : (ELEM)(*c + sum[r * 2 * LANES + j]);
        }
}

static inline __attribute__((always_inline)) void JOIN(body_, NAME)(const em__product_tile *t, const int rows)
{
    _Alignas(64) ELEM room[ROWS * 2 * LANES];
    const ELEM *a = t->a, *b = t->b;
    const char *prefetch = t->prefetch;
    const int64_t lda = t->lda;
    const bool whole = t->columns == 2 * LANES;
    vec sum[ROWS][2];
    int64_t k = 0;
    do {
        const int64_t end = t->k - k > CHUNK ? k + CHUNK : t->k;
        const bool begun = k > 0;
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vec){0};
        for (; k < end; k++, b += 2 * LANES) {
            vec b0, b1;
            __builtin_prefetch(prefetch, 0, 2);
            prefetch += t->prefetch_step;
            memcpy(&b0, b, sizeof b0);
            memcpy(&b1, b + LANES, sizeof b1);
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
            {
                const vec x = SPLAT(a[r * lda + k]);
                sum[r][0] = MULADD(sum[r][0], x, b0);
                sum[r][1] = MULADD(sum[r][1], x, b1);
            }
        }
        if (begun)
            JOIN(add_, NAME)(sum, room, 2 * LANES, rows);
        if (k < t->k)
            JOIN(store_, NAME)(sum, room, 2 * LANES, rows);
    } while (k < t->k);
    if (!whole) {
        JOIN(store_, NAME)(sum, room, 2 * LANES, rows);
        JOIN(edge_, NAME)(t, room);
        return;
    }
    if (!t->first)
        JOIN(add_, NAME)(sum, t->c, t->ldc, rows);
    JOIN(store_, NAME)(sum, t->c, t->ldc, rows);
}

static void JOIN(tile_, NAME)(const em__product_tile *t)
{
#define CASE(rows)                                                                                                     \
    case rows: JOIN(body_, NAME)(t, rows <= ROWS ? rows : ROWS); break
    switch (t->rows) {
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
#if ROWS > 4
        CASE(5);
        CASE(6);
#endif
#if ROWS > 6
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
#endif
    default: break;
    }
#undef CASE
}

#undef JOIN_
#undef JOIN
#undef LANES
#undef NAME
#undef ELEM
#undef vec
#undef SPLAT
#undef MULADD
#undef CHUNK
