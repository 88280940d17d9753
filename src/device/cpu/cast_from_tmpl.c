/*
 * From one plain type to all plain types, and to the halves through f32 or f64. Included once a type with T the
 * element, FN(name), DTYPE, and
 *   CONVERT(to, TO, x)   x as a TO
 *   WIDE                 1 if f32 does not hold every T: then the halves are reached through f64, by
 *   NARROWING(x)         x as a double that rounds on to a half as x itself would
 */
#define LOOP(to, TO, D)                                                                                                \
    static void FN(to_##to)(void *out, const void *in, size_t n)                                                       \
    {                                                                                                                  \
        const T *x = in;                                                                                               \
        TO *y = out;                                                                                                   \
        for (size_t i = 0; i < n; i++)                                                                                 \
            y[i] = CONVERT(to, TO, x[i]);                                                                              \
    }
PLAIN_TYPES(LOOP)
#undef LOOP

static void FN(to_pred)(void *out, const void *in, size_t n)
{
    const T *x = in;
    uint8_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] != 0;
}

#if WIDE
static void FN(to_f16)(void *out, const void *in, size_t n)
{
    const T *x = in;
    uint16_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = em__f64_to_f16(NARROWING(x[i]));
}

static void FN(to_bf16)(void *out, const void *in, size_t n)
{
    const T *x = in;
    uint16_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = em__f64_to_bf16(NARROWING(x[i]));
}
#else
static void FN(to_f16)(void *out, const void *in, size_t n)
{
    through_f32(out, sizeof(uint16_t), in, sizeof(T), n, FN(to_f32), f16_from_f32);
}

static void FN(to_bf16)(void *out, const void *in, size_t n)
{
    through_f32(out, sizeof(uint16_t), in, sizeof(T), n, FN(to_f32), bf16_from_f32);
}
#endif

static void FN(fill)(em__cast *k)
{
#define SLOT(to, TO, D) k->fn[DTYPE][D] = FN(to_##to);
    PLAIN_TYPES(SLOT)
#undef SLOT
    k->fn[DTYPE][EM_PRED] = FN(to_pred);
    k->fn[DTYPE][EM_F16] = FN(to_f16);
    k->fn[DTYPE][EM_BF16] = FN(to_bf16);
}

#undef T
#undef FN
#undef DTYPE
#undef CONVERT
#undef WIDE
#undef NARROWING
