/*
 * The cpu device: kernels chosen by family for this machine, run on one pool. Ops or dtypes without a fast kernel run
 * by the ref loops, counted as fallbacks.
 */
#ifndef EM_DEVICE_CPU_CPU_H
#define EM_DEVICE_CPU_CPU_H

#include "core/pool.h"
#include "device/cpu/attention.h"
#include "device/cpu/cast.h"
#include "device/cpu/copy.h"
#include "device/cpu/elementwise.h"
#include "device/cpu/gemm.h"
#include "device/cpu/reduce.h"
#include "device/cpu/rotary.h"
#include "device/cpu/rows.h"
#include "device/device.h"

typedef struct em__cpu {
    em_device device;
    em__pool *pool;
    em__cpu_level level;
    const em__elementwise *elementwise;
    const em__rows *rows;
    const em__rotary *rotary;
    const em__cast *cast;
    const em__copy *copy;
    const em__reduce *reduce;
    const em__attention_kernels *attention;
} em__cpu;

/* The device as what it is; device.h guarantees the first member. */
static inline em__cpu *em__cpu_of(em_device *device)
{
    return (em__cpu *)device;
}

/* The elements of `from` as those of `to`'s dtype, both row-major, on the device's pool; one rounding. */
void em__cpu_cast(em__cpu *cpu, const em__tensor *from, const em__tensor *to);

/* Bytes of so many elements in f32, in whole cache lines. */
size_t em__cpu_wide_bytes(const em__spec *spec);

/* Each family's say on a call: true when it takes it, with the plan filled. */
typedef bool (*em__cpu_prepare_fn)(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_map(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_dot_any(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_dot_half(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_dot_mixed(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_gather(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_norm(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_reduce(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_move(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_conv(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_dot(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_rotary(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_kv(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_order(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_top_k(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_fourier(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_random(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_quant(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_linalg(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_attention(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_chain(em__cpu *cpu, const em__call *call, em__plan *plan);

/* Calls that treat each row alone, run block of rows by block of rows: see device.h. */
size_t em__cpu_merge(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

/* Whether a FUSED_CHAIN may hold the op: see device.h. */
bool em__cpu_chains(em_device *device, em__op op, em_dtype from, em_dtype to);

/* The first family that takes the call; and what is left to the f32 kernels of them all. */
bool em__cpu_prepare_any(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_narrow(em__cpu *cpu, const em__call *call, em__plan *plan);

/* Parts of these: what the first kernels of a family do not take. */
bool em__cpu_prepare_reduce_wide(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_softmax_axis(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_iota(em__cpu *cpu, const em__call *call, em__plan *plan);

/* A shape around the axes of `mask`; false when these stand apart. */
typedef struct em__reduce_split {
    size_t outer, reduce, inner;
} em__reduce_split;
bool em__cpu_split_axes(const em__spec *spec, int64_t mask, em__reduce_split *out);

/* The op as a pass over finished rows of a product, with the bits of the elementwise kernel; NULL for COPY. */
em__gemm_activation em__cpu_activation(const em__cpu *cpu, em__op op);

/* The kernel of an elementwise op of one or two operands; NULL for none. */
em__unary_fn em__cpu_unary(const em__cpu *cpu, em__op op, em_dtype dtype);
em__binary_fn em__cpu_binary(const em__cpu *cpu, em__op op, em_dtype dtype);

/* The reduction that the op is; false when it is none. */
bool em__cpu_reduce_op(em__op op, em__reduce_op *out);

/* Packed layout of a constant operand 1 of a product; 0 bytes when there is none. */
size_t em__cpu_packed_bytes(em_device *device, const em__call *call);
em_status em__cpu_pack(em_device *device, const em__call *call, void *to);
size_t em__cpu_packed_bytes_half(em_device *device, const em__call *call);
em_status em__cpu_pack_half(em_device *device, const em__call *call, void *to);
size_t em__cpu_packed_bytes_mixed(em_device *device, const em__call *call);
em_status em__cpu_pack_mixed(em_device *device, const em__call *call, void *to);
size_t em__cpu_packed_bytes_quant(em_device *device, const em__call *call);
em_status em__cpu_pack_quant(em_device *device, const em__call *call, void *to);

/* Constant weights of a product of f32 that are bf16, or codes, are packed when their elements would have so many bytes
 * in bf16 (1 MiB); tests ask for less. */
size_t em__cpu_least_packed(void);
void em__cpu_set_least_packed(size_t bytes);

#endif
