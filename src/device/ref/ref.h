/*
 * The ref device: one naive loop an op, any strides, floats computed in double and rounded once. The oracle: clear
 * before fast. Elements are read and written through the accessors below, so one loop serves every dtype.
 */
#ifndef EM_DEVICE_REF_REF_H
#define EM_DEVICE_REF_REF_H

#include "device/device.h"

/* An element widened: floats to double, signed to int64, unsigned and pred to uint64, complex to two doubles. */
typedef struct em__value {
    double f, imag;
    int64_t s;
    uint64_t u;
} em__value;

/* Element `index` (in elements from data) of a tensor's memory. */
em__value em__ref_load(em_dtype dtype, const void *data, int64_t index);
/* Stores the member that belongs to the dtype's kind; integers wrap, floats round to nearest even. */
void em__ref_store(em_dtype dtype, void *data, int64_t index, em__value value);
/* The element as a double, whatever its kind. */
double em__ref_real(em_dtype dtype, const void *data, int64_t index);
static inline double em__ref_at(const em__tensor *t, int64_t offset)
{
    return em__ref_real(t->spec.dtype, t->data, offset);
}
void em__ref_store_real(em_dtype dtype, void *data, int64_t index, double value);
/* An integer element as int64 (u64 above its range saturates). */
int64_t em__ref_index(em_dtype dtype, const void *data, int64_t index);

/* Copies element from_index of `from` to element to_index of memory of the same dtype. */
void em__ref_move(const em__tensor *from, int64_t from_index, void *to, int64_t to_index);

/* Walks a shape in row-major order. */
typedef struct em__walk {
    int64_t at[EM_MAX_RANK];
    const em__spec *spec;
} em__walk;
bool em__walk_next(em__walk *walk); /* false after the last element */
int64_t em__walk_offset(const em__walk *walk, const em__tensor *tensor);

#define EM__REF_DECLARE(name) em_status em__ref_##name(em_device *device, const em__call *call)
EM__REF_DECLARE(unary);
EM__REF_DECLARE(binary);
EM__REF_DECLARE(select);
EM__REF_DECLARE(cast);
EM__REF_DECLARE(make_complex);
EM__REF_DECLARE(reduce);
EM__REF_DECLARE(arg);
EM__REF_DECLARE(copy);
EM__REF_DECLARE(concatenate);
EM__REF_DECLARE(pad);
EM__REF_DECLARE(iota);
EM__REF_DECLARE(take);
EM__REF_DECLARE(sort);
EM__REF_DECLARE(top_k);
EM__REF_DECLARE(fft);
EM__REF_DECLARE(threefry);
EM__REF_DECLARE(randint);
EM__REF_DECLARE(take_along_axis);
EM__REF_DECLARE(gather);
EM__REF_DECLARE(indexed);
EM__REF_DECLARE(dynamic_slice);
EM__REF_DECLARE(put_slice);
EM__REF_DECLARE(cumulative);
EM__REF_DECLARE(window);
EM__REF_DECLARE(window_scatter);
EM__REF_DECLARE(dot);
EM__REF_DECLARE(conv);
EM__REF_DECLARE(quantize);
EM__REF_DECLARE(dequantize);
EM__REF_DECLARE(quantized_matmul);
EM__REF_DECLARE(linalg);
EM__REF_DECLARE(softmax);
EM__REF_DECLARE(norm);
EM__REF_DECLARE(rope);
EM__REF_DECLARE(rotary);
EM__REF_DECLARE(kv_update);
EM__REF_DECLARE(kv_codes);
EM__REF_DECLARE(kv_scales);
EM__REF_DECLARE(sdpa);
EM__REF_DECLARE(sdpa_segments);
EM__REF_DECLARE(segment_pool);
EM__REF_DECLARE(fused_linear);
EM__REF_DECLARE(chain);

/* The double-precision function of a unary float op; shared with fused_linear's activation. */
double em__ref_unary_real(em__op op, double x);

/* The complex forms of elementwise ops. */
em__value em__ref_unary_complex(em__op op, em__value v);
em__value em__ref_binary_complex(em__op op, em__value a, em__value b);

#endif
