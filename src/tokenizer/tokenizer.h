/*
 * Inside a tokenizer: the parts that tokenizer.json names, each compiled to a small record, and the working memory of
 * an encoding.
 *
 * Encoding goes the way of the format: added tokens are cut out of the text, what is left between them is normalized,
 * added tokens that want normalized text are cut out, pre-tokenizers split the rest into pieces, the model turns each
 * piece into tokens, the post-processor adds special tokens. Sequences are flattened into arrays of steps.
 *
 * One em__text holds the normalized text of all pieces, with the code points of the original that every byte came from;
 * a step that changes text writes a second one and swaps. Two fused paths (encode_bert.c, encode_bytes.c) do the same
 * in one pass, for the two kinds of file that nearly everybody uses.
 */
#ifndef EM_TOKENIZER_TOKENIZER_H
#define EM_TOKENIZER_TOKENIZER_H

#include <emily/tokenizer.h>

#include "core/arena.h"
#include "core/str.h"
#include "core/vec.h"
#include "tokenizer/regex.h"
#include "tokenizer/vocab.h"
#include "tokenizer/words.h"

typedef struct em__bytes {
    const char *data; /* NUL-terminated, owned by the tokenizer's arena */
    size_t length;
} em__bytes;

/* Bytes of somebody else, with or without a NUL behind them. */
typedef struct em__string {
    const char *data;
    size_t length;
} em__string;

/* What a tokenizer.json is opened with. */
typedef struct em__beside {
    const char *dir; /* of the checkpoint, whose other files have a word too; NULL: the file alone */
    bool lowercase;  /* em__tokenizer_open */
    bool failed;     /* set when one of those other files is at fault, which the error then names */
} em__beside;

/* Normalizers. */

typedef enum em__norm_kind {
    EM_NORM_BERT,
    EM_NORM_NFC,
    EM_NORM_NFD,
    EM_NORM_NFKC,
    EM_NORM_NFKD,
    EM_NORM_LOWERCASE,
    EM_NORM_STRIP,
    EM_NORM_STRIP_ACCENTS,
    EM_NORM_REPLACE,
    EM_NORM_PREPEND,
    EM_NORM_NMT,
    EM_NORM_BYTE_LEVEL,
    EM_NORM_PRECOMPILED
} em__norm_kind;

typedef struct em__precompiled {
    const uint32_t *units; /* double-array trie */
    size_t unit_count;
    em__bytes replacements; /* NUL-terminated, one after the other */
} em__precompiled;

typedef struct em__norm {
    em__norm_kind kind;
    bool clean_text, handle_chinese_chars, strip_accents, lowercase; /* Bert */
    bool left, right;                                                /* Strip */
    em__pattern pattern;                                             /* Replace */
    em__bytes content;                                               /* Replace, Prepend */
    em__precompiled precompiled;
} em__norm;

/* Pre-tokenizers. */

typedef enum em__pre_kind {
    EM_PRE_BERT,
    EM_PRE_WHITESPACE,
    EM_PRE_WHITESPACE_SPLIT,
    EM_PRE_PUNCTUATION,
    EM_PRE_DIGITS,
    EM_PRE_SPLIT,
    EM_PRE_BYTE_LEVEL,
    EM_PRE_METASPACE,
    EM_PRE_DELIMITER,
    EM_PRE_FIXED_LENGTH
} em__pre_kind;

typedef enum em__behavior {
    EM_SPLIT_REMOVED,
    EM_SPLIT_ISOLATED,
    EM_SPLIT_MERGED_WITH_PREVIOUS,
    EM_SPLIT_MERGED_WITH_NEXT,
    EM_SPLIT_CONTIGUOUS
} em__behavior;

typedef enum em__prepend { EM_PREPEND_NEVER, EM_PREPEND_FIRST, EM_PREPEND_ALWAYS } em__prepend;

typedef struct em__pre {
    em__pre_kind kind;
    em__behavior behavior; /* Punctuation, Split */
    bool invert;           /* Split */
    em__pattern pattern;   /* Split */
    em__words words;       /* Split, ByteLevel: what stands in for the pattern */
    bool individual_digits;
    bool add_prefix_space, use_regex; /* ByteLevel */
    em__prepend prepend;              /* Metaspace */
    bool split;                       /* Metaspace */
    uint32_t character;               /* Metaspace, CharDelimiterSplit */
    size_t length;                    /* FixedLength */
} em__pre;

/* Models. */

typedef enum em__model_kind { EM_MODEL_WORDPIECE, EM_MODEL_BPE, EM_MODEL_UNIGRAM, EM_MODEL_WORDLEVEL } em__model_kind;

/* What a pair of neighbours becomes; open-addressed, keyed by both ids. */
typedef struct em__merge {
    int32_t left, right; /* left is -1 where free */
    uint32_t rank;
    int32_t id;
} em__merge;

/* A trie: children stand in a chain of siblings, but for the root's, which are nodes 0 to 255. */
typedef struct em__trie_node {
    uint32_t child, sibling; /* 0: none */
    int32_t id;              /* -1: no token ends here */
    uint8_t byte;
} em__trie_node;

typedef struct em__trie {
    EM__VEC(em__trie_node) nodes; /* none until the first insertion */
} em__trie;

typedef struct em__model {
    em__model_kind kind;
    em__vocab vocab;
    em__bytes unk_token;
    bool has_unk;
    int32_t unk_id;           /* -1: the vocabulary lacks it */
    em__bytes prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix */
    uint64_t prefix_hash;
    size_t max_chars; /* WordPiece */
    bool fuse_unk, byte_fallback, ignore_merges;
    em__merge *merges;
    size_t merge_mask;
    int32_t byte_ids[256]; /* <0xNN>, -1 where missing */
    int32_t char_ids[256]; /* id of the byte-level character of each byte, -1 where missing */
    double *scores;        /* Unigram, by id */
    double unk_score;
    em__trie trie;
} em__model;

/* Added tokens. */

typedef struct em__added {
    em__bytes content, pattern; /* pattern: what is matched, the content after normalization if it asks for that */
    int32_t id;
    size_t place; /* among the file's entries */
    bool single_word, lstrip, rstrip, normalized, special;
} em__added;

/* Finds the leftmost longest of the patterns: a trie of them, and the bytes that one can begin with. */
typedef struct em__matcher {
    em__trie trie; /* ids are indices into tokenizer.added */
    uint8_t first[256];
    int single; /* the only byte that a pattern begins with, -1 if there are more */
    size_t count;
} em__matcher;

/* Post-processors. */

typedef enum em__post_kind { EM_POST_NONE, EM_POST_BERT, EM_POST_ROBERTA, EM_POST_TEMPLATE } em__post_kind;

typedef struct em__post_piece {
    int sequence; /* 0 or 1, -1 for special tokens */
    int32_t type_id;
    const int32_t *ids; /* special tokens */
    size_t count;
} em__post_piece;

typedef struct em__template {
    em__post_piece *pieces;
    size_t count;
    size_t added; /* special tokens in all */
} em__template;

typedef struct em__trim {
    bool add_prefix_space;
} em__trim;

typedef struct em__post {
    em__post_kind kind;
    em__template single, pair;
    EM__VEC(em__trim) trims; /* what ByteLevel and Roberta do to offsets, in order */
    bool keep_type_ids;      /* no post-processor at all: the types of the sequences */
} em__post;

/* Decoders. */

typedef enum em__decoder_kind {
    EM_DECODE_WORDPIECE,
    EM_DECODE_BYTE_LEVEL,
    EM_DECODE_METASPACE,
    EM_DECODE_BPE,
    EM_DECODE_BYTE_FALLBACK,
    EM_DECODE_FUSE,
    EM_DECODE_STRIP,
    EM_DECODE_REPLACE,
    EM_DECODE_CTC
} em__decoder_kind;

typedef struct em__decoder {
    em__decoder_kind kind;
    em__bytes text;      /* WordPiece: prefix; BPE: suffix; Replace: content; CTC: pad_token */
    em__bytes delimiter; /* CTC */
    bool cleanup;
    uint32_t character;
    bool drop_first; /* Metaspace: the first token loses its marks */
    size_t start, stop;
    em__pattern pattern;
} em__decoder;

typedef struct em__truncation {
    bool left;
    em_truncation_strategy strategy;
    size_t max_length, stride;
} em__truncation;

typedef struct em__padding {
    bool left;
    size_t length, multiple;
    int32_t id, type_id;
} em__padding;

typedef enum em__bert_class { EM_BERT_WORD, EM_BERT_SPACE, EM_BERT_PUNCTUATION, EM_BERT_DROP } em__bert_class;

typedef enum em__fused { EM_FUSED_NONE, EM_FUSED_BERT, EM_FUSED_BYTES } em__fused;

struct em_tokenizer {
    em__arena arena; /* strings and small tables; patterns and tables on the heap are freed one by one */
    uint64_t serial; /* no two tokenizers of a process have the same */
    EM__VEC(em__norm) norms;
    EM__VEC(em__pre) pres;
    EM__VEC(em__decoder) decoders;
    bool has_decoder;
    em__model model;
    EM__VEC(em__added) added; /* by id */
    em__vocab added_vocab;    /* content to id; its entries give the text */
    EM__VEC(int32_t) special_ids;
    em__matcher raw, normalized; /* added tokens matched before and after normalization */
    em__post post;
    bool has_truncation, has_padding;
    em__truncation truncation;
    em__padding padding;
    em__fused fused;
    em__words words; /* fused bytes: the splitter, and whether a space is put before */
    bool prefix_space;
    uint8_t bert_class[128]; /* fused BERT: em__bert_class of each ASCII byte, and what it becomes */
    char bert_lower[128];
};

/* Working memory. */

typedef struct em__text {
    char *bytes;
    em_span *align; /* for each byte, the code points of the original that it came from */
    size_t length, capacity;
    size_t allocated, limit; /* capacity is the less of the two */
} em__text;

typedef struct em__piece {
    uint32_t start, end; /* bytes of the text */
    uint32_t origin;     /* code point of the original at which the piece begins */
    int32_t added;       /* index of an added token that the piece is, -1 */
} em__piece;

typedef struct em__change {
    uint32_t c;
    int32_t change; /* 0: replaces a character; 1: new; -n: replaces one, and n that follow are gone */
} em__change;

/* White space that an added token, matched with its surroundings, begins and ends with. */
typedef struct em__added_space {
    size_t token;
    uint32_t leading, trailing;
} em__added_space;

/* The tokens of one text, before post-processing. */
typedef struct em__tokens {
    int32_t *ids;
    em_span *spans;
    size_t length, capacity;
    EM__VEC(em__added_space) spaces;
} em__tokens;

typedef struct em__symbol {
    int32_t id, prev, next;
    uint32_t length; /* 0: merged away */
} em__symbol;

typedef struct em__candidate {
    uint32_t rank, position;
    int32_t id;
} em__candidate;

/* Words seen lately and their tokens, for one tokenizer at a time. */
typedef struct em__cache_entry {
    uint64_t hash;
    uint32_t text, length; /* in em__cache.text */
    uint32_t first, count; /* in em__cache.tokens; the length of each token in bytes comes with its id */
} em__cache_entry;

typedef struct em__cache_token {
    int32_t id;
    uint32_t length;
} em__cache_token;

typedef struct em__cache {
    uint64_t serial;
    em__cache_entry *entries;
    em__str text;
    EM__VEC(em__cache_token) tokens;
    size_t size, used; /* entries, a power of two; words added since it was emptied */
} em__cache;

typedef struct em__best {
    double score;
    uint32_t start;
    int32_t id;
} em__best;

typedef struct em__scratch {
    em__str repaired[2];
    em__text text, other;
    size_t room; /* em__text_allow */
    EM__VEC(em__piece) pieces;
    EM__VEC(em__piece) split;
    EM__VEC(em__change) changes;
    EM__VEC(em__change) sorting;
    em__tokens tokens[2];
    EM__VEC(em__symbol) symbols;
    EM__VEC(em__candidate) heap;
    EM__VEC(em__cache_token) word;
    EM__VEC(em__best) best;
    EM__VEC(em_span) windows[2];
    EM__VEC(uint64_t) hashes;
    em__str buffer, buffer2;
    em__cache cache;
    em__matching matching;
} em__scratch;

/* What is left of a text that an encoder works on: bytes of well-formed UTF-8 and the code point it begins at. */
typedef struct em__source {
    const char *text;
    size_t length;
    uint32_t origin;
} em__source;

/* load*.c */
em_status em__tokenizer_build(em_tokenizer *tok, const char *json, size_t length, em__beside *beside);

/* em_tokenizer_open; with `lowercase`, as do_lower_case of sentence-transformers has it: Lowercase stands before the
 * normalizer, unless that is one, or a Sequence with one. */
em_status em__tokenizer_open(const char *path, bool lowercase, em_tokenizer **tokenizer);
em_status em__load_text(em_tokenizer *tok, const char *text, size_t length, em__bytes *out);

/* added.c: the matcher over tok->added whose `normalized` is as given; matches in `text`, as pieces. */
em_status em__matcher_build(em_tokenizer *tok, bool normalized, em__matcher *matcher);
void em__matcher_free(em__matcher *matcher);

/* A match: bytes [start, end) with the white space it takes, and the added token. `from` is where the last one
 * ended. */
typedef struct em__match {
    size_t start, end;
    int32_t added;
} em__match;
bool em__matcher_next(const em_tokenizer *tok, const em__matcher *matcher, const char *text, size_t length, size_t from,
                      size_t *scan, em__match *match);

/* trie.c */
/* `length` is at least 1. *previous is the id that ended there before, -1 if none did. */
em_status em__trie_insert(em__trie *trie, const char *text, size_t length, int32_t id, int32_t *previous);
void em__trie_free(em__trie *trie);

/* The child of a node by byte, 0 if there is none. The root's child for a byte is the node of that number. */
static inline uint32_t em__trie_child(const em__trie *trie, uint32_t node, uint8_t byte)
{
    const em__trie_node *nodes = trie->nodes.data;
    uint32_t child = nodes[node].child;
    while (child && nodes[child].byte != byte)
        child = nodes[child].sibling;
    return child;
}

/* text.c */
/* What a text of `length` bytes may become: EM_GROWTH for each byte is more than normalizers and pre-tokenizers of any
 * sane file make of one, and EM_GROWTH_BASE is for what they put before. A file's steps could double a text each. */
enum { EM_GROWTH = 32, EM_GROWTH_BASE = 1 << 16 };
size_t em__text_allowance(size_t length, size_t growth);

/* Empties s->text and s->other, which may then have `room` bytes each; one more is EM_ERROR_FORMAT. */
void em__text_allow(em__scratch *s, size_t room);
em_status em__text_too_long(size_t limit);

em_status em__text_reserve(em__text *text, size_t more);
em_status em__text_add(em__text *text, const char *bytes, size_t length, em_span align);
em_status em__text_copy(em__text *text, const em__text *from, size_t start, size_t end);
em_status em__text_add_source(em__text *text, em__source source);
void em__text_free(em__text *text);

/* model_*.c: appends the tokens of one piece to `out`; `align` gives the code points of its bytes. */
em_status em__model_tokenize(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length,
                             const em_span *align, em__tokens *out);

/* encode*.c */
em_status em__tokens_reserve(em__tokens *tokens, size_t more);
em_status em__encode_generic(const em_tokenizer *tok, em__scratch *s, em__source source, em__tokens *out);
em_status em__encode_bert(const em_tokenizer *tok, em__scratch *s, em__source source, size_t limit, em__tokens *out,
                          bool *done);
em_status em__encode_bytes(const em_tokenizer *tok, em__scratch *s, em__source source, size_t limit, em__tokens *out,
                           bool *done);

/* A piece of text that is an added token: one token, over all of it. */
em_status em__push_added(const em_tokenizer *tok, em__tokens *out, int32_t added, const char *text, size_t length,
                         em_span span);

/* The vocabulary lacks what the text has, and the unknown token, too. */
em_status em__missing_unk(const em_tokenizer *tok);

static inline void em__tokens_push(em__tokens *tokens, int32_t id, uint32_t start, uint32_t end)
{
    tokens->ids[tokens->length] = id;
    tokens->spans[tokens->length++] = (em_span){start, end};
}

/* post.c: truncates, adds special tokens, pads. */
em_status em__post_process(const em_tokenizer *tok, em__scratch *s, const em_encode_options *options, em_encoding *out);

#endif
