/* The ref device: which loop runs which op, and element access. */
#include "device/ref/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/float16.h"

/* By signature where a family shares a loop, by op where it has its own. Views and leaves never run. */
static const em__kernel_fn kernels[EM__OP_COUNT] = {
#define FAMILY_UNARY(ENUM) [EM__OP_##ENUM] = em__ref_unary,
#define FAMILY_BINARY(ENUM) [EM__OP_##ENUM] = em__ref_binary,
#define FAMILY_REDUCE(ENUM) [EM__OP_##ENUM] = em__ref_reduce,
#define FAMILY_AXIS(ENUM)
#define FAMILY_SPECIAL(ENUM)
#define FAMILY_INTERNAL(ENUM)
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) FAMILY_##SIGNATURE(ENUM)
#include <emily/ops.def>
#undef EM_OP
    [EM__OP_SELECT] = em__ref_select,
    [EM__OP_CAST] = em__ref_cast,
    [EM__OP_BITCAST] = em__ref_copy,
    [EM__OP_MAKE_COMPLEX] = em__ref_make_complex,
    [EM__OP_ARGMAX] = em__ref_arg,
    [EM__OP_ARGMIN] = em__ref_arg,
    [EM__OP_COPY] = em__ref_copy,
    [EM__OP_CONCATENATE] = em__ref_concatenate,
    [EM__OP_PAD] = em__ref_pad,
    [EM__OP_IOTA] = em__ref_iota,
    [EM__OP_TAKE] = em__ref_take,
    [EM__OP_SORT] = em__ref_sort,
    [EM__OP_ARGSORT] = em__ref_sort,
    [EM__OP_TOP_K] = em__ref_top_k,
    [EM__OP_FFT] = em__ref_fft,
    [EM__OP_RFFT] = em__ref_fft,
    [EM__OP_IRFFT] = em__ref_fft,
    [EM__OP_THREEFRY2X32] = em__ref_threefry,
    [EM__OP_RANDINT] = em__ref_randint,
    [EM__OP_TAKE_ALONG_AXIS] = em__ref_take_along_axis,
    [EM__OP_GATHER] = em__ref_gather,
    [EM__OP_INDEXED_ADD] = em__ref_indexed,
    [EM__OP_INDEXED_PUT] = em__ref_indexed,
    [EM__OP_DYNAMIC_SLICE] = em__ref_dynamic_slice,
    [EM__OP_PUT_SLICE] = em__ref_put_slice,
    [EM__OP_CUMULATIVE_SUM] = em__ref_cumulative,
    [EM__OP_CUMULATIVE_PRODUCT] = em__ref_cumulative,
    [EM__OP_CUMULATIVE_MAX] = em__ref_cumulative,
    [EM__OP_CUMULATIVE_MIN] = em__ref_cumulative,
    [EM__OP_WINDOW_SUM] = em__ref_window,
    [EM__OP_WINDOW_PRODUCT] = em__ref_window,
    [EM__OP_WINDOW_MAX] = em__ref_window,
    [EM__OP_WINDOW_MIN] = em__ref_window,
    [EM__OP_WINDOW_SCATTER_MAX] = em__ref_window_scatter,
    [EM__OP_WINDOW_SCATTER_MIN] = em__ref_window_scatter,
    [EM__OP_DOT_GENERAL] = em__ref_dot,
    [EM__OP_CONV] = em__ref_conv,
    [EM__OP_QUANTIZE] = em__ref_quantize,
    [EM__OP_DEQUANTIZE] = em__ref_dequantize,
    [EM__OP_QUANTIZED_MATMUL] = em__ref_quantized_matmul,
    [EM__OP_LU] = em__ref_linalg,
    [EM__OP_QR] = em__ref_linalg,
    [EM__OP_CHOLESKY] = em__ref_linalg,
    [EM__OP_EIGH] = em__ref_linalg,
    [EM__OP_SVD] = em__ref_linalg,
    [EM__OP_SOLVE] = em__ref_linalg,
    [EM__OP_TRIANGULAR_SOLVE] = em__ref_linalg,
    [EM__OP_DETERMINANT] = em__ref_linalg,
    [EM__OP_SOFTMAX] = em__ref_softmax,
    [EM__OP_LAYER_NORM] = em__ref_norm,
    [EM__OP_RMS_NORM] = em__ref_norm,
    [EM__OP_FUSED_LAYER_NORM] = em__ref_norm,
    [EM__OP_ROPE] = em__ref_rope,
    [EM__OP_ROTARY] = em__ref_rotary,
    [EM__OP_KV_UPDATE] = em__ref_kv_update,
    [EM__OP_KV_CODES] = em__ref_kv_codes,
    [EM__OP_KV_SCALES] = em__ref_kv_scales,
    [EM__OP_SDPA] = em__ref_sdpa,
    [EM__OP_SDPA_SEGMENTS] = em__ref_sdpa_segments,
    [EM__OP_SEGMENT_POOL] = em__ref_segment_pool,
    [EM__OP_FUSED_LINEAR] = em__ref_fused_linear,
    [EM__OP_FUSED_CHAIN] = em__ref_chain,
};

em__kernel_fn em__ref_kernel(em__op op)
{
    return kernels[op];
}

static em_status describe(em_device *device, char *text, size_t size)
{
    (void)device;
    snprintf(text, size, "naive loops, the oracle of the tests");
    return EM_OK;
}

static em_status prepare(em_device *device, const em__call *call, em__plan *plan)
{
    (void)device;
    *plan = (em__plan){.kernel = kernels[call->op], .scratch = em__ref_scratch(call), .strided = UINT64_MAX};
    EM__FAIL_IF(!plan->kernel, EM_ERROR_INTERNAL, "%s has no ref kernel", em__op_get(call->op)->name);
    return EM_OK;
}

static bool chains(em_device *device, em__op op, em_dtype from, em_dtype to)
{
    (void)device;
    bool real = em_dtype_get_kind(from) != EM_KIND_COMPLEX && em_dtype_get_kind(to) != EM_KIND_COMPLEX;
    em__kernel_fn kernel = kernels[op];
    return real && (kernel == em__ref_unary || kernel == em__ref_binary || kernel == em__ref_select ||
                    kernel == em__ref_cast || kernel == em__ref_reduce);
}

static const em__device_vtable vtable = {
    .version = EM__DEVICE_VERSION, .name = "ref", .describe = describe, .prepare = prepare, .chains = chains};
em_device em__ref_device = {&vtable};

/* Element i of a dtype below a byte. */
static uint64_t part_of_byte(em_dtype dtype, const void *data, int64_t i)
{
    int64_t bits = (int64_t)em_dtype_bits(dtype), at = i * bits;
    return (uint64_t)((const uint8_t *)data)[at / 8] >> at % 8 & ((1U << bits) - 1);
}

static int64_t signed_part(em_dtype dtype, const void *data, int64_t i)
{
    int64_t value = (int64_t)part_of_byte(dtype, data, i), half = (int64_t)1 << (em_dtype_bits(dtype) - 1);
    return (value ^ half) - half;
}

/* The first of a byte clears it, so that a last byte which is not full ends in zeros. */
static void store_part(em_dtype dtype, void *data, int64_t i, uint64_t value)
{
    int64_t bits = (int64_t)em_dtype_bits(dtype), at = i * bits;
    unsigned mask = (1U << bits) - 1;
    uint8_t *byte = (uint8_t *)data + at / 8;
    unsigned others = at % 8 ? *byte & ~(mask << at % 8) : 0;
    *byte = (uint8_t)(others | ((unsigned)value & mask) << at % 8);
}

em__value em__ref_load(em_dtype dtype, const void *data, int64_t i)
{
    em__value v = {0};
    switch (dtype) {
    case EM_PRED:
    case EM_U8: v.u = ((const uint8_t *)data)[i]; break;
    case EM_U16: v.u = ((const uint16_t *)data)[i]; break;
    case EM_U32: v.u = ((const uint32_t *)data)[i]; break;
    case EM_U64: v.u = ((const uint64_t *)data)[i]; break;
    case EM_U2:
    case EM_U4: v.u = part_of_byte(dtype, data, i); break;
    case EM_S2:
    case EM_S4: v.s = signed_part(dtype, data, i); break;
    case EM_S8: v.s = ((const int8_t *)data)[i]; break;
    case EM_S16: v.s = ((const int16_t *)data)[i]; break;
    case EM_S32: v.s = ((const int32_t *)data)[i]; break;
    case EM_S64: v.s = ((const int64_t *)data)[i]; break;
    case EM_F8_E4M3FN: v.f = (double)em__f8_e4m3fn_to_f32(((const uint8_t *)data)[i]); break;
    case EM_F8_E5M2: v.f = (double)em__f8_e5m2_to_f32(((const uint8_t *)data)[i]); break;
    case EM_F16: v.f = (double)em__f16_to_f32(((const uint16_t *)data)[i]); break;
    case EM_BF16: v.f = (double)em__bf16_to_f32(((const uint16_t *)data)[i]); break;
    case EM_F32: v.f = (double)((const float *)data)[i]; break;
    case EM_F64: v.f = ((const double *)data)[i]; break;
    case EM_C64:
        v.f = (double)((const float *)data)[2 * i];
        v.imag = (double)((const float *)data)[2 * i + 1];
        break;
    case EM_C128:
        v.f = ((const double *)data)[2 * i];
        v.imag = ((const double *)data)[2 * i + 1];
        break;
    case EM_DTYPE_COUNT: break;
    }
    return v;
}

void em__ref_store(em_dtype dtype, void *data, int64_t i, em__value v)
{
    switch (dtype) {
    case EM_PRED: ((uint8_t *)data)[i] = v.u != 0; break;
    case EM_U8: ((uint8_t *)data)[i] = (uint8_t)v.u; break;
    case EM_U16: ((uint16_t *)data)[i] = (uint16_t)v.u; break;
    case EM_U32: ((uint32_t *)data)[i] = (uint32_t)v.u; break;
    case EM_U64: ((uint64_t *)data)[i] = v.u; break;
    case EM_U2:
    case EM_U4: store_part(dtype, data, i, v.u); break;
    case EM_S2:
    case EM_S4: store_part(dtype, data, i, (uint64_t)v.s); break;
    case EM_S8: ((int8_t *)data)[i] = (int8_t)v.s; break;
    case EM_S16: ((int16_t *)data)[i] = (int16_t)v.s; break;
    case EM_S32: ((int32_t *)data)[i] = (int32_t)v.s; break;
    case EM_S64: ((int64_t *)data)[i] = v.s; break;
    case EM_F8_E4M3FN: ((uint8_t *)data)[i] = em__f64_to_f8_e4m3fn(v.f); break;
    case EM_F8_E5M2: ((uint8_t *)data)[i] = em__f64_to_f8_e5m2(v.f); break;
    case EM_F16: ((uint16_t *)data)[i] = em__f64_to_f16(v.f); break;
    case EM_BF16: ((uint16_t *)data)[i] = em__f64_to_bf16(v.f); break;
    case EM_F32: ((float *)data)[i] = (float)v.f; break;
    case EM_F64: ((double *)data)[i] = v.f; break;
    case EM_C64:
        ((float *)data)[2 * i] = (float)v.f;
        ((float *)data)[2 * i + 1] = (float)v.imag;
        break;
    case EM_C128:
        ((double *)data)[2 * i] = v.f;
        ((double *)data)[2 * i + 1] = v.imag;
        break;
    case EM_DTYPE_COUNT: break;
    }
}

double em__ref_real(em_dtype dtype, const void *data, int64_t i)
{
    em__value v = em__ref_load(dtype, data, i);
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    return kind == EM_KIND_SIGNED ? (double)v.s : kind == EM_KIND_FLOAT || kind == EM_KIND_COMPLEX ? v.f : (double)v.u;
}

void em__ref_store_real(em_dtype dtype, void *data, int64_t i, double value)
{
    em__ref_store(dtype, data, i, (em__value){.f = value});
}

int64_t em__ref_index(em_dtype dtype, const void *data, int64_t i)
{
    em__value v = em__ref_load(dtype, data, i);
    if (em_dtype_get_kind(dtype) == EM_KIND_SIGNED)
        return v.s;
    return v.u > INT64_MAX ? INT64_MAX : (int64_t)v.u;
}

bool em__walk_next(em__walk *walk)
{
    for (int i = walk->spec->rank - 1; i >= 0; i--) {
        if (++walk->at[i] < walk->spec->dims[i])
            return true;
        walk->at[i] = 0;
    }
    return false;
}

int64_t em__walk_offset(const em__walk *walk, const em__tensor *tensor)
{
    int64_t offset = 0;
    for (int i = 0; i < tensor->spec.rank; i++)
        offset += walk->at[i] * tensor->strides[i];
    return offset;
}
