/*
 * Reductions of plain C elements, left to the compiler to vectorise. Included once for f64 and each integer type, with
 *   T, FN(name), DTYPE                the element, function names, the enumerator
 *   ADD(a, b), MUL(a, b)              that wrap where T is an integer
 *   LOWEST, HIGHEST                   identities of max and min
 *   NAN_HERE(x)                       whether x is a NaN
 * Sixteen running lanes, element i in lane i % 16, folded by halves: f64 adds in this order at every level.
 */
static inline T FN(add)(T a, T b)
{
    return ADD(a, b);
}

static inline T FN(mul)(T a, T b)
{
    return MUL(a, b);
}

static inline T FN(larger)(T a, T b)
{
    T m = a > b ? a : b;
    return NAN_HERE(a) ? a : m;
}

static inline T FN(smaller)(T a, T b)
{
    T m = a < b ? a : b;
    return NAN_HERE(a) ? a : m;
}

static inline __attribute__((always_inline)) T FN(row)(const T *x, size_t n, T identity, T (*f)(T, T))
{
    T lanes[16];
    for (int j = 0; j < 16; j++)
        lanes[j] = identity;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++)
            lanes[j] = f(lanes[j], x[i + (size_t)j]);
    for (int j = 0; i < n; i++, j++)
        lanes[j] = f(lanes[j], x[i]);
    for (int width = 8; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            lanes[j] = f(lanes[j], lanes[j + width]);
    return lanes[0];
}

static inline __attribute__((always_inline)) void FN(column)(T *acc, const T *x, size_t rows, size_t stride,
                                                             size_t width, T identity, T (*f)(T, T))
{
    T total[EM__REDUCE_TILE];
    for (size_t c = 0; c < width; c++)
        total[c] = identity;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c++)
            total[c] = f(total[c], x[r * stride + c]);
    memcpy(acc, total, width * sizeof *acc);
}

static void FN(sum_row)(void *acc, const void *x, size_t n)
{
    *(T *)acc = FN(row)(x, n, (T)0, FN(add));
}

static void FN(product_row)(void *acc, const void *x, size_t n)
{
    *(T *)acc = FN(row)(x, n, (T)1, FN(mul));
}

static void FN(max_row)(void *acc, const void *x, size_t n)
{
    *(T *)acc = FN(row)(x, n, LOWEST, FN(larger));
}

static void FN(min_row)(void *acc, const void *x, size_t n)
{
    *(T *)acc = FN(row)(x, n, HIGHEST, FN(smaller));
}

static void FN(sum_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, (T)0, FN(add));
}

static void FN(product_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, (T)1, FN(mul));
}

static void FN(max_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, LOWEST, FN(larger));
}

static void FN(min_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, HIGHEST, FN(smaller));
}

static size_t FN(find)(const T *x, size_t n, T value, bool last)
{
    if (NAN_HERE(value)) {
        for (size_t i = 0; i < n; i++)
            if (NAN_HERE(x[i]))
                return i;
    }
    for (size_t k = 0; k < n; k++) {
        size_t i = last ? n - 1 - k : k;
        if (x[i] == value)
            return i;
    }
    return 0;
}

static size_t FN(arg_max)(const void *x, size_t n, bool last)
{
    return FN(find)(x, n, FN(row)(x, n, LOWEST, FN(larger)), last);
}

static size_t FN(arg_min)(const void *x, size_t n, bool last)
{
    return FN(find)(x, n, FN(row)(x, n, HIGHEST, FN(smaller)), last);
}

static void FN(fill)(em__reduce *k)
{
    k->row[EM__REDUCE_SUM][DTYPE] = FN(sum_row);
    k->row[EM__REDUCE_PRODUCT][DTYPE] = FN(product_row);
    k->row[EM__REDUCE_MAX][DTYPE] = FN(max_row);
    k->row[EM__REDUCE_MIN][DTYPE] = FN(min_row);
    k->column[EM__REDUCE_SUM][DTYPE] = FN(sum_column);
    k->column[EM__REDUCE_PRODUCT][DTYPE] = FN(product_column);
    k->column[EM__REDUCE_MAX][DTYPE] = FN(max_column);
    k->column[EM__REDUCE_MIN][DTYPE] = FN(min_column);
    k->arg[EM__ARG_MAX][DTYPE] = FN(arg_max);
    k->arg[EM__ARG_MIN][DTYPE] = FN(arg_min);
}

#undef T
#undef FN
#undef DTYPE
#undef ADD
#undef MUL
#undef LOWEST
#undef HIGHEST
#undef NAN_HERE
