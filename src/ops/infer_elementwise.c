/* Shape and dtype rules of elementwise ops whose result has another dtype: parts of complex numbers, bit patterns. */
#include "core/error.h"
#include "ops/op.h"

em_status em__infer_REAL(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    out->dtype = em__real_dtype(out->dtype);
    return EM_OK;
}

em_status em__infer_MAKE_COMPLEX(const em__apply *apply, em__spec *out)
{
    em_dtype dtype = apply->in[0]->dtype;
    if (dtype != apply->in[1]->dtype || (dtype != EM_F32 && dtype != EM_F64))
        return em__infer_fail(apply, "both parts must be f32, or both f64");
    EM__TRY(em__infer_BROADCAST(apply, out));
    out->dtype = em__complex_dtype(dtype);
    return EM_OK;
}

em_status em__infer_BITCAST(const em__apply *apply, em__spec *out)
{
    EM__TRY(em__infer_CAST(apply, out));
    em_dtype from = apply->in[0]->dtype;
    if (em_dtype_bits(from) != em_dtype_bits(out->dtype))
        return em__infer_fail(apply, "%s has %zu bits and can't be seen as %s, which has %zu", em_dtype_name(from),
                              em_dtype_bits(from), em_dtype_name(out->dtype), em_dtype_bits(out->dtype));
    if (out->dtype == EM_PRED && from != EM_PRED)
        return em__infer_fail(apply, "a pred is 0 or 1 and nothing else; cast to it");
    return EM_OK;
}
