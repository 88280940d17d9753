/*
 * Elementwise loops that compute in vectors of f32. Included once for each of f32, f16 and bf16, with
 *   E         the element as stored            FN(name)  the name of a function for this element type
 *   LOAD, LOAD_N, STORE, STORE_N               between memory and vf; the _N forms for the last, partial vector
 *   DTYPE     the enumerator                   ONE(p)    the f32 value of the element at p
 * The last elements of a loop go through a partial vector, so that they take the same path as all others.
 */
typedef vf (*FN(unary_vf))(vf);
typedef vm (*FN(test_vf))(vf);
typedef vf (*FN(binary_vf))(vf, vf);
typedef vm (*FN(compare_vf))(vf, vf);

static inline __attribute__((always_inline)) void FN(map1)(E *out, const E *in, size_t n, FN(unary_vf) f)
{
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        STORE(out + i, f(LOAD(in + i)));
    if (i < n)
        STORE_N(out + i, f(LOAD_N(in + i, (int)(n - i))), (int)(n - i));
}

static inline __attribute__((always_inline)) void FN(test1)(uint8_t *out, const E *in, size_t n, FN(test_vf) f)
{
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vm_store_u8_n(out + i, f(LOAD(in + i)), VF_LANES);
    if (i < n)
        vm_store_u8_n(out + i, f(LOAD_N(in + i, (int)(n - i))), (int)(n - i));
}

/* The three loops of an op of two operands: sa and sb say which of them is the scalar in va or vb. */
static inline __attribute__((always_inline)) void FN(loop2)(E *out, const E *a, const E *b, size_t n, int sa, int sb,
                                                            FN(binary_vf) f)
{
    vf va = vf_set1(sa ? ONE(a) : 0.0f), vb = vf_set1(sb ? ONE(b) : 0.0f);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        STORE(out + i, f(sa ? va : LOAD(a + i), sb ? vb : LOAD(b + i)));
    int rest = (int)(n - i);
    if (rest)
        STORE_N(out + i, f(sa ? va : LOAD_N(a + i, rest), sb ? vb : LOAD_N(b + i, rest)), rest);
}

static inline __attribute__((always_inline)) void FN(map2)(E *out, const E *a, const E *b, size_t n, em__mode mode,
                                                           FN(binary_vf) f)
{
    if (!n)
        return;
    if (mode == EM__VV)
        FN(loop2)(out, a, b, n, 0, 0, f);
    else if (mode == EM__SCALAR_B)
        FN(loop2)(out, a, b, n, 0, 1, f);
    else if (mode == EM__SCALAR_A)
        FN(loop2)(out, a, b, n, 1, 0, f);
    else
        FN(loop2)(out, a, b, n, 1, 1, f);
}

static inline __attribute__((always_inline)) void FN(test2)(uint8_t *out, const E *a, const E *b, size_t n,
                                                            em__mode mode, FN(compare_vf) f)
{
    if (!n)
        return;
    vf va = vf_set1(ONE(a)), vb = vf_set1(ONE(b));
    for (size_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        vf x = mode & EM__SCALAR_A ? va : count == VF_LANES ? LOAD(a + i) : LOAD_N(a + i, count);
        vf y = mode & EM__SCALAR_B ? vb : count == VF_LANES ? LOAD(b + i) : LOAD_N(b + i, count);
        vm_store_u8_n(out + i, f(x, y), count);
    }
}

static void FN(clip)(void *out, const void *in, const void *low, const void *high, size_t n)
{
    const E *x = in;
    E *y = out;
    vf lo = vf_set1(ONE((const E *)low)), hi = vf_set1(ONE((const E *)high));
    for (size_t i = 0; i < n; i += VF_LANES) {
        int count = n - i < VF_LANES ? (int)(n - i) : VF_LANES;
        STORE_N(y + i, vf_maximum(lo, vf_minimum(hi, LOAD_N(x + i, count))), count);
    }
}

#define MAP1(NAME, name)                                                                                               \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        FN(map1)(out, in, n, vf_##name);                                                                               \
    }
#define TEST1(NAME, name)                                                                                              \
    static void FN(name)(void *out, const void *in, size_t n)                                                          \
    {                                                                                                                  \
        FN(test1)(out, in, n, vf_##name);                                                                              \
    }
#define MAP2(NAME, name)                                                                                               \
    static void FN(name)(void *out, const void *a, const void *b, size_t n, em__mode mode)                             \
    {                                                                                                                  \
        FN(map2)(out, a, b, n, mode, vf_##name);                                                                       \
    }
#define TEST2(NAME, name)                                                                                              \
    static void FN(name)(void *out, const void *a, const void *b, size_t n, em__mode mode)                             \
    {                                                                                                                  \
        FN(test2)(out, a, b, n, mode, vf_##name);                                                                      \
    }
#define EM__UNARY_ANY MAP1
#define EM__UNARY_FLOAT MAP1
#define EM__UNARY_TEST TEST1
#define EM__BINARY_ANY MAP2
#define EM__BINARY_FLOAT MAP2
#define EM__BINARY_TEST TEST2
#include "device/cpu/elementwise_ops.def"
#undef MAP1
#undef TEST1
#undef MAP2
#undef TEST2

static void FN(fill)(em__elementwise *k)
{
#define SLOT1(NAME, name) k->unary[EM__UNARY_##NAME][DTYPE] = FN(name);
#define SLOT2(NAME, name) k->binary[EM__BINARY_##NAME][DTYPE] = FN(name);
#define EM__UNARY_ANY SLOT1
#define EM__UNARY_FLOAT SLOT1
#define EM__UNARY_TEST SLOT1
#define EM__BINARY_ANY SLOT2
#define EM__BINARY_FLOAT SLOT2
#define EM__BINARY_TEST SLOT2
#include "device/cpu/elementwise_ops.def"
#undef SLOT1
#undef SLOT2
    k->clip[DTYPE] = FN(clip);
}

#undef E
#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE
#undef STORE_N
#undef ONE
#undef DTYPE
