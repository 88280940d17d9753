/* The splitters. ASCII is classified by a small table, the rest by the Unicode flags. */
#include "tokenizer/words.h"

#include <stdbool.h>
#include <string.h>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

typedef enum class { OTHER, LETTER, NUMBER, SPACE } class;

static inline class class_at(const char *at, const char **next)
{
    uint8_t byte = (uint8_t)*at;
    if (byte < 0x80) {
        *next = at + 1;
        if ((uint8_t)((byte | 32) - 'a') < 26)
            return LETTER;
        if ((uint8_t)(byte - '0') < 10)
            return NUMBER;
        return byte == ' ' || (uint8_t)(byte - 9) < 5 ? SPACE : OTHER;
    }
    *next = at;
    unsigned flags = em__uc_flags(em__utf8_next(next));
    return flags & EM_UC_LETTER ? LETTER : flags & EM_UC_NUMBER ? NUMBER : flags & EM_UC_SPACE ? SPACE : OTHER;
}

/* The end of the run of one class at `at`. */
static inline const char *run(class wanted, const char *at, const char *end)
{
    const char *next;
    while (at < end && class_at(at, &next) == wanted)
        at = next;
    return at;
}

/* \s+(?!\S)|\s+ : all white space, but for its last character where a word follows. */
static const char *space_run(const char *at, const char *end)
{
    const char *stop = run(SPACE, at, end), *last = stop - 1;
    if (stop == end)
        return stop;
    while ((*last & 0xC0) == 0x80)
        last--;
    return last > at ? last : stop;
}

/* Bytes of 's 't 're 've 'm 'll 'd at `at`, 0 if there is none. */
static size_t contraction(const char *at, const char *end, bool any_case)
{
    size_t left = (size_t)(end - at);
    if (left < 2 || *at != '\'')
        return 0;
    char first = any_case && (uint8_t)at[1] < 0x80 ? (char)(at[1] | 32) : at[1];
    char second = left < 3 ? '\0' : any_case && (uint8_t)at[2] < 0x80 ? (char)(at[2] | 32) : at[2];
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return 2;
    if (any_case && left >= 3 && memcmp(at + 1, "\xC5\xBF", 2) == 0) /* U+017F is an s, in another case */
        return 3;
    return (second == 'e' && (first == 'r' || first == 'v')) || (second == 'l' && first == 'l') ? 3 : 0;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static const char *next_gpt2(const char *at, const char *end)
{
    size_t short_form = contraction(at, end, false);
    if (short_form)
        return at + short_form;
    const char *word = *at == ' ' && at + 1 < end ? at + 1 : at, *next;
    class found = class_at(word, &next);
    return found == SPACE ? space_run(at, end) : run(found, next, end);
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* \s*[\r\n]+ : white space up to its last line break; NULL if it has none. */
static const char *line_break(const char *at, const char *end)
{
    const char *stop = run(SPACE, at, end);
    while (stop > at && !is_newline(stop[-1]))
        stop--;
    return stop > at ? stop : NULL;
}

static const char *number_run(const char *at, const char *end, int most)
{
    const char *next;
    while (most-- > 0 && at < end && class_at(at, &next) == NUMBER)
        at = next;
    return at;
}

/* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static const char *next_modern(const char *at, const char *end, int digits)
{
    size_t short_form = contraction(at, end, true);
    if (short_form)
        return at + short_form;
    const char *second, *third, *stop;
    class first = class_at(at, &second);
    if (first == LETTER)
        return run(LETTER, second, end);
    if (first == NUMBER)
        return number_run(second, end, digits - 1);
    if (!is_newline(*at) && second < end && class_at(second, &third) == LETTER)
        return run(LETTER, third, end);
    const char *word = *at == ' ' && second < end ? second : at;
    if (class_at(word, &third) == OTHER) {
        for (stop = run(OTHER, third, end); stop < end && is_newline(*stop);)
            stop++;
        return stop;
    }
    stop = line_break(at, end);
    return stop ? stop : space_run(at, end);
}

em__words em__words_find(const char *regex, size_t length)
{
    static const struct {
        const char *regex;
        em__words words;
    } known[] = {
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", EM_WORDS_GPT2},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
         "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
         "\\s+(?!\\S)|\\s+",
         EM_WORDS_DIGITS1},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         EM_WORDS_DIGITS3},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].regex) == length && memcmp(known[i].regex, regex, length) == 0)
            return known[i].words;
    return EM_WORDS_NONE;
}

const char *em__words_next(em__words words, const char *at, const char *end)
{
    return words == EM_WORDS_GPT2 ? next_gpt2(at, end) : next_modern(at, end, words == EM_WORDS_DIGITS1 ? 1 : 3);
}
