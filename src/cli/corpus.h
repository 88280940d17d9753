/*
 * Passages to search: the lines of text files, blank ones left out.
 *
 * Invariants: passage i is text[ends[i - 1] .. ends[i] - 1]; files[i] < number of names; names holds NUL-terminated
 * file names one after the other.
 */
#ifndef EMILY_CLI_CORPUS_H
#define EMILY_CLI_CORPUS_H

#include <stdint.h>

#include "cli/cli.h"
#include "core/str.h"

typedef struct cli_corpus {
    em__str text, names;
    EM__VEC(uint64_t) ends;
    EM__VEC(uint64_t) lines; /* from 1 */
    EM__VEC(uint32_t) files;
    uint64_t hash; /* of names and contents */
} cli_corpus;

/* Reads files; of a directory, its *.txt and *.md. CLI_OK, or an exit code after a message: a corpus without passages
 * is a failure. Free with cli_corpus_free in either case. */
int cli_corpus_read(cli_corpus *corpus, const cli_words *paths);
    size_t ill;    /* passages that are not UTF-8 */
void cli_corpus_free(cli_corpus *corpus);

#endif
