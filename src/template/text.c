/* Code points and white space in UTF-8. */
#include "template/text.h"

#include <utf8proc.h>

size_t em__j_put_char(char *out, uint32_t c)
{
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 0;
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

bool em__j_is_space(uint32_t c)
{
    if (c < 0x80)
        return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t em__j_space_start(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && em__j_is_space(em__j_char_at(text + at)))
        at += em__j_char_length(text[at]);
    return at;
}

size_t em__j_space_end(const char *text, size_t length)
{
    while (length > 0) {
        size_t at = length - 1;
        while (at > 0 && em__j_is_tail(text[at]))
            at--;
        if (!em__j_is_space(em__j_char_at(text + at)))
            break;
        length = at;
    }
    return length;
}

size_t em__j_count_chars(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += !em__j_is_tail(text[i]);
    return count;
}

size_t em__j_char_offset(const char *text, size_t length, size_t index)
{
    size_t at = 0;
    while (index > 0 && at < length) {
        at += em__j_char_length(text[at]);
        index--;
    }
    return at < length ? at : length;
}

bool em__j_is_utf8(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size =
            utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), &c);
        if (size <= 0)
            return false;
        at += (size_t)size;
    }
    return true;
}

size_t em__j_find_bytes(const char *text, size_t length, size_t from, const char *part, size_t part_length)
{
    if (from > length)
        return SIZE_MAX;
    const char *found = memmem(text + from, length - from, part, part_length);
    return found ? (size_t)(found - text) : SIZE_MAX;
}

size_t em__j_find_last(const char *text, size_t end, const char *part, size_t part_length)
{
    for (size_t at = end; at >= part_length; at--)
        if (memcmp(text + at - part_length, part, part_length) == 0)
            return at - part_length;
    return SIZE_MAX;
}
