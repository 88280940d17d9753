/* Recorded cases of products and fast ops. */
#include <string.h>

#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/expect.h"

static em_array *apply_dot_general(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_dot_general(s, in[0], apply_axes(c, "contract_a"), apply_axes(c, "batch_a"), in[1],
                          apply_axes(c, "contract_b"), apply_axes(c, "batch_b"));
}

static em_array *apply_layer_norm(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_layer_norm(s, in[0], in[1], in[2], book_number(c, "eps", 0));
}

static em_array *apply_rms_norm(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_rms_norm(s, in[0], in[1], book_number(c, "eps", 0));
}

static em_array *apply_rope(em_scope *s, const book_case *c, em_array *const *in)
{
    em_rope_options options = {.struct_size = sizeof options,
                               .dims = (int)book_number(c, "dims", 0),
                               .interleaved = book_number(c, "interleaved", 0) != 0,
                               .base = book_number(c, "base", 0),
                               .scale = book_number(c, "scale", 0),
                               .freqs = in[2],
                               .axis = (int)book_number(c, "axis", 0)};
    return em_rope(s, in[0], in[1], &options);
}

static em_array *apply_rotary(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_rotary(s, in[0], in[1], in[2], (int)book_number(c, "dims", 0), book_number(c, "interleaved", 0) != 0);
}

static em_array *apply_kv_update(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_kv_update(s, in[0], in[1], in[2]);
}

static em_array *apply_kv_codes(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_kv_codes(s, in[0], in[1], in[2]);
}

static em_array *apply_kv_scales(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)c;
    return em_kv_scales(s, in[0], in[1], in[2]);
}

static em_array *apply_sdpa(em_scope *s, const book_case *c, em_array *const *in)
{
    em_sdpa_options options = {.struct_size = sizeof options,
                               .mask = in[3],
                               .sinks = in[4],
                               .lengths = in[5],
                               .scale = book_number(c, "scale", 0),
                               .softcap = book_number(c, "softcap", 0),
                               .causal = book_number(c, "causal", 0) != 0,
                               .window = (int)book_number(c, "window", 0),
                               .k_scales = in[6],
                               .v_scales = in[7]};
    return em_sdpa_with(s, in[0], in[1], in[2], &options);
}

static em_array *apply_sdpa_segments(em_scope *s, const book_case *c, em_array *const *in)
{
    const em_segments_options options = {.struct_size = sizeof options,
                                         .bias = in[4],
                                         .scale = book_number(c, "scale", 0),
                                         .causal = book_number(c, "causal", 0) != 0,
                                         .window = (int)book_number(c, "window", 0)};
    return em_sdpa_segments_with(s, in[0], in[1], in[2], in[3], &options);
}

static em_array *apply_segment_pool(em_scope *s, const book_case *c, em_array *const *in)
{
    static const char *const names[] = {"mean", "cls", "max", "last", "mean_sqrt", "weighted"};
    int pool = 0;
    while (strcmp(names[pool], book_text(c, "pool")) != 0)
        assert_true(++pool < 6);
    return em_segment_pool(s, in[0], in[1], (em_pool)pool);
}

const apply_row apply_fast[] = {
    {"dot_general", apply_dot_general},
    {"layer_norm", apply_layer_norm},
    {"rms_norm", apply_rms_norm},
    {"rope", apply_rope},
    {"rotary", apply_rotary},
    {"kv_update", apply_kv_update},
    {"kv_codes", apply_kv_codes},
    {"kv_scales", apply_kv_scales},
    {"sdpa", apply_sdpa},
    {"sdpa_segments", apply_sdpa_segments},
    {"segment_pool", apply_segment_pool},
    {0},
};
