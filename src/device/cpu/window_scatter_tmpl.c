/* One part of a scatter of windows. Included with T and FN(name). Sums of integers wrap. */
static inline int FN(best)(const scatter *s, const T *x, bool max)
{
    int best = 0;
    T value = x[s->offset[0]];
    for (int e = 1; e < s->elements; e++) {
        T v = x[s->offset[e]];
        int takes = -(int)(max ? v >= value : v <= value); /* no branch: it would be taken at random */
        value = max ? (v > value ? v : value) : (v < value ? v : value);
        best = (e & takes) | (best & ~takes);
    }
    return best;
}

/* The same where some elements are padding; -1 when padding wins. */
static int FN(best_of_some)(const scatter *s, const T *x, int64_t at, const int64_t *start, T pad, bool max)
{
    int best = -1;
    T value = pad;
    for (int e = 0; e < s->elements; e++) {
        bool here = inside(s, start, e);
        T v = here ? x[at + s->offset[e]] : pad;
        if (e > 0 && !(max ? v >= value : v <= value))
            continue;
        value = v;
        best = here ? e : -1;
    }
    return best;
}

static void FN(part)(const scatter *s, int64_t part)
{
    const em__call *call = s->call;
    const T *x = (const T *)call->in[0].data + part * s->part_in;
    const T *source = (const T *)call->in[1].data + part * s->places;
    const T init = *(const T *)call->in[2].data;
    T *out = (T *)call->out.data + part * s->part_in;
    bool max = call->op == EM__OP_WINDOW_SCATTER_MAX;
    int64_t place[EM_MAX_RANK] = {0}, start[EM_MAX_RANK];
    for (int64_t i = 0; i < s->part_in; i++)
        out[i] = init;
    for (int64_t i = 0; i < s->places; i += s->line, next_line(s, place)) {
        bool outer;
        int64_t at = begin(s, place, start, &outer);
        for (int64_t j = 0; j < s->line; j++, at += s->step, start[s->rank - 1] += s->step) {
            bool whole = outer && start[s->rank - 1] >= 0 && start[s->rank - 1] <= s->last;
            int e = !whole ? FN(best_of_some)(s, x, at, start, init, max)
                    : max  ? FN(best)(s, x + at, true)
                           : FN(best)(s, x + at, false);
            T *to = e >= 0 ? &out[at + s->offset[e]] : NULL;
            if (to && (T)0.5 != 0) /* a float */
                *to += source[i + j];
            else if (to)
                *to = (T)((uint64_t)*to + (uint64_t)source[i + j]);
        }
    }
}

#undef T
#undef FN
