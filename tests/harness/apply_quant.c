/* Recorded cases of quantized weights. */
#include <string.h>

#include <emily/ops.h>
#include <emily/quantize.h>

#include "harness/apply.h"
#include "harness/expect.h"

static em_quantization scheme(const book_case *c)
{
    int mode = 0;
    while (strcmp(em_quant_mode_name((em_quant_mode)mode), book_text(c, "mode")) != 0)
        assert_true(++mode <= EM_QUANT_NVFP4);
    return (em_quantization){sizeof(em_quantization), (em_quant_mode)mode, (int)book_number(c, "group", 0),
                             (int)book_number(c, "bits", 0)};
}

static em_array *apply_quantize(em_scope *s, const book_case *c, em_array *const *in)
{
    em_quantization how = scheme(c);
    em_quantized q = em_quantize(s, in[0], &how);
    em_array *out[] = {q.codes, q.scales, q.biases};
    return out[(int)book_number(c, "output", 0)];
}

static em_array *apply_dequantize(em_scope *s, const book_case *c, em_array *const *in)
{
    em_quantization how = scheme(c);
    return em_dequantize(s, &(em_quantized){in[0], in[1], in[2]}, &how);
}

static em_array *apply_quantized_matmul(em_scope *s, const book_case *c, em_array *const *in)
{
    em_quantization how = scheme(c);
    return em_quantized_matmul(s, in[0], &(em_quantized){in[1], in[2], in[3]}, &how,
                               book_number(c, "transpose", 1) != 0);
}

const apply_row apply_quant[] = {
    {"quantize", apply_quantize},
    {"dequantize", apply_dequantize},
    {"quantized_matmul", apply_quantized_matmul},
    {0},
};
