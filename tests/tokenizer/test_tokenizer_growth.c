/* Files whose steps make texts grow without end: refused at open, or with the text that would have grown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <emily/tokenizer.h>

#include "core/alloc.h"
#include "core/str.h"

#define LEVEL "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"b\":2}}"
#define REPLACE(from, to) "{\"type\":\"Replace\",\"pattern\":" from ",\"content\":\"" to "\"}"
#define DOUBLE REPLACE("{\"String\":\"a\"}", "aa")
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"
#define TOKEN(id, text)                                                                                                \
    "{\"id\":" id ",\"content\":\"" text "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"                 \
    "\"normalized\":true,\"special\":false}"
enum { DOUBLINGS = 20 };

/* A file with `times` times `step` under `part`, and `rest` after it. */
static em_status parse(const char *part, const char *list, const char *step, int times, const char *rest,
                       em_tokenizer **tokenizer)
{
    em__str json = {0};
    assert_int_equal(em__str_addf(&json, "{\"%s\":{\"type\":\"Sequence\",\"%s\":[", part, list), EM_OK);
    for (int i = 0; i < times; i++)
        assert_int_equal(em__str_addf(&json, "%s%s", i ? "," : "", step), EM_OK);
    assert_int_equal(em__str_addf(&json, "]},%s" LEVEL "}", rest), EM_OK);
    em_status status = em_tokenizer_parse(em__str_text(&json), json.length, tokenizer);
    em__str_free(&json);
    return status;
}

static const struct {
    const char *part, *list, *step;
} kinds[] = {{"normalizer", "normalizers", "{\"type\":\"NFC\"}"},
             {"pre_tokenizer", "pretokenizers", "{\"type\":\"Whitespace\"}"},
             {"decoder", "decoders", "{\"type\":\"Fuse\"}"},
             {"post_processor", "processors", BYTES}};

static void steps_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        em_tokenizer *tokenizer;
        assert_int_equal(parse(kinds[i].part, kinds[i].list, kinds[i].step, 64, "", &tokenizer), EM_OK);
        em_tokenizer_free(tokenizer);
        assert_int_equal(parse(kinds[i].part, kinds[i].list, kinds[i].step, 65, "", &tokenizer), EM_ERROR_FORMAT);
        assert_non_null(strstr(em_last_error(), "more than 64 steps"));
    }
}

/* Encodes short texts that grow out of proportion, and one that does not, with the same memory. */
static void refuses(em_tokenizer *tokenizer, const char *text, size_t length)
{
    em_encoding encoding = {0};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(em_tokenizer_encode(tokenizer, text, length, NULL, &encoding), EM_ERROR_FORMAT);
        assert_non_null(strstr(em_last_error(), "bytes of a text"));
        assert_int_equal(encoding.length, 0);
        assert_int_equal(em_tokenizer_encode(tokenizer, "b", 1, NULL, &encoding), EM_OK);
        assert_int_equal(encoding.length, 1);
    }
    em_encoding_free(&encoding);
    em_tokenizer_free(tokenizer);
}

static void normalizers_do_not_blow_up(void **state)
{
    em_tokenizer *tokenizer;
    (void)state;
    assert_int_equal(parse("normalizer", "normalizers", DOUBLE, DOUBLINGS, "", &tokenizer), EM_OK);
    refuses(tokenizer, "a", 1);
}

/* What stands between added tokens has its bound in common: of many parts each may not become 64 KiB. */
static void parts_share_their_bound(void **state)
{
    static const char rest[] = "\"added_tokens\":["
                               "{\"id\":3,\"content\":\"|\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                               "\"normalized\":false,\"special\":false}],";
    em_tokenizer *tokenizer;
    (void)state;
    assert_int_equal(parse("normalizer", "normalizers", DOUBLE, 15, rest, &tokenizer), EM_OK);
    refuses(tokenizer, "a|a|a|a", 7);
}

/* One step that puts much in at each of many places. */
static void one_replacement_does_not_blow_up(void **state)
{
    char *content = em__alloc(5001);
    em__str step = {0};
    em_tokenizer *tokenizer;
    (void)state;
    memset(content, 'x', 5000);
    content[5000] = '\0';
    assert_int_equal(em__str_addf(&step, REPLACE("{\"Regex\":\"(?=a)\"}", "%s"), content), EM_OK);
    assert_int_equal(parse("normalizer", "normalizers", em__str_text(&step), 1, "", &tokenizer), EM_OK);
    memset(content, 'a', 5000);
    refuses(tokenizer, content, 5000);
    em__str_free(&step);
    em__free(content);
}

static void pretokenizers_do_not_blow_up(void **state)
{
    em_tokenizer *tokenizer;
    (void)state;
    assert_int_equal(parse("pre_tokenizer", "pretokenizers", BYTES, DOUBLINGS, "", &tokenizer), EM_OK);
    refuses(tokenizer, "\xC3\xA9", 2);
}

/* Before any text is there: added tokens are normalized at open, and have their bound in common. */
static void added_tokens_do_not_blow_up(void **state)
{
    static const char two[] = "\"added_tokens\":[" TOKEN("1", "a") "," TOKEN("2", "ba") "," TOKEN("3", "ab") "],";
    em_tokenizer *tokenizer;
    (void)state;
    assert_int_equal(parse("normalizer", "normalizers", DOUBLE, 14, two, &tokenizer), EM_OK);
    em_tokenizer_free(tokenizer);
    assert_int_equal(parse("normalizer", "normalizers", DOUBLE, 15, two, &tokenizer), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "bytes of a text"));
}

static void decoders_do_not_blow_up(void **state)
{
    static const char *const steps[] = {DOUBLE, REPLACE("{\"Regex\":\"a\"}", "aa")};
    const int32_t ids[] = {1, 2};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        em_tokenizer *tokenizer;
        em_text text = {0};
        assert_int_equal(parse("decoder", "decoders", steps[i], DOUBLINGS, "", &tokenizer), EM_OK);
        assert_int_equal(em_tokenizer_decode(tokenizer, ids, 2, false, &text), EM_ERROR_FORMAT);
        assert_non_null(strstr(em_last_error(), "bytes of a text"));
        assert_int_equal(text.length, 0);
        assert_int_equal(em_tokenizer_decode(tokenizer, ids + 1, 1, false, &text), EM_OK);
        em_text_free(&text);
        em_tokenizer_free(tokenizer);
    }
}

/* In a stream every id gives a little, but no more than the ids so far allow; after that it begins anew. */
static void streams_do_not_blow_up(void **state)
{
    em_tokenizer *tokenizer;
    em_text text = {0};
    (void)state;
    assert_int_equal(parse("decoder", "decoders", DOUBLE, 14, "", &tokenizer), EM_OK);
    em_decode_stream *stream = em_decode_stream_new(tokenizer, false);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(em_decode_stream_push(stream, 1, &text), EM_OK);
        assert_int_equal(text.length, 1 << 14);
    }
    assert_int_equal(em_decode_stream_push(stream, 1, &text), EM_ERROR_FORMAT);
    assert_int_equal(em_decode_stream_push(stream, 1, &text), EM_OK);
    em_decode_stream_free(stream);
    em_text_free(&text);
    em_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_counted),
        cmocka_unit_test(normalizers_do_not_blow_up),
        cmocka_unit_test(parts_share_their_bound),
        cmocka_unit_test(one_replacement_does_not_blow_up),
        cmocka_unit_test(pretokenizers_do_not_blow_up),
        cmocka_unit_test(added_tokens_do_not_blow_up),
        cmocka_unit_test(decoders_do_not_blow_up),
        cmocka_unit_test(streams_do_not_blow_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
