/* Single elements read by offset, for one element size. Included with T a type of that size and FN(name). */
static void FN(pick)(void *out, const void *in, const int64_t *at, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[at[i]];
}

#undef T
#undef FN
