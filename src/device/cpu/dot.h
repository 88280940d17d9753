/* The operands of a contraction seen as batches of matrices. */
#ifndef EM_DEVICE_CPU_DOT_H
#define EM_DEVICE_CPU_DOT_H

#include "device/cpu/cpu.h"

/* One operand as [batch][rows][depth] over memory; `even` when single strides describe rows and depth. */
typedef struct em__dot_operand {
    int64_t rows, depth, row_stride, depth_stride;
    bool even;
} em__dot_operand;

em__dot_operand em__dot_describe(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch,
                                 int n_batch);

/* The operand with its axes in the order batch, free, contracted, its data where they are; and its row-major copy. */
em__tensor em__dot_in_order(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch,
                            int n_batch);
em_status em__dot_copy(em_device *device, em__tensor *from, void *to);

/* A FUSED_LINEAR by packed weights whose operands are row-major, as gemm.h runs it. */
em__gemm_args em__cpu_linear_args(em__cpu *cpu, const em__call *call);
const em__gemm_kernels *em__cpu_linear_kernels(const em__call *call);

#endif
