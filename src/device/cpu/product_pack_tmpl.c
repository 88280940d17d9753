/* Elements that stay as they are; ELEM has their size. Defines FUNCTION(pack) and FUNCTION(copy). */
static void FUNCTION(pack)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int64_t k = 0; k < p->k; k++, dst += p->width) {
        const ELEM *from = src + k * p->depth;
        if (p->row == 1)
            memcpy(dst, from, (size_t)p->rows * sizeof *dst);
        else
            for (int j = 0; j < p->rows; j++)
                dst[j] = from[j * p->row];
        for (int j = p->rows; j < p->width; j++)
            dst[j] = 0;
    }
}

#define TURN 16 /* steps at a time, so that what is read and what is written both stay near */

static void FUNCTION(copy)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int r = 0; r < p->rows && p->depth == 1; r++)
        memcpy(dst + r * p->copy_row, src + r * p->row, (size_t)p->k * sizeof *dst);
    for (int64_t k = 0; k < p->k && p->depth != 1; k += TURN) {
        const int64_t end = p->k - k < TURN ? p->k : k + TURN;
        for (int r = 0; r < p->rows; r++)
            for (int64_t i = k; i < end; i++)
                dst[r * p->copy_row + i] = src[r * p->row + i * p->depth];
    }
}

#undef TURN
#undef ELEM
#undef FUNCTION
