/* Complex elements of two ELEM. Defines FUNCTION(pack) and FUNCTION(copy). */
static void FUNCTION(pack)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int64_t k = 0; k < p->k; k++, dst += 2 * p->width) {
        memset(dst, 0, 2 * (size_t)p->width * sizeof *dst);
        for (int j = 0; j < p->rows; j++) {
            const ELEM *x = src + 2 * (k * p->depth + j * p->row);
            dst[2 * j] = x[0];
            dst[2 * j + 1] = x[1];
            dst[p->width + 2 * j] = -x[1];
            dst[p->width + 2 * j + 1] = x[0];
        }
    }
}

static void FUNCTION(copy)(const em__product_piece *p, ELEM *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int r = 0; r < p->rows; r++)
        for (int64_t k = 0; k < p->k; k++, dst += 2)
            memcpy(dst, src + 2 * (r * p->row + k * p->depth), 2 * sizeof *dst);
}

#undef ELEM
#undef FUNCTION
