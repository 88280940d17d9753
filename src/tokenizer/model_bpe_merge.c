/*
 * The merging of BPE. Short words look for the best pair anew each time; long ones keep the candidates in a heap, so
 * that a word of a megabyte takes n log n steps. Both take the lowest rank first, and of equals the leftmost.
 */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"

enum { SHORT_WORD = 24 };

static em_status merge_short(const em__model *model, em__scratch *s)
{
    em__symbol *symbols = s->symbols.data;
    const em__merge *merges[SHORT_WORD];
    size_t count = s->symbols.length;
    for (size_t i = 0; i + 1 < count; i++)
        merges[i] = em__merge_find(model, symbols[i].id, symbols[i + 1].id);
    while (count > 1) {
        size_t best = SIZE_MAX;
        uint32_t rank = UINT32_MAX;
        for (size_t i = 0; i + 1 < count; i++)
            if (merges[i] && merges[i]->rank < rank) {
                rank = merges[i]->rank;
                best = i;
            }
        if (best == SIZE_MAX)
            break;
        symbols[best].id = merges[best]->id;
        symbols[best].length += symbols[best + 1].length;
        count--;
        for (size_t i = best + 1; i < count; i++) {
            symbols[i] = symbols[i + 1];
            merges[i - 1] = merges[i];
        }
        if (best + 1 < count)
            merges[best] = em__merge_find(model, symbols[best].id, symbols[best + 1].id);
        if (best > 0)
            merges[best - 1] = em__merge_find(model, symbols[best - 1].id, symbols[best].id);
    }
    s->symbols.length = count;
    return EM_OK;
}

static bool is_before(em__candidate a, em__candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.position < b.position;
}

static em_status push_candidate(const em__model *model, em__scratch *s, int32_t left, int32_t right)
{
    const em__merge *merge = em__merge_find(model, s->symbols.data[left].id, s->symbols.data[right].id);
    if (!merge)
        return EM_OK;
    em__candidate candidate = {merge->rank, (uint32_t)left, merge->id};
    EM__TRY(em__vec_push(&s->heap, candidate));
    em__candidate *heap = s->heap.data;
    size_t at = s->heap.length - 1;
    for (; at > 0 && is_before(candidate, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = candidate;
    return EM_OK;
}

static em__candidate pop_candidate(em__scratch *s)
{
    em__candidate *heap = s->heap.data, top = heap[0], last = heap[--s->heap.length];
    size_t count = s->heap.length, at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], last))
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

static em_status merge_long(const em__model *model, em__scratch *s)
{
    em__symbol *symbols = s->symbols.data;
    int32_t count = (int32_t)s->symbols.length;
    s->heap.length = 0;
    for (int32_t i = 0; i < count; i++) {
        symbols[i].prev = i - 1;
        symbols[i].next = i + 1 < count ? i + 1 : -1;
    }
    for (int32_t i = 0; i + 1 < count; i++)
        EM__TRY(push_candidate(model, s, i, i + 1));
    while (s->heap.length > 0) {
        em__candidate top = pop_candidate(s);
        em__symbol *left = &symbols[top.position];
        if (left->length == 0 || left->next < 0)
            continue;
        em__symbol *right = &symbols[left->next];
        const em__merge *merge = em__merge_find(model, left->id, right->id);
        if (!merge || merge->id != top.id) /* an older pair of neighbours */
            continue;
        left->id = top.id;
        left->length += right->length;
        right->length = 0;
        left->next = right->next;
        if (left->next >= 0)
            symbols[left->next].prev = (int32_t)top.position;
        if (left->prev >= 0)
            EM__TRY(push_candidate(model, s, left->prev, (int32_t)top.position));
        if (left->next >= 0)
            EM__TRY(push_candidate(model, s, (int32_t)top.position, left->next));
    }
    return EM_OK;
}

em_status em__bpe_merge(const em__model *model, em__scratch *s)
{
    return s->symbols.length <= SHORT_WORD ? merge_short(model, s) : merge_long(model, s);
}
