/*
 * Tokenizers. Input that begins with '{' is a tokenizer.json: it is opened and, if that succeeds, used. Other input is
 * text: its first byte chooses one of four small tokenizers, its second the options, the rest is encoded, and decoded
 * at once and id by id.
 * Whatever comes out must be within bounds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <emily/tokenizer.h>

#include "core/str.h"
#include "fuzz/replay.h"
#include "tokenizer/utf8.h"

#define ADDED(id, text, flags)                                                                                         \
    "{\"id\":" #id ",\"content\":\"" text "\",\"single_word\":false," flags ",\"special\":true}"
#define PLAIN "\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
#define STRIPS "\"lstrip\":true,\"rstrip\":true,\"normalized\":true"

static const char bert[] = "{\"added_tokens\":[" ADDED(0, "[PAD]", PLAIN) "," ADDED(
    1, "[UNK]", PLAIN) "],"
                       "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                       "\"strip_accents\":null,"
                       "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
                       "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
                       "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
                       "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                       "\"max_input_chars_per_word\":20,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,"
                       "\"a\":4,\"##a\":5,\"e\":6,"
                       "\"##b\":7,\"ab\":8,\"\xE4\xB8\xAD\":9,\".\":10,\"##\xE1\x85\xA1\":11}}}";

static const char unigram[] = "{\"added_tokens\":[" ADDED(
    9, "<m>",
    STRIPS) "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
            "{\"type\":\"Nmt\"},{\"type\":\"NFKC\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},"
            "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"}]},"
            "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":"
            "\"Contiguous\"},"
            "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"split\":true}]},"
            "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"split\":true},"
            "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"u\",0],[\"_\",-1],["
            "\"a\",-2],"
            "[\"_a\",-1.5],[\"ab\",-2],[\"e\",-1],[\"\xCC\x81\",-3],[\"\xE4\xB8\xAD\xE4\xB8\xAD\",-2],[\"<0x41>\",-9]]}"
            "}";

static const char split[] = "{\"added_tokens\":[" ADDED(
    0, "<x>",
    STRIPS) "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
            "{\"type\":\"NFD\"},{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Prepend\",\"prepend\":"
            "\"_\"}]},"
            "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\" "
            "?[\\\\p{L}\\\\w]+|\\\\d{1,3}|[^\\\\s]|\\\\s+(?!\\\\S)\"},"
            "\"behavior\":\"MergedWithPrevious\",\"invert\":true},"
            "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
            "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},"
            "\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"u\":"
            "1,\"a\":2,"
            "\"b\":3,\"ab\":4,\"aa\":5,\"aab\":6,\"aaaa\":7,\" \":8,\"<0x01>\":9,\"<0xC2>\":10,\"<0xA0>\":11},"
            "\"merges\":[\"a a\",\"a b\",\"aa b\",\"aa aa\"]}}";

static void must_hold(int condition)
{
    if (!condition)
        abort();
}

/* All 256 bytes and a few merges, split as GPT-2 does, with a space before. */
static void byte_level(em__str *json)
{
    static const char head[] =
        "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
        "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":{\"type\":\"RobertaProcessing\","
        "\"sep\":[\"b\",66],\"cls\":[\"a\",65],\"trim_offsets\":true,\"add_prefix_space\":true},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{";
    static const char tail[] = "\"ab\":256,\"abab\":257,\"\\u0120a\":258},"
                               "\"merges\":[[\"a\",\"b\"],[\"ab\",\"ab\"],[\"\\u0120\",\"a\"]]}}";
    unsigned next = 256;
    must_hold(em__str_add_text(json, head) == EM_OK);
    for (unsigned byte = 0; byte < 256; byte++) {
        int printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        must_hold(em__str_addf(json, "\"\\u%04x\":%u,", printable ? byte : next++, byte) == EM_OK);
    }
    must_hold(em__str_add_text(json, tail) == EM_OK);
}

static em_tokenizer *tokenizers[4];

static void make_tokenizers(void)
{
    if (tokenizers[0])
        return;
    em__str bytes = {0};
    byte_level(&bytes);
    const char *files[4] = {bert, unigram, split, em__str_text(&bytes)};
    for (int i = 0; i < 4; i++)
        must_hold(em_tokenizer_parse(files[i], strlen(files[i]), &tokenizers[i]) == EM_OK);
    em__str_free(&bytes);
}

static void check(const em_tokenizer *tokenizer, const em_encoding *e, size_t length)
{
    for (size_t i = 0; i < e->length; i++) {
        must_hold(e->offsets[i].start <= e->offsets[i].end && e->offsets[i].end <= length);
        must_hold(e->special_mask[i] <= 1 && e->attention_mask[i] <= 1);
        if (!e->special_mask[i])
            must_hold(em_tokenizer_token(tokenizer, e->ids[i], NULL) != NULL);
    }
}

/* Ids one by one give what they give at once; of more than 32, a run of bytes may go wrong after a part was given. A
 * text that grows out of proportion to the ids so far may be in proportion to all. */
static void stream(const em_tokenizer *tokenizer, const int32_t *ids, size_t count)
{
    em_decode_stream *stream = em_decode_stream_new(tokenizer, false);
    em_text want = {0}, part = {0};
    em__str whole = {0};
    int grown = 0;
    must_hold(stream != NULL);
    em_status status = em_tokenizer_decode(tokenizer, ids, count, false, &want);
    for (size_t i = 0; i <= count; i++) {
        em_status pushed =
            i < count ? em_decode_stream_push(stream, ids[i], &part) : em_decode_stream_flush(stream, &part);
        must_hold(pushed == EM_OK || pushed == EM_ERROR_FORMAT || status == pushed);
        grown |= pushed == EM_ERROR_FORMAT;
        must_hold(em__utf8_valid(part.data, part.length) == part.length);
        must_hold(em__str_add(&whole, part.data, part.length) == EM_OK);
    }
    if (status == EM_OK && count <= 32 && !grown)
        must_hold(whole.length == want.length && memcmp(em__str_text(&whole), want.data, want.length) == 0);
    em__str_free(&whole);
    em_text_free(&want);
    em_text_free(&part);
    em_decode_stream_free(stream);
}

static void use(const em_tokenizer *tokenizer, const char *text, size_t length, const em_encode_options *options)
{
    em_encoding encoding = {0};
    em_text decoded = {0};
    for (int round = 0; round < 2; round++) /* the second time out of the cache */
        if (em_tokenizer_encode(tokenizer, text, length, options, &encoding) == EM_OK) {
            check(tokenizer, &encoding, length + (options->pair ? options->pair_length : 0));
            for (size_t i = 0; i < encoding.overflow_count; i++)
                check(tokenizer, &encoding.overflow[i], length + (options->pair ? options->pair_length : 0));
            must_hold(em_tokenizer_decode(tokenizer, encoding.ids, encoding.length, round, &decoded) == EM_OK ||
                      em_last_status() == EM_ERROR_UNSUPPORTED || em_last_status() == EM_ERROR_FORMAT);
            stream(tokenizer, encoding.ids, encoding.length);
        }
    int32_t ids[32]; /* any ids */
    size_t count = length < 32 ? length : 32;
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint8_t)text[i];
    stream(tokenizer, ids, count);
    em_text_free(&decoded);
    em_encoding_free(&encoding);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sample[] = " Hello w\xC3\xB6rld, e\xCC\x81 <s>[CLS] \xE4\xB8\xAD 12\xFF"
                                 "ab abab <m>";
    em_encode_options options = {.struct_size = sizeof options};
    make_tokenizers();
    if (size > 0 && data[0] == '{') {
        em_tokenizer *tokenizer;
        if (em_tokenizer_parse((const char *)data, size, &tokenizer) == EM_OK) {
            use(tokenizer, sample, sizeof sample - 1, &options);
            options.pair = "b a";
            options.pair_length = 3;
            use(tokenizer, "", 0, &options);
            em_tokenizer_free(tokenizer);
        }
        return 0;
    }
    if (size < 2)
        return 0;
    unsigned flags = data[1];
    const char *text = (const char *)data + 2;
    size_t length = size - 2;
    if (flags & 1) {
        options.truncation = EM_TRUNCATION_GIVEN;
        options.max_length = 4 + (flags >> 4);
        options.stride = flags >> 1 & 1;
        options.overflow = true;
        options.truncate_left = flags & 4;
    }
    if (flags & 8) {
        options.pair = text + length / 2;
        options.pair_length = length - length / 2;
        length /= 2;
    }
    use(tokenizers[data[0] % 4], text, length, &options);
    return 0;
}
