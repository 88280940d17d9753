/* The subscripts of an einsum, read and checked against its operands. */
#ifndef EM_ARRAY_EINSUM_H
#define EM_ARRAY_EINSUM_H

#include "array/array.h"

#define EM__EINSUM_OPERANDS 8
#define EM__EINSUM_LETTERS 52                                /* A-Z, a-z, in the order of numpy's implicit output */
#define EM__EINSUM_LABELS (EM__EINSUM_LETTERS + EM_MAX_RANK) /* then the axes of "...", the last one first */

/* Labels of an operand's axes, or of the result's. */
typedef struct em__einsum_term {
    int rank;
    int labels[EM_MAX_RANK];
} em__einsum_term;

typedef struct em__einsum {
    int n;
    em__einsum_term in[EM__EINSUM_OPERANDS], out;
    int64_t sizes[EM__EINSUM_LABELS]; /* -1: the label does not occur */
} em__einsum;

/* EM_ERROR_INVALID_ARGUMENT says what is wrong and where: at which character, with which operand. */
em_status em__einsum_parse(const char *subscripts, em_array *const *operands, size_t count, em__einsum *out);

#endif
