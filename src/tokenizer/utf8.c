/* Checking, counting and repairing UTF-8. ASCII goes eight bytes at a time. */
#include "tokenizer/utf8.h"

#include <string.h>

#include "core/error.h"

int em__utf8_measure(const char *text, size_t left)
{
    const uint8_t *b = (const uint8_t *)text;
    uint8_t lead = b[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return -1;
    int need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= left || b[i] < low || b[i] > high)
            return -i;
        low = 0x80;
        high = 0xBF;
    }
    return need;
}

size_t em__utf8_valid(const char *text, size_t length)
{
    const uint8_t *b = (const uint8_t *)text;
    size_t i = 0;
    while (i < length) {
        uint64_t word;
        if (length - i >= 8 && (memcpy(&word, b + i, 8), !(word & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        int size = em__utf8_measure(text + i, length - i);
        if (size < 0)
            return i;
        i += (size_t)size;
    }
    return length;
}

size_t em__utf8_count(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += (text[i] & 0xC0) != 0x80;
    return count;
}

size_t em__utf8_begun(const char *text, size_t length)
{
    const uint8_t *end = (const uint8_t *)text + length;
    for (size_t size = 1; size <= 3 && size <= length; size++) {
        uint8_t lead = end[-(ptrdiff_t)size];
        if (lead >= 0x80 && lead < 0xC0)
            continue;
        return lead >= 0xC2 && lead <= 0xF4 && em__utf8_measure(text + length - size, size) == -(int)size ? size : 0;
    }
    return 0;
}

em_status em__utf8_repair(const char *text, size_t length, em__str *out)
{
    size_t at = 0;
    while (at < length) {
        size_t good = em__utf8_valid(text + at, length - at);
        EM__TRY(em__str_add(out, text + at, good));
        at += good;
        if (at < length) {
            EM__TRY(em__str_add(out, "\xEF\xBF\xBD", 3));
            at += (size_t)-em__utf8_measure(text + at, length - at);
        }
    }
    return EM_OK;
}
