/* The f32 conversions of both half types at the level whose vecmath header stands before this one. */
#define FN(name) f16_##name
#define LOAD(p) vf_load_f16(p)
#define LOAD_N(p, n) vf_load_f16_n(p, n)
#define STORE(p, x) vf_store_f16(p, x)
#define STORE_N(p, x, n) vf_store_f16_n(p, x, n)
#include "device/cpu/cast_half_tmpl.c"

#define FN(name) bf16_##name
#define LOAD(p) vf_load_bf16(p)
#define LOAD_N(p, n) vf_load_bf16_n(p, n)
#define STORE(p, x) vf_store_bf16(p, x)
#define STORE_N(p, x, n) vf_store_bf16_n(p, x, n)
#include "device/cpu/cast_half_tmpl.c"

static void fill_halves(em__cast *k)
{
    k->fn[EM_F16][EM_F32] = f16_to_f32;
    k->fn[EM_BF16][EM_F32] = bf16_to_f32;
    k->fn[EM_F32][EM_F16] = f16_from_f32;
    k->fn[EM_F32][EM_BF16] = bf16_from_f32;
}
