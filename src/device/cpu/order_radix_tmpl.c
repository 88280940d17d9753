/*
 * Template: one stable pass of a radix sort, from FROM elements to TO elements: element i of `from` goes to the place
 * that its digit DIGIT(x, shift) & mask has in `next`. N(name) names it; STORE(x, i) is what is written.
 */
static void N(scatter)(const FROM *from, TO *to, int64_t begin, int64_t end, int shift, uint32_t mask, uint32_t *next)
{
    for (int64_t i = begin; i < end; i++) {
        FROM x = from[i];
        uint32_t digit = (uint32_t)(DIGIT(x, shift)) & mask;
        to[next[digit]++] = STORE(x, i);
    }
}

static void N(count)(const FROM *from, int64_t begin, int64_t end, int shift, uint32_t mask, uint32_t *counts)
{
    memset(counts, 0, (size_t)(mask + 1) * sizeof *counts);
    for (int64_t i = begin; i < end; i++)
        counts[(uint32_t)(DIGIT(from[i], shift)) & mask]++;
}

static void N(count_block)(void *context, int64_t block, int worker)
{
    (void)worker;
    const pass *p = context;
    N(count)(p->from, cut(p, block), cut(p, block + 1), p->shift, p->mask, p->counters + block * (p->mask + 1));
}

static void N(scatter_block)(void *context, int64_t block, int worker)
{
    (void)worker;
    const pass *p = context;
    N(scatter)
    (p->from, p->to, cut(p, block), cut(p, block + 1), p->shift, p->mask, p->counters + block * (p->mask + 1));
}

static void N(pass)(pass *p)
{
    run_blocks(p, N(count_block));
    add_up(p);
    run_blocks(p, N(scatter_block));
}

#undef N
#undef FROM
#undef TO
#undef DIGIT
#undef STORE
