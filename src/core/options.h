/* Option and result structs of the public headers: a caller built against an older header gives a shorter one. */
#ifndef EM_CORE_OPTIONS_H
#define EM_CORE_OPTIONS_H

#include <stddef.h>
#include <string.h>

#include "core/error.h"

/* The last field that each struct of options had in 0.1.0. Up to it goes what a caller means who leaves struct_size 0:
 * from that release on a line stays as it is, and fields that come behind are read for those who say their size. */
#define EM__LAST_em_arg_options keep
#define EM__LAST_em_chat_options documents_name
#define EM__LAST_em_compile_options half_products
#define EM__LAST_em_conv_options output_axes
#define EM__LAST_em_embed_options task
#define EM__LAST_em_encode_options pad_left
#define EM__LAST_em_generation_options on_prompt
#define EM__LAST_em_hub_options user
#define EM__LAST_em_model_options exact
#define EM__LAST_em_quantization bits
#define EM__LAST_em_quantize_options allow_nan
#define EM__LAST_em_rope_options axis
#define EM__LAST_em_safetensors_options mode
#define EM__LAST_em_sdpa_options v_scales
#define EM__LAST_em_segments_options window
#define EM__LAST_em_stream_options capacity
#define EM__LAST_em_template_options max_output
#define EM__LAST_em_window_options same

/* The bytes up to the end of that field; padding behind it may be a later field's. */
#define EM__FIRST_SIZE(type) (offsetof(type, EM__LAST_##type) + sizeof((type){0}.EM__LAST_##type))

/* Copies `given` (NULL: nothing) over `options`, a struct of `type` with the defaults. */
#define EM__OPTIONS_COPY(given, options, type)                                                                         \
    em__options_copy(given, options, sizeof(type), EM__FIRST_SIZE(type), #type)

/* The same for a struct of `size` bytes, `first` of them in its first release, that messages call `what`. A sizeof is
 * a multiple of the size of its pointers: none is copied by half. */
static inline em_status em__options_copy(const void *given, void *options, size_t size, size_t first, const char *what)
{
    size_t given_size;
    if (!given)
        return EM_OK;
    memcpy(&given_size, given, sizeof given_size);
    EM__FAIL_IF(given_size > size || given_size % sizeof given_size != 0, EM_ERROR_INVALID_ARGUMENT,
                "%s: struct_size is %zu, expected 0 or sizeof(%s), here %zu", what, given_size, what, size);
    if (given_size == 0)
        given_size = first;
    memcpy(options, given, given_size);
    return EM_OK;
}

/* What the caller says the size of `result` is. 0 is none: what is written there must not be more than there is room
 * for, whichever header the caller was built with. */
static inline em_status em__result_check(const void *result, size_t size, const char *what)
{
    size_t given_size;
    memcpy(&given_size, result, sizeof given_size);
    EM__FAIL_IF(given_size < sizeof given_size || given_size > size, EM_ERROR_INVALID_ARGUMENT,
                "%s: struct_size is %zu; set it to sizeof(%s), here %zu, before the call", what, given_size, what,
                size);
    return EM_OK;
}

/* Copies as much of `made`, a struct of `size` bytes, as the caller's `result` has room for. */
static inline em_status em__result_give(const void *made, void *result, size_t size, const char *what)
{
    size_t given_size;
    em_status status = em__result_check(result, size, what);
    if (status != EM_OK)
        return status;
    memcpy(&given_size, result, sizeof given_size);
    memcpy((char *)result + sizeof given_size, (const char *)made + sizeof given_size, given_size - sizeof given_size);
    return EM_OK;
}

#endif
