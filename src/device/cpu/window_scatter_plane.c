/* What a scatter by rows needs to know of its plane, and its kernel by level. */
#include "core/whole.h"
#include "device/cpu/window_scatter.h"

static int64_t whole(int64_t n)
{
    return em__round_up(n, EM__SCATTER_LANES);
}

bool em__scatter_describe(em__scatter_plane *p)
{
    const int64_t step = p->step[1], low = p->low[1], taps = p->window[1], width = p->dims[1];
    if (p->window[0] > EM__SCATTER_SIDE || taps > EM__SCATTER_SIDE || step > EM__SCATTER_SIDE ||
        p->step[0] > EM__SCATTER_SIDE) /* a band of rows far apart would take memory for all between them */
        return false;
    if (width < taps || width > EM__SCATTER_WIDTH)
        return false;
    p->before = whole(em__max(-em__div_down(-low, step), 0)); /* so that most of what is read is aligned */
    p->span = whole(em__max(p->places[1] + em__div_down(taps - 1 - low, step), em__div_up(width, step))) + p->before;
    p->band = (em__min(EM__SCATTER_BAND, p->places[0]) - 1) * p->step[0] + p->window[0];
    for (int64_t c = 0; c < taps; c++) {
        const int64_t by = em__div_down(c - low, step), phase = c - low - by * step;
        p->place[c] = phase * p->span + p->before + by;
    }
    p->first = em__min(em__max(0, -em__div_down(-low, step)), p->places[1]);
    p->past = em__max(em__min(em__div_down(width - taps + low, step) + 1, p->places[1]), p->first);
    return true;
}

size_t em__scatter_bytes(const em__scatter_plane *p)
{
    return (size_t)((p->band + 1) * p->step[1] * p->span + whole(p->places[1])) * sizeof(float);
}

em__scatter_fn em__scatter_get(em__cpu_level level)
{
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        return em__scatter_avx512;
    if (level >= EM__CPU_AVX2)
        return em__scatter_avx2;
#endif
    (void)level;
    return NULL;
}
