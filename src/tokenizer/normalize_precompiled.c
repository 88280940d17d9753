/*
 * Precompiled: the character map of SentencePiece, a double-array trie from UTF-8 to places in a pool of replacements.
 *
 * Each grapheme cluster of up to five bytes is looked up whole; otherwise, or when that fails, each of its characters
 * by itself. As in `tokenizers`, a look-up takes the shortest key that its text begins with.
 */
#include <string.h>
#include <utf8proc.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

/* A unit: label in bits 0-7 and 31, "has leaf" in bit 8, offset in bits 10-30, shifted by 8 where bit 9 is set. */
static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The replacement of the shortest key that begins `text`; false if there is none, or the trie leads astray. */
static bool look_up(const em__precompiled *map, const char *text, size_t length, const char **found)
{
    size_t node = 0;
    if (map->unit_count == 0)
        return false;
    node ^= offset_of(map->units[0]);
    for (size_t i = 0; i < length && text[i]; i++) {
        node ^= (uint8_t)text[i];
        if (node >= map->unit_count)
            return false;
        uint32_t unit = map->units[node];
        if ((unit & (1u << 31 | 0xFF)) != (uint8_t)text[i])
            return false;
        node ^= offset_of(unit);
        if (node >= map->unit_count)
            return false;
        if (unit >> 8 & 1) {
            size_t at = map->units[node] & 0x7FFFFFFF;
            *found = map->replacements.data + at;
            return at < map->replacements.length;
        }
    }
    return false;
}

/* Replaces `count` characters by those of `text`: what is more is new, what is less is gone behind the last. */
static em_status replace(em__scratch *s, const char *text, int32_t count)
{
    const size_t length = strlen(text);
    const char *end = text + length;
    int32_t added = 0;
    if (length > s->other.limit || s->changes.length > s->other.limit - length)
        return em__text_too_long(s->other.limit);
    while (text < end) {
        EM__TRY(em__push_change(s, em__utf8_next(&text), added >= count));
        added++;
    }
    if (added < count && s->changes.length > 0)
        s->changes.data[s->changes.length - 1].change -= count - added;
    return EM_OK;
}

/* One grapheme cluster. */
static em_status add_cluster(const em__precompiled *map, em__scratch *s, const char *at, const char *end, bool *any)
{
    const char *found;
    size_t length = (size_t)(end - at);
    if (length < 6 && look_up(map, at, length, &found)) {
        *any = true;
        return replace(s, found, (int32_t)em__utf8_count(at, length));
    }
    while (at < end) {
        const char *before = at;
        uint32_t c = em__utf8_next(&at);
        if (look_up(map, before, (size_t)(at - before), &found)) {
            *any = true;
            EM__TRY(replace(s, found, 1));
        } else {
            EM__TRY(em__push_change(s, c, 0));
        }
    }
    return EM_OK;
}

em_status em__normalize_precompiled(const em__precompiled *map, em__scratch *s, uint32_t origin)
{
    const char *at = s->text.bytes, *end = at + s->text.length;
    bool any = false;
    s->changes.length = 0;
    while (at < end) {
        const char *start = at;
        utf8proc_int32_t state = 0;
        uint32_t c = em__utf8_next(&at);
        while (at < end) {
            const char *next = at;
            uint32_t d = em__utf8_next(&next);
            if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)d, &state))
                break;
            c = d;
            at = next;
        }
        EM__TRY(add_cluster(map, s, start, at, &any));
    }
    return any ? em__transform_all(s, origin, 0) : EM_OK;
}
