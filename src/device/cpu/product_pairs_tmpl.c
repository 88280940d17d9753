/* Narrow integers of type ELEM, two neighbours in depth into one of 32 bits. Defines FUNCTION(pack) and
 * FUNCTION(copy). */
static inline uint32_t FUNCTION(pair)(const em__product_piece *p, const ELEM *row, int64_t k)
{
    const uint32_t second = k + 1 < p->k ? row[(k + 1) * p->depth] : 0;
    return row[k * p->depth] | second << 16;
}

static void FUNCTION(pack)(const em__product_piece *p, uint32_t *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int64_t k = 0; k < p->k; k += 2, dst += p->width) {
        for (int j = 0; j < p->rows; j++)
            dst[j] = FUNCTION(pair)(p, src + j * p->row, k);
        for (int j = p->rows; j < p->width; j++)
            dst[j] = 0;
    }
}

static void FUNCTION(copy)(const em__product_piece *p, uint32_t *dst)
{
    const ELEM *src = (const ELEM *)(const void *)p->src;
    for (int r = 0; r < p->rows; r++)
        for (int64_t k = 0; k < p->k; k += 2)
            dst[r * p->copy_row + k / 2] = FUNCTION(pair)(p, src + r * p->row, k);
}

#undef ELEM
#undef FUNCTION
