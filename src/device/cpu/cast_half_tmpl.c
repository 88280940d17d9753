/*
 * f32 from and to one of the two half types, in vectors. Included once a type with FN(name), LOAD, LOAD_N, STORE,
 * STORE_N as elementwise_vf_tmpl.c has them.
 */
static void FN(to_f32)(void *out, const void *in, size_t n)
{
    const uint16_t *x = in;
    float *y = out;
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, LOAD(x + i));
    if (i < n)
        vf_store_n(y + i, LOAD_N(x + i, (int)(n - i)), (int)(n - i));
}

static void FN(from_f32)(void *out, const void *in, size_t n)
{
    const float *x = in;
    uint16_t *y = out;
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        STORE(y + i, vf_load(x + i));
    if (i < n)
        STORE_N(y + i, vf_load_n(x + i, (int)(n - i)), (int)(n - i));
}

#undef FN
#undef LOAD
#undef LOAD_N
#undef STORE
#undef STORE_N
