/* FUSED_CHAIN: the steps' kernels, and how they reach their sources. See chain.h. */
#include "device/cpu/chain.h"

const em__pairs *em__pairs_get(em__cpu_level level)
{
#if defined(__x86_64__)
    return level >= EM__CPU_AVX512 ? &em__pairs_avx512 : level >= EM__CPU_AVX2 ? &em__pairs_avx2 : &em__pairs_portable;
#else
    (void)level;
    return &em__pairs_portable;
#endif
}

static int pair_op(em__op op)
{
    return op == EM__OP_ADD   ? EM__PAIR_ADD
           : op == EM__OP_SUB ? EM__PAIR_SUB
           : op == EM__OP_MUL ? EM__PAIR_MUL
           : op == EM__OP_DIV ? EM__PAIR_DIV
                              : -1;
}

/* Where the unit finds the source, and whether its kernel takes it as one element. */
static void reach(const em__chain_job *j, em__chain_fn *f, int i)
{
    int value = f->step.in[i], size = f->sizes[i];
    bool thin = f->step.thin && !f->step.reduces, one = j->block == 1;
    bool takes_one = f->kind == EM__CHAIN_BINARY || (f->kind == EM__CHAIN_SELECT && i > 0);
    em__chain_access as = EM__CHAIN_IN_PLACE;
    f->advance[i] = 0;
    if (value >= EM__CHAIN_THIN) {
        as = thin ? as : !one ? EM__CHAIN_SPREAD : EM__CHAIN_ONE;
    } else if (value >= EM__CHAIN_LOCAL) {
        f->advance[i] = value >= EM__CHAIN_WIDE ? size : 0;
    } else if (thin) {
        em__chain_layout layout = j->operands[value].layout;
        as = one ? as : layout == EM__CHAIN_SCALAR ? EM__CHAIN_ONE : EM__CHAIN_SPREAD;
    } else {
        em__chain_layout layout = j->operands[value].layout;
        f->advance[i] = size;
        if (layout == EM__CHAIN_SCALAR || layout == EM__CHAIN_BY_COLUMN)
            as = layout == EM__CHAIN_SCALAR || one ? EM__CHAIN_ONE : EM__CHAIN_SPREAD;
        else if (layout == EM__CHAIN_BY_ROW && !one)
            as = EM__CHAIN_SPREAD;
    }
    as = as == EM__CHAIN_ONE && !takes_one ? EM__CHAIN_SPREAD : as;
    f->access[i] = as;
    f->spreads |= as == EM__CHAIN_SPREAD;
    f->advance[i] = as == EM__CHAIN_ONE ? 0 : f->advance[i];
}

static em__chain_fn lookup(const em__chain_job *j, const em__chain_step *step)
{
    const em__cpu *cpu = j->cpu;
    em__chain_fn f = {.step = *step, .to_size = (int)em_dtype_size(step->to)};
    for (int i = 0; i < step->n_in; i++)
        f.sizes[i] = step->op == EM__OP_SELECT && i == 0 ? 1 : (int)em_dtype_size(step->from);
    if (step->reduces) {
        em__reduce_op reduce = EM__REDUCE_SUM;
        em__cpu_reduce_op(step->op, &reduce);
        f.kind = EM__CHAIN_REDUCE;
        f.fn.reduce = reduce;
        if (j->columns <= EM__REDUCE_PART && em__reduce_acc(reduce, step->from) == step->to) {
            f.kind = EM__CHAIN_REDUCE_ROWS;
            f.fn.row = cpu->reduce->row[reduce][step->from];
        }
    } else if (step->thin && j->block == 1 && step->from == EM_F32 && pair_op(step->op) >= 0) {
        f.kind = EM__CHAIN_SINGLE;
        f.fn.single = (em__pair_op)pair_op(step->op);
    } else if (step->op == EM__OP_CAST) {
        f.fn.unary = cpu->cast->fn[step->from][step->to];
    } else if (step->op == EM__OP_SELECT) {
        f.kind = EM__CHAIN_SELECT;
        f.fn.select = cpu->elementwise->select[step->from];
    } else if (step->n_in == 1) {
        f.fn.unary = em__cpu_unary(cpu, step->op, step->from);
    } else {
        f.kind = EM__CHAIN_BINARY;
        f.fn.binary = em__cpu_binary(cpu, step->op, step->from);
    }
    bool whole = step->target == EM__CHAIN_OUT || (step->target >= EM__CHAIN_WIDE && step->target < EM__CHAIN_THIN);
    f.to_advance = whole ? f.to_size : 0;
    for (int i = 0; i < step->n_in; i++) {
        reach(j, &f, i);
        if (f.access[i] == EM__CHAIN_ONE)
            f.mode |= i == step->n_in - 1 ? EM__SCALAR_B : EM__SCALAR_A;
    }
    return f;
}

static bool light(const em__chain_step *step)
{
    return pair_op(step->op) >= 0 && step->from == EM_F32 && !step->thin;
}

/* Whether step i + 1 alone reads what step i makes, once. */
static bool passes_on(const em__chain *c, int i)
{
    int value = c->steps[i].target;
    const em__chain_step *next = &c->steps[i + 1];
    if (value >= EM__CHAIN_WIDE || (next->in[0] == value) == (next->in[1] == value))
        return false;
    for (int k = i + 1; k < c->n_steps; k++) {
        for (int n = 0; n < c->steps[k].n_in && k > i + 1; n++)
            if (c->steps[k].in[n] == value)
                return false;
        if (c->steps[k].target == value)
            break;
    }
    return true;
}

/* Steps i and i + 1 as one, if they are a pair. */
static bool join(const em__chain_job *j, int i, em__chain_fn *pair)
{
    const em__chain *c = &j->chain;
    if (i + 1 >= c->n_steps || !light(&c->steps[i]) || !light(&c->steps[i + 1]) || !passes_on(c, i))
        return false;
    em__chain_fn first = lookup(j, &c->steps[i]), second = lookup(j, &c->steps[i + 1]);
    int a = first.access[0] == EM__CHAIN_ONE, at = c->steps[i + 1].in[0] == c->steps[i].target; /* c is source `at` */
    bool commutes = first.step.op == EM__OP_ADD || first.step.op == EM__OP_MUL;
    if (first.access[!a] == EM__CHAIN_ONE ? a : a && !commutes)
        return false;
    int op = pair_op(second.step.op);
    op = at ? op : op == EM__PAIR_SUB ? EM__PAIR_RSUB : op == EM__PAIR_DIV ? EM__PAIR_RDIV : op;
    *pair = second;
    pair->kind = EM__CHAIN_PAIR;
    pair->fn.pair = (*em__pairs_get(j->cpu->level))[pair_op(first.step.op)][op];
    pair->step.n_in = 3;
    pair->mode = 0;
    pair->spreads = false;
    for (int k = 0; k < 3; k++) {
        const em__chain_fn *from = k < 2 ? &first : &second;
        int source = k < 2 ? k ^ a : at;
        pair->step.in[k] = from->step.in[source];
        pair->sizes[k] = (int)sizeof(float);
        pair->access[k] = from->access[source];
        pair->advance[k] = from->advance[source];
        pair->spreads |= pair->access[k] == EM__CHAIN_SPREAD;
        if (pair->access[k] == EM__CHAIN_ONE)
            pair->mode |= k == 1 ? EM__PAIR_B : EM__PAIR_C;
    }
    return true;
}

#define LONG_ENOUGH 48 /* columns for which a call a row costs less than spreading */

/* Whether the step's kernel can go row by row instead. */
static void choose_rows(const em__chain_job *j, em__chain_fn *f)
{
    f->row_mode = f->mode;
    f->by_rows = f->spreads && !f->step.thin && j->block > 1 && j->columns >= LONG_ENOUGH;
    for (int i = 0; i < f->step.n_in; i++) {
        int value = f->step.in[i];
        if (f->access[i] != EM__CHAIN_SPREAD ||
            (value < EM__CHAIN_LOCAL && j->operands[value].layout == EM__CHAIN_BY_ROW))
            continue;
        f->by_rows &= i > 0 ? f->kind != EM__CHAIN_UNARY : f->kind == EM__CHAIN_BINARY;
        if (f->kind == EM__CHAIN_PAIR)
            f->row_mode |= i == 1 ? EM__PAIR_B : EM__PAIR_C;
        else
            f->row_mode |= i == f->step.n_in - 1 ? EM__SCALAR_B : EM__SCALAR_A;
    }
}

void em__chain_bind(em__chain_job *j)
{
    j->n_steps = j->n_reads = 0;
    for (int i = 0; i < j->chain.n_steps; i++) {
        em__chain_fn *f = &j->steps[j->n_steps++];
        if (join(j, i, f))
            i++;
        else
            *f = lookup(j, &j->chain.steps[i]);
        choose_rows(j, f);
        for (int k = 0; k < f->step.n_in; k++)
            if (f->step.in[k] < EM__CHAIN_LOCAL) {
                j->reads[j->n_reads].step = j->n_steps - 1;
                j->reads[j->n_reads].source = k;
                j->reads[j->n_reads++].operand = f->step.in[k];
            }
    }
}
