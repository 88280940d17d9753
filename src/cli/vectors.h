/*
 * Sentence vectors as text or as an array file, row by row as they come.
 *
 * human  one line a vector, and the cosine similarities of a handful of texts
 * jsonl  {"index":0,"embedding":[...]}, the shortest numbers that read back as the same floats
 * csv    the numbers of a vector on a line
 * npy    a NumPy file, f32 [rows, width]
 */
#ifndef EMILY_CLI_VECTORS_H
#define EMILY_CLI_VECTORS_H

#include "cli/output.h"

#define CLI_VECTORS_FORMATS "human|jsonl|csv|npy"

typedef enum cli_format { CLI_HUMAN = 1, CLI_JSONL, CLI_CSV, CLI_NPY } cli_format;

typedef struct cli_vectors {
    cli_output *out;
    cli_format format;
    size_t width, rows;
    em__str line;
    FILE *spool; /* npy on a pipe: rows wait here until their number is known */
    float *kept; /* human: the first vectors, for their similarities */
} cli_vectors;

/* All three: CLI_OK, or an exit code after a message. Begin and end write what stands around the rows. */
int cli_vectors_begin(cli_vectors *vectors, cli_output *out, cli_format format, size_t width);
int cli_vectors_add(cli_vectors *vectors, const float *data, size_t rows, const char *const *texts,
                    const size_t *lengths);
int cli_vectors_end(cli_vectors *vectors);
void cli_vectors_free(cli_vectors *vectors);

#endif
