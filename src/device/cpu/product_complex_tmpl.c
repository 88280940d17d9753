/* Complex elements of two ELEM. Defines FUNCTION(pack) and FUNCTION(copy). */
static void FUNCTION(pack)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int64_t k = 0; k < p->k; k++, dst += 2 * p->width) {
        ELEM *turned = dst + p->width;
        const ELEM *from = src + 2 * k * p->depth;
        if (p->row == 1)
            memcpy(dst, from, 2 * (size_t)p->rows * sizeof *dst);
        for (int j = 0; j < p->rows && p->row != 1; j++)
            memcpy(dst + 2 * j, from + 2 * j * p->row, 2 * sizeof *dst);
        memset(dst + 2 * p->rows, 0, ((size_t)p->width - 2 * (size_t)p->rows) * sizeof *dst);
        for (int j = 0; j < p->width; j += 2) {
            turned[j] = -dst[j + 1];
            turned[j + 1] = dst[j];
        }
    }
}

static void FUNCTION(copy)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int r = 0; r < p->rows; r++, dst += p->copy_row) {
        const ELEM *from = src + 2 * r * p->row;
        if (p->depth == 1)
            memcpy(dst, from, 2 * (size_t)p->k * sizeof *dst);
        for (int64_t k = 0; k < p->k && p->depth != 1; k++)
            memcpy(dst + 2 * k, from + 2 * k * p->depth, 2 * sizeof *dst);
    }
}

#undef ELEM
#undef FUNCTION
