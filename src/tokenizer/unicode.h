/*
 * What code points are to a tokenizer: categories, letter case and sensitivity to normal forms, as the `tokenizers`
 * package takes them. The committed runs (unicode_tables.c) are unfolded once per process into a two-stage table, so
 * that a look-up is two loads.
 */
#ifndef EM_TOKENIZER_UNICODE_H
#define EM_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    EM_UC_PUNCTUATION = 1 << 0, /* also ASCII symbols, as BERT has it */
    EM_UC_OTHER = 1 << 1,       /* control, format, private: what BERT's clean_text drops; not \t \n \r */
    EM_UC_NONSPACING = 1 << 2,  /* Mn: what BERT's strip_accents drops */
    EM_UC_MARK = 1 << 3,        /* M: what StripAccents drops */
    EM_UC_WORD = 1 << 4,        /* \w */
    EM_UC_SPACE = 1 << 5,       /* White_Space */
    EM_UC_NUMERIC = 1 << 6,     /* N as Digits sees it */
    EM_UC_LETTER = 1 << 7,      /* \p{L} of a Split or ByteLevel regex */
    EM_UC_NUMBER = 1 << 8,      /* \p{N} of such a regex */
    EM_UC_LATE = 1 << 9,        /* unknown to the normal forms (Unicode 9): never decomposes, class 0 */
    EM_UC_UPPER = 1 << 10,      /* has another lower-case form */
    EM_UC_NFD = 1 << 11,        /* decomposes, or has a combining class */
    EM_UC_NFKD = 1 << 12,
    EM_UC_NFC = 1 << 13, /* is not sure to stay as it is in NFC */
    EM_UC_NFKC = 1 << 14,
    EM_UC_RECENT = 1 << 15 /* not in Unicode 14, the oldest that a PCRE2 we meet may know */
};

typedef struct em__uc_run {
    uint32_t start;
    uint16_t flags;
} em__uc_run;

typedef struct em__uc_lower_run {
    uint32_t first, last, step;
    int32_t delta;
} em__uc_lower_run;

extern const em__uc_run em__uc_runs[];
extern const size_t em__uc_run_count;
extern const em__uc_lower_run em__uc_lower_runs[];
extern const size_t em__uc_lower_run_count;

enum { EM_UC_BLOCK = 128, EM_UC_BLOCKS = 640 };
extern uint16_t em__uc_block_of[0x110000 / EM_UC_BLOCK];
extern uint16_t em__uc_blocks[EM_UC_BLOCKS][EM_UC_BLOCK];

/* Unfolds the tables; every tokenizer that is opened calls it. Any thread. */
void em__uc_init(void);

/* Flags of a code point below 0x110000. */
static inline unsigned em__uc_flags(uint32_t c)
{
    return em__uc_blocks[em__uc_block_of[c / EM_UC_BLOCK]][c % EM_UC_BLOCK];
}

/* The lower-case form of a code point with EM_UC_UPPER that has a single one (all but U+0130). */
uint32_t em__uc_lower(uint32_t c);

/* Full canonical or compatibility decomposition into `out` (at least 32); returns how many. */
int em__uc_decompose(uint32_t c, int compatible, uint32_t *out);

/* Canonical combining class. */
int em__uc_class(uint32_t c);

/* The primary composite of a and b, 0 if there is none. */
uint32_t em__uc_compose(uint32_t a, uint32_t b);

#endif
