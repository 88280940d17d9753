/* Reading passages. The hash is FNV-1a: it tells changed from unchanged, nothing more. */
#include "cli/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/input.h"
#include "core/alloc.h"

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
        code = add_line(corpus, text, length, file, line);
    }
        cli_ill_check(&corpus->ill, path, "line", line, text, length);
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
static bool is_passages(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0)
        return S_ISREG(info.st_mode);
    if (errno != ENOENT && errno != ELOOP)
        return true; /* opening it says why */
    cli_note("%s: passed over, it is a link to nothing", path);
    return false;
}

typedef EM__VEC(char *) owned_words;

static int list_directory(const char *path, owned_words *found)
{
    DIR *dir = opendir(path);
    if (!dir)
        return cli_fail_errno(path);
    int code = CLI_OK;
    size_t first = found->length, length = strlen(path);
    const char *slash = length && path[length - 1] == '/' ? "" : "/";
    for (struct dirent *entry; code == CLI_OK && (entry = readdir(dir));) {
        if (!is_text_name(entry->d_name))
            continue;
        char *name = em__format("%s%s%s", path, slash, entry->d_name);
        if (name && !is_passages(name)) {
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
            code = list_directory(paths->data[i], found);
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

int cli_corpus_read(cli_corpus *corpus, const cli_words *paths)
{
    owned_words found = {0};
    *corpus = (cli_corpus){.hash = 0xcbf29ce484222325u};
    int code = list_files(paths, &found);
    for (size_t i = 0; i < found.length && code == CLI_OK; i++)
        code =
            i > UINT32_MAX ? cli_fail(CLI_UNSUPPORTED, "too many files") : add_file(corpus, found.data[i], (uint32_t)i);
    if (code == CLI_OK && corpus->ends.length == 0) {
        code = cli_fail(CLI_FAILURE, "%s: no passage to search", paths->data[0]);
        cli_hint("a corpus is a text file with a passage a line, or a directory of *.txt and *.md files");
    }
    for (size_t i = 0; i < found.length; i++)
        em__free(found.data[i]);
    em__vec_free(&found);
    return code;
}

void cli_corpus_free(cli_corpus *corpus)
{
    em__str_free(&corpus->text);
    em__str_free(&corpus->names);
    em__vec_free(&corpus->ends);
    em__vec_free(&corpus->lines);
    em__vec_free(&corpus->files);
}
    cli_ill_end(corpus->ill, corpus->ends.length);
