/*
 * Merges in both forms that files have, with and without escapes, over ids in any order and with holes: the tokens are
 * those of the plainest implementation, for words of any length. Then what a list of merges can have wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <emily/tokenizer.h>

#include "core/str.h"
#include "harness/rng.h"

static const char letters[] = "abcd\"\\";
enum { LETTERS = 6, TOKENS = LETTERS + 36 + 216 + 60, MERGES = TOKENS - LETTERS };

typedef struct book {
    char text[TOKENS][8];
    int32_t id[TOKENS];
    int left[TOKENS], right[TOKENS]; /* what token i is made of */
    int rank[TOKENS];
} book;

static int find(const book *b, const char *text)
{
    for (int i = 0; i < TOKENS; i++)
        if (strcmp(b->text[i], text) == 0)
            return i;
    return -1;
}

/* All pairs, all triples (some of one letter and a pair, some the other way), and a few of five letters. */
static void make_book(book *b, rng *random)
{
    int count = 0;
    for (; count < LETTERS; count++)
        snprintf(b->text[count], 8, "%c", letters[count]);
    for (int i = 0; i < 36; i++, count++)
        snprintf(b->text[count], 8, "%c%c", letters[i / 6], letters[i % 6]);
    for (int i = 0; i < 216; i++, count++)
        snprintf(b->text[count], 8, "%c%c%c", letters[i / 36], letters[i / 6 % 6], letters[i % 6]);
    while (count < TOKENS) {
        char text[8] = "";
        for (int k = 0; k < 5; k++)
            text[k] = letters[rng_below(random, 6)];
        if (find(b, text) < 0)
            memcpy(b->text[count++], text, 8);
    }
    for (int i = LETTERS; i < TOKENS; i++) {
        char head[8] = "";
        size_t cut = strlen(b->text[i]) == 5 ? 2 + rng_below(random, 2) : 1 + rng_below(random, strlen(b->text[i]) - 1);
        memcpy(head, b->text[i], cut);
        b->left[i] = find(b, head);
        b->right[i] = find(b, b->text[i] + cut);
        b->rank[i] = i - LETTERS;
    }
    for (int i = 0; i < TOKENS; i++)
        b->id[i] = 3 * i + 1;
    for (int i = TOKENS - 1; i > LETTERS; i--) { /* ids and ranks in any order */
        int k = (int)rng_below(random, (size_t)i + 1), r = LETTERS + (int)rng_below(random, (size_t)(i - LETTERS) + 1);
        int32_t id = b->id[i];
        int rank = b->rank[i];
        b->id[i] = b->id[k];
        b->id[k] = id;
        b->rank[i] = b->rank[r];
        b->rank[r] = rank;
    }
}

static void add_escaped(em__str *json, const char *text, bool all)
{
    for (; *text; text++) {
        if (all && *text == 'a')
            em__str_addf(json, "\\u0061");
        else if (*text == '"' || *text == '\\')
            em__str_addf(json, "\\%c", *text);
        else
            em__str_add_char(json, *text);
    }
}

static em_tokenizer *open_book(const book *b, bool lines, bool escapes)
{
    em_tokenizer *tokenizer = NULL;
    em__str json = {0};
    em__str_add_text(&json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int i = 0; i < TOKENS; i++) {
        em__str_add_text(&json, i ? ",\"" : "\"");
        add_escaped(&json, b->text[i], escapes);
        em__str_addf(&json, "\":%d", b->id[i]);
    }
    em__str_add_text(&json, "},\"merges\":[");
    for (int rank = 0; rank < MERGES; rank++) {
        int i = LETTERS;
        while (b->rank[i] != rank)
            i++;
        em__str_addf(&json, "%s%s", rank ? "," : "", lines ? "\"" : "[\"");
        add_escaped(&json, b->text[b->left[i]], escapes);
        em__str_add_text(&json, lines ? " " : "\",\"");
        add_escaped(&json, b->text[b->right[i]], escapes);
        em__str_add_text(&json, lines ? "\"" : "\"]");
    }
    assert_int_equal(em__str_add_text(&json, "]}}"), EM_OK);
    if (em_tokenizer_parse(json.data, json.length, &tokenizer) != EM_OK)
        fail_msg("%s", em_last_error());
    em__str_free(&json);
    return tokenizer;
}

/* The pair of lowest rank, the leftmost of equals, until there is none. */
static size_t merge_plainly(const book *b, const char *text, int32_t *ids)
{
    int word[512];
    size_t count = 0;
    for (; text[count]; count++)
        word[count] = (int)(strchr(letters, text[count]) - letters);
    for (;;) {
        int best = -1;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++)
            for (int t = LETTERS; t < TOKENS; t++)
                if (b->left[t] == word[i] && b->right[t] == word[i + 1] && (best < 0 || b->rank[t] < b->rank[best])) {
                    best = t;
                    at = i;
                }
        if (best < 0)
            break;
        word[at] = best;
        memmove(&word[at + 1], &word[at + 2], (--count - at - 1) * sizeof *word);
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = b->id[word[i]];
    return count;
}

static void as_the_plainest(void **state)
{
    static book b;
    rng random = {17};
    (void)state;
    make_book(&b, &random);
    for (int form = 0; form < 4; form++) {
        em_tokenizer *tokenizer = open_book(&b, form & 1, form & 2);
        em_encoding encoding = {0};
        for (int round = 0; round < 150; round++) {
            char text[128] = "";
            int32_t ids[128];
            size_t length = rng_below(&random, round % 10 ? 40 : 127);
            for (size_t i = 0; i < length; i++)
                text[i] = letters[rng_below(&random, 6)];
            assert_int_equal(em_tokenizer_encode(tokenizer, text, length, NULL, &encoding), EM_OK);
            size_t count = merge_plainly(&b, text, ids);
            if (encoding.length != count || memcmp(encoding.ids, ids, count * sizeof *ids) != 0)
                fail_msg("form %d: other tokens for %s", form, text);
        }
        em_encoding_free(&encoding);
        em_tokenizer_free(tokenizer);
    }
}

static void names_its_trouble(void **state)
{
#define BPE(merges)                                                                                                    \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":7,\"\\\"\":9},\"merges\":[" merges "]}}"
    static const char *const cases[][2] = {
        {BPE("\"a c\""), "merge 0 has \"c\""},           {BPE("[\"a\",\"b\"],[\"c\",\"b\"]"), "merge 1 has \"c\""},
        {BPE("\"b a\""), "merge 0 makes \"ba\""},        {BPE("\"a \\\"\""), "merge 0 makes \"a\"\""},
        {BPE("\"ab\""), "not two tokens and a space"},   {BPE("\"\""), "not two tokens and a space"},
        {BPE("\"a b \""), "not two tokens and a space"}, {BPE("\"a b\",[\"a\",\"b\"]"), "merges all of one form"},
        {BPE("[\"a\",\"b\",\"ab\"]"), "expected ']'"},   {BPE("[\"a\"]"), "expected ','"},
        {BPE("\"a b\" \"a b\""), "expected ','"},        {BPE("[]"), "model.merges"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        em_tokenizer *tokenizer;
        if (em_tokenizer_parse(cases[i][0], strlen(cases[i][0]), &tokenizer) != EM_ERROR_FORMAT ||
            !strstr(em_last_error(), cases[i][1]))
            fail_msg("%s\ngave: %s\nexpected: %s", cases[i][0], em_last_error(), cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_plainest), cmocka_unit_test(names_its_trouble)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
