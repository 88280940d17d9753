/* Elementwise ops of c64 and c128: one kernel for all ops of a form. */
#include "device/cuda/complex_math.cuh"
#include "device/cuda/elementwise.cuh"

/* F's: see elementwise.cuh. */
EM_F(any1, template <int T>, 1, T, (int op, em_complex x), em_complex1(op, x))
EM_F(any2, template <int T>, 2, T, (int op, em_complex x, em_complex y), em_complex2(op, x, y))
EM_F(part, template <int T>, 1, (T == EM_C64 ? EM_F32 : EM_F64), (int op, em_complex x), em_complex_part(op, x))
EM_F(made, template <int T>, 2, (T == EM_F32 ? EM_C64 : EM_C128), (int, em_math<T> x, em_math<T> y),
     em_complex_of(x, y))

template <int T> static em__kernel_fn find(em__op op)
{
    switch ((int)op) {
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<any1<T>, any1<T>>;
        EM_COMPLEX1(CASE)
#undef CASE
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<any2<T>, any2<T>>;
        EM_COMPLEX2(CASE)
#undef CASE
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<part<T>, part<T>>;
        EM_COMPLEX_PART(CASE)
#undef CASE
    default: return NULL;
    }
}

em__kernel_fn em__elementwise_complex(em__op op, em_dtype dtype)
{
    if (op == EM__OP_MAKE_COMPLEX)
        return dtype == EM_F32   ? em_map<made<EM_F32>, made<EM_F32>>
               : dtype == EM_F64 ? em_map<made<EM_F64>, made<EM_F64>>
                                 : NULL;
    return dtype == EM_C64 ? find<EM_C64>(op) : dtype == EM_C128 ? find<EM_C128>(op) : NULL;
}
