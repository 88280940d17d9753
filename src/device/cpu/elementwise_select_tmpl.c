/*
 * pred ? a : b for one element size. Included once a size, with T an unsigned type of that size and FN(name).
 * The three modes with a scalar are their own loops, so that none of them tests the mode inside.
 */
static inline __attribute__((always_inline)) void FN(loop)(T *out, const uint8_t *pred, const T *a, const T *b,
                                                           size_t n, int sa, int sb)
{
    T va = n && sa ? *a : (T)0, vb = n && sb ? *b : (T)0;
    for (size_t i = 0; i < n; i++) {
        T x = sa ? va : a[i], y = sb ? vb : b[i];
        out[i] = pred[i] ? x : y;
    }
}

static void FN(select)(void *out, const uint8_t *pred, const void *a, const void *b, size_t n, em__mode mode)
{
    if (mode == EM__VV)
        FN(loop)(out, pred, a, b, n, 0, 0);
    else if (mode == EM__SCALAR_A)
        FN(loop)(out, pred, a, b, n, 1, 0);
    else if (mode == EM__SCALAR_B)
        FN(loop)(out, pred, a, b, n, 0, 1);
    else
        FN(loop)(out, pred, a, b, n, 1, 1);
}

#undef T
#undef FN
