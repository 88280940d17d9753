/*
 * Passages to search: the lines of text files, blank ones left out.
 *
 * A path of the corpus has a stamp, of the names, sizes and times of change of its files: cheap to take again, to see
 * whether the passages may have changed since.
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
    em__str paths; /* as they were given, NUL-terminated one after the other, with their stamps */
    EM__VEC(uint64_t) stamps;
    EM__VEC(uint64_t) ends;
    EM__VEC(uint64_t) lines; /* from 1 */
    EM__VEC(uint32_t) files;
    uint64_t hash; /* of names and contents */
    size_t ill;    /* passages that are not UTF-8 */
} cli_corpus;

/* Reads files; of a directory, its *.txt and *.md. CLI_OK, or an exit code after a message: a corpus without passages
 * is a failure. Free with cli_corpus_free in either case. */
int cli_corpus_read(cli_corpus *corpus, const cli_words *paths);
void cli_corpus_free(cli_corpus *corpus);

/* The stamp of a path as it lies there now; 0 where there is none: nothing has the name, or something like a pipe. */
uint64_t cli_corpus_stamp(const char *path);

#endif
