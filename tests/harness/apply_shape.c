/* Recorded cases of ops that choose, cast, move and make elements. */
#include <emily/ops.h>

#include "harness/apply.h"

static em_array *apply_select(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_select(s, in[0], in[1], in[2]);
}

static em_array *apply_cast(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_cast(s, in[0], apply_dtype(c));
}

static em_array *apply_reshape(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_reshape(s, in[0], apply_dims(c));
}

static em_array *apply_transpose(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_transpose(s, in[0], apply_axes(c, "axes"));
}

static em_array *apply_broadcast_to(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_broadcast_to(s, in[0], apply_dims(c));
}

static em_array *apply_slice(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t start[EM_MAX_RANK], stop[EM_MAX_RANK], stride[EM_MAX_RANK];
    book_list(c, "start", start);
    book_list(c, "stop", stop);
    book_list(c, "stride", stride);
    return em_slice(s, in[0], start, stop, stride);
}

static em_array *apply_reverse(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_reverse(s, in[0], apply_axes(c, "axes"));
}

static em_array *apply_concatenate(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_concatenate(s, in, c->n_in, (int)book_number(c, "axis", 0));
}

static em_array *apply_pad(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t low[EM_MAX_RANK], high[EM_MAX_RANK], interior[EM_MAX_RANK];
    book_list(c, "low", low);
    book_list(c, "high", high);
    book_list(c, "interior", interior);
    return em_pad(s, in[0], in[1], low, high, interior);
}

static em_array *apply_iota(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)in;
    return em_iota(s, apply_dtype(c), apply_dims(c), (int)book_number(c, "axis", 0));
}

static em_array *apply_take(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_take(s, in[0], in[1], (int)book_number(c, "axis", 0));
}

const apply_row apply_shape[] = {
    {"select", apply_select},
    {"cast", apply_cast},
    {"reshape", apply_reshape},
    {"transpose", apply_transpose},
    {"broadcast_to", apply_broadcast_to},
    {"slice", apply_slice},
    {"reverse", apply_reverse},
    {"concatenate", apply_concatenate},
    {"pad", apply_pad},
    {"iota", apply_iota},
    {"take", apply_take},
    {0},
};
