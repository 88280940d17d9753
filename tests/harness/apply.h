/* A recorded case (book.h) applied to arrays: the builder of its op, with its attributes. */
#ifndef EM_TESTS_APPLY_H
#define EM_TESTS_APPLY_H

#include <emily/array.h>

#include "harness/book.h"

/* A builder that ops.def can't call: a family's rows end with an empty one. */
typedef struct apply_row {
    const char *op;
    em_array *(*apply)(em_scope *s, const book_case *c, em_array *const *in);
} apply_row;

extern const apply_row apply_shape[], apply_fast[], apply_order[], apply_random[], apply_conv[], apply_quant[],
    apply_index[], apply_dtypes[], apply_linalg[];

/* Attributes as builders take them. */
em_axes apply_axes(const book_case *c, const char *key);
em_dims apply_dims(const book_case *c);
em_dtype apply_dtype(const book_case *c);

/* `in` has c->n_in operands, NULL for one that was left out. The result is the scope's, NULL once it has an error. */
em_array *apply_case(em_scope *s, const book_case *c, em_array *const *in);

#endif
