/* The decoders that give parts of strings before those end. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/decode.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

static const em__string unknown = {"\xEF\xBF\xBD", 3};

/* A token's bytes; a token with a character that stands for none stays as it is. */
static em_status add_bytes(em__str *bytes, em__string token)
{
    const char *at = token.data, *end = at + token.length;
    EM__TRY(em__str_reserve(bytes, bytes->length + token.length));
    char *out = bytes->data ? bytes->data + bytes->length : NULL;
    while (at < end) {
        int byte = em__char_byte(em__utf8_next(&at));
        if (byte < 0)
            return em__str_add(bytes, token.data, token.length);
        *out++ = (char)byte;
    }
    bytes->length = out ? (size_t)(out - bytes->data) : 0;
    return EM_OK;
}

/* Byte-level characters back to bytes, all tokens as one string. What may be the beginning of a character is held. */
em_status em__decode_byte_level(em__decode_step *step, const em__list *in, bool last, em__list *out)
{
    em__str *bytes = &step->held;
    em__string token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++)
        EM__TRY(add_bytes(bytes, token));
    EM__TRY(status);
    size_t ready = bytes->length - (last ? 0 : em__utf8_begun(em__str_text(bytes), bytes->length));
    EM__TRY(em__utf8_repair(em__str_text(bytes), ready, &out->bytes));
    if (last)
        return em__list_end(out);
    if (ready > 0) {
        memmove(bytes->data, bytes->data + ready, bytes->length - ready);
        bytes->length -= ready;
    }
    return EM_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The byte that a token <0xNN> stands for, -1 for other tokens. */
static int token_byte(em__string token)
{
    if (token.length != 6 || memcmp(token.data, "<0x", 3) != 0 || token.data[5] != '>')
        return -1;
    int high = token.data[3] == '+' ? 0 : hex_digit(token.data[3]), low = hex_digit(token.data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The held bytes of a run that is not UTF-8: a string U+FFFD for each. */
static em_status replace_bytes(em__decode_step *step, em__list *out)
{
    if (step->opened)
        EM__TRY(em__list_end(out));
    step->opened = false;
    for (size_t i = 0; i < step->held.length; i++)
        EM__TRY(em__list_add(out, unknown));
    em__str_clear(&step->held);
    return EM_OK;
}

/* Gives of a run what can be given: all if it is not UTF-8 any more, whole characters if they are many. */
static em_status advance_run(em__decode_step *step, em__list *out)
{
    em__str *bytes = &step->held;
    size_t valid = em__utf8_valid(em__str_text(bytes), bytes->length);
    if (valid < bytes->length && !em__utf8_begun(bytes->data + valid, bytes->length - valid))
        step->ill_formed = true;
    if (step->ill_formed)
        return replace_bytes(step, out);
    if (bytes->length <= step->most_held)
        return EM_OK;
    EM__TRY(em__str_add(&out->bytes, bytes->data, valid));
    memmove(bytes->data, bytes->data + valid, bytes->length - valid);
    bytes->length -= valid;
    step->opened = true;
    return EM_OK;
}

/* A run of bytes has ended: it is a string if it is UTF-8. */
static em_status end_run(em__decode_step *step, em__list *out)
{
    em__str *bytes = &step->held;
    if (step->ill_formed || em__utf8_valid(em__str_text(bytes), bytes->length) < bytes->length)
        EM__TRY(replace_bytes(step, out));
    EM__TRY(em__str_add(&out->bytes, em__str_text(bytes), bytes->length));
    if (step->opened || bytes->length > 0)
        EM__TRY(em__list_end(out));
    em__str_clear(bytes);
    step->opened = step->ill_formed = false;
    return EM_OK;
}

em_status em__decode_byte_fallback(em__decode_step *step, const em__list *in, bool last, em__list *out)
{
    em__string token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++) {
        int byte = token_byte(token);
        if (byte >= 0) {
            EM__TRY(em__str_add_char(&step->held, (char)byte));
            continue;
        }
        EM__TRY(end_run(step, out));
        EM__TRY(em__list_add(out, token));
    }
    EM__TRY(status);
    return last ? end_run(step, out) : advance_run(step, out);
}

static em_status strip_part(em__decode_step *step, em__string part, em__list *out)
{
    const em__decoder *decoder = step->decoder;
    const char *at = part.data, *end = at + part.length;
    char utf8[4];
    unsigned size = em__utf8_put(utf8, decoder->character);
    while (at < end) {
        const char *start = at;
        bool is_it = em__utf8_next(&at) == decoder->character;
        if (is_it && !step->past_start && step->at_start < decoder->start) {
            step->at_start++;
            continue;
        }
        step->past_start = true;
        if (is_it && step->at_end < decoder->stop) {
            step->at_end++;
            continue;
        }
        if (is_it) { /* one of those that wait is given instead */
            EM__TRY(em__str_add(&out->bytes, utf8, size));
            continue;
        }
        for (; step->at_end > 0; step->at_end--)
            EM__TRY(em__str_add(&out->bytes, utf8, size));
        EM__TRY(em__str_add(&out->bytes, start, (size_t)(at - start)));
    }
    return EM_OK;
}

em_status em__decode_strip(em__decode_step *step, const em__list *in, em__list *out)
{
    for (size_t i = 0; i <= in->ends.length; i++) {
        EM__TRY(strip_part(step, em__list_at(in, i), out));
        if (i < in->ends.length) {
            EM__TRY(em__list_end(out));
            step->at_start = step->at_end = 0;
            step->past_start = false;
        }
    }
    return EM_OK;
}

/* Bytes at the end of `text` that the literal may begin with. */
static size_t begun_literal(em__string text, em__string literal)
{
    size_t most = text.length < literal.length - 1 ? text.length : literal.length - 1;
    for (size_t size = most; size > 0; size--)
        if (memcmp(text.data + text.length - size, literal.data, size) == 0)
            return size;
    return 0;
}

/* Replaces in `part`; what may be the beginning of the literal is held unless the string ends. */
static em_status literal_part(em__decode_step *step, em__string part, bool ends, em__list *out)
{
    const em__decoder *decoder = step->decoder;
    em__string literal = {decoder->pattern.literal, decoder->pattern.literal_length};
    if (step->held.length > 0 || !ends) {
        EM__TRY(em__str_add(&step->held, part.data, part.length));
        part = (em__string){em__str_text(&step->held), step->held.length};
    }
    const char *at = part.data, *end = at + part.length, *found;
    while ((found = memmem(at, (size_t)(end - at), literal.data, literal.length))) {
        EM__TRY(em__str_add(&out->bytes, at, (size_t)(found - at)));
        EM__TRY(em__decode_put(step, out));
        at = found + literal.length;
    }
    size_t left = (size_t)(end - at), held = ends ? 0 : begun_literal((em__string){at, left}, literal);
    EM__TRY(em__str_add(&out->bytes, at, left - held));
    if (step->held.length > 0) {
        memmove(step->held.data, end - held, held);
        step->held.length = held;
    }
    return ends ? em__list_end(out) : EM_OK;
}

em_status em__decode_literal(em__decode_step *step, const em__list *in, em__list *out)
{
    for (size_t i = 0; i < in->ends.length; i++)
        EM__TRY(literal_part(step, em__list_at(in, i), true, out));
    em__string rest = em__list_at(in, in->ends.length);
    return rest.length > 0 ? literal_part(step, rest, false, out) : EM_OK;
}
