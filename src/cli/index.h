/*
 * A search index: passages with their vectors, in memory or in a safetensors file.
 *
 * The file holds vectors f32 [n, width], text u8, ends u64 [n], lines u64 [n], files u32 [n], names u8, and probe f32
 * [width]: the vector of a fixed text. A model's identity is what it answers, so a probe that comes out alike says that
 * the vectors fit the model, its pooling and the prompt. The corpus' paths u8 and stamps u64 [paths] (corpus.h) tell
 * whether it changed since, without reading it. The metadata has a checksum of all that, and in its format how vectors
 * are compared: those of an index for cosines have unit length, of others they are as the model gives them.
 */
#ifndef EMILY_CLI_INDEX_H
#define EMILY_CLI_INDEX_H

#include <emily/model.h>
#include <emily/safetensors.h>

#include "cli/corpus.h"

typedef struct cli_index {
    size_t n, width;
    em_similarity similarity; /* cosine: the vectors have unit length */
    const float *vectors, *probe;
    const char *text, *names;
    size_t text_bytes, names_bytes;
    const uint64_t *ends, *lines;
    const uint32_t *files;
    const char *paths;
    const uint64_t *stamps;
    size_t n_paths, paths_bytes;
    uint64_t hash;        /* of the corpus */
    em_safetensors *file; /* keeps all of the above when it came from a file; NULL: others do */
} cli_index;

/* A view of a corpus; vectors, probe and similarity are still to be set. */
void cli_index_view(cli_index *index, const cli_corpus *corpus);

/* Opens an index file, checking all of it. CLI_OK; CLI_GO_ON for an index that cannot be used, `*why` says why and the
 * exit code is `*code`; another file is left alone: an exit code after a message. */
int cli_index_open(cli_index *index, const char *path, const char **why, int *code);

/* Writes the file, whole or not at all; `model` is a name for people. The library has the error. */
em_status cli_index_write(const cli_index *index, const char *path, const char *model);

/* Whether the stamps are those of a corpus that was read. */
bool cli_index_has_stamps(const cli_index *index, const cli_corpus *corpus);

/* How many of the corpus' paths are not as they were, and the first. What is gone counts only while others are there:
 * an index may be kept without its corpus. */
size_t cli_index_changed(const cli_index *index, const char **first);

void cli_index_close(cli_index *index);

/* The i-th passage, and the name of the file that it is from. */
const char *cli_index_text(const cli_index *index, size_t i, size_t *length);
const char *cli_index_name(const cli_index *index, size_t i);

#endif
