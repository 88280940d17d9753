/* Affine 4-bit weights [n, k] packed into the panels of quant_planes.h: once, for all products with them. */
#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/quant_planes.h"

#define ROWS EM__PLANES_ROWS
#define PANEL EM__PLANES_PANEL

size_t em__quant_packed_bytes(const em__quant_product *p)
{
    size_t bytes;
    if (!em__quant_planes_takes(p) || em__quant_kind_of(&p->scheme) != EM__QUANT_U4)
        return 0;
    const int64_t panels = em__div_up(p->n, PANEL), groups = p->k / p->scheme.group;
    if (em__mul_overflows((size_t)panels, (size_t)(groups * em__planes_group_bytes(p)), &bytes))
        return 0;
    return bytes;
}

typedef struct pack_job {
    const em__quant_product *p;
    uint8_t *to;
} pack_job;

/* Words of a group of the rows that begin at `rows`. */
static void put_codes(uint8_t *to, const em__quant_product *p, const uint8_t *const *rows)
{
    const int64_t words = p->scheme.group / 8;
    _Alignas(64) float turned[EM__PLANES_WORDS * ROWS];
    for (int half = 0; half < 2; half++) {
        p->kernels->planes->columns(turned, rows + half * ROWS, words, EM__PLANES_F32);
        for (int64_t w = 0; w < words; w++)
            memcpy(to + (2 * w + half) * (int64_t)sizeof *turned * ROWS, turned + w * ROWS, sizeof *turned * ROWS);
    }
}

/* Scales or biases of group `group`. */
static void put_scales(uint8_t *to, const em__quant_product *p, const void *from, const int64_t *row, int64_t group)
{
    const size_t size = em_dtype_size(p->scale_dtype);
    const int64_t groups = p->k / p->scheme.group;
    for (int r = 0; r < PANEL; r++)
        memcpy(to + (size_t)r * size, (const uint8_t *)from + (size_t)(row[r] * groups + group) * size, size);
}

static void pack_panel(void *context, int64_t panel, int worker)
{
    const pack_job *job = context;
    const em__quant_product *p = job->p;
    const int64_t groups = p->k / p->scheme.group, bytes = em__planes_group_bytes(p), code_bytes = p->scheme.group / 2;
    uint8_t *to = job->to + panel * groups * bytes;
    int64_t row[PANEL];
    (void)worker;
    for (int r = 0; r < PANEL; r++)
        row[r] = em__min(panel * PANEL + r, p->n - 1);
    for (int64_t g = 0; g < groups; g++, to += bytes) {
        const uint8_t *rows[PANEL];
        uint8_t *scales = to + PANEL * code_bytes;
        for (int r = 0; r < PANEL; r++)
            rows[r] = (const uint8_t *)p->codes + row[r] * (p->k / 2) + g * code_bytes;
        put_codes(to, p, rows);
        put_scales(scales, p, p->scales, row, g);
        put_scales(scales + PANEL * em_dtype_size(p->scale_dtype), p, p->biases, row, g);
    }
}

void em__quant_pack(const em__quant_product *p, void *to)
{
    pack_job job = {p, to};
    em__pool_run(p->pool, pack_panel, &job, em__div_up(p->n, PANEL));
}
