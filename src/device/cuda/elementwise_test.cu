/* Elementwise ops that give pred, of all dtypes, and those of f8: one kernel for all ops of a form. */
#include "device/cuda/elementwise.cuh"

template <int T> static em__kernel_fn find_test(em__op op)
{
    switch ((int)op) {
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_t1<T>, em_any_t1<T>>;
        EM_TEST1(CASE)
#undef CASE
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_t2<T>, em_any_t2<T>>;
        EM_TEST2(CASE)
#undef CASE
    default: return NULL;
    }
}

em__kernel_fn em__elementwise_test(em__op op, em_dtype dtype)
{
    switch (dtype) {
#define CASE(NAME, text, bits, kind, st)                                                                               \
    case EM_##NAME: return find_test<EM_##NAME>(op);
        EM_DTYPE_WHOLE_MAP(CASE)
#undef CASE
    default: return NULL;
    }
}

/* An element a thread: f8 is for weights at rest. */
template <int T> static em__kernel_fn find_f8(em__op op)
{
    switch ((int)op) {
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_f1<T>, em_any_f1<T>, 1>;
        EM_FLOAT1(CASE)
#undef CASE
#define CASE(NAME)                                                                                                     \
    case EM__OP_##NAME: return em_map<em_any_f2<T>, em_any_f2<T>, 1>;
        EM_FLOAT2(CASE)
#undef CASE
    default: return NULL;
    }
}

em__kernel_fn em__elementwise_f8(em__op op, em_dtype dtype)
{
    return dtype == EM_F8_E5M2 ? find_f8<EM_F8_E5M2>(op) : find_f8<EM_F8_E4M3FN>(op);
}
