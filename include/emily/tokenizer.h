/*
 * Text to token ids and back, as `tokenizer.json` of Hugging Face `tokenizers` says.
 *
 *     em_tokenizer *tokenizer;
 *     em_encoding encoding = {0};
 *     if (em_tokenizer_open("all-MiniLM-L6-v2", &tokenizer) != EM_OK)
 *         ...
 *     for (each text)
 *         if (em_tokenizer_encode(tokenizer, text, strlen(text), NULL, &encoding) == EM_OK)
 *             use(encoding.ids, encoding.offsets, encoding.length);
 *     em_encoding_free(&encoding);
 *     em_tokenizer_free(tokenizer);
 *
 * Ids, offsets and decoded text equal those of the `tokenizers` package. What a file asks for and Emily lacks makes the
 * open fail with EM_ERROR_UNSUPPORTED and the name of the part; ids are never approximated. That goes for constructs of
 * regular expressions, too; what they leave to Unicode (\p{Lu}, scripts) is as the PCRE2 at hand knows it, but for
 * letters, numbers, digits, word characters and white space, which are those of `tokenizers`.
 *
 * Text is UTF-8. Bytes that are not are read as Python's bytes.decode("utf-8", "replace") reads them: each maximal ill-
 * formed part becomes one U+FFFD and counts as one code point. Encoded surrogates are ill-formed. NUL is a character
 * like any other.
 *
 * A tokenizer never changes after it was opened: any number of threads may use one at the same time, each with an
 * em_encoding and em_text of its own.
 */
#ifndef EMILY_TOKENIZER_H
#define EMILY_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_tokenizer em_tokenizer;

/* Code points [start, end) of the text that was encoded. */
typedef struct em_span {
    uint32_t start, end;
} em_span;

/*
 * What encoding a text gave: `length` tokens and, for each, its id, its segment (0 or 1, as the file's post-processor
 * says), where it stands in its text ({0, 0} for tokens that were added), 1 in `special_mask` if it was added (special
 * tokens and padding), and 0 in `attention_mask` if it is padding.
 *
 * Zero-initialise it. The library owns the arrays: they stay valid until the encoding is passed to em_tokenizer_encode
 * again or freed. Reuse one over many texts, so that a loop allocates nothing once it has met its longest text.
 */
typedef struct em_encoding {
    size_t length;
    int32_t *ids;
    int32_t *type_ids;
    em_span *offsets;
    uint8_t *special_mask;
    uint8_t *attention_mask;
    size_t overflow_count;        /* windows that truncation cut off; 0 unless options.overflow asked for them */
    struct em_encoding *overflow; /* `overflow_count` encodings, owned by this one */
    size_t capacity;              /* private: tokens that the arrays have room for */
    size_t overflow_capacity;     /* private */
    void *scratch;                /* private */
} em_encoding;

typedef enum em_truncation {
    EM_TRUNCATION_NONE, /* whole texts, whatever the file says */
    EM_TRUNCATION_FILE, /* the file's own "truncation", if it has one */
    EM_TRUNCATION_GIVEN /* max_length, stride, strategy and truncate_left of these options */
} em_truncation;

/* Which text of a pair gives tokens up. */
typedef enum em_truncation_strategy {
    EM_TRUNCATE_LONGEST_FIRST,
    EM_TRUNCATE_ONLY_FIRST,
    EM_TRUNCATE_ONLY_SECOND
} em_truncation_strategy;

typedef enum em_padding {
    EM_PADDING_NONE,
    EM_PADDING_FILE, /* the file's own "padding"; its "BatchLongest" pads nothing here, but for pad_to_multiple_of */
    EM_PADDING_GIVEN /* pad_length, pad_to_multiple_of, pad_id, pad_type_id and pad_left of these options */
} em_padding;

/* How to encode. All zero, or NULL, is: one whole text, with the special tokens that the file adds, no padding. */
typedef struct em_encode_options {
    size_t struct_size; /* 0, or sizeof(em_encode_options) */
    const char *pair;   /* second text, NULL for none */
    size_t pair_length; /* its bytes */
    bool no_special;    /* leave out what the post-processor adds ([CLS], </s>, ...) */
    bool overflow;      /* keep the windows that truncation cuts off, in `overflow` */
    em_truncation truncation;
    em_truncation_strategy strategy;
    size_t max_length;  /* tokens in all, special ones counted */
    size_t stride;      /* tokens that neighbouring windows share */
    bool truncate_left; /* cut the beginning instead of the end */
    em_padding padding;
    size_t pad_length;         /* pad to this many tokens; 0: only to the multiple */
    size_t pad_to_multiple_of; /* 0: any length */
    int32_t pad_id;
    int32_t pad_type_id;
    bool pad_left;
} em_encode_options;

/* Decoded text: `length` bytes of UTF-8 at `data`, and a NUL after them. Zero-initialise it, reuse it, free it. */
typedef struct em_text {
    char *data;
    size_t length;
    size_t capacity; /* private */
} em_text;

/*
 * Opens `path`: a tokenizer.json, or a directory that holds one. There, as in Transformers, tokenizer_config.json has
 * the word on BERT's do_lower_case, strip_accents and tokenize_chinese_chars; of the file alone that is what it says
 * itself. On success `*tokenizer` is the caller's, to be freed
 * with em_tokenizer_free; on failure it is NULL. Any thread. EM_ERROR_NOT_FOUND: no such file. EM_ERROR_IO: it cannot
 * be read. EM_ERROR_FORMAT: it is not a tokenizer.json, or breaks its rules. EM_ERROR_UNSUPPORTED: it asks for a part
 * that Emily lacks, named in em_last_error(). EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_tokenizer_open(const char *path, em_tokenizer **tokenizer);

/* The same from `length` bytes of JSON, which are only read during the call. */
EM_API em_status em_tokenizer_parse(const char *json, size_t length, em_tokenizer **tokenizer);

/* Frees the tokenizer; NULL is fine. No call may be using it. Encodings made with it stay valid. */
EM_API void em_tokenizer_free(em_tokenizer *tokenizer);

/*
 * Encodes `length` bytes of text (NULL only if 0) into `*out`, replacing what it held. `options` may be NULL.
 * On failure `out` holds no tokens (length 0), and may be used again or freed. Any thread, one `out` a thread.
 * EM_ERROR_INVALID_ARGUMENT: a text beyond 1 GiB, options of the wrong size or with a value that no enum has, a stride
 * that does not fit max_length.
 * EM_ERROR_FORMAT: the text needs the file's unknown token and the vocabulary lacks it, or the file's steps make more
 * of the text than 64 KiB and 32 times its bytes. EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_tokenizer_encode(const em_tokenizer *tokenizer, const char *text, size_t length,
                                     const em_encode_options *options, em_encoding *out);

/* Frees what the encoding holds and zeroes it. NULL is fine. */
EM_API void em_encoding_free(em_encoding *encoding);

/*
 * Turns `count` ids into text, as the file's decoder says, into `*out`, replacing what it held. Ids that stand for no
 * token are passed over, and so are special tokens if `skip_special`. On failure `out` is empty, and may be used again
 * or freed. Any thread, one `out` a thread. EM_ERROR_FORMAT: the decoder makes more of the tokens than 64 KiB and 32
 * times their bytes. EM_ERROR_UNSUPPORTED: an expression of the decoder takes too much work. EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_tokenizer_decode(const em_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                                     em_text *out);

/* Frees the text and zeroes it. NULL is fine. */
EM_API void em_text_free(em_text *text);

/*
 * Decoding id by id, as a generator makes them:
 *
 *     em_decode_stream *stream = em_decode_stream_new(tokenizer, true);
 *     while (... there is an id ...)
 *         if (em_decode_stream_push(stream, id, &text) == EM_OK)
 *             fwrite(text.data, 1, text.length, stdout);
 *     em_decode_stream_flush(stream, &text), fwrite(text.data, 1, text.length, stdout);
 *
 * Every push gives the text that no later id can change: whole characters, often those of the id, at times none. What
 * all pushes and the flush give is what em_tokenizer_decode gives for all ids. Held back are the bytes of a character
 * that is not complete; with ByteFallback also the bytes before it, up to 32, for one wrong byte makes each of its run
 * a U+FFFD (a run that goes wrong after more bytes keeps the characters that were given); with BPEDecoder one token;
 * with a Replace by expression behind Fuse or ByteLevel everything.
 */
typedef struct em_decode_stream em_decode_stream;

/* A stream at its beginning, the caller's; the tokenizer must outlive it. NULL on failure (em_last_error). Any thread;
 * a stream serves one thread at a time. */
EM_API em_decode_stream *em_decode_stream_new(const em_tokenizer *tokenizer, bool skip_special);

/*
 * Takes one id and gives the text that is ready in `*out`, replacing what it held: often empty. Ids that stand for no
 * token are passed over, and so are special tokens if the stream skips them. On failure, as of em_tokenizer_decode,
 * `out` is empty and the stream at its beginning again.
 */
EM_API em_status em_decode_stream_push(em_decode_stream *stream, int32_t id, em_text *out);

/* Gives what was held back, an incomplete character as U+FFFD, and begins anew. */
EM_API em_status em_decode_stream_flush(em_decode_stream *stream, em_text *out);

/* Frees the stream; NULL is fine. */
EM_API void em_decode_stream_free(em_decode_stream *stream);

/* Tokens in the vocabulary, added ones counted (NULL: none). Ids may have gaps; max_id is the largest, -1 if none. */
EM_API size_t em_tokenizer_vocab_size(const em_tokenizer *tokenizer);
EM_API int32_t em_tokenizer_max_id(const em_tokenizer *tokenizer);

/* The token with this id as the vocabulary spells it ("##ing", "\u0120the"), `*length` bytes (NULL: not wanted), NUL
 * terminated; NULL if there is none. Owned by the tokenizer. */
EM_API const char *em_tokenizer_token(const em_tokenizer *tokenizer, int32_t id, size_t *length);

/* The id of a token spelt so, -1 if there is none. */
EM_API int32_t em_tokenizer_id(const em_tokenizer *tokenizer, const char *token, size_t length);

/* Ids of the special tokens, ascending; owned by the tokenizer. `*count` receives how many. */
EM_API const int32_t *em_tokenizer_special_ids(const em_tokenizer *tokenizer, size_t *count);
EM_API bool em_tokenizer_is_special(const em_tokenizer *tokenizer, int32_t id);

/* Special tokens that encoding adds to one text, or to a pair. */
EM_API size_t em_tokenizer_added_tokens(const em_tokenizer *tokenizer, bool pair);

/* max_length of the file's "truncation", 0 if it has none; whether that cuts the beginning ("Left"); pad_id of its
 * "padding", -1 if it has none. */
EM_API size_t em_tokenizer_max_length(const em_tokenizer *tokenizer);
EM_API bool em_tokenizer_truncates_left(const em_tokenizer *tokenizer);
EM_API int32_t em_tokenizer_pad_id(const em_tokenizer *tokenizer);

/* "WordPiece", "BPE", "Unigram" or "WordLevel"; "" of NULL. Static. */
EM_API const char *em_tokenizer_model_name(const em_tokenizer *tokenizer);

#ifdef __cplusplus
}
#endif
#endif
