/*
 * What a model gives must be numbers. Results are looked at where they reach the host, which costs next to nothing;
 * only when one is NaN are the weights read, to tell a broken file from arithmetic that went wrong.
 */
#include <stdint.h>
#include <string.h>

#include "core/alloc.h"
#include "core/cause.h"
#include "core/error.h"
#include "core/str.h"
#include "models/decoder/decoder.h"
#include "models/model.h"

typedef float four __attribute__((vector_size(16)));
typedef int32_t four_flags __attribute__((vector_size(16)));

bool em__has_nan(const float *values, size_t n)
{
    enum { LANES = 4, STEP = 4 * LANES };
    four_flags a = {0}, b = {0}, c = {0}, d = {0};
    four x[4];
    int any = 0;
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        memcpy(x, values + i, sizeof x);
        a |= x[0] != x[0];
        b |= x[1] != x[1];
        c |= x[2] != x[2];
        d |= x[3] != x[3];
    }
    for (; i < n; i++)
        any |= values[i] != values[i];
    a |= b | c | d;
    return (any | a[0] | a[1] | a[2] | a[3]) != 0;
}

/* The first element whose bits, without the sign, reach those of infinity; -1: all are numbers. */
static int64_t first_16(const void *data, size_t n, uint16_t infinity)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, (const char *)data + i * sizeof bits, sizeof bits);
        if ((bits & 0x7fff) >= infinity)
            return (int64_t)i;
    }
    return -1;
}

static int64_t first_64(const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, (const char *)data + i * sizeof bits, sizeof bits);
        if ((bits & INT64_MAX) >= (uint64_t)0x7ff << 52)
            return (int64_t)i;
    }
    return -1;
}

static int64_t first_32(const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, (const char *)data + i * sizeof bits, sizeof bits);
        if ((bits & 0x7fffffff) >= 0x7f800000)
            return (int64_t)i;
    }
    return -1;
}

/* Scales that are powers of two: 0xff is none. Of nvfp4 every byte is a number. */
static bool has_powers(const em_model *model, const em_safetensors_tensor *t)
{
    const size_t length = strlen(t->name), suffix = strlen(".scales");
    if (t->dtype != EM_U8 || !model->decoder || !em__ends_with(t->name, ".scales"))
        return false;
    char *name = em__strndup(t->name, length - suffix);
    const em_quantization *how = name ? em__decoder_quantization(&model->decoder->config, name) : NULL;
    em__free(name);
    return how && (how->mode == EM_QUANT_MXFP4 || how->mode == EM_QUANT_MXFP8);
}

/* From `least` on, without the sign that `mask` takes away, a byte is no number. */
static int64_t first_8(const void *data, size_t n, int mask, int least)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++)
        if ((bytes[i] & mask) >= least)
            return (int64_t)i;
    return -1;
}

int64_t em__first_no_number(em_dtype dtype, const void *data, size_t bytes)
{
    switch (dtype) {
    case EM_F8_E4M3FN: return first_8(data, bytes, 0x7f, 0x7f); /* it has no infinity */
    case EM_F8_E5M2: return first_8(data, bytes, 0x7f, 0x7c);
    case EM_F16: return first_16(data, bytes / 2, 0x7c00);
    case EM_BF16: return first_16(data, bytes / 2, 0x7f80);
    case EM_F32: return first_32(data, bytes / 4);
    case EM_F64: return first_64(data, bytes / 8);
    default: return -1;
    }
}

static int64_t first_bad(const em_model *model, const em_safetensors_tensor *t)
{
    return has_powers(model, t) ? first_8(t->data, t->nbytes, 0xff, 0xff)
                                : em__first_no_number(t->dtype, t->data, t->nbytes);
}

em_status em__fail_no_number(const char *path, const char *tensor, int64_t element)
{
    em__fail(EM_ERROR_FORMAT, "%s: tensor %s holds NaN or infinity, first at element %lld; " EM__NO_NUMBER_ADVICE, path,
             tensor, (long long)element);
    return em__because(EM_ERROR_FORMAT, EM__CAUSE_NO_NUMBER);
}

em_status em__model_fail_nan(const em_model *model, const char *what)
{
    const em_safetensors_tensor *t;
    for (size_t i = 0; (t = em_safetensors_at(model->file, i)); i++) {
        const int64_t at = first_bad(model, t);
        if (at >= 0)
            return em__context(em__fail_no_number(model->path, t->name, at), "%s NaN", what);
    }
    return em__fail(EM_ERROR_FORMAT,
                    "%s NaN, though no weight of %s is NaN or infinite; EMILY_DEBUG=nan names the op "
                    "that made the first",
                    what, model->path);
}
