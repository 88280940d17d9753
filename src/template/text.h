/* Code points of well-formed UTF-8, and what Python takes for white space. */
#ifndef EM_TEMPLATE_TEXT_H
#define EM_TEMPLATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins with `lead`. */
static inline size_t em__j_char_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* The code point at `p`. */
static inline uint32_t em__j_char_at(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    switch (em__j_char_length(*p)) {
    case 1: return b[0];
    case 2: return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
    case 3: return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
    default:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 | (uint32_t)(b[2] & 0x3F) << 6 |
               (b[3] & 0x3F);
    }
}

/* Is there the middle of a character? */
static inline bool em__j_is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Writes a code point (4 bytes at most), returns its length; 0 for what is none: surrogates, beyond U+10FFFF. */
size_t em__j_put_char(char *out, uint32_t c);

/* str.isspace of one character. */
bool em__j_is_space(uint32_t c);

/* Bytes of white space at the beginning of the text; bytes that stay when it is cut from the end. */
size_t em__j_space_start(const char *text, size_t length);
size_t em__j_space_end(const char *text, size_t length);

/* Code points; bytes before code point `index` (at most all). */
size_t em__j_count_chars(const char *text, size_t length);
size_t em__j_char_offset(const char *text, size_t length, size_t index);

/* Is all of it well-formed? */
bool em__j_is_utf8(const char *text, size_t length);

/* Where `part` (not empty) stands in the text at or after `from`, SIZE_MAX if nowhere; the last place that ends by
 * `end`. */
size_t em__j_find_bytes(const char *text, size_t length, size_t from, const char *part, size_t part_length);
size_t em__j_find_last(const char *text, size_t end, const char *part, size_t part_length);

static inline bool em__j_same(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length == b_length && memcmp(a, b, a_length) == 0;
}

#endif
