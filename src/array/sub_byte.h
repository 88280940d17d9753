/*
 * Ops on dtypes below a byte (s4, u4, s2, u2). Kernels know them in CAST alone: any other op that computes is built of
 * casts to s8 or u8, itself, and a cast back, which keeps the low bits. So the result is that of the narrow dtype's own
 * wrapping arithmetic, and it is the same on every device and in every lane.
 */
#ifndef EM_ARRAY_SUB_BYTE_H
#define EM_ARRAY_SUB_BYTE_H

#include "array/array.h"

/* Whether the op must be built so. */
bool em__is_sub_byte(const em__build_args *args);

/* em__build and em__build_parts for such an op. */
em_array *em__build_wide(em_scope *scope, const em__build_args *args);
bool em__build_parts_wide(em_scope *scope, const em__build_args *args, em_array **out, int n);

#endif
