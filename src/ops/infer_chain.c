/* The rule of FUSED_CHAIN, which checks its program step by step, and the program's decoding. See ops/chain.h. */
#include <string.h>

#include "core/error.h"
#include "ops/chain.h"

bool em__chain_reduces(em__op op)
{
    return op == EM__OP_SUM || op == EM__OP_PRODUCT || op == EM__OP_MAX || op == EM__OP_MIN || op == EM__OP_ALL ||
           op == EM__OP_ANY;
}

static void read_shapes(const int64_t *ints, em__chain *chain)
{
    chain->n_steps = (int)ints[0];
    chain->n_axes = (int)ints[1];
    chain->n_local = (int)ints[2];
    chain->n_wide = (int)ints[3];
    chain->n_thin = (int)ints[4];
    chain->full.rank = chain->thin.rank = (int)ints[5];
    chain->rows = chain->columns = 1;
    for (int i = 0; i < chain->full.rank; i++) {
        bool inner = i >= chain->full.rank - chain->n_axes;
        chain->full.dims[i] = ints[EM__CHAIN_HEAD + i];
        chain->thin.dims[i] = inner ? 1 : chain->full.dims[i];
        *(inner ? &chain->columns : &chain->rows) *= chain->full.dims[i];
    }
}

void em__chain_read(const int64_t *ints, const em__spec *const *in, em__chain *chain)
{
    unsigned char dtypes[EM__CHAIN_OUT + 2];
    const int64_t *at = ints + EM__CHAIN_HEAD + ints[5] + ints[6];
    *chain = (em__chain){.n_steps = 0};
    read_shapes(ints, chain);
    chain->width = 1;
    for (int i = 0; i < chain->n_steps; i++, at += EM__CHAIN_STEP) {
        em__chain_step *step = &chain->steps[i];
        step->op = (em__op)at[0];
        step->to = (em_dtype)at[1];
        step->target = (int)at[2];
        for (int j = 0; j < 3 && at[3 + j] != EM__CHAIN_NONE; j++)
            step->in[step->n_in++] = (int)at[3 + j];
        int last = step->in[step->n_in - 1];
        step->from = last < EM__CHAIN_LOCAL ? in[last]->dtype : (em_dtype)dtypes[last];
        step->reduces = em__chain_reduces(step->op);
        step->thin = em__chain_is_thin(step->target);
        dtypes[step->target] = (unsigned char)step->to;
        int sizes[2] = {(int)em_dtype_size(step->from), (int)em_dtype_size(step->to)};
        for (int j = 0; j < 2; j++)
            chain->width = sizes[j] > chain->width ? sizes[j] : chain->width;
    }
}

/* The specs that values have while the rule walks the steps; rank -1 where a register holds nothing yet. */
typedef struct values {
    const em__apply *apply;
    em__chain chain;
    em__spec registers[EM__CHAIN_OUT + 2 - EM__CHAIN_LOCAL];
} values;

static bool in_bank(const em__chain *c, int64_t value)
{
    return (value >= EM__CHAIN_LOCAL && value < EM__CHAIN_LOCAL + c->n_local) ||
           (value >= EM__CHAIN_WIDE && value < EM__CHAIN_WIDE + c->n_wide) ||
           (value >= EM__CHAIN_THIN && value < EM__CHAIN_THIN + c->n_thin);
}

/* The spec of a source as a thin or full step sees it: operands stand for their broadcast. */
static bool source(const values *v, int64_t at, bool thin, em__spec *out)
{
    const em__spec *shape = thin ? &v->chain.thin : &v->chain.full;
    if (at >= 0 && at < v->apply->n_in) {
        em__spec joined = {0};
        const em__spec *in = v->apply->in[at];
        bool fits = em__broadcast(in, shape, &joined) && joined.rank == shape->rank &&
                    memcmp(joined.dims, shape->dims, sizeof joined.dims) == 0;
        *out = *shape;
        out->dtype = in->dtype;
        return fits;
    }
    if (!in_bank(&v->chain, at) || v->registers[at - EM__CHAIN_LOCAL].rank < 0)
        return false;
    *out = v->registers[at - EM__CHAIN_LOCAL];
    return !thin || em__chain_is_thin((int)at);
}

static bool check_target(const values *v, int64_t target, bool last)
{
    if (last)
        return target == EM__CHAIN_OUT || target == EM__CHAIN_OUT_THIN;
    return in_bank(&v->chain, target);
}

/* Checks one step by its op's own rule and notes its result. */
static em_status check_step(values *v, const int64_t *at, bool last)
{
    const em__chain *c = &v->chain;
    const em__spec *in[3];
    em__spec specs[3], out = {0};
    int n = 0;
    if (at[0] < 0 || at[0] >= EM__OP_COUNT || at[1] < 0 || at[1] >= EM_DTYPE_COUNT || !check_target(v, at[2], last))
        return em__infer_fail(v->apply, "a step is malformed");
    em__op op = (em__op)at[0];
    bool reduces = em__chain_reduces(op), thin = em__chain_is_thin((int)at[2]);
    int64_t cast = at[1], axes[2] = {1, 0};
    for (int i = c->full.rank - c->n_axes; i < c->full.rank; i++)
        axes[1] |= (int64_t)1 << i;
    for (; n < 3 && at[3 + n] != EM__CHAIN_NONE; n++) {
        if (!source(v, at[3 + n], thin && !reduces, &specs[n]))
            return em__infer_fail(v->apply, "a step reads what is not there");
        in[n] = &specs[n];
    }
    bool elementwise = em__op_get(op)->traits & EM__TRAIT_ELEMENTWISE;
    em__infer_fn rule = em__op_get(op)->infer;
    int wants = op == EM__OP_SELECT ? 3 : rule == em__infer_BROADCAST || rule == em__infer_COMPARE ? 2 : 1;
    if (!(elementwise || reduces) || n != wants || (reduces && (!thin || c->n_axes == 0)))
        return em__infer_fail(v->apply, "%s is no step of a chain", em__op_get(op)->name);
    em__apply apply = {.op = op, .n_in = n, .in = in};
    apply.n_ints = reduces ? 2 : op == EM__OP_CAST;
    apply.ints = reduces ? axes : &cast;
    for (int i = n == 3 ? 2 : 1; i < n; i++)
        if (specs[i].dtype != specs[i - 1].dtype)
            return em__infer_fail(v->apply, "the sources of %s differ in dtype", em__op_get(op)->name);
    em_dtype want;
    EM__TRY(em__op_operand_dtype(op, specs[n - 1].dtype, &want));
    if (want != specs[n - 1].dtype)
        return em__infer_fail(v->apply, "%s does not take %s", em__op_get(op)->name, em_dtype_name(specs[n - 1].dtype));
    EM__TRY(em__op_infer(&apply, &out));
    if (out.dtype != (em_dtype)at[1])
        return em__infer_fail(v->apply, "%s does not give %s", em__op_get(op)->name, em_dtype_name((em_dtype)at[1]));
    em__spec *result = &v->registers[at[2] - EM__CHAIN_LOCAL];
    *result = thin ? c->thin : c->full;
    result->dtype = (em_dtype)at[1];
    return EM_OK;
}

static em_status check_head(const em__apply *apply)
{
    const int64_t *p = apply->ints;
    bool sound = apply->n_ints >= EM__CHAIN_HEAD && p[0] >= 1 && p[0] <= EM__CHAIN_STEPS && p[5] >= 0 &&
                 p[5] <= EM_MAX_RANK && p[6] >= 0 && p[6] <= EM_MAX_RANK && p[1] >= 0 && p[1] <= p[5] &&
                 apply->n_in <= EM__CHAIN_OPERANDS &&
                 apply->n_ints == EM__CHAIN_HEAD + p[5] + p[6] + p[0] * EM__CHAIN_STEP;
    for (int i = 2; i < 5 && sound; i++)
        sound = p[i] >= 0 && p[i] <= EM__CHAIN_BANK;
    return sound ? EM_OK : em__infer_fail(apply, "the chain is malformed");
}

em_status em__infer_FUSED_CHAIN(const em__apply *apply, em__spec *out)
{
    values v = {.apply = apply};
    EM__TRY(check_head(apply));
    const int64_t *p = apply->ints, *at = p + EM__CHAIN_HEAD + p[5] + p[6];
    v.chain.full.dtype = EM_F64;
    memcpy(v.chain.full.dims, p + EM__CHAIN_HEAD, (size_t)p[5] * sizeof *p);
    v.chain.full.rank = (int)p[5];
    EM__TRY(em__spec_check(&v.chain.full, "chain"));
    read_shapes(p, &v.chain);
    for (size_t i = 0; i < sizeof v.registers / sizeof v.registers[0]; i++)
        v.registers[i].rank = -1;
    for (int i = 0; i < v.chain.n_steps; i++, at += EM__CHAIN_STEP)
        EM__TRY(check_step(&v, at, i == v.chain.n_steps - 1));
    const em__spec *result = &v.registers[at[2 - EM__CHAIN_STEP] - EM__CHAIN_LOCAL];
    out->dtype = result->dtype;
    out->rank = (int)p[6];
    memcpy(out->dims, p + EM__CHAIN_HEAD + p[5], (size_t)p[6] * sizeof *p);
    EM__TRY(em__spec_check(out, "chain"));
    if (em__spec_size(out) != em__spec_size(result))
        return em__infer_fail(apply, "the result has another size than the chain");
    return EM_OK;
}
