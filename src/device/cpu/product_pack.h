/* Operands of product.h brought to what its tiles read. */
#ifndef EM_DEVICE_CPU_PRODUCT_PACK_H
#define EM_DEVICE_CPU_PRODUCT_PACK_H

#include <stdint.h>

#include <emily/dtype.h>

/* `rows` rows of depth k, strides in elements of the dtype. */
typedef struct em__product_piece {
    const char *src;
    int64_t row, depth;
    int rows;
    int64_t k;
    int width;        /* of a panel, in elements of the kind */
    int64_t copy_row; /* from a row of a copy to the next, in elements of the kind */
} em__product_piece;

/* [steps][width], absent rows 0. A complex row becomes two columns, and two steps an element: (re, im) over
 * (-im, re). */
void em__product_pack_panel(em_dtype dtype, const em__product_piece *piece, void *dst);

/* [rows][copy_row], steps of each: a complex element is two, narrow integers go two into one. */
void em__product_copy_rows(em_dtype dtype, const em__product_piece *piece, void *dst);

/* n sums of 32 bits as elements of a narrow dtype, from element `at` of `dst`. */
void em__product_narrow(em_dtype dtype, void *dst, int64_t at, const uint32_t *sums, int n);

#endif
