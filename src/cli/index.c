/*
 * Index files. One is checked whole before its first use: by its checksum, which tells of damage, and what is followed
 * to other memory also by itself, since anybody can write a file with the right checksum.
 */
#include "cli/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/checksum.h"
#include "cli/signals.h"
#include "core/str.h"
#include "tokenizer/utf8.h"

#define FORMAT "emily search index "
#define VERSION "2"

enum { HEX = 17 }; /* bytes of a sum in hexadecimal */

/* What the metadata says of a file with vectors to be compared so. */
static const char *const formats[] = {[EM_SIMILARITY_COSINE] = FORMAT VERSION,
                                      [EM_SIMILARITY_DOT] = FORMAT VERSION ", dot",
                                      [EM_SIMILARITY_EUCLIDEAN] = FORMAT VERSION ", euclidean",
                                      [EM_SIMILARITY_MANHATTAN] = FORMAT VERSION ", manhattan"};

static bool take_format(const char *format, em_similarity *similarity)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i]) == 0) {
            *similarity = (em_similarity)i;
            return true;
        }
    return false;
}

void cli_index_view(cli_index *index, const cli_corpus *corpus)
{
    *index = (cli_index){
        .n = corpus->ends.length,
        .text = em__str_text(&corpus->text),
        .text_bytes = corpus->text.length,
        .names = em__str_text(&corpus->names),
        .names_bytes = corpus->names.length,
        .ends = corpus->ends.data,
        .lines = corpus->lines.data,
        .files = corpus->files.data,
        .paths = em__str_text(&corpus->paths),
        .paths_bytes = corpus->paths.length,
        .stamps = corpus->stamps.data,
        .n_paths = corpus->stamps.length,
        .hash = corpus->hash,
    };
}

/* The tensor called `name` of the dtype and rank it must have; NULL when it is not there in that form. */
static const em_safetensors_tensor *tensor(const em_safetensors *file, const char *name, em_dtype dtype, int rank)
{
    const em_safetensors_tensor *t = em_safetensors_find(file, name);
    return t && t->dtype == dtype && t->dims.rank == rank ? t : NULL;
}

static size_t count_names(const char *names, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += names[i] == '\0';
    return bytes > 0 && names[bytes - 1] == '\0' ? count : 0;
}

static bool take_stamps(cli_index *index)
{
    const em_safetensors_tensor *paths = tensor(index->file, "paths", EM_U8, 1);
    const em_safetensors_tensor *stamps = tensor(index->file, "stamps", EM_U64, 1);
    if (!paths || !stamps || count_names(paths->data, paths->nbytes) != (size_t)stamps->dims.dims[0])
        return false;
    index->paths = paths->data;
    index->paths_bytes = paths->nbytes;
    index->stamps = stamps->data;
    index->n_paths = (size_t)stamps->dims.dims[0];
    return true;
}

static bool take_tensors(cli_index *index)
{
    const em_safetensors_tensor *vectors = tensor(index->file, "vectors", EM_F32, 2);
    const em_safetensors_tensor *probe = tensor(index->file, "probe", EM_F32, 1);
    const em_safetensors_tensor *text = tensor(index->file, "text", EM_U8, 1);
    const em_safetensors_tensor *names = tensor(index->file, "names", EM_U8, 1);
    const em_safetensors_tensor *ends = tensor(index->file, "ends", EM_U64, 1);
    const em_safetensors_tensor *lines = tensor(index->file, "lines", EM_U64, 1);
    const em_safetensors_tensor *files = tensor(index->file, "files", EM_U32, 1);
    if (!vectors || !probe || !text || !names || !ends || !lines || !files)
        return false;
    int64_t n = vectors->dims.dims[0], width = vectors->dims.dims[1];
    if (n < 1 || width < 1 || probe->dims.dims[0] != width || ends->dims.dims[0] != n || lines->dims.dims[0] != n ||
        files->dims.dims[0] != n)
        return false;
    index->n = (size_t)n;
    index->width = (size_t)width;
    index->vectors = vectors->data;
    index->probe = probe->data;
    index->text = text->data;
    index->text_bytes = text->nbytes;
    index->names = names->data;
    index->names_bytes = names->nbytes;
    index->ends = ends->data;
    index->lines = lines->data;
    index->files = files->data;
    return true;
}

/* Lines count from 1 and upwards in a file, and no file has 2^48 of them. */
static bool is_line(const cli_index *index, size_t i)
{
    const bool follows = i > 0 && index->files[i] == index->files[i - 1];
    return index->lines[i] > (follows ? index->lines[i - 1] : 0) && index->lines[i] >> 48 == 0;
}

static bool is_consistent(const cli_index *index)
{
    const size_t names = count_names(index->names, index->names_bytes);
    if (names == 0 || index->ends[index->n - 1] != index->text_bytes)
        return false;
    for (size_t i = 0; i < index->n; i++)
        if (index->files[i] >= names || index->ends[i] < (i ? index->ends[i - 1] : 0) || !is_line(index, i))
            return false;
    return true;
}

/* Of all that the file holds, in hexadecimal. */
static void print_checksum(const cli_index *index, char text[HEX])
{
    const struct {
        const void *data;
        size_t bytes;
    } parts[] = {{index->vectors, index->n * index->width * sizeof *index->vectors},
                 {index->probe, index->width * sizeof *index->probe},
                 {index->text, index->text_bytes},
                 {index->names, index->names_bytes},
                 {index->ends, index->n * sizeof *index->ends},
                 {index->lines, index->n * sizeof *index->lines},
                 {index->files, index->n * sizeof *index->files},
                 {index->paths, index->paths_bytes},
                 {index->stamps, index->n_paths * sizeof *index->stamps}};
    uint64_t sum = index->hash;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum = cli_checksum(sum, parts[i].data, parts[i].bytes);
    snprintf(text, HEX, "%016" PRIx64, sum);
}

static bool take_all(cli_index *index)
{
    const char *hash = em_safetensors_metadata(index->file, "corpus");
    const char *said = em_safetensors_metadata(index->file, "checksum");
    char checksum[HEX];
    if (!hash || !said || !take_tensors(index) || !take_stamps(index) || !is_consistent(index))
        return false;
    index->hash = strtoull(hash, NULL, 16);
    print_checksum(index, checksum);
    return strcmp(checksum, said) == 0;
}

/* Whether a file that cannot be read as safetensors began as an index: the header's first member says it. */
static bool began_as_index(const char *path)
{
    static const char first[] = "{\"__metadata__\":{\"format\":\"" FORMAT;
    enum { LENGTH = 8 };
    char bytes[LENGTH + sizeof first] = "";
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(bytes, 1, sizeof bytes - 1, file) : 0;
    if (file)
        fclose(file);
    return n == sizeof bytes - 1 && memcmp(bytes + LENGTH, first, sizeof first - 1) == 0;
}

int cli_index_open(cli_index *index, const char *path, const char **why, int *code)
{
    *index = (cli_index){0};
    *why = NULL;
    const em_status status = em_safetensors_open(path, NULL, &index->file);
    if (status != EM_OK && status != EM_ERROR_FORMAT)
        return cli_fail_last();
    const char *format = status == EM_OK ? em_safetensors_metadata(index->file, "format") : NULL;
    const bool known = format && take_format(format, &index->similarity);
    if (known && take_all(index))
        return CLI_OK;
    const bool ours = status == EM_OK ? format && strncmp(format, FORMAT, strlen(FORMAT)) == 0 : began_as_index(path);
    if (ours) {
        const bool other = format && !known;
        *why = other ? "the index is of another version of emily" : "the index is damaged";
        *code = other ? CLI_UNSUPPORTED : CLI_FORMAT;
    }
    cli_index_close(index);
    if (*why)
        return CLI_GO_ON;
    cli_fail(CLI_FORMAT, "%s: this is not a search index", path);
    cli_hint("it was left alone; remove it, or name another file with --index");
    return CLI_FORMAT;
}

em_status cli_index_write(const cli_index *index, const char *path, const char *model)
{
    int64_t n = (int64_t)index->n, width = (int64_t)index->width;
    em_safetensors_tensor tensors[] = {
        {"vectors", EM_F32, em_shape(n, width), index->vectors, index->n * index->width * 4},
        {"probe", EM_F32, em_shape(width), index->probe, index->width * 4},
        {"text", EM_U8, em_shape((int64_t)index->text_bytes), index->text, index->text_bytes},
        {"names", EM_U8, em_shape((int64_t)index->names_bytes), index->names, index->names_bytes},
        {"ends", EM_U64, em_shape(n), index->ends, index->n * 8},
        {"lines", EM_U64, em_shape(n), index->lines, index->n * 8},
        {"files", EM_U32, em_shape(n), index->files, index->n * 4},
        {"paths", EM_U8, em_shape((int64_t)index->paths_bytes), index->paths, index->paths_bytes},
        {"stamps", EM_U64, em_shape((int64_t)index->n_paths), index->stamps, index->n_paths * 8},
    };
    char hash[HEX], checksum[HEX];
    em__str name = {0}; /* a path may be of any bytes, metadata are UTF-8 */
    snprintf(hash, sizeof hash, "%016" PRIx64, index->hash);
    print_checksum(index, checksum);
    em_status status = em__utf8_repair(model, strlen(model), &name);
    em_safetensors_entry entries[] = {{"format", formats[index->similarity]},
                                      {"model", em__str_text(&name)},
                                      {"corpus", hash},
                                      {"checksum", checksum}};
    cli_signals_hold(true);
    if (status == EM_OK)
        status = em_safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, entries, 4);
    cli_signals_hold(false);
    em__str_free(&name);
    return status;
}

bool cli_index_has_stamps(const cli_index *index, const cli_corpus *corpus)
{
    return index->n_paths == corpus->stamps.length && index->paths_bytes == corpus->paths.length &&
           memcmp(index->paths, em__str_text(&corpus->paths), index->paths_bytes) == 0 &&
           memcmp(index->stamps, corpus->stamps.data, index->n_paths * sizeof *index->stamps) == 0;
}

size_t cli_index_changed(const cli_index *index, const char **first)
{
    size_t changed = 0, gone = 0;
    const char *path = index->paths, *first_gone = NULL;
    for (size_t i = 0; i < index->n_paths; i++, path += strlen(path) + 1) {
        const uint64_t stamp = cli_corpus_stamp(path);
        if (index->stamps[i] == 0 || stamp == index->stamps[i])
            continue;
        if (stamp == 0 && gone++ == 0)
            first_gone = path;
        else if (stamp != 0 && changed++ == 0)
            *first = path;
    }
    if (changed == 0)
        *first = first_gone;
    return gone == index->n_paths ? 0 : changed + gone;
}

void cli_index_close(cli_index *index)
{
    em_safetensors_close(&index->file);
    *index = (cli_index){0};
}

const char *cli_index_text(const cli_index *index, size_t i, size_t *length)
{
    uint64_t start = i ? index->ends[i - 1] : 0;
    *length = (size_t)(index->ends[i] - start);
    return index->text + start;
}

const char *cli_index_name(const cli_index *index, size_t i)
{
    const char *name = index->names;
    for (uint32_t file = 0; file < index->files[i]; file++)
        name += strlen(name) + 1;
    return name;
}
