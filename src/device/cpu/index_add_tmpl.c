/* Single elements added by offset, one after another. Included with T (unsigned where integers wrap) and FN(name). */
static void FN(add_at)(void *out, const void *in, const int64_t *at, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[at[i]] = (T)(y[at[i]] + x[i]);
}

/* Elements `number` of x. */
static void FN(add_listed)(void *out, const void *in, const int32_t *at, const int32_t *number, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[at[i]] = (T)(y[at[i]] + x[number[i]]);
}

#undef T
#undef FN
