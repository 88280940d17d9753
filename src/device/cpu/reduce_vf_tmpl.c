/*
 * Reductions in vectors of f32. Included once for each of f32, f16 and bf16, with
 *   E, FN(name), DTYPE       the element as stored, function names, the enumerator
 *   LOAD, LOAD_N             from memory to vf
 *   ONE(p)                   the f32 value of the element at p
 */
static inline __attribute__((always_inline)) void FN(lanes)(vf acc[VF_TREE], const E *x, size_t n, vf identity,
                                                            vf (*f)(vf, vf))
{
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++)
        acc[j] = identity;
    size_t i = 0;
    for (; i + VF_TREE_LANES <= n; i += VF_TREE_LANES) {
        VF_TREE_UNROLL
        for (int j = 0; j < VF_TREE; j++)
            acc[j] = f(acc[j], LOAD(x + i + (size_t)j * VF_LANES));
    }
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++, i += VF_LANES) {
        if (i >= n)
            break;
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf h = count == VF_LANES ? LOAD(x + i) : vf_pad(LOAD_N(x + i, count), count, identity);
        acc[j] = f(acc[j], h);
    }
}

/* Lanes of SUM_BLOCK elements at a time, added to running totals: no chain of additions grows long. */
static void FN(sum_row)(void *out, const void *row, size_t n)
{
    const E *x = row;
    vf total[VF_TREE], acc[VF_TREE];
    FN(lanes)(total, x, n < SUM_BLOCK ? n : SUM_BLOCK, vf_set1(0.0f), vf_add);
    for (size_t i = SUM_BLOCK; i < n; i += SUM_BLOCK) {
        FN(lanes)(acc, x + i, n - i < SUM_BLOCK ? n - i : SUM_BLOCK, vf_set1(0.0f), vf_add);
        VF_TREE_UNROLL
        for (int j = 0; j < VF_TREE; j++)
            total[j] = vf_add(total[j], acc[j]);
    }
    *(float *)out = vf_tree_add(total);
}

static void FN(product_row)(void *out, const void *x, size_t n)
{
    vf acc[VF_TREE];
    FN(lanes)(acc, x, n, vf_set1(1.0f), vf_mul);
    *(float *)out = fold_lanes(acc, vf_mul);
}

static void FN(max_row)(void *out, const void *x, size_t n)
{
    vf acc[VF_TREE];
    FN(lanes)(acc, x, n, vf_set1(-VF_INFINITY), vf_larger);
    *(float *)out = fold_larger(acc);
}

static void FN(min_row)(void *out, const void *x, size_t n)
{
    vf acc[VF_TREE];
    FN(lanes)(acc, x, n, vf_set1(VF_INFINITY), vf_smaller);
    VF_TREE_UNROLL
    for (int j = 0; j < VF_TREE; j++)
        acc[j] = vf_neg(acc[j]);
    *(float *)out = -fold_larger(acc);
}

/* part[c] = f(part[c], f(f(x0, x1), f(x2, x3))) for four rows, or f(part[c], x0) for one. */
static inline __attribute__((always_inline)) void FN(add_rows)(float *part, const E *x, size_t stride, size_t width,
                                                               int rows, vf (*f)(vf, vf))
{
    for (size_t c = 0; c < width; c += VF_LANES) {
        int n = width - c < VF_LANES ? (int)(width - c) : VF_LANES;
        const E *at = x + c;
        vf h = n == VF_LANES ? LOAD(at) : LOAD_N(at, n);
        if (rows == 4) {
            vf h1 = n == VF_LANES ? LOAD(at + stride) : LOAD_N(at + stride, n);
            vf h2 = n == VF_LANES ? LOAD(at + 2 * stride) : LOAD_N(at + 2 * stride, n);
            vf h3 = n == VF_LANES ? LOAD(at + 3 * stride) : LOAD_N(at + 3 * stride, n);
            h = f(f(h, h1), f(h2, h3));
        }
        vf_store(part + c, f(vf_load(part + c), h));
    }
}

/* total[c] = f(total[c], part[c]); part becomes the identity again. */
static inline __attribute__((always_inline)) void FN(carry)(float *total, float *part, size_t width, vf identity,
                                                            vf (*f)(vf, vf))
{
    for (size_t c = 0; c < width; c += VF_LANES) {
        vf_store(total + c, f(vf_load(total + c), vf_load(part + c)));
        vf_store(part + c, identity);
    }
}

static inline __attribute__((always_inline)) void FN(column)(float *acc, const E *x, size_t rows, size_t stride,
                                                             size_t width, vf identity, vf (*f)(vf, vf))
{
    _Alignas(64) float sums[3][EM__REDUCE_TILE + VF_LANES]; /* of a block, of COLUMN_BLOCKS blocks, of all */
    for (int level = 0; level < 3; level++)
        for (size_t c = 0; c < width; c += VF_LANES)
            vf_store(sums[level] + c, identity);
    for (size_t from = 0, blocks = 1; from < rows; from += EM__REDUCE_BLOCK, blocks++) {
        size_t to = rows - from < EM__REDUCE_BLOCK ? rows : from + EM__REDUCE_BLOCK, r = from;
        for (; r + 4 <= to; r += 4)
            FN(add_rows)(sums[0], x + r * stride, stride, width, 4, f);
        for (; r < to; r++)
            FN(add_rows)(sums[0], x + r * stride, stride, width, 1, f);
        FN(carry)(sums[1], sums[0], width, identity, f);
        if (blocks % COLUMN_BLOCKS == 0)
            FN(carry)(sums[2], sums[1], width, identity, f);
    }
    FN(carry)(sums[2], sums[1], width, identity, f);
    memcpy(acc, sums[2], width * sizeof *acc);
}

static void FN(sum_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, vf_set1(0.0f), vf_add);
}

static void FN(product_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, vf_set1(1.0f), vf_mul);
}

static void FN(max_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, vf_set1(-VF_INFINITY), vf_larger);
}

static void FN(min_column)(void *acc, const void *x, size_t rows, size_t stride, size_t width)
{
    FN(column)(acc, x, rows, stride, width, vf_set1(VF_INFINITY), vf_smaller);
}

/* The extreme is found first, then looked for: both passes are plain vector loops over a row in cache. */
static size_t FN(find)(const E *x, size_t n, float value, bool last)
{
    if (value != value) {
        for (size_t i = 0; i < n; i++)
            if (vm_any(vf_is_nan(vf_set1(ONE(x + i)))))
                return i;
    }
    vf wanted = vf_set1(value);
    size_t blocks = (n + VF_LANES - 1) / VF_LANES;
    for (size_t k = 0; k < blocks; k++) {
        size_t i = (last ? blocks - 1 - k : k) * VF_LANES;
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf h = count == VF_LANES ? LOAD(x + i) : vf_pad(LOAD_N(x + i, count), count, vf_set1((float)NAN));
        if (!vm_any(vf_eq(h, wanted)))
            continue;
        for (size_t j = 0; j < (size_t)count; j++) {
            size_t at = last ? i + (size_t)count - 1 - j : i + j;
            if (ONE(x + at) == value)
                return at;
        }
    }
    return 0;
}

static size_t FN(arg_max)(const void *x, size_t n, bool last)
{
    float value;
    FN(max_row)(&value, x, n);
    return FN(find)(x, n, value, last);
}

static size_t FN(arg_min)(const void *x, size_t n, bool last)
{
    float value;
    FN(min_row)(&value, x, n);
    return FN(find)(x, n, value, last);
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

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef ONE
#undef DTYPE
