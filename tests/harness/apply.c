/* Calls the builder that a recorded case names. */
#include "harness/apply.h"

#include <string.h>

#include <emily/ops.h>

#include "harness/expect.h"

typedef em_array *(*special_fn)(em_scope *s, const book_case *c, em_array *const *in);

static em_axes axes_of(const book_case *c, const char *key)
{
    int64_t list[EM_MAX_RANK];
    em_axes axes = {.count = book_list(c, key, list)};
    for (int i = 0; i < axes.count; i++)
        axes.axes[i] = (int)list[i];
    return axes;
}

static em_dims dims_of(const book_case *c)
{
    em_dims dims = {0};
    dims.rank = book_list(c, "dims", dims.dims);
    return dims;
}

static em_dtype dtype_of(const book_case *c)
{
    em_dtype dtype = EM_F32;
    EXPECT_OK(em_dtype_parse(book_text(c, "dtype"), &dtype));
    return dtype;
}

static em_array *apply_select(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_select(s, in[0], in[1], in[2]);
}

static em_array *apply_cast(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_cast(s, in[0], dtype_of(c));
}

static em_array *apply_reshape(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_reshape(s, in[0], dims_of(c));
}

static em_array *apply_transpose(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_transpose(s, in[0], axes_of(c, "axes"));
}

static em_array *apply_broadcast_to(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_broadcast_to(s, in[0], dims_of(c));
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
    return em_reverse(s, in[0], axes_of(c, "axes"));
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
    return em_iota(s, dtype_of(c), dims_of(c), (int)book_number(c, "axis", 0));
}

static em_array *apply_take(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_take(s, in[0], in[1], (int)book_number(c, "axis", 0));
}

static em_array *apply_dot_general(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_dot_general(s, in[0], axes_of(c, "contract_a"), axes_of(c, "batch_a"), in[1], axes_of(c, "contract_b"),
                          axes_of(c, "batch_b"));
}

static em_array *apply_layer_norm(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_layer_norm(s, in[0], in[1], in[2], book_number(c, "eps", 0));
}

static em_array *apply_rms_norm(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_rms_norm(s, in[0], in[1], book_number(c, "eps", 0));
}

static em_array *apply_rope(em_scope *s, const book_case *c, em_array *const *in)
{
    em_rope_options options = {sizeof options, (int)book_number(c, "dims", 0), book_number(c, "interleaved", 0) != 0,
                               book_number(c, "base", 0), book_number(c, "scale", 0)};
    return em_rope(s, in[0], in[1], &options);
}

static em_array *apply_sdpa(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_sdpa(s, in[0], in[1], in[2], in[3], book_number(c, "scale", 0), book_number(c, "causal", 0) != 0);
}

static em_array *apply_sdpa_segments(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_sdpa_segments(s, in[0], in[1], in[2], in[3], in[4], book_number(c, "scale", 0));
}

static em_array *apply_segment_pool(em_scope *s, const book_case *c, em_array *const *in)
{
    static const char *const names[] = {"mean", "cls", "max", "last", "mean_sqrt", "weighted"};
    int pool = 0;
    while (strcmp(names[pool], book_text(c, "pool")) != 0)
        assert_true(++pool < 6);
    return em_segment_pool(s, in[0], in[1], (em_pool)pool);
}

#define SPECIAL(op)                                                                                                    \
    {                                                                                                                  \
#op, apply_##op                                                                                                \
    }
static const struct {
    const char *op;
    special_fn apply;
} specials[] = {SPECIAL(select),        SPECIAL(cast),        SPECIAL(reshape), SPECIAL(transpose),
                SPECIAL(broadcast_to),  SPECIAL(slice),       SPECIAL(reverse), SPECIAL(concatenate),
                SPECIAL(pad),           SPECIAL(iota),        SPECIAL(take),    SPECIAL(dot_general),
                SPECIAL(layer_norm),    SPECIAL(rms_norm),    SPECIAL(rope),    SPECIAL(sdpa),
                SPECIAL(sdpa_segments), SPECIAL(segment_pool)};

/* The builders that ops.def generates are called through it, so that a new row needs nothing here. */
em_array *apply_case(em_scope *s, const book_case *c, em_array *const *in)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (!strcmp(c->op, specials[i].op))
            return specials[i].apply(s, c, in);
#define CALL_UNARY(name) em_##name(s, in[0])
#define CALL_BINARY(name) em_##name(s, in[0], in[1])
#define CALL_REDUCE(name) em_##name(s, in[0], axes_of(c, "axes"), book_number(c, "keep", 0) != 0)
#define CALL_AXIS(name) em_##name(s, in[0], (int)book_number(c, "axis", 0))
#define CALL_SPECIAL(name) NULL
#define CALL_INTERNAL(name) NULL
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS)                                                            \
    if (!strcmp(c->op, #name))                                                                                         \
        return CALL_##SIGNATURE(name);
#include <emily/ops.def>
#undef EM_OP
    fail_msg("%s: there is no op %s", c->name, c->op);
    return NULL;
}
