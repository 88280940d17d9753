/* Files that are broken, absurd or beyond us: each gets a clear error that names the trouble, never other ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <emily/tokenizer.h>

#include "core/str.h"
#include "harness/checkpoint.h"

#define LEVEL "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"b\":2}}"
#define PIECE(vocab)                                                                                                   \
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","                     \
    "\"max_input_chars_per_word\":100,\"vocab\":" vocab "}}"
#define BPE(vocab, merges) "{\"model\":{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}}"
#define UNI(unk, vocab) "{\"model\":{\"type\":\"Unigram\",\"unk_id\":" unk ",\"vocab\":" vocab "}}"
#define NORM(x) "{\"normalizer\":" x "," LEVEL "}"
#define PRE(x) "{\"pre_tokenizer\":" x "," LEVEL "}"
#define POST(x) "{\"post_processor\":" x "," LEVEL "}"
#define DECODE(x) "{\"decoder\":" x "," LEVEL "}"
#define SPLIT(x)                                                                                                       \
    PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" x "\"},\"behavior\":\"Isolated\",\"invert\":false}")
#define ADDED(x) "{\"added_tokens\":[" x "]," LEVEL "}"
#define TOKEN(id, text)                                                                                                \
    "{\"id\":" id ",\"content\":\"" text "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"                 \
    "\"normalized\":true,\"special\":false}"

static const struct {
    const char *json;
    em_status status;
    const char *says;
} cases[] = {
    {"", EM_ERROR_FORMAT, "expected an object"},
    {"[]", EM_ERROR_FORMAT, "expected an object"},
    {"{}", EM_ERROR_FORMAT, "\"model\" is missing"},
    {"{\"model\":", EM_ERROR_FORMAT, "does not end"},
    {"{\"model\":{\"vocab\":{\"a\":0}", EM_ERROR_FORMAT, "expected a member's name"},
    {"{\"model\":3}", EM_ERROR_FORMAT, "\"model\" is missing"},
    {"{\"a\":\"\xff\"}", EM_ERROR_FORMAT, "byte 6 is not UTF-8"},
    {"{\"version\":\"2.0\"," LEVEL "}", EM_ERROR_UNSUPPORTED, "version \"2.0\""},
    {"{" LEVEL "} x", EM_ERROR_FORMAT, "tokenizer.json"},
    {"{" LEVEL ",\"model\":{\"type\":\"WordLevel\"}}", EM_ERROR_FORMAT, "duplicate"},
    {"{\"model\":{\"type\":\"Magic\",\"vocab\":{}}}", EM_ERROR_UNSUPPORTED, "model \"Magic\""},
    {PIECE("{\"u\":0,\"u\":1}"), EM_ERROR_FORMAT, "\"u\" is there twice"},
    {PIECE("{\"u\":0,\"a\":0}"), EM_ERROR_FORMAT, "id 0 stands for \"u\" and for \"a\""},
    {PIECE("{\"u\":-1}"), EM_ERROR_FORMAT, "has id -1"},
    {PIECE("{\"u\":16777216}"), EM_ERROR_FORMAT, "has id 16777216"},
    {PIECE("{\"u\":99999999999999999999}"), EM_ERROR_FORMAT, "fits 64 bits"},
    {PIECE("{\"u\":1.5}"), EM_ERROR_FORMAT, "a whole number"},
    {PIECE("{\"u\":\"0\"}"), EM_ERROR_FORMAT, "a whole number"},
    {PIECE("{\"u\":0,}"), EM_ERROR_FORMAT, "model.vocab"},
    {PIECE("{\"u\" 0}"), EM_ERROR_FORMAT, "expected ':'"},
    {PIECE("{\"\\ud800\":0}"), EM_ERROR_FORMAT, "surrogate pair"},
    {PIECE("{\"\\q\":0}"), EM_ERROR_FORMAT, "an escape"},
    {PIECE("{\"\n\":0}"), EM_ERROR_FORMAT, "control character"},
    {PIECE("{\"\xC2\x9B\":-1}"), EM_ERROR_FORMAT, "token \"??\" has"},
    {PIECE("{\"a\":\xC2\x9B}"), EM_ERROR_FORMAT, "at \"??"},
    {PIECE("[]"), EM_ERROR_FORMAT, "an object of tokens"},
    {PIECE("null"), EM_ERROR_FORMAT, "\"vocab\" is missing"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", EM_ERROR_FORMAT, "\"unk_token\" is missing"},
    {BPE("{\"a\":0,\"b\":1}", "[\"a b\"]"), EM_ERROR_FORMAT, "merge 0 makes \"ab\""},
    {BPE("{\"a\":0,\"b\":1}", "[\"a c\"]"), EM_ERROR_FORMAT, "merge 0 has \"c\""},
    {BPE("{\"a\":0,\"b\":1}", "[[\"a\",\"c\"]]"), EM_ERROR_FORMAT, "merge 0 has \"c\""},
    {BPE("{\"a\":0,\"b\":1,\"ab\":2}", "[[\"a\",\"b\"],\"a b\"]"), EM_ERROR_FORMAT, "all of one form"},
    {BPE("{\"a\":0}", "[\"a\"]"), EM_ERROR_FORMAT, "not two tokens"},
    {BPE("{\"a\":0}", "[\"a b c\"]"), EM_ERROR_FORMAT, "not two tokens"},
    {BPE("{\"a\":0}", "{}"), EM_ERROR_FORMAT, "\"merges\" is missing or not a list"},
    {BPE("{\"a\":0}", "[1]"), EM_ERROR_FORMAT, "model.merges"},
    {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}", EM_ERROR_UNSUPPORTED, "dropout"},
    {BPE("{\"a\":0}", "[,,,,,,,]"), EM_ERROR_FORMAT, "7 commas in 9 bytes"},
    {BPE("{,,,,,,,,,,}", "[]"), EM_ERROR_FORMAT, "10 commas in 12 bytes"},
    {UNI("0", "[,,,,,,,,]"), EM_ERROR_FORMAT, "8 commas in 10 bytes"},
    {UNI("3", "[[\"a\",-1.0]]"), EM_ERROR_FORMAT, "unk_id is 3"},
    {UNI("0", "[[\"a\",1e999]]"), EM_ERROR_FORMAT, "a number"},
    {UNI("0", "[[\"a\"]]"), EM_ERROR_FORMAT, "model.vocab"},
    {UNI("-1", "[]"), EM_ERROR_FORMAT, "unk_id"},
    {NORM("{\"type\":\"Wizard\"}"), EM_ERROR_UNSUPPORTED, "normalizer \"Wizard\""},
    {NORM("{\"type\":3}"), EM_ERROR_FORMAT, "\"type\" must be a string"},
    {NORM("[]"), EM_ERROR_FORMAT, "expected an object"},
    {NORM("{\"type\":\"Sequence\",\"normalizers\":[null]}"), EM_ERROR_FORMAT, "expected an object"},
    {NORM("{\"type\":\"BertNormalizer\"}"), EM_ERROR_FORMAT, "\"clean_text\" is missing"},
    {NORM("{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}"), EM_ERROR_UNSUPPORTED, "empty"},
    {NORM("{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}"), EM_ERROR_FORMAT, "\"Regex\" is missing"},
    {NORM("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"}"), EM_ERROR_FORMAT, "not base64"},
    {NORM("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}"), EM_ERROR_FORMAT, "the map has 4 bytes"},
    {PRE("{\"type\":\"UnicodeScripts\"}"), EM_ERROR_UNSUPPORTED, "\"UnicodeScripts\""},
    {PRE("{\"type\":\"Punctuation\",\"behavior\":\"Loud\"}"), EM_ERROR_FORMAT, "\"Loud\""},
    {PRE("{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), EM_ERROR_FORMAT, "one character"},
    {PRE("{\"type\":\"FixedLength\",\"length\":0}"), EM_ERROR_FORMAT, "\"length\" is 0"},
    {SPLIT("("), EM_ERROR_UNSUPPORTED, "not understood"},
    {SPLIT("["), EM_ERROR_UNSUPPORTED, "not supported"},
    {SPLIT("\\\\h+"), EM_ERROR_UNSUPPORTED, "\"\\h\""},
    {SPLIT("\\\\bword"), EM_ERROR_UNSUPPORTED, "\"\\b\""},
    {SPLIT("a{1,3}+"), EM_ERROR_UNSUPPORTED, "\"{1,3}+\""},
    {SPLIT("[a&&b]"), EM_ERROR_UNSUPPORTED, "\"&&\""},
    {SPLIT("[[:alpha:]]"), EM_ERROR_UNSUPPORTED, "\"[\""},
    {SPLIT("(*UTF)a"), EM_ERROR_UNSUPPORTED, "\"(*\""},
    {SPLIT("(?m)a"), EM_ERROR_UNSUPPORTED, "\"(?m)\""},
    {SPLIT("\\\\p{Klingon}"), EM_ERROR_UNSUPPORTED, "not understood"},
    {POST("{\"type\":\"Stamp\"}"), EM_ERROR_UNSUPPORTED, "post_processor \"Stamp\""},
    {POST("{\"type\":\"BertProcessing\",\"sep\":[\"a\"],\"cls\":[\"a\",1]}"), EM_ERROR_FORMAT, "\"sep\" must be"},
    {POST("{\"type\":\"BertProcessing\",\"cls\":[\"a\",-5],\"sep\":[\"a\",1]}"), EM_ERROR_FORMAT, "an id must be"},
    {POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"pair\":[],"
          "\"special_tokens\":{}}"),
     EM_ERROR_FORMAT, "\"single\" uses sequence B"},
    {POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}],\"pair\":[],"
          "\"special_tokens\":{}}"),
     EM_ERROR_FORMAT, "\"x\" has no \"ids\""},
    {DECODE("{\"type\":\"Enigma\"}"), EM_ERROR_UNSUPPORTED, "decoder \"Enigma\""},
    {DECODE("{\"type\":\"Strip\",\"content\":\"\",\"start\":0,\"stop\":0}"), EM_ERROR_FORMAT, "one character"},
    {ADDED("3"), EM_ERROR_FORMAT, "list of objects"},
    {ADDED("{\"id\":0,\"content\":\"x\"}"), EM_ERROR_FORMAT, "\"single_word\" is missing"},
    {"{\"added_tokens\":{}," LEVEL "}", EM_ERROR_FORMAT, "expected a list"},
    {"{\"truncation\":{\"max_length\":-1,\"stride\":0,\"strategy\":\"LongestFirst\"}," LEVEL "}", EM_ERROR_FORMAT,
     "max_length"},
    {"{\"truncation\":{\"max_length\":5,\"stride\":0,\"strategy\":\"Never\"}," LEVEL "}", EM_ERROR_FORMAT, "\"Never\""},
    {"{\"padding\":{\"strategy\":{\"Fixed\":2000000000},\"pad_id\":0,\"pad_type_id\":0}," LEVEL "}", EM_ERROR_FORMAT,
     "\"Fixed\" is 2000000000 tokens"},
    {"{\"padding\":{\"strategy\":\"BatchLongest\",\"pad_to_multiple_of\":1048577,\"pad_id\":0,\"pad_type_id\":0}," LEVEL
     "}",
     EM_ERROR_FORMAT, "\"pad_to_multiple_of\" is 1048577"},
    {"{\"padding\":{\"strategy\":7,\"pad_id\":0,\"pad_type_id\":0}," LEVEL "}", EM_ERROR_FORMAT, "BatchLongest"},
};

static void each_names_its_trouble(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        em_tokenizer *tokenizer = (em_tokenizer *)&cases;
        em_status status = em_tokenizer_parse(cases[i].json, strlen(cases[i].json), &tokenizer);
        if (status != cases[i].status || !strstr(em_last_error(), cases[i].says))
            fail_msg("%s\ngave %s: %s\nexpected %s: ...%s...", cases[i].json, em_status_name(status), em_last_error(),
                     em_status_name(cases[i].status), cases[i].says);
        assert_null(tokenizer);
    }
}

static em_status parse(const em__str *json, em_tokenizer **tokenizer)
{
    return em_tokenizer_parse(em__str_text(json), json->length, tokenizer);
}

static void add(em__str *json, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        assert_int_equal(em__str_add_text(json, text), EM_OK);
}

/* Brackets a million deep, and sequences twenty. */
static void depth_is_bounded(void **state)
{
    em__str json = {0};
    em_tokenizer *tokenizer;
    (void)state;
    add(&json, "{\"normalizer\":", 1);
    add(&json, "[", 1000000);
    assert_int_equal(parse(&json, &tokenizer), EM_ERROR_FORMAT);
    add(&json, "]", 1000000);
    add(&json, "}", 1);
    assert_int_equal(parse(&json, &tokenizer), EM_ERROR_FORMAT);
    em__str_clear(&json);
    add(&json, "{\"normalizer\":", 1);
    add(&json, "{\"type\":\"Sequence\",\"normalizers\":[", 20);
    add(&json, "{\"type\":\"NFC\"}", 1);
    add(&json, "]}", 20);
    add(&json, "," LEVEL "}", 1);
    assert_int_equal(parse(&json, &tokenizer), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "16 deep"));
    em__str_free(&json);
}

/* A million entries load; the same with the last id taken does not. */
static void a_million_entries(void **state)
{
    const int count = 1000000;
    em_tokenizer *tokenizer;
    em__str json = {0};
    size_t length;
    (void)state;
    add(&json, "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"t0\",\"vocab\":{", 1);
    for (int i = 0; i < count; i++)
        assert_int_equal(em__str_addf(&json, "%s\"t%d\":%d", i ? "," : "", i, i), EM_OK);
    size_t last = json.length - 1;
    add(&json, "}}}", 1);
    assert_int_equal(parse(&json, &tokenizer), EM_OK);
    assert_int_equal(em_tokenizer_vocab_size(tokenizer), count);
    assert_int_equal(em_tokenizer_id(tokenizer, "t999999", 7), 999999);
    assert_string_equal(em_tokenizer_token(tokenizer, 123456, &length), "t123456");
    em_tokenizer_free(tokenizer);
    json.data[last] = '8';
    assert_int_equal(parse(&json, &tokenizer), EM_ERROR_FORMAT);
    em__str_free(&json);
}

/* Pieces that share a long list of ids. */
static void templates_are_bounded(void **state)
{
    em__str json = {0};
    em_tokenizer *tokenizer;
    (void)state;
    add(&json, "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"pair\":[],\"single\":[", 1);
    add(&json, "{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},", 32);
    add(&json, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{\"x\":{\"ids\":[0", 1);
    add(&json, ",0", 31);
    const size_t good = json.length;
    add(&json, "]}}}," LEVEL "}", 1);
    assert_int_equal(parse(&json, &tokenizer), EM_OK);
    em_tokenizer_free(tokenizer);
    json.length = good;
    add(&json, ",0]}}}," LEVEL "}", 1);
    assert_int_equal(parse(&json, &tokenizer), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "more than 1024 special tokens"));
    em__str_free(&json);
}

/* The shortest entries that there are. */
static void dense_entries_load(void **state)
{
    static const char *const files[] = {
        BPE("{}", "[]"),
        BPE("{\"\":0,\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}", "[\" \",\" \",\" \",\" \",\" \",\" \",\" \"]"),
        "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"\",0],[\"\",0],[\"\",0],[\"\",0],[\"\",0],[\"\",0]]}}"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        em_tokenizer *tokenizer;
        if (em_tokenizer_parse(files[i], strlen(files[i]), &tokenizer) != EM_OK)
            fail_msg("%s: %s", files[i], em_last_error());
        em_tokenizer_free(tokenizer);
    }
}

/* A file of half a gigabyte, most of which is a hole, is not read. */
static void files_have_a_size(void **state)
{
    em_tokenizer *tokenizer;
    char path[1024];
    (void)state;
    const char *dir = checkpoint_copy("models/bert-plain", "long_tokenizer");
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    assert_int_equal(truncate(path, 512 << 20), 0);
    assert_int_equal(em_tokenizer_open(dir, &tokenizer), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "at most 268435456 are read"));
    checkpoint_remove(dir);
}

/* WordPiece with words and tokens as long as they like would take quadratic time; as long as one of them is short it
 * does not. */
static void long_words_and_tokens(void **state)
{
    static const struct {
        size_t chars, token;
        em_status status;
    } sizes[] = {{1024, 5000, EM_OK}, {1000000000000, 1022, EM_OK}, {1025, 1023, EM_ERROR_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        em__str json = {0};
        em_tokenizer *tokenizer = NULL;
        assert_int_equal(em__str_addf(&json,
                                      "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\","
                                      "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":%zu,"
                                      "\"vocab\":{\"u\":0,\"a\":1,\"##",
                                      sizes[i].chars),
                         EM_OK);
        add(&json, "b", sizes[i].token);
        add(&json, "\":2}}}", 1);
        assert_int_equal(parse(&json, &tokenizer), sizes[i].status);
        em_tokenizer_free(tokenizer);
        em__str_free(&json);
    }
    assert_non_null(strstr(em_last_error(), "too much work"));
}

static long json_blocks; /* that jansson may still have */

static void *scarce(size_t size)
{
    return json_blocks-- > 0 ? malloc(size) : NULL;
}

/* That memory ran out is not the file's fault, as far as jansson tells: where it ran out in a string it says what it
 * expected near that. */
static void out_of_memory_is_no_damage(void **state)
{
    static const char json[] = "{\"x\":[1,2,{\"a\":[\"b\"]}]," LEVEL "}";
    em_tokenizer *tokenizer = NULL;
    em_status status = EM_ERROR_OUT_OF_MEMORY;
    long blocks = 0;
    (void)state;
    for (; status != EM_OK && blocks < 200; blocks++) {
        json_blocks = blocks;
        em_clear_error();
        json_set_alloc_funcs(scarce, free);
        status = em_tokenizer_parse(json, sizeof json - 1, &tokenizer);
        json_set_alloc_funcs(malloc, free);
        if (status == EM_OK)
            break;
        if (status != EM_ERROR_OUT_OF_MEMORY)
            assert_non_null(strstr(em_last_error(), " near '"));
        else
            assert_non_null(strstr(em_last_error(), "out of memory"));
    }
    assert_int_equal(status, EM_OK);
    assert_true(blocks > 10);
    em_tokenizer_free(tokenizer);
}

/* A text that needs an unknown token where there is none. */
static void missing_unknown_token(void **state)
{
    static const char json[] = PIECE("{\"a\":0}");
    em_tokenizer *tokenizer;
    em_encoding encoding = {0};
    (void)state;
    assert_int_equal(em_tokenizer_parse(json, sizeof json - 1, &tokenizer), EM_OK);
    assert_int_equal(em_tokenizer_encode(tokenizer, "a", 1, NULL, &encoding), EM_OK);
    assert_int_equal(em_tokenizer_encode(tokenizer, "b", 1, NULL, &encoding), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "no unknown token \"u\""));
    em_encoding_free(&encoding);
    em_tokenizer_free(tokenizer);
}

/* Expressions that explode are stopped. */
static void regular_expressions_are_bounded(void **state)
{
    static const char json[] = SPLIT("(?:a+)+$x|(?:(?:a|aa)+)+y");
    em_tokenizer *tokenizer;
    em_encoding encoding = {0};
    char text[200];
    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(em_tokenizer_parse(json, sizeof json - 1, &tokenizer), EM_OK);
    assert_int_equal(em_tokenizer_encode(tokenizer, text, sizeof text, NULL, &encoding), EM_ERROR_UNSUPPORTED);
    assert_non_null(strstr(em_last_error(), "too much work"));
    em_encoding_free(&encoding);
    em_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_names_its_trouble), cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_million_entries),      cmocka_unit_test(dense_entries_load),
        cmocka_unit_test(templates_are_bounded),  cmocka_unit_test(files_have_a_size),
        cmocka_unit_test(long_words_and_tokens),  cmocka_unit_test(out_of_memory_is_no_damage),
        cmocka_unit_test(missing_unknown_token),  cmocka_unit_test(regular_expressions_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
