/* Reading passages. Hashes are FNV-1a: they tell changed from unchanged, nothing more. */
#include "cli/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/input.h"
#include "core/alloc.h"

#define HASH_START 0xcbf29ce484222325u

static uint64_t hash_add(uint64_t hash, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r'))
            return false;
    return true;
}

static int add_line(cli_corpus *corpus, const char *text, size_t length, uint32_t file, uint64_t line)
{
    corpus->hash = hash_add(corpus->hash, text, length);
    if (is_blank(text, length))
        return CLI_OK;
    length -= text[length - 1] == '\r';
    if (em__str_add(&corpus->text, text, length) != EM_OK ||
        em__vec_push(&corpus->ends, corpus->text.length) != EM_OK || em__vec_push(&corpus->lines, line) != EM_OK ||
        em__vec_push(&corpus->files, file) != EM_OK)
        return cli_fail_last();
    return CLI_OK;
}

static int add_file(cli_corpus *corpus, const char *path, uint32_t file)
{
    cli_reader reader;
    const char *text;
    size_t length;
    cli_read got = CLI_READ_END;
    int code = cli_reader_open(&reader, path, '\n');
    if (code == CLI_OK && em__str_add(&corpus->names, path, strlen(path) + 1) != EM_OK)
        code = cli_fail_last();
    corpus->hash = hash_add(corpus->hash, path, strlen(path));
    for (uint64_t line = 1; code == CLI_OK; line++) {
        got = cli_reader_next(&reader, true, &text, &length);
        if (got != CLI_READ_RECORD)
            break;
        cli_ill_check(&corpus->ill, path, "line", line, text, length);
        code = add_line(corpus, text, length, file, line);
    }
    cli_reader_close(&reader);
    return got == CLI_READ_ERROR ? CLI_FAILURE : code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_text_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot && (strcmp(dot, ".txt") == 0 || strcmp(dot, ".md") == 0);
}

/* What a directory holds beside files, a pipe or another directory, is no passage; a note tells of a link to none. */
static bool is_passages(const char *path, bool quiet)
{
    struct stat info;
    if (stat(path, &info) == 0)
        return S_ISREG(info.st_mode);
    if (errno != ENOENT && errno != ELOOP)
        return true; /* opening it says why */
    if (!quiet)
        cli_note("%s: passed over, it is a link to nothing", path);
    return false;
}

typedef EM__VEC(char *) owned_words;

static int list_directory(const char *path, owned_words *found, bool quiet)
{
    DIR *dir = opendir(path);
    if (!dir)
        return quiet ? CLI_FAILURE : cli_fail_errno(path);
    int code = CLI_OK;
    size_t first = found->length, length = strlen(path);
    const char *slash = length && path[length - 1] == '/' ? "" : "/";
    for (struct dirent *entry; code == CLI_OK && (entry = readdir(dir));) {
        if (!is_text_name(entry->d_name))
            continue;
        char *name = em__format("%s%s%s", path, slash, entry->d_name);
        if (name && !is_passages(name, quiet)) {
            em__free(name);
        } else if (!name || em__vec_push(found, name) != EM_OK) {
            em__free(name);
            code = cli_fail_last();
        }
    }
    closedir(dir);
    if (found->length > first)
        qsort(found->data + first, found->length - first, sizeof *found->data, by_name);
    return code;
}

static int list_files(const cli_words *paths, owned_words *found)
{
    int code = CLI_OK;
    for (size_t i = 0; i < paths->length && code == CLI_OK; i++) {
        struct stat info;
        if (stat(paths->data[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            code = list_directory(paths->data[i], found, false);
            continue;
        }
        char *name = em__strdup(paths->data[i]);
        if (!name || em__vec_push(found, name) != EM_OK) {
            em__free(name);
            code = cli_fail_last();
        }
    }
    return code;
}

static void free_words(owned_words *words)
{
    for (size_t i = 0; i < words->length; i++)
        em__free(words->data[i]);
    em__vec_free(words);
}

/* Adds what is known of a file without reading it. */
static uint64_t stamp_add(uint64_t hash, const char *path)
{
    struct stat info;
    int64_t facts[3] = {0};
    if (stat(path, &info) == 0) {
        facts[0] = info.st_size;
        facts[1] = info.st_mtim.tv_sec;
        facts[2] = info.st_mtim.tv_nsec;
    }
    hash = hash_add(hash, path, strlen(path));
    return hash_add(hash, (const char *)facts, sizeof facts);
}

uint64_t cli_corpus_stamp(const char *path)
{
    struct stat info;
    owned_words found = {0};
    if (stat(path, &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
        return 0;
    if (S_ISREG(info.st_mode))
        return stamp_add(HASH_START, path);
    uint64_t stamp = HASH_START;
    if (list_directory(path, &found, true) != CLI_OK)
        stamp = 0;
    for (size_t i = 0; i < found.length && stamp; i++)
        stamp = stamp_add(stamp, found.data[i]);
    free_words(&found);
    return stamp;
}

/* Before the files are read: what changes meanwhile shows later. */
static int take_stamps(cli_corpus *corpus, const cli_words *paths)
{
    for (size_t i = 0; i < paths->length; i++)
        if (em__str_add(&corpus->paths, paths->data[i], strlen(paths->data[i]) + 1) != EM_OK ||
            em__vec_push(&corpus->stamps, cli_corpus_stamp(paths->data[i])) != EM_OK)
            return cli_fail_last();
    return CLI_OK;
}

int cli_corpus_read(cli_corpus *corpus, const cli_words *paths)
{
    owned_words found = {0};
    *corpus = (cli_corpus){.hash = HASH_START};
    int code = list_files(paths, &found);
    if (code == CLI_OK)
        code = take_stamps(corpus, paths);
    for (size_t i = 0; i < found.length && code == CLI_OK; i++)
        code =
            i > UINT32_MAX ? cli_fail(CLI_UNSUPPORTED, "too many files") : add_file(corpus, found.data[i], (uint32_t)i);
    cli_ill_end(corpus->ill, corpus->ends.length);
    if (code == CLI_OK && corpus->ends.length == 0) {
        code = cli_fail(CLI_FAILURE, "%s: no passage to search", paths->data[0]);
        cli_hint("a corpus is a text file with a passage a line, or a directory of *.txt and *.md files");
    }
    free_words(&found);
    return code;
}

void cli_corpus_free(cli_corpus *corpus)
{
    em__str_free(&corpus->text);
    em__str_free(&corpus->names);
    em__str_free(&corpus->paths);
    em__vec_free(&corpus->stamps);
    em__vec_free(&corpus->ends);
    em__vec_free(&corpus->lines);
    em__vec_free(&corpus->files);
}
