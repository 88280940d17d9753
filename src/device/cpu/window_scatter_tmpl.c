/* One part of a scatter of windows. Included with T, the unsigned type U of its size, and FN(name). Sums of integers
 * wrap. */
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

static inline T FN(plus)(T a, T b)
{
    return (T)0.5 != 0 ? a + b : (T)((uint64_t)a + (uint64_t)b); /* a float, or not */
}

static inline T FN(better)(T v, T value, bool max)
{
    return max ? (v > value ? v : value) : (v < value ? v : value);
}

/* All ones where v, as good or better, takes the place: the vectoriser wants masks. */
static inline U FN(takes)(T v, T value, bool max)
{
    return (U) - (U)(max ? v >= value : v <= value);
}

static inline T FN(chosen)(U mask, T yes, T no)
{
    U bits, other;
    memcpy(&bits, &yes, sizeof bits);
    memcpy(&other, &no, sizeof other);
    bits = (bits & mask) | (other & ~mask);
    memcpy(&yes, &bits, sizeof yes);
    return yes;
}

/* A line of whole windows of 2 x 2 that do not meet: what most networks pool by. `row`: from a row to the next. */
static inline void FN(squares)(const T *restrict x, const T *restrict source, T *restrict out, T init, int64_t row,
                               int64_t n, bool max)
{
    for (int64_t j = 0; j < n; j++) {
        const T a = x[2 * j], b = x[2 * j + 1], c = x[row + 2 * j], d = x[row + 2 * j + 1];
        const T two = FN(better)(b, a, max), three = FN(better)(c, two, max), sum = FN(plus)(init, source[j]);
        const U second = FN(takes)(b, a, max), third = FN(takes)(c, two, max), fourth = FN(takes)(d, three, max);
        out[2 * j] = FN(chosen)((U)(second | third | fourth), init, sum);
        out[2 * j + 1] = FN(chosen)((U)(second & ~third & ~fourth), sum, init);
        out[row + 2 * j] = FN(chosen)((U)(third & ~fourth), sum, init);
        out[row + 2 * j + 1] = FN(chosen)(fourth, sum, init);
    }
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
        int64_t at = begin(s, place, start, &outer), first = start[s->rank - 1];
        if (s->squares && outer && first >= 0 && first + (s->line - 1) * s->step <= s->last) {
            if (max)
                FN(squares)(x + at, source + i, out + at, init, s->offset[2], s->line, true);
            else
                FN(squares)(x + at, source + i, out + at, init, s->offset[2], s->line, false);
            continue;
        }
        for (int64_t j = 0; j < s->line; j++, at += s->step, start[s->rank - 1] += s->step) {
            bool whole = outer && start[s->rank - 1] >= 0 && start[s->rank - 1] <= s->last;
            int e = !whole ? FN(best_of_some)(s, x, at, start, init, max)
                    : max  ? FN(best)(s, x + at, true)
                           : FN(best)(s, x + at, false);
            T *to = e >= 0 ? &out[at + s->offset[e]] : NULL;
            if (to)
                *to = FN(plus)(*to, source[i + j]);
        }
    }
}

#undef T
#undef U
#undef FN
