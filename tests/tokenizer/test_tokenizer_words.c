/* The hand-made splitters against the expressions that they stand in for, as PCRE2 matches them: random texts of
 * characters on which they branch, and of any characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rng.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"
#include "tokenizer/words.h"

#define MODERN(digits)                                                                                                 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits                                         \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const char *const regexes[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", MODERN(""), MODERN("{1,3}")};

static const char *const parts[] = {" ",
                                    " ",
                                    "  ",
                                    "\t",
                                    "\n",
                                    "\r",
                                    "\r\n",
                                    "\v",
                                    "\f",
                                    "'",
                                    "'",
                                    "'s",
                                    "'S",
                                    "'T",
                                    "'re",
                                    "'rE",
                                    "'VE",
                                    "'m",
                                    "'ll",
                                    "'L",
                                    "'d",
                                    "'\xC5\xBF",
                                    "\xC5\xBF",
                                    "\xE2\x84\xAA",
                                    "s",
                                    "l",
                                    "e",
                                    "a",
                                    "Z",
                                    "word",
                                    "0",
                                    "9",
                                    "42",
                                    "1234",
                                    ".",
                                    "!?",
                                    "/",
                                    "_",
                                    "\x01",
                                    "\x7F",
                                    "\xC2\x85",
                                    "\xC2\xA0",
                                    "\xC2\xAD",
                                    "\xC2\xB2",
                                    "\xC2\xBD",
                                    "\xC3\x9F",
                                    "\xCC\x81",
                                    "\xD9\xA3",
                                    "\xD7\xA9",
                                    "\xE0\xA4\xBF",
                                    "\xE1\x9A\x80",
                                    "\xE2\x80\x83",
                                    "\xE2\x80\xA8",
                                    "\xE2\x80\xAF",
                                    "\xE2\x80\x8B",
                                    "\xE2\x85\xA7",
                                    "\xE3\x80\x80",
                                    "\xE4\xB8\xAD",
                                    "\xED\x95\x9C",
                                    "\xEF\xBB\xBF",
                                    "\xEF\xBC\x95",
                                    "\xEF\xBF\xBD",
                                    "\xF0\x9F\x98\x80",
                                    "\xF0\x9F\x91\xA8\xE2\x80\x8D",
                                    "\xF0\x90\x90\x80",
                                    "\xF0\x9D\x9F\x98",
                                    "\xF3\xA0\x80\x81"};

static size_t random_text(rng *random, bool any, char *text)
{
    size_t length = 0, count = rng_below(random, 24) + 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = (uint32_t)rng_below(random, rng_below(random, 2) ? 0x3000 : 0x110000);
        if (any && c > 0 && (c < 0xD800 || c > 0xDFFF)) {
            length += em__utf8_put(text + length, c);
            continue;
        }
        const char *part = parts[rng_below(random, sizeof parts / sizeof parts[0])];
        memcpy(text + length, part, strlen(part));
        length += strlen(part);
    }
    text[length] = '\0';
    return length;
}

static void splitters_match_their_expressions(void **state)
{
    em__matching matching = {0};
    rng random = {23};
    char text[512];
    (void)state;
    em__uc_init();
    for (size_t r = 0; r < sizeof regexes / sizeof regexes[0]; r++) {
        em__words words = em__words_find(regexes[r], strlen(regexes[r]));
        em__pattern pattern = {0};
        assert_int_not_equal(words, EM_WORDS_NONE);
        assert_int_equal(em__pattern_compile("test", regexes[r], strlen(regexes[r]), &pattern), EM_OK);
        for (int round = 0; round < 30000; round++) {
            size_t length = random_text(&random, round % 3 == 0, text), from, to, at = 0;
            em__matches matches;
            bool found;
            assert_int_equal(em__matches_begin(&matches, &pattern, &matching, text, length), EM_OK);
            while (at < length) {
                assert_int_equal(em__matches_next(&matches, &found, &from, &to), EM_OK);
                const char *end = em__words_next(words, text + at, text + length);
                if (!found || from != at || to != (size_t)(end - text))
                    fail_msg("splitter %zu: \"%s\" at %zu: to %zu, the expression %zu to %zu", r, text, at,
                             (size_t)(end - text), from, to);
                at = to;
            }
        }
        em__pattern_free(&pattern);
    }
    em__matching_free(&matching);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(splitters_match_their_expressions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
