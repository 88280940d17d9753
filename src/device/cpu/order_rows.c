/* See order_rows.h. Elements below 32 bits are widened: integers keep their value, floats become f32, exactly. */
#include "device/cpu/order_rows.h"

#include <string.h>

#include "core/float16.h"

em__order_job em__order_job_of(em__cpu *cpu, const em__call *call)
{
    const em__tensor *in = &call->in[0];
    int axis = (int)call->ints[0];
    em_dtype_kind kind = em_dtype_get_kind(in->spec.dtype);
    em__order_job job = {.cpu = cpu, .kernels = em__order_get(), .dtype = in->spec.dtype, .in = in->data};
    job.size = em_dtype_size(job.dtype);
    job.wide = job.size == 8;
    job.kind = kind == EM_KIND_FLOAT ? EM__KEY_FLOAT : kind == EM_KIND_SIGNED ? EM__KEY_SIGNED : EM__KEY_UNSIGNED;
    job.n = job.k = in->spec.dims[axis];
    job.stride = job.rows = 1;
    for (int d = 0; d < in->spec.rank; d++) {
        job.rows *= d == axis ? 1 : in->spec.dims[d];
        job.stride *= d > axis ? in->spec.dims[d] : 1;
    }
    job.scratch = call->scratch;
    return job;
}

int64_t em__order_at(const em__order_job *job, int64_t r, int64_t length)
{
    return r / job->stride * length * job->stride + r % job->stride;
}

static uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void load32(const em__order_job *job, const char *at, int64_t step, int64_t n, uint32_t *bits)
{
#define EACH(type, value)                                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        type x = ((const type *)(const void *)at)[i * step];                                                           \
        bits[i] = value;                                                                                               \
    }                                                                                                                  \
    break
    switch (job->dtype) {
    case EM_PRED: EACH(uint8_t, x != 0);
    case EM_U8: EACH(uint8_t, x);
    case EM_S8: EACH(int8_t, (uint32_t)(int32_t)x);
    case EM_U16: EACH(uint16_t, x);
    case EM_S16: EACH(int16_t, (uint32_t)(int32_t)x);
    case EM_BF16: EACH(uint16_t, (uint32_t)x << 16);
    case EM_F16: EACH(uint16_t, float_bits(em__f16_to_f32(x)));
    case EM_F8_E4M3FN: EACH(uint8_t, float_bits(em__f8_e4m3fn_to_f32(x)));
    case EM_F8_E5M2: EACH(uint8_t, float_bits(em__f8_e5m2_to_f32(x)));
    default: EACH(uint32_t, x);
    }
#undef EACH
}

static void store32(const em__order_job *job, const uint32_t *bits, int64_t n, char *at)
{
#define EACH(type, value)                                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        float f;                                                                                                       \
        memcpy(&f, &bits[i], sizeof f);                                                                                \
        ((type *)(void *)at)[i * job->stride] = (type)(value);                                                         \
    }                                                                                                                  \
    break
    switch (job->dtype) {
    case EM_PRED:
    case EM_U8:
    case EM_S8: EACH(uint8_t, bits[i]);
    case EM_U16:
    case EM_S16: EACH(uint16_t, bits[i]);
    case EM_BF16: EACH(uint16_t, bits[i] >> 16);
    case EM_F16: EACH(uint16_t, em__f32_to_f16(f));
    case EM_F8_E4M3FN: EACH(uint8_t, em__f32_to_f8_e4m3fn(f));
    case EM_F8_E5M2: EACH(uint8_t, em__f32_to_f8_e5m2(f));
    default: EACH(uint32_t, bits[i]);
    }
#undef EACH
}

em__row_keys em__order_encode(const em__order_job *job, const char *row, int64_t from, int64_t count, void *keys,
                              uint64_t base)
{
    em__row_keys result = {0};
    const char *at = row + from * job->stride * (int64_t)job->size;
    const void *bits = at;
    if (job->wide) {
        if (job->stride != 1) {
            for (int64_t i = 0; i < count; i++)
                ((uint64_t *)keys)[i] = ((const uint64_t *)(const void *)at)[i * job->stride];
            bits = keys;
        }
        result.special =
            job->kernels->encode64(keys, bits, count, job->kind, -(uint64_t)job->descending, base, &result.vary);
        return result;
    }
    uint32_t vary = 0;
    if (job->stride != 1 || job->size != 4) {
        load32(job, at, job->stride, count, keys);
        bits = keys;
    }
    result.special =
        job->kernels->encode32(keys, bits, count, job->kind, -(uint32_t)job->descending, (uint32_t)base, &vary);
    result.vary = vary;
    return result;
}

void em__order_pick(const em__order_job *job, int64_t r, const int64_t *at, int64_t step)
{
    int64_t apart = job->stride;
    char *to = job->out + em__order_at(job, r, job->k) * (int64_t)job->size;
    const char *row = job->in + em__order_at(job, r, job->n) * (int64_t)job->size;
#define EACH(type)                                                                                                     \
    for (int64_t i = 0; i < job->k; i++)                                                                               \
        ((type *)(void *)to)[i * apart] = ((const type *)(const void *)row)[at[i * step] * apart];                     \
    break
    switch (job->size) {
    case 1: EACH(uint8_t);
    case 2: EACH(uint16_t);
    case 4: EACH(uint32_t);
    default: EACH(uint64_t);
    }
#undef EACH
}

uint64_t em__order_base(const em__order_job *job, const char *row)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    em__order_encode(job, row, 0, 1, job->wide ? (void *)&wide : (void *)&narrow, 0);
    return job->wide ? wide : narrow;
}

void em__order_decode(const em__order_job *job, void *keys, int64_t count, char *out)
{
    if (job->wide) {
        bool direct = job->stride == 1;
        uint64_t *to = direct ? (uint64_t *)(void *)out : keys;
        job->kernels->decode64(to, keys, count, job->kind, -(uint64_t)job->descending);
        for (int64_t i = 0; i < count && !direct; i++)
            ((uint64_t *)(void *)out)[i * job->stride] = to[i];
        return;
    }
    bool direct = job->stride == 1 && job->size == 4;
    job->kernels->decode32(direct ? (uint32_t *)(void *)out : keys, keys, count, job->kind, -(uint32_t)job->descending);
    if (!direct)
        store32(job, keys, count, out);
}

typedef enum class { BELOW, ZERO, ABOVE, NOT_A_NUMBER } class;

static class class_of(const em__order_job *job, const char *at)
{
    double x;
    if (job->wide) {
        memcpy(&x, at, sizeof x);
    } else {
        uint32_t bits;
        float f;
        load32(job, at, 1, 1, &bits);
        memcpy(&f, &bits, sizeof f);
        x = (double)f;
    }
    return x != x ? NOT_A_NUMBER : x < 0 ? BELOW : x > 0 ? ABOVE : ZERO;
}

void em__order_restore(const em__order_job *job, const char *row, char *out)
{
    int64_t count[4] = {0}, step = job->stride * (int64_t)job->size;
    if (job->kind != EM__KEY_FLOAT)
        return;
    for (int64_t i = 0; i < job->n; i++)
        count[class_of(job, row + i * step)]++;
    int64_t zero = job->descending ? count[NOT_A_NUMBER] + count[ABOVE] : count[BELOW];
    int64_t nan = job->descending ? 0 : job->n - count[NOT_A_NUMBER];
    for (int64_t i = 0; i < job->n; i++) {
        class c = class_of(job, row + i * step);
        if (c == ZERO)
            memcpy(out + zero++ * step, row + i * step, job->size);
        else if (c == NOT_A_NUMBER)
            memcpy(out + nan++ * step, row + i * step, job->size);
    }
}
