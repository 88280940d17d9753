/* Single elements by offset, for one element size. Included with T a type of that size and FN(name). */
static void FN(pick)(void *out, const void *in, const int64_t *at, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[at[i]];
}

static void FN(spread)(void *out, const void *in, const int64_t *at, int64_t n)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        y[at[i]] = x[i];
}

/* Those that go to [low, high). */
static void FN(put_within)(void *out, const void *in, const int64_t *at, int64_t n, int64_t low, int64_t high)
{
    T *y = out;
    const T *x = in;
    for (int64_t i = 0; i < n; i++)
        if (at[i] >= low && at[i] < high)
            y[at[i]] = x[i];
}

#undef T
#undef FN
