/* Single elements added by offset, one after another. Included with T (unsigned where integers wrap) and FN(name). */
static void FN(add_at)(void *out, const void *in, const int64_t *at, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[at[i]] = (T)(y[at[i]] + x[i]);
}

/* Those that go to [low, high). */
static void FN(add_within)(void *out, const void *in, const int64_t *at, int64_t n, int64_t low, int64_t high)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        if (at[i] >= low && at[i] < high)
            y[at[i]] = (T)(y[at[i]] + x[i]);
}

#undef T
#undef FN
