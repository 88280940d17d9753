/* Linear algebra: what rules, builders and kernels share. */
#ifndef EM_OPS_LINALG_H
#define EM_OPS_LINALG_H

#include "ops/op.h"

/* What an SVD gives: the singular values alone, or before u and vt. */
enum { EM__SVD_VALUES, EM__SVD_THIN, EM__SVD_FULL };

/* The dtype in which matrices of the dtype are computed: itself where LAPACK has it, else f32. */
em_dtype em__linalg_dtype(em_dtype dtype);

/* Rules of ops/parts.c. */
int em__parts_lu(const em__apply *apply, em__spec *parts);
int em__parts_qr(const em__apply *apply, em__spec *parts);
int em__parts_eigh(const em__apply *apply, em__spec *parts);
int em__parts_svd(const em__apply *apply, em__spec *parts);

#endif
