/* Builders of elementwise ops that change the dtype: bit patterns, complex numbers from their parts. */
#include <emily/ops.h>

#include "array/array.h"

em_array *em_bitcast(em_scope *scope, em_array *a, em_dtype dtype)
{
    if (a && a->spec.dtype == dtype && em__scope_ok(scope, &a, 1, "bitcast"))
        return a;
    return em__build(
        scope, &(em__build_args){.op = EM__OP_BITCAST, .in = &a, .n_in = 1, .ints = (int64_t[]){dtype}, .n_ints = 1});
}

em_array *em_make_complex(em_scope *scope, em_array *real, em_array *imag)
{
    em_array *in[] = {real, imag};
    if (!em__scope_ok(scope, in, 2, "make_complex"))
        return NULL;
    em_dtype dtype = em__promote(real->spec.dtype, imag->spec.dtype), checked;
    if (em__op_operand_dtype(EM__OP_MAKE_COMPLEX, dtype, &checked) != EM_OK)
        return em__scope_fail(scope);
    dtype = em__real_dtype(em__complex_dtype(dtype));
    in[0] = em_cast(scope, real, dtype);
    in[1] = em_cast(scope, imag, dtype);
    return em__build(scope, &(em__build_args){.op = EM__OP_MAKE_COMPLEX, .in = in, .n_in = 2});
}
