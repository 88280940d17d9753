/* The shape of the interface: a small WordPiece file from text, options, reuse, look-ups, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <emily/tokenizer.h>

static const char file[] =
    "{\"version\":\"1.0\",\"truncation\":{\"direction\":\"Right\",\"max_length\":4,\"strategy\":\"LongestFirst\","
    "\"stride\":0},"
    "\"padding\":{\"strategy\":{\"Fixed\":6},\"direction\":\"Right\",\"pad_to_multiple_of\":null,\"pad_id\":0,"
    "\"pad_type_id\":0,\"pad_token\":\"[PAD]\"},"
    "\"added_tokens\":["
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":2,\"content\":\"[CLS]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":3,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":"
    "null,"
    "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"un\":4,\"##aff\":5,"
    "\"##able\":6,\"cafe\":7,\",\":8}}}";

static int setup(void **state)
{
    return em_tokenizer_parse(file, strlen(file), (em_tokenizer **)state) == EM_OK ? 0 : -1;
}

static int teardown(void **state)
{
    em_tokenizer_free(*state);
    return 0;
}

static void encodes(void **state)
{
    static const char text[] = "Unaffable, caf\xC3\xA9!";
    static const int32_t ids[] = {2, 4, 5, 6, 8, 7, 1, 3};
    static const em_span spans[] = {{0, 0}, {0, 2}, {2, 5}, {5, 9}, {9, 10}, {11, 15}, {15, 16}, {0, 0}};
    em_encoding encoding = {0};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(em_tokenizer_encode(*state, text, strlen(text), NULL, &encoding), EM_OK);
        assert_int_equal(encoding.length, 8);
        assert_memory_equal(encoding.ids, ids, sizeof ids);
        assert_memory_equal(encoding.offsets, spans, sizeof spans);
        assert_int_equal(encoding.special_mask[0], 1);
        assert_int_equal(encoding.special_mask[1], 0);
        assert_int_equal(encoding.attention_mask[7], 1);
    }
    em_text decoded = {0};
    assert_int_equal(em_tokenizer_decode(*state, encoding.ids, encoding.length, true, &decoded), EM_OK);
    assert_string_equal(decoded.data, "unaffable, cafe [UNK]");
    assert_int_equal(em_tokenizer_decode(*state, NULL, 0, true, &decoded), EM_OK);
    assert_string_equal(decoded.data, "");
    em_text_free(&decoded);
    em_encoding_free(&encoding);
}

static void pairs_truncation_padding(void **state)
{
    static const int32_t pair_ids[] = {2, 4, 3, 7, 3}, pair_types[] = {0, 0, 0, 1, 1};
    static const int32_t padded[] = {2, 4, 5, 3, 0, 0};
    em_encode_options options = {.struct_size = sizeof options, .pair = "cafe", .pair_length = 4};
    em_encoding encoding = {0};
    assert_int_equal(em_tokenizer_encode(*state, "un", 2, &options, &encoding), EM_OK);
    assert_int_equal(encoding.length, 5);
    assert_memory_equal(encoding.ids, pair_ids, sizeof pair_ids);
    assert_memory_equal(encoding.type_ids, pair_types, sizeof pair_types);
    options = (em_encode_options){
        .struct_size = sizeof options, .truncation = EM_TRUNCATION_FILE, .padding = EM_PADDING_FILE, .overflow = true};
    assert_int_equal(em_tokenizer_encode(*state, "unaffable,", 10, &options, &encoding), EM_OK);
    assert_int_equal(encoding.length, 6);
    assert_memory_equal(encoding.ids, padded, sizeof padded);
    assert_int_equal(encoding.attention_mask[4], 0);
    assert_int_equal(encoding.overflow_count, 1);
    assert_int_equal(encoding.overflow[0].length, 6);
    assert_int_equal(encoding.overflow[0].ids[1], 6);
    em_encoding_free(&encoding);
}

static void answers(void **state)
{
    size_t count;
    assert_int_equal(em_tokenizer_vocab_size(*state), 9);
    assert_int_equal(em_tokenizer_max_id(*state), 8);
    assert_string_equal(em_tokenizer_token(*state, 5, &count), "##aff");
    assert_int_equal(count, 5);
    assert_null(em_tokenizer_token(*state, 9, NULL));
    assert_null(em_tokenizer_token(*state, -1, NULL));
    assert_int_equal(em_tokenizer_id(*state, "cafe", 4), 7);
    assert_int_equal(em_tokenizer_id(*state, "tea", 3), -1);
    assert_int_equal(em_tokenizer_special_ids(*state, &count)[2], 3);
    assert_int_equal(count, 3);
    assert_true(em_tokenizer_is_special(*state, 2));
    assert_false(em_tokenizer_is_special(*state, 1));
    assert_int_equal(em_tokenizer_added_tokens(*state, true), 3);
    assert_int_equal(em_tokenizer_max_length(*state), 4);
    assert_int_equal(em_tokenizer_pad_id(*state), 0);
    assert_string_equal(em_tokenizer_model_name(*state), "WordPiece");
}

static void refuses_bad_arguments(void **state)
{
    em_encoding encoding = {0};
    em_encode_options options = {.struct_size = sizeof options + 8};
    assert_int_equal(em_tokenizer_encode(*state, "a", 1, &options, &encoding), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(em_tokenizer_encode(*state, NULL, 1, NULL, &encoding), EM_ERROR_INVALID_ARGUMENT);
    options = (em_encode_options){.struct_size = sizeof options, .truncation = EM_TRUNCATION_GIVEN, .max_length = 1};
    assert_int_equal(em_tokenizer_encode(*state, "un cafe", 7, &options, &encoding), EM_ERROR_INVALID_ARGUMENT);
    options.max_length = 3;
    options.stride = 1;
    assert_int_equal(em_tokenizer_encode(*state, "un cafe", 7, &options, &encoding), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(encoding.length, 0);
    em_text text = {0};
    assert_int_equal(em_tokenizer_encode(*state, "un", 2, NULL, &encoding), EM_OK);
    assert_int_equal(em_tokenizer_decode(*state, encoding.ids, encoding.length, false, &text), EM_OK);
    assert_true(encoding.length > 0 && text.length > 0);
    assert_int_equal(em_tokenizer_decode(*state, NULL, 3, false, &text), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(em_tokenizer_encode(NULL, "a", 1, NULL, &encoding), EM_ERROR_INVALID_ARGUMENT);
    assert_true(encoding.length == 0 && text.length == 0);
    em_text_free(&text);
    em_encoding_free(&encoding);
    em_encoding_free(NULL);
    em_text_free(NULL);
    em_tokenizer_free(NULL);
    em_tokenizer *none = (em_tokenizer *)&encoding;
    assert_int_equal(em_tokenizer_open("/nonexistent/tokenizer.json", &none), EM_ERROR_NOT_FOUND);
    assert_null(none);
    none = (em_tokenizer *)&encoding;
    assert_int_equal(em_tokenizer_open(NULL, &none), EM_ERROR_INVALID_ARGUMENT);
    assert_null(none);
    none = (em_tokenizer *)&encoding;
    assert_int_equal(em_tokenizer_parse(NULL, 5, &none), EM_ERROR_INVALID_ARGUMENT);
    assert_null(none);
}

#define ADDED(content, lstrip, special)                                                                                \
    "{\"id\":3,\"content\":\"" content "\",\"single_word\":false,\"lstrip\":" lstrip                                   \
    ",\"rstrip\":false,\"normalized\":false,\"special\":" special "}"

/* As tokenizers 0.23 answers: the last entry counts, but for what was special. The next token has the next id. */
static void added_twice(void **state)
{
    static const char json[] =
        "{\"added_tokens\":[" ADDED("<n>", "false", "true") "," ADDED("<n>", "false", "true") "," ADDED(
            "<n>", "true", "false") "," ADDED("<m>", "false",
                                              "false") "],\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\","
                                                       "\"vocab\":{\"u\":0,\"a\":1,\"b\":2}}}";
    static const int32_t ids[] = {1, 3, 4};
    static const em_span spans[] = {{0, 1}, {1, 5}, {5, 8}};
    em_tokenizer *tokenizer;
    em_encoding encoding = {0};
    (void)state;
    assert_int_equal(em_tokenizer_parse(json, strlen(json), &tokenizer), EM_OK);
    assert_int_equal(em_tokenizer_vocab_size(tokenizer), 5);
    assert_int_equal(em_tokenizer_encode(tokenizer, "a <n><m>", 8, NULL, &encoding), EM_OK);
    assert_int_equal(encoding.length, 3);
    assert_memory_equal(encoding.ids, ids, sizeof ids);
    assert_memory_equal(encoding.offsets, spans, sizeof spans);
    assert_true(em_tokenizer_is_special(tokenizer, 3));
    assert_false(em_tokenizer_is_special(tokenizer, 4));
    em_encoding_free(&encoding);
    em_tokenizer_free(tokenizer);
}

/* A model without a tokenizer gives NULL for one: every question about it has an answer. */
static void no_tokenizer_is_empty(void **state)
{
    (void)state;
    size_t count = 1;
    assert_int_equal(em_tokenizer_vocab_size(NULL), 0);
    assert_int_equal(em_tokenizer_max_id(NULL), -1);
    assert_null(em_tokenizer_token(NULL, 0, &count));
    assert_int_equal(em_tokenizer_id(NULL, "a", 1), -1);
    assert_null(em_tokenizer_special_ids(NULL, &count));
    assert_int_equal(count, 0);
    assert_false(em_tokenizer_is_special(NULL, 0));
    assert_int_equal(em_tokenizer_added_tokens(NULL, true), 0);
    assert_int_equal(em_tokenizer_max_length(NULL), 0);
    assert_false(em_tokenizer_truncates_left(NULL));
    assert_int_equal(em_tokenizer_pad_id(NULL), -1);
    assert_string_equal(em_tokenizer_model_name(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodes, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs_truncation_padding, setup, teardown),
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_arguments, setup, teardown),
        cmocka_unit_test(no_tokenizer_is_empty),
        cmocka_unit_test(added_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
