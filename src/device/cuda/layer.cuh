/*
 * A decoder's layer, read off its calls by the memory that they share: what the readers of a step (step.cu) and of a
 * prompt (prompt.cu) have in common. Queries, keys and values each begin as a product, of the reader's own kind; here
 * is what becomes of them (norm of their heads, rope, update of a cache) up to the sdpa that reads all three.
 */
#ifndef EM_DEVICE_CUDA_LAYER_CUH
#define EM_DEVICE_CUDA_LAYER_CUH

#include "device/cuda/cuda.h"

enum { EM_QUERIES, EM_KEYS, EM_VALUES, EM_PARTS };

/* One of the three on its way. */
typedef struct em__part {
    const void *value;                    /* where it lies now; NULL: in the cache */
    const em__call *norm, *rope, *update; /* NULL: there was none */
} em__part;

typedef struct em__parts {
    em__part each[EM_PARTS]; /* in the order of their products */
    int n;
    int at[EM_PARTS]; /* where queries, keys and values stand among them; known once they are closed */
} em__parts;

static inline int64_t em__last_of(const em__tensor *t)
{
    return t->spec.rank ? t->spec.dims[t->spec.rank - 1] : 1;
}

/* rms_norm of f32, with a gain that the kernels can read. */
static inline bool em__is_step_norm(const em__call *call)
{
    if (call->op != EM__OP_RMS_NORM || call->in[0].spec.dtype != EM_F32 || call->ints[0] & 2)
        return false;
    const em__tensor *gain = call->ints[0] & 1 ? &call->in[1] : NULL;
    return !gain || (gain->spec.dtype == EM_F32 && gain->strides[0] == 1);
}

static inline const float *em__gain_of(const em__call *norm)
{
    return norm->ints[0] & 1 ? (const float *)norm->in[1].data : NULL;
}

static inline const em__part *em__part_as(const em__parts *parts, int role)
{
    return &parts->each[parts->at[role]];
}

/* Of its norm; NULL and 0: there was none. */
static inline const float *em__part_gain(const em__part *p)
{
    return p->norm ? em__gain_of(p->norm) : NULL;
}

static inline float em__part_eps(const em__part *p)
{
    return p->norm ? (float)p->norm->floats[0] : 0;
}

/* The call as the next stage of one of them: a norm with a gain, a rope of whole heads, an update in place. */
bool em__parts_take(em__parts *parts, const em__call *call);

/* The call as the sdpa behind them: which is which; caches alike and row-major, queries and keys turned alike. */
bool em__parts_close(em__parts *parts, const em__call *call);

/* What the gate goes through in a swiglu or its like; COPY: the call is none. */
em__op em__gate_of(em__op op);

#endif
