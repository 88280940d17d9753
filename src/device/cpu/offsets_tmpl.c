/* Offsets from one index dtype, left to the compiler to vectorise. Included with T and FN(name). */
static inline int64_t FN(clamp)(T index, int64_t count)
{
    int64_t x = (int64_t)index;
    if ((T)-1 > 0 && sizeof(T) == 8) /* u64 above the range of int64 saturates */
        x = x < 0 ? INT64_MAX : x;
    x = x < count ? x : count - 1;
    return x < 0 ? 0 : x;
}

static void FN(set)(int64_t *at, const em__index_list *list, int64_t base)
{
    const T *index = list->index;
    int64_t n = list->n, step = list->step, count = list->count, scale = list->scale;
    if (step == 1 && scale == 1)
        for (int64_t i = 0; i < n; i++)
            at[i] = base + FN(clamp)(index[i], count);
    else if (step == 1)
        for (int64_t i = 0; i < n; i++)
            at[i] = base + FN(clamp)(index[i], count) * scale;
    else
        for (int64_t i = 0; i < n; i++)
            at[i] = base + FN(clamp)(index[i * step], count) * scale;
}

static void FN(add)(int64_t *at, const em__index_list *list)
{
    const T *index = list->index;
    for (int64_t i = 0; i < list->n; i++)
        at[i] += FN(clamp)(index[i * list->step], list->count) * list->scale;
}

static void FN(strict)(int64_t *at, const em__index_list *list)
{
    const T *index = list->index;
    int64_t n = list->n, step = list->step, count = list->count, scale = list->scale;
    for (int64_t i = 0; i < n; i++) {
        int64_t x = (int64_t)index[i * step]; /* u64 above the range of int64 is negative */
        at[i] = ((at[i] >= 0) & (x >= 0) & (x < count)) ? at[i] + x * scale : -1;
    }
}

/* Without a branch: it would go either way. */
static inline int64_t FN(within)(int32_t *at, int32_t *number, const void *in, int64_t n, int64_t low, int64_t range)
{
    const T *index = in;
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t above = (uint64_t)(int64_t)index[i] - (uint64_t)low;
        at[found] = (int32_t)above;
        number[found] = (int32_t)i;
        found += above < (uint64_t)range;
    }
    return found;
}

#undef T
#undef FN
