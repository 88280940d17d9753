/*
 * all and any by element size: an element is true when a bit of MASK is set in it (floats: any bit but the sign, so NaN
 * is true). Included once for each size and kind, with T an unsigned type of that size, MASK and FN(name).
 * A row stops at the first block that decides it.
 */
static inline int FN(count_true)(const T *x, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++)
        count += (x[i] & MASK) != 0;
    return count;
}

static void FN(all_row)(void *acc, const void *x, size_t n)
{
    uint8_t truth = 1;
    for (size_t i = 0; truth && i < n; i += 1024) {
        size_t count = n - i < 1024 ? n - i : 1024;
        truth = FN(count_true)((const T *)x + i, count) == (int)count;
    }
    *(uint8_t *)acc = truth;
}

static void FN(any_row)(void *acc, const void *x, size_t n)
{
    uint8_t truth = 0;
    for (size_t i = 0; !truth && i < n; i += 1024)
        truth = FN(count_true)((const T *)x + i, n - i < 1024 ? n - i : 1024) != 0;
    *(uint8_t *)acc = truth;
}

static void FN(all_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    const T *at = x;
    uint8_t *truth = acc;
    memset(truth, 1, width);
    for (size_t r = 0; r < rows; r++, at += stride)
        for (size_t c = 0; c < width; c++)
            truth[c] &= (at[c] & MASK) != 0;
}

static void FN(any_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    const T *at = x;
    uint8_t *truth = acc;
    memset(truth, 0, width);
    for (size_t r = 0; r < rows; r++, at += stride)
        for (size_t c = 0; c < width; c++)
            truth[c] |= (at[c] & MASK) != 0;
}

static void FN(fill)(em__reduce *k, em_dtype dtype)
{
    k->row[EM__REDUCE_ALL][dtype] = FN(all_row);
    k->row[EM__REDUCE_ANY][dtype] = FN(any_row);
    k->column[EM__REDUCE_ALL][dtype] = FN(all_column);
    k->column[EM__REDUCE_ANY][dtype] = FN(any_column);
}

#undef T
#undef MASK
#undef FN
