/* Calls the builder that a recorded case names. */
#include "harness/apply.h"

#include <string.h>

#include <emily/ops.h>

#include "harness/expect.h"

em_axes apply_axes(const book_case *c, const char *key)
{
    int64_t list[EM_MAX_RANK];
    em_axes axes = {.count = book_list(c, key, list)};
    for (int i = 0; i < axes.count; i++)
        axes.axes[i] = (int)list[i];
    return axes;
}

em_dims apply_dims(const book_case *c)
{
    em_dims dims = {0};
    dims.rank = book_list(c, "dims", dims.dims);
    return dims;
}

em_dtype apply_dtype(const book_case *c)
{
    em_dtype dtype = EM_F32;
    EXPECT_OK(em_dtype_parse(book_text(c, "dtype"), &dtype));
    return dtype;
}

static const apply_row *const tables[] = {apply_shape, apply_fast,  apply_order,  apply_random, apply_conv,
                                          apply_quant, apply_index, apply_dtypes, apply_linalg};

/* The builders that ops.def generates are called through it, so that a new row needs nothing here. */
em_array *apply_case(em_scope *s, const book_case *c, em_array *const *in)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const apply_row *row = tables[t]; row->op; row++)
            if (!strcmp(c->op, row->op))
                return row->apply(s, c, in);
#define CALL_UNARY(name) em_##name(s, in[0])
#define CALL_BINARY(name) em_##name(s, in[0], in[1])
#define CALL_REDUCE(name) em_##name(s, in[0], apply_axes(c, "axes"), book_number(c, "keep", 0) != 0)
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
