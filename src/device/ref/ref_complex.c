/* Complex elementwise ops, naively: both parts in double, rounded once. */
#include "device/complex_math.h"
#include "device/ref/ref.h"

static em__value value(em__c128 z)
{
    return (em__value){.f = creal(z), .imag = cimag(z)};
}

static em__c128 number(em__value v)
{
    return em__c128_of(v.f, v.imag);
}

static em__c128 transcendental(em__op op, em__c128 z)
{
    switch (op) {
    case EM__OP_EXP: return cexp(z);
    case EM__OP_EXP2: return cexp(em__c128_scale(z, M_LN2));
    case EM__OP_EXPM1: return em__c128_expm1(z);
    case EM__OP_LOG: return clog(z);
    case EM__OP_LOG1P: return em__c128_log1p(z);
    case EM__OP_LOG2: return em__c128_scale(clog(z), M_LOG2E);
    case EM__OP_LOG10: return em__c128_scale(clog(z), M_LOG10E);
    case EM__OP_SIN: return csin(z);
    case EM__OP_COS: return ccos(z);
    case EM__OP_TAN: return ctan(z);
    case EM__OP_ASIN: return casin(z);
    case EM__OP_ACOS: return cacos(z);
    case EM__OP_ATAN: return catan(z);
    case EM__OP_SINH: return csinh(z);
    case EM__OP_COSH: return ccosh(z);
    case EM__OP_TANH: return ctanh(z);
    case EM__OP_ASINH: return casinh(z);
    case EM__OP_ACOSH: return cacosh(z);
    default: return catanh(z);
    }
}

em__value em__ref_unary_complex(em__op op, em__value v)
{
    em__c128 z = number(v);
    switch (op) {
    case EM__OP_NEG: return (em__value){.f = -v.f, .imag = -v.imag};
    case EM__OP_ABS: return (em__value){.f = em__c128_abs(z)};
    case EM__OP_REAL: return (em__value){.f = v.f};
    case EM__OP_IMAG: return (em__value){.f = v.imag};
    case EM__OP_PHASE: return (em__value){.f = em__c128_phase(z)};
    case EM__OP_CONJUGATE: return (em__value){.f = v.f, .imag = -v.imag};
    case EM__OP_SIGN: return value(em__c128_sign(z));
    case EM__OP_SQUARE: return value(em__c128_mul(z, z));
    case EM__OP_RECIPROCAL: return value(em__c128_reciprocal(z));
    case EM__OP_SQRT: return value(csqrt(z));
    case EM__OP_RSQRT: return value(em__c128_reciprocal(csqrt(z)));
    case EM__OP_CBRT: return value(em__c128_cbrt(z));
    case EM__OP_SIGMOID: return value(em__c128_sigmoid(z));
    default: return value(transcendental(op, z));
    }
}

em__value em__ref_binary_complex(em__op op, em__value a, em__value b)
{
    em__c128 x = number(a), y = number(b);
    switch (op) {
    case EM__OP_ADD: return value(em__c128_add(x, y));
    case EM__OP_SUB: return value(em__c128_sub(x, y));
    case EM__OP_MUL: return value(em__c128_mul(x, y));
    case EM__OP_DIV: return value(em__c128_div(x, y));
    default: return value(em__c128_pow(x, y));
    }
}

em_status em__ref_make_complex(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *re = &call->in[0], *im = &call->in[1];
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value v = {.f = em__ref_real(re->spec.dtype, re->data, em__walk_offset(&walk, re)),
                       .imag = em__ref_real(im->spec.dtype, im->data, em__walk_offset(&walk, im))};
        em__ref_store(call->out.spec.dtype, call->out.data, i, v);
    }
    return EM_OK;
}
