/* The cache of keys and values, naively: copied, with the new rows in their places. */
#include <math.h>
#include <string.h>

#include "device/ref/ref.h"

/* Whether the walk is at a new row, of which `at` then is the place among the rows. */
static bool is_fresh(const em__call *call, const em__walk *walk, int axis, em__walk *at)
{
    const em__tensor *cache = &call->in[0], *rows = &call->in[1], *position = &call->in[2];
    const int64_t length = rows->spec.dims[axis], most = cache->spec.dims[axis] - length;
    const int64_t batch = position->spec.rank ? walk->at[0] * position->strides[0] : 0;
    int64_t first = em__ref_index(position->spec.dtype, position->data, batch);
    first = first < 0 ? 0 : first > most ? most : first;
    *at = *walk;
    at->at[axis] -= first;
    return at->at[axis] >= 0 && at->at[axis] < length;
}

em_status em__ref_kv_update(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *cache = &call->in[0], *rows = &call->in[1];
    em__walk walk = {.spec = &cache->spec}, at;
    const int64_t size = em__spec_size(&cache->spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk))
        if (!is_fresh(call, &walk, cache->spec.rank - 2, &at))
            em__ref_move(cache, em__walk_offset(&walk, cache), call->out.data, i);
        else if (rows->spec.dtype == cache->spec.dtype)
            em__ref_move(rows, em__walk_offset(&at, rows), call->out.data, i);
        else
            em__ref_store_real(cache->spec.dtype, call->out.data, i,
                               em__ref_real(rows->spec.dtype, rows->data, em__walk_offset(&at, rows)));
    return EM_OK;
}

/* The scale of the row of f32 that `at` is in. */
static float scale_of(const em__tensor *rows, const em__walk *at)
{
    const int last = rows->spec.rank - 1;
    float top = 0, wrong = 0;
    em__walk row = *at;
    for (row.at[last] = 0; row.at[last] < rows->spec.dims[last]; row.at[last]++) {
        float x = ((const float *)rows->data)[em__walk_offset(&row, rows)];
        wrong += x * 0;
        top = fabsf(x) > top ? fabsf(x) : top;
    }
    return wrong == 0 ? top / 127 : NAN;
}

em_status em__ref_kv_codes(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *codes = &call->in[0], *rows = &call->in[1];
    em__walk walk = {.spec = &codes->spec}, at;
    const int64_t size = em__spec_size(&codes->spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        if (!is_fresh(call, &walk, codes->spec.rank - 2, &at)) {
            em__ref_move(codes, em__walk_offset(&walk, codes), call->out.data, i);
            continue;
        }
        const float scale = scale_of(rows, &at), x = ((const float *)rows->data)[em__walk_offset(&at, rows)];
        const float code = scale > 0 ? fminf(fmaxf(rintf(x / scale), -127), 127) : 0;
        ((int8_t *)call->out.data)[i] = (int8_t)code;
    }
    return EM_OK;
}

em_status em__ref_kv_scales(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *scales = &call->in[0], *rows = &call->in[1];
    em__walk walk = {.spec = &scales->spec}, at;
    const int64_t size = em__spec_size(&scales->spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        bool fresh = is_fresh(call, &walk, scales->spec.rank - 1, &at);
        if (fresh)
            at.at[scales->spec.rank] = 0;
        ((float *)call->out.data)[i] =
            fresh ? scale_of(rows, &at) : ((const float *)scales->data)[em__walk_offset(&walk, scales)];
    }
    return EM_OK;
}
