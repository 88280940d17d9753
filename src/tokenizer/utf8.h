/* UTF-8: reading and writing code points, counting them, and replacing what is ill-formed. */
#ifndef EM_TOKENIZER_UTF8_H
#define EM_TOKENIZER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

/* Bytes of the character that begins with `lead`, in well-formed text. */
static inline unsigned em__utf8_length(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* The code point at *p, which then moves past it. The text is well-formed. */
static inline uint32_t em__utf8_next(const char **p)
{
    const uint8_t *b = (const uint8_t *)*p;
    if (b[0] < 0x80) {
        *p += 1;
        return b[0];
    }
    if (b[0] < 0xE0) {
        *p += 2;
        return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
    }
    if (b[0] < 0xF0) {
        *p += 3;
        return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
    }
    *p += 4;
    return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 | (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3F);
}

/* Writes the code point (at most 4 bytes), returns its length. */
static inline unsigned em__utf8_put(char *out, uint32_t c)
{
    uint8_t *b = (uint8_t *)out;
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        b[0] = (uint8_t)(0xC0 | c >> 6);
        b[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        b[0] = (uint8_t)(0xE0 | c >> 12);
        b[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        b[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    b[0] = (uint8_t)(0xF0 | c >> 18);
    b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    b[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    b[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* Code points in well-formed text. */
size_t em__utf8_count(const char *text, size_t length);

/* Bytes of the well-formed character that any text of `left` bytes, one at least, begins with, or minus the length of
 * its maximal ill-formed part. */
int em__utf8_measure(const char *text, size_t left);

/* Bytes of well-formed text that `text` begins with; `length` when all of it is. */
size_t em__utf8_valid(const char *text, size_t length);

/* Bytes at the end of any text that are the beginning of a character, but not all of it. */
size_t em__utf8_begun(const char *text, size_t length);

/* Appends `text` to `out` with every maximal ill-formed part replaced by U+FFFD. */
em_status em__utf8_repair(const char *text, size_t length, em__str *out);

#endif
