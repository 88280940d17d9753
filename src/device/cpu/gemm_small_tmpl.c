/*
 * The small product of one dtype and level (gemm_small.h): defines small_NAME. A block of C is rows x vectors of sums
 * in registers, the last vector partly used. The including file gives NAME, ELEM, vec, LANES, CHUNK, SET1, FMA, ADD,
 * LOAD, STORE, LOADN and STOREN (with a count of elements), and REGISTERS, 32 or 16, which bound rows x vectors.
 */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if REGISTERS == 32
#define MOST_ROWS 14
#else
#define MOST_ROWS 6
#endif

static inline __attribute__((always_inline)) void JOIN(block_, NAME)(const em__gemm_small *g, const ELEM *a,
                                                                     const ELEM *b, ELEM *c, int last, const int rows,
                                                                     const int vectors)
{
    vec sum[MOST_ROWS][8], total[MOST_ROWS][8];
    const int64_t row = g->row, depth = g->depth, ldb = g->ldb;
    int64_t k = 0;
    do {
        const int64_t end = g->k - k > CHUNK ? k + CHUNK : g->k;
        const bool begun = k > 0;
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++) sum[r][v] = SET1(0);
        for (; k < end; k++, b += ldb) {
            vec x[8];
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors - 1; v++) x[v] = LOAD(b + v * LANES);
            x[vectors - 1] = LOADN(b + (vectors - 1) * LANES, last);
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
            {
                const vec y = SET1(a[r * row + k * depth]);
                _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++) sum[r][v] = FMA(y, x[v], sum[r][v]);
            }
        }
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++)
        {
            if (begun)
                sum[r][v] = ADD(total[r][v], sum[r][v]);
            if (k < g->k)
                total[r][v] = sum[r][v];
        }
    } while (k < g->k);
    _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
    {
        _Pragma("GCC unroll 8") for (int v = 0; v < vectors - 1; v++) STORE(c + r * g->ldc + v * LANES, sum[r][v]);
        STOREN(c + r * g->ldc + (vectors - 1) * LANES, sum[r][vectors - 1], last);
    }
}

typedef void (*JOIN(block_fn_, NAME))(const em__gemm_small *g, const ELEM *a, const ELEM *b, ELEM *c, int last);

#define BLOCK(rows, vectors)                                                                                           \
    static void JOIN(JOIN(JOIN(NAME, _##rows), _##vectors), _block)(const em__gemm_small *g, const ELEM *a,            \
                                                                    const ELEM *b, ELEM *c, int last)                  \
    {                                                                                                                  \
        JOIN(block_, NAME)(g, a, b, c, last, rows, vectors);                                                           \
    }
#define AT(rows, vectors) JOIN(JOIN(JOIN(NAME, _##rows), _##vectors), _block)
#define TWO(rows) BLOCK(rows, 1) BLOCK(rows, 2)
#define FOUR(rows) TWO(rows) BLOCK(rows, 4)
#define EIGHT(rows) FOUR(rows) BLOCK(rows, 8)

#if REGISTERS == 32
EIGHT(1)
EIGHT(2)
EIGHT(3)
FOUR(4)
FOUR(5)
FOUR(6)
FOUR(7)
TWO(8)
TWO(9)
TWO(10)
TWO(11)
TWO(12)
TWO(13)
TWO(14)
static const JOIN(block_fn_, NAME) JOIN(blocks_, NAME)[MOST_ROWS][4] = {
    {AT(1, 1), AT(1, 2), AT(1, 4), AT(1, 8)},
    {AT(2, 1), AT(2, 2), AT(2, 4), AT(2, 8)},
    {AT(3, 1), AT(3, 2), AT(3, 4), AT(3, 8)},
    {AT(4, 1), AT(4, 2), AT(4, 4)},
    {AT(5, 1), AT(5, 2), AT(5, 4)},
    {AT(6, 1), AT(6, 2), AT(6, 4)},
    {AT(7, 1), AT(7, 2), AT(7, 4)},
    {AT(8, 1), AT(8, 2)},
    {AT(9, 1), AT(9, 2)},
    {AT(10, 1), AT(10, 2)},
    {AT(11, 1), AT(11, 2)},
    {AT(12, 1), AT(12, 2)},
    {AT(13, 1), AT(13, 2)},
    {AT(14, 1), AT(14, 2)},
};
#else
EIGHT(1)
FOUR(2)
FOUR(3)
TWO(4)
TWO(5)
TWO(6)
static const JOIN(block_fn_, NAME) JOIN(blocks_, NAME)[MOST_ROWS][4] = {
    {AT(1, 1), AT(1, 2), AT(1, 4), AT(1, 8)},
    {AT(2, 1), AT(2, 2), AT(2, 4)},
    {AT(3, 1), AT(3, 2), AT(3, 4)},
    {AT(4, 1), AT(4, 2)},
    {AT(5, 1), AT(5, 2)},
    {AT(6, 1), AT(6, 2)},
};
#endif

static void JOIN(small_, NAME)(const em__gemm_small *g)
{
    const int64_t tiles = (g->m + MOST_ROWS - 1) / MOST_ROWS;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t from = g->m * i / tiles;
        const int rows = (int)(g->m * (i + 1) / tiles - from);
        const JOIN(block_fn_, NAME) *const blocks = JOIN(blocks_, NAME)[rows - 1];
        const ELEM *a = (const ELEM *)g->a + from * g->row, *b = g->b;
        ELEM *c = (ELEM *)g->c + from * g->ldc;
        for (int64_t j = 0; j < g->n;) {
            const int64_t left = (g->n - j + LANES - 1) / LANES;
            int log = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
            while (!blocks[log])
                log--;
            const int64_t columns = (int64_t)LANES << log;
            const int last = (int)(g->n - j < columns ? g->n - j - (columns - LANES) : LANES);
            blocks[log](g, a, b + j, c + j, last);
            j += columns;
        }
    }
}

#undef EIGHT
#undef FOUR
#undef TWO
#undef AT
#undef BLOCK
#undef MOST_ROWS
#undef JOIN
#undef JOIN_
#undef NAME
#undef ELEM
#undef vec
#undef LANES
#undef CHUNK
#undef SET1
#undef FMA
#undef ADD
#undef LOAD
#undef STORE
#undef LOADN
#undef STOREN
