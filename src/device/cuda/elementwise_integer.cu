/* Elementwise ops of integers and pred: one kernel for all ops of a form. */
#include "device/cuda/elementwise.cuh"

template <int T> static em__kernel_fn find_integer(em__op op)
{
    switch ((int)op) {
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_i1<T>, em_any_i1<T>>;
        EM_INTEGER1(CASE)
#undef CASE
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_i2<T>, em_any_i2<T>>;
        EM_INTEGER2(CASE)
#undef CASE
    default: return NULL;
    }
}

em__kernel_fn em__elementwise_integer(em__op op, em_dtype dtype)
{
    switch (dtype) {
    case EM_PRED: return find_integer<EM_PRED>(op);
    case EM_U8: return find_integer<EM_U8>(op);
    case EM_U16: return find_integer<EM_U16>(op);
    case EM_U32: return find_integer<EM_U32>(op);
    case EM_U64: return find_integer<EM_U64>(op);
    case EM_S8: return find_integer<EM_S8>(op);
    case EM_S16: return find_integer<EM_S16>(op);
    case EM_S32: return find_integer<EM_S32>(op);
    case EM_S64: return find_integer<EM_S64>(op);
    default: return NULL;
    }
}
