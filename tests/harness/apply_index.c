/* Recorded cases of ops by index, arrangements, running results and windows. */
#include <emily/indexing.h>
#include <emily/windows.h>

#include "harness/apply.h"
#include "harness/expect.h"

#define AXIS (int)book_number(c, "axis", 0)
#define OFFSET (int64_t) book_number(c, "offset", 0)

static em_array *apply_take_along_axis(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_take_along_axis(s, in[0], in[1], AXIS);
}

static em_array *apply_gather(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_gather(s, in[0], in[1], apply_axes(c, "axes"));
}

static em_array *apply_indexed_add(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_indexed_add(s, in[0], in[1], in[2], apply_axes(c, "axes"));
}

static em_array *apply_indexed_put(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_indexed_put(s, in[0], in[1], in[2], apply_axes(c, "axes"));
}

static em_array *apply_dynamic_slice(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t lengths[EM_MAX_RANK], strides[EM_MAX_RANK];
    book_list(c, "lengths", lengths);
    book_list(c, "strides", strides);
    return em_dynamic_slice(s, in[0], in + 1, lengths, strides);
}

static em_array *apply_put_slice(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_put_slice(s, in[0], in[1], in + 2);
}

static em_array *apply_tile(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t reps[EM_MAX_RANK];
    book_list(c, "reps", reps);
    return em_tile(s, in[0], reps);
}

static em_array *apply_repeat(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_repeat(s, in[0], (int64_t)book_number(c, "count", 1), AXIS);
}

static em_array *apply_stack(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_stack(s, in, c->n_in, AXIS);
}

static em_array *apply_roll(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_roll(s, in[0], (int64_t)book_number(c, "shift", 0), AXIS);
}

static em_array *apply_diagonal(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_diagonal(s, in[0], OFFSET);
}

static em_array *apply_make_diagonal(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_make_diagonal(s, in[0], OFFSET);
}

static em_array *apply_tril(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_tril(s, in[0], OFFSET);
}

static em_array *apply_triu(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_triu(s, in[0], OFFSET);
}

static em_array *apply_outer(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_outer(s, in[0], in[1]);
}

static em_array *apply_eye(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)in;
    return em_eye(s, apply_dtype(c), apply_dims(c), OFFSET);
}

static em_array *apply_tri(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)in;
    return em_tri(s, apply_dtype(c), apply_dims(c), OFFSET);
}

static em_array *apply_full(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)in;
    return em_full(s, apply_dtype(c), book_number(c, "value", 0), apply_dims(c));
}

#define CUMULATIVE(op)                                                                                                 \
    static em_array *apply_cumulative_##op(em_scope *s, const book_case *c, em_array *const *in)                       \
    {                                                                                                                  \
        return em_cumulative_##op(s, in[0], AXIS, book_number(c, "reverse", 0) != 0);                                  \
    }
CUMULATIVE(sum)
CUMULATIVE(product)
CUMULATIVE(max)
CUMULATIVE(min)

/* The window and its options; the lists are the caller's. */
typedef struct window {
    int64_t size[EM_MAX_RANK], strides[EM_MAX_RANK], dilations[EM_MAX_RANK], low[EM_MAX_RANK], high[EM_MAX_RANK];
    em_window_options options;
} window;

static const int64_t *list(const book_case *c, const char *key, int64_t *values)
{
    return book_list(c, key, values) ? values : NULL;
}

static void get_window(const book_case *c, window *w)
{
    book_list(c, "window", w->size);
    w->options = (em_window_options){.struct_size = sizeof w->options,
                                     .strides = list(c, "strides", w->strides),
                                     .dilations = list(c, "dilations", w->dilations),
                                     .low = list(c, "low", w->low),
                                     .high = list(c, "high", w->high),
                                     .same = book_number(c, "same", 0) != 0};
}

#define WINDOW(op)                                                                                                     \
    static em_array *apply_window_##op(em_scope *s, const book_case *c, em_array *const *in)                           \
    {                                                                                                                  \
        window w;                                                                                                      \
        get_window(c, &w);                                                                                             \
        return em_window_##op(s, in[0], w.size, &w.options);                                                           \
    }
WINDOW(sum)
WINDOW(product)
WINDOW(max)
WINDOW(min)
WINDOW(mean)

static em_array *apply_window_scatter_max(em_scope *s, const book_case *c, em_array *const *in)
{
    window w;
    get_window(c, &w);
    return em_window_scatter_max(s, in[0], in[1], in[2], w.size, &w.options);
}

static em_array *apply_window_scatter_min(em_scope *s, const book_case *c, em_array *const *in)
{
    window w;
    get_window(c, &w);
    return em_window_scatter_min(s, in[0], in[1], in[2], w.size, &w.options);
}

const apply_row apply_index[] = {
    {"take_along_axis", apply_take_along_axis},
    {"gather", apply_gather},
    {"indexed_add", apply_indexed_add},
    {"indexed_put", apply_indexed_put},
    {"dynamic_slice", apply_dynamic_slice},
    {"put_slice", apply_put_slice},
    {"tile", apply_tile},
    {"repeat", apply_repeat},
    {"stack", apply_stack},
    {"roll", apply_roll},
    {"diagonal", apply_diagonal},
    {"make_diagonal", apply_make_diagonal},
    {"tril", apply_tril},
    {"triu", apply_triu},
    {"outer", apply_outer},
    {"eye", apply_eye},
    {"tri", apply_tri},
    {"full", apply_full},
    {"cumulative_sum", apply_cumulative_sum},
    {"cumulative_product", apply_cumulative_product},
    {"cumulative_max", apply_cumulative_max},
    {"cumulative_min", apply_cumulative_min},
    {"window_sum", apply_window_sum},
    {"window_product", apply_window_product},
    {"window_max", apply_window_max},
    {"window_min", apply_window_min},
    {"window_mean", apply_window_mean},
    {"window_scatter_max", apply_window_scatter_max},
    {"window_scatter_min", apply_window_scatter_min},
    {0},
};
