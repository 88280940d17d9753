/* How a chain's operands lie over rows and columns, and how rows are cut. See chain.h. */
#include <string.h>

#include "device/cuda/chain.h"

/* Folds axes [from, to) behind the `rank` that are there: neighbours over which all operands step evenly are one. */
static int fold_axes(em_chain_layout *l, const em__tensor *in, int rank, int from, int to, int64_t *dims,
                     int64_t (*strides)[EM_MAX_RANK])
{
    int first = rank;
    for (int d = from; d < to; d++) {
        int64_t dim = l->chain.full.dims[d];
        bool joins = rank > first;
        if (dim == 1)
            continue;
        for (int i = 0; i < l->n_in && joins; i++)
            joins = strides[i][rank - 1] == in[i].strides[d] * dim;
        rank += !joins;
        dims[rank - 1] = joins ? dims[rank - 1] * dim : dim;
        for (int i = 0; i < l->n_in; i++)
            strides[i][rank - 1] = in[i].strides[d];
    }
    return rank;
}

/* Axes that make the rows, then one of columns. */
static bool fold(em_chain_layout *l, const em__tensor *in)
{
    int64_t dims[EM_MAX_RANK], strides[EM__CHAIN_OPERANDS][EM_MAX_RANK];
    int split = l->chain.full.rank - l->chain.n_axes;
    int outer = fold_axes(l, in, 0, 0, split, dims, strides);
    int rank = fold_axes(l, in, outer, split, l->chain.full.rank, dims, strides);
    if (l->chain.n_axes && rank > outer + 1)
        return false;
    bool has_columns = l->chain.n_axes ? rank > outer : rank > 0;
    l->rank = has_columns ? rank - 1 : rank;
    l->columns = has_columns ? dims[rank - 1] : 1;
    l->args.rows = l->args.size = 1;
    for (int d = 0; d < rank; d++)
        l->args.size *= dims[d];
    for (int d = 0; d < l->rank; d++) {
        l->args.dims[d] = dims[d];
        l->args.rows *= dims[d];
    }
    for (int i = 0; i < l->n_in; i++) {
        for (int d = 0; d < l->rank; d++)
            l->args.strides[i][d] = strides[i][d];
        l->args.strides[i][EM_MAX_RANK] = has_columns ? strides[i][rank - 1] : 0;
    }
    return true;
}

static bool is_float(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT;
}

/* Bytes of the elements of the sum whose order counts, else of the widest element that is read or written. */
static int packet_bytes(const em_chain_layout *l, em_dtype out)
{
    int widest = (int)em_dtype_size(out);
    for (int i = 0; i < l->n_in; i++)
        widest = (int)em_dtype_size(l->in[i]) > widest ? (int)em_dtype_size(l->in[i]) : widest;
    for (int i = 0; i < l->chain.n_steps; i++) {
        const em__chain_step *s = &l->chain.steps[i];
        if ((s->op == EM__OP_SUM || s->op == EM__OP_PRODUCT) && is_float(s->from))
            return (int)em_dtype_size(s->from);
    }
    return widest;
}

/* The cut of reduce.cu for rows without holes. */
static void cut_rows(const em__cuda *cuda, em_chain_layout *l)
{
    const int block = 256, ahead = 4;
    int64_t pieces = (l->columns + l->packet - 1) / l->packet, step = block * l->packet;
    l->threads = 1;
    while (l->threads < pieces && l->threads < 32)
        l->threads *= 2;
    l->threads = pieces > 128 && l->args.rows < 16 * cuda->sms ? block : l->threads;
    l->held = (int)((pieces + l->threads - 1) / l->threads);
    l->part = l->held;
    int64_t blocks = l->threads == block ? l->args.rows : (l->args.rows * l->threads + block - 1) / block;
    int64_t most = (4 * cuda->sms + blocks - 1) / blocks, parts = l->columns / (step * ahead);
    parts = blocks >= cuda->sms ? 1 : parts < most ? parts : most;
    if (parts > 1)
        l->part = (int)(((l->columns + parts - 1) / parts + step - 1) / step);
}

/* Packets of V where columns let them, else single elements. */
static void cut_flat(em_chain_layout *l)
{
    bool fits = l->rank == 0 || l->columns % l->packet == 0;
    for (int i = 0; i < l->n_in && fits; i++)
        fits = l->args.strides[i][EM_MAX_RANK] == 0 || l->args.strides[i][EM_MAX_RANK] == 1;
    l->packet = fits ? l->packet : 1;
    l->args.inner = l->columns / l->packet;
}

/* Whether step i reduces an operand that is the same along the row: the source has no array for it. */
static bool reduces_thin(const em_chain_layout *l, int i)
{
    const em__chain_step *step = &l->chain.steps[i];
    return step->reduces && step->in[0] < EM__CHAIN_LOCAL && l->args.strides[step->in[0]][EM_MAX_RANK] == 0;
}

bool em_chain_lay_out(const em__cuda *cuda, const em__call *call, em_chain_layout *l)
{
    const em__spec *specs[EM__CHAIN_OPERANDS];
    em__tensor in[EM__CHAIN_OPERANDS];
    memset(l, 0, sizeof *l);
    l->n_in = call->n_in;
    for (int i = 0; i < call->n_in; i++) {
        specs[i] = &call->in[i].spec;
        l->in[i] = call->in[i].spec.dtype;
    }
    em__chain_read(call->ints, specs, &l->chain);
    for (int i = 0; i < call->n_in; i++)
        in[i] = em__tensor_broadcast(&call->in[i], &l->chain.full);
    if (!fold(l, in))
        return false;
    l->packet = 16 / packet_bytes(l, call->out.spec.dtype);
    if (l->chain.n_axes)
        cut_rows(cuda, l);
    else
        cut_flat(l);
    for (int i = 0; i < l->n_in && l->chain.n_axes; i++)
        if (l->columns > 1 && l->args.strides[i][EM_MAX_RANK] != 0 && l->args.strides[i][EM_MAX_RANK] != 1)
            return false;
    for (int i = 0; i < l->chain.n_steps && l->chain.n_axes; i++)
        if (reduces_thin(l, i))
            return false;
    l->small = l->args.size / l->packet < 0x7fffffff && l->args.rows < 0x7fffffff;
    return l->columns <= 65536 || !l->chain.n_axes;
}
