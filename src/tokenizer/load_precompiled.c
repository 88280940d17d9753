/* The character map of a Precompiled normalizer: base64 of {bytes of the trie, little-endian; the trie;
 * replacements}. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load_precompiled.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static em_status decode_base64(const char *text, size_t length, em__str *out)
{
    uint32_t bits = 0;
    size_t count = 0;
    while (length > 0 && text[length - 1] == '=')
        length--;
    EM__TRY(em__str_reserve(out, length / 4 * 3 + 3));
    for (size_t i = 0; i < length; i++) {
        int value = digit(text[i]);
        EM__FAIL_IF(value < 0, EM_ERROR_FORMAT, "normalizer Precompiled: byte %zu of the map is not base64", i);
        bits = bits << 6 | (uint32_t)value;
        if (++count % 4 != 1)
            EM__TRY(em__str_add_char(out, (char)(bits >> (4 - count % 4) * 2 % 8)));
    }
    return EM_OK;
}

static uint32_t read_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static em_status take_map(em_tokenizer *tok, const em__str *bytes, em__precompiled *map)
{
    const char *at = em__str_text(bytes);
    size_t size = bytes->length >= 4 ? read_u32(at) : 0;
    EM__FAIL_IF(bytes->length < 4 || size % 4 || size > bytes->length - 4, EM_ERROR_FORMAT,
                "normalizer Precompiled: the map has %zu bytes, its trie is said to have %zu", bytes->length, size);
    uint32_t *units = em__arena_calloc(&tok->arena, size / 4, sizeof *units);
    if (!units)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < size / 4; i++)
        units[i] = read_u32(at + 4 + 4 * i);
    map->units = units;
    map->unit_count = size / 4;
    const char *replacements = at + 4 + size;
    size_t length = bytes->length - 4 - size, valid = em__utf8_valid(replacements, length);
    EM__FAIL_IF(valid < length, EM_ERROR_FORMAT, "normalizer Precompiled: byte %zu of the replacements is not UTF-8",
                valid);
    return em__load_text(tok, replacements, length, &map->replacements);
}

/* Every place that the trie points to must be the beginning of a character. */
static em_status check_map(const em__precompiled *map)
{
    for (size_t i = 0; i < map->unit_count; i++) {
        size_t at = map->units[i] & 0x7FFFFFFF;
        if (map->units[i] >> 31 && at < map->replacements.length && (map->replacements.data[at] & 0xC0) == 0x80)
            return em__fail(EM_ERROR_FORMAT, "normalizer Precompiled: unit %zu points into a character", i);
    }
    return EM_OK;
}

em_status em__load_precompiled(em_tokenizer *tok, const json_t *value, em__precompiled *map)
{
    const char *text = NULL;
    size_t length = 0;
    em__str bytes = {0};
    EM__TRY(em__tokjson_text(value, "normalizer Precompiled", "precompiled_charsmap", true, &text, &length));
    em_status status = decode_base64(text, length, &bytes);
    if (status == EM_OK)
        status = take_map(tok, &bytes, map);
    em__str_free(&bytes);
    return status == EM_OK ? check_map(map) : status;
}
