/* "decoder". */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"

static em_status load_wordpiece(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    EM__TRY(em__load_member(tok, value, "decoder WordPiece", "prefix", true, &decoder->text));
    return em__tokjson_bool(value, "decoder WordPiece", "cleanup", true, &decoder->cleanup);
}

static em_status load_metaspace(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    em__prepend prepend;
    (void)tok;
    EM__TRY(em__load_char(value, "decoder Metaspace", "replacement", &decoder->character));
    EM__TRY(em__load_prepend_scheme(value, "decoder Metaspace", &prepend));
    decoder->drop_first = prepend != EM_PREPEND_NEVER;
    return EM_OK;
}

static em_status load_bpe(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    EM__TRY(em__load_member(tok, value, "decoder BPEDecoder", "suffix", true, &decoder->text));
    EM__FAIL_IF(decoder->text.length == 0, EM_ERROR_UNSUPPORTED,
                "decoder BPEDecoder: an empty suffix is not supported");
    return EM_OK;
}

static em_status load_strip(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    (void)tok;
    EM__TRY(em__load_char(value, "decoder Strip", "content", &decoder->character));
    EM__TRY(em__tokjson_size(value, "decoder Strip", "start", true, &decoder->start));
    return em__tokjson_size(value, "decoder Strip", "stop", true, &decoder->stop);
}

static em_status load_replace(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    EM__TRY(em__load_member(tok, value, "decoder Replace", "content", true, &decoder->text));
    return em__load_pattern(tok, value, "decoder Replace", &decoder->pattern);
}

static em_status load_ctc(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    const char *where = "decoder CTC";
    EM__TRY(em__load_member(tok, value, where, "pad_token", true, &decoder->text));
    EM__TRY(em__load_member(tok, value, where, "word_delimiter_token", true, &decoder->delimiter));
    EM__FAIL_IF(decoder->text.length == 0 || decoder->delimiter.length == 0, EM_ERROR_UNSUPPORTED,
                "%s: empty tokens are not supported", where);
    return em__tokjson_bool(value, where, "cleanup", true, &decoder->cleanup);
}

static em_status load_plain(em_tokenizer *tok, em__decoder *decoder, const json_t *value)
{
    (void)tok;
    (void)decoder;
    (void)value;
    return EM_OK;
}

typedef struct loader {
    const char *type;
    em__decoder_kind kind;
    em_status (*load)(em_tokenizer *tok, em__decoder *decoder, const json_t *value);
} loader;

static const loader *find_loader(const char *type)
{
    static const loader loaders[] = {{"WordPiece", EM_DECODE_WORDPIECE, load_wordpiece},
                                     {"ByteLevel", EM_DECODE_BYTE_LEVEL, load_plain},
                                     {"Metaspace", EM_DECODE_METASPACE, load_metaspace},
                                     {"BPEDecoder", EM_DECODE_BPE, load_bpe},
                                     {"ByteFallback", EM_DECODE_BYTE_FALLBACK, load_plain},
                                     {"Fuse", EM_DECODE_FUSE, load_plain},
                                     {"Strip", EM_DECODE_STRIP, load_strip},
                                     {"Replace", EM_DECODE_REPLACE, load_replace},
                                     {"CTC", EM_DECODE_CTC, load_ctc}};
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++)
        if (strcmp(loaders[i].type, type) == 0)
            return &loaders[i];
    return NULL;
}

em_status em__load_decoder(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    em__decoder decoder = {0};
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__FAIL_IF(depth > EM_LOAD_DEPTH, EM_ERROR_FORMAT, "decoder: sequences within sequences, over %d deep",
                EM_LOAD_DEPTH);
    EM__TRY(em__load_type(value, "decoder", &type));
    tok->has_decoder = true;
    if (strcmp(type, "Sequence") == 0)
        return em__load_sequence(tok, value, "decoder Sequence", "decoders", em__load_decoder, depth);
    EM__TRY(em__load_step(tok->decoders.length, "decoder"));
    const loader *found = find_loader(type);
    EM__FAIL_IF(!found, EM_ERROR_UNSUPPORTED, "decoder \"%s\" is not supported", type);
    decoder.kind = found->kind;
    em_status status = found->load(tok, &decoder, value);
    if (status == EM_OK)
        status = em__vec_push(&tok->decoders, decoder);
    if (status != EM_OK)
        em__pattern_free(&decoder.pattern);
    return status;
}
