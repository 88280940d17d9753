/*
 * What each fast op means: its composition in primitive ops. The composition is the op's oracle beside the ref loops,
 * and what a device without the kernel runs; a gradient of the composition is a gradient of the op.
 */
#ifndef EM_FAST_COMPOSE_H
#define EM_FAST_COMPOSE_H

#include "array/array.h"

typedef struct em__fast_call {
    em__op op;
    em_array *const *in;
    int n_in;
    const int64_t *ints;
    const double *floats;
} em__fast_call;

/* Builds the composition in the scope, with operands and attributes as the op has them (op.h). NULL once the scope has
 * an error, among them EM_ERROR_INVALID_ARGUMENT for an op that is primitive. */
em_array *em__compose(em_scope *s, const em__fast_call *call);

em_array *em__compose_softmax(em_scope *s, const em__fast_call *call);
em_array *em__compose_norm(em_scope *s, const em__fast_call *call);
em_array *em__compose_rope(em_scope *s, const em__fast_call *call);
em_array *em__compose_rotary(em_scope *s, const em__fast_call *call);
em_array *em__compose_kv_update(em_scope *s, const em__fast_call *call);
em_array *em__compose_kv_codes(em_scope *s, const em__fast_call *call);
em_array *em__compose_kv_scales(em_scope *s, const em__fast_call *call);
em_array *em__compose_sdpa(em_scope *s, const em__fast_call *call);
em_array *em__compose_sdpa_segments(em_scope *s, const em__fast_call *call);
em_array *em__compose_segment_pool(em_scope *s, const em__fast_call *call);
em_array *em__compose_fused_linear(em_scope *s, const em__fast_call *call);
em_array *em__compose_gated(em_scope *s, const em__fast_call *call);
em_array *em__compose_gelu(em_scope *s, const em__fast_call *call);

#endif
