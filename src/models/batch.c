/* Packing sequences. */
#include "models/batch.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

em_status em__batch_reserve(em__batch *batch, size_t tokens, size_t segments)
{
    if (batch->ids && tokens <= batch->token_capacity && segments <= batch->segment_capacity) {
        em__batch_clear(batch);
        return EM_OK;
    }
    size_t total, cells;
    em__batch_free(batch);
    if (em__mul_overflows(tokens, 3, &total) || em__mul_overflows(segments, 3, &cells) ||
        em__add_overflows(total, cells, &total) || em__add_overflows(total, 2, &total))
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "a batch of %zu tokens is too large", tokens);
    int32_t *memory = em__calloc(total, sizeof *memory);
    if (!memory)
        return EM_ERROR_OUT_OF_MEMORY;
    batch->token_capacity = tokens;
    batch->segment_capacity = segments;
    batch->ids = memory;
    batch->types = batch->ids + tokens;
    batch->positions = batch->types + tokens;
    batch->offsets = batch->positions + tokens;
    batch->cuts = batch->offsets + segments + 1;
    return EM_OK;
}

void em__batch_free(em__batch *batch)
{
    em__free(batch->ids);
    memset(batch, 0, sizeof *batch);
}

void em__batch_clear(em__batch *batch)
{
    batch->tokens = batch->segments = 0;
}

void em__batch_add(em__batch *batch, const em__config *config, const int32_t *ids, const int32_t *types, size_t length,
                   size_t prompt)
{
    size_t at = batch->tokens, segment = batch->segments;
    int32_t position = config->first_position;
    for (size_t i = 0; i < length; i++) {
        bool padding = config->padding >= 0 && ids[i] == config->padding;
        batch->ids[at + i] = ids[i];
        batch->types[at + i] = types ? types[i] : 0;
        batch->positions[at + i] = padding ? config->padding : position;
        position += !padding;
    }
    batch->tokens += length;
    batch->segments++;
    batch->offsets[segment] = batch->cuts[2 * segment] = (int32_t)at;
    batch->cuts[2 * segment + 1] = (int32_t)(at + (prompt < length ? prompt : length));
    batch->offsets[segment + 1] = batch->cuts[2 * segment + 2] = (int32_t)batch->tokens;
}

void em__batch_round(em__batch *batch, size_t tokens, size_t segments)
{
    int32_t end = (int32_t)batch->tokens;
    for (size_t i = batch->tokens; i < tokens; i++)
        batch->ids[i] = batch->types[i] = batch->positions[i] = 0;
    for (size_t i = batch->segments; i < segments; i++)
        batch->offsets[i + 1] = batch->cuts[2 * i + 1] = batch->cuts[2 * i + 2] = end;
    batch->tokens = tokens;
    batch->segments = segments;
}

size_t em__round_tokens(size_t tokens)
{
    size_t step = 1;
    while (step * 32 < tokens)
        step *= 2;
    return tokens ? (tokens + step - 1) / step * step : 1;
}

size_t em__round_segments(size_t segments)
{
    size_t rounded = 1;
    while (rounded < segments)
        rounded *= 2;
    return rounded;
}
