/* Two products by packed weights with an activation between them, on matrix units: see gemm_pair.c. */
#ifndef EM_DEVICE_CPU_GEMM_PAIR_H
#define EM_DEVICE_CPU_GEMM_PAIR_H

#include "device/cpu/gemm_split.h"

/* Most rows of a block, and the scratch that it needs; k is A's depth, n the columns of C. No rows: it can't be. */
int64_t em__gemm_pair_rows(int64_t k, int64_t n);
size_t em__gemm_pair_bytes(int64_t k, int64_t n);

/* Both products of a block of rows, with the bits of em__gemm_f32 for `up` and then `down`: up has an activation and
 * no residual, down no activation; what up leaves is not written. False: they have to be run that way; nothing has
 * been written. */
bool em__gemm_pair_run(const em__gemm_kernels *kernels, char *scratch, const em__gemm_args *up,
                       const em__gemm_args *down);

#endif
