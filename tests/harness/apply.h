/* A recorded case (book.h) applied to arrays: the builder of its op, with its attributes. */
#ifndef EM_TESTS_APPLY_H
#define EM_TESTS_APPLY_H

#include <emily/array.h>

#include "harness/book.h"

/* `in` has c->n_in operands, NULL for one that was left out. The result is the scope's, NULL once it has an error. */
em_array *apply_case(em_scope *s, const book_case *c, em_array *const *in);

#endif
