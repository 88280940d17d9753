/* Recorded cases of convolutions and einsum. */
#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/expect.h"

/* The list of that name, NULL where the case has none. */
static const int64_t *list(const book_case *c, const char *key, int64_t *values)
{
    return book_list(c, key, values) ? values : NULL;
}

static const int *axes(const book_case *c, const char *key, int *values)
{
    int64_t wide[EM_MAX_RANK];
    const int n = book_list(c, key, wide);
    for (int i = 0; i < n; i++)
        values[i] = (int)wide[i];
    return n ? values : NULL;
}

static em_array *apply_conv_case(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t lists[5][EM_MAX_RANK];
    int orders[3][EM_MAX_RANK];
    em_conv_options o = {0};
    o.same = book_number(c, "same", 0) != 0;
    o.strides = list(c, "strides", lists[0]);
    o.pad_low = list(c, "low", lists[1]);
    o.pad_high = list(c, "high", lists[2]);
    o.input_dilation = list(c, "input_dilation", lists[3]);
    o.kernel_dilation = list(c, "kernel_dilation", lists[4]);
    o.feature_groups = (int64_t)book_number(c, "feature_groups", 1);
    o.batch_groups = (int64_t)book_number(c, "batch_groups", 1);
    o.input_axes = axes(c, "input_axes", orders[0]);
    o.kernel_axes = axes(c, "kernel_axes", orders[1]);
    o.output_axes = axes(c, "output_axes", orders[2]);
    return em_conv(s, in[0], in[1], &o);
}

static em_array *apply_einsum_case(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_einsum(s, book_text(c, "subscripts"), in, c->n_in);
}

const apply_row apply_conv[] = {
    {"conv", apply_conv_case},
    {"einsum", apply_einsum_case},
    {0},
};
