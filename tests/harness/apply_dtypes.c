/* Recorded cases of ops about dtypes, and of statistics. */
#include <emily/ops.h>

#include "harness/apply.h"

static em_array *apply_bitcast(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_bitcast(s, in[0], apply_dtype(c));
}

static em_array *apply_make_complex(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_make_complex(s, in[0], in[1]);
}

static em_array *apply_clip(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_clip(s, in[0], in[1], in[2]);
}

static em_array *apply_mean(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_mean(s, in[0], apply_axes(c, "axes"), book_number(c, "keep", 0) != 0);
}

static em_array *apply_variance(em_scope *s, const book_case *c, em_array *const *in)
{
    int ddof = (int)book_number(c, "ddof", 0);
    return em_variance(s, in[0], apply_axes(c, "axes"), ddof, book_number(c, "keep", 0) != 0);
}

static em_array *apply_standard_deviation(em_scope *s, const book_case *c, em_array *const *in)
{
    int ddof = (int)book_number(c, "ddof", 0);
    return em_standard_deviation(s, in[0], apply_axes(c, "axes"), ddof, book_number(c, "keep", 0) != 0);
}

static em_array *apply_logsumexp(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_logsumexp(s, in[0], apply_axes(c, "axes"), book_number(c, "keep", 0) != 0);
}

static em_array *apply_all_close(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_all_close(s, in[0], in[1], book_number(c, "rtol", 1e-5), book_number(c, "atol", 1e-8),
                        book_number(c, "equal_nan", 0) != 0);
}

static em_arg_options arg_options(const book_case *c)
{
    return (em_arg_options){.struct_size = sizeof(em_arg_options),
                            .axis = (int)book_number(c, "axis", 0),
                            .flat = book_number(c, "flat", 0) != 0,
                            .last = book_number(c, "last", 0) != 0,
                            .keep = book_number(c, "keep", 0) != 0};
}

static em_array *apply_argmax(em_scope *s, const book_case *c, em_array *const *in)
{
    em_arg_options options = arg_options(c);
    return em_argmax_with(s, in[0], &options);
}

static em_array *apply_argmin(em_scope *s, const book_case *c, em_array *const *in)
{
    em_arg_options options = arg_options(c);
    return em_argmin_with(s, in[0], &options);
}

const apply_row apply_dtypes[] = {
    {"bitcast", apply_bitcast},
    {"make_complex", apply_make_complex},
    {"clip", apply_clip},
    {"mean", apply_mean},
    {"variance", apply_variance},
    {"standard_deviation", apply_standard_deviation},
    {"logsumexp", apply_logsumexp},
    {"all_close", apply_all_close},
    {"argmax_with", apply_argmax},
    {"argmin_with", apply_argmin},
    {0},
};
