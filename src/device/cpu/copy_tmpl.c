/*
 * Strided loops for one element size. Included once a size with T a type of that size and FN(name).
 * The transpose goes block by block, so that each cache line it reads or writes is used whole while it is in L1.
 */
static void FN(line)(void *out, int64_t out_step, const void *in, int64_t in_step, size_t n)
{
    T *y = out;
    const T *x = in;
    if (in_step == 0 && out_step == 1) {
        T value = *x;
        for (size_t i = 0; i < n; i++)
            y[i] = value;
        return;
    }
    for (size_t i = 0; i < n; i++, y += out_step, x += in_step)
        *y = *x;
}

static void FN(transpose)(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows, size_t cols,
                          bool stream)
{
    (void)stream;
    T *y = out;
    const T *x = in;
    for (size_t r0 = 0; r0 < rows; r0 += BLOCK) {
        size_t r1 = rows - r0 < BLOCK ? rows : r0 + BLOCK;
        for (size_t c0 = 0; c0 < cols; c0 += BLOCK) {
            size_t c1 = cols - c0 < BLOCK ? cols : c0 + BLOCK;
            for (size_t r = r0; r < r1; r++)
                for (size_t c = c0; c < c1; c++)
                    y[(int64_t)r * out_stride + (int64_t)c] = x[(int64_t)c * in_stride + (int64_t)r];
        }
    }
}

#undef T
#undef FN
