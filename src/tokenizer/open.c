/* Opening a tokenizer: from text, from a file, or from the directory of a checkpoint. */
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"
#include "tokenizer/load.h"
#include "tokenizer/unicode.h"

static em_status parse(const char *json, size_t length, em__beside *beside, em_tokenizer **tokenizer)
{
    static atomic_uint_fast64_t serial;
    if (tokenizer)
        *tokenizer = NULL;
    EM__FAIL_IF(!json || !tokenizer, EM_ERROR_INVALID_ARGUMENT,
                "tokenizer: parse needs text and a place for the result");
    EM__FAIL_IF(length > UINT32_MAX, EM_ERROR_FORMAT, "tokenizer.json: %zu bytes, at most 4 GiB", length);
    em_tokenizer *tok = em__calloc(1, sizeof *tok);
    if (!tok)
        return EM_ERROR_OUT_OF_MEMORY;
    em__uc_init();
    tok->serial = atomic_fetch_add(&serial, 1) + 1;
    em_status status = em__tokenizer_build(tok, json, length, beside);
    if (status != EM_OK) {
        em_tokenizer_free(tok);
        return status;
    }
    *tokenizer = tok;
    return EM_OK;
}

em_status em_tokenizer_parse(const char *json, size_t length, em_tokenizer **tokenizer)
{
    return parse(json, length, &(em__beside){0}, tokenizer);
}

#define FILE_CAP ((size_t)256 << 20) /* of the largest vocabularies, of 256,000 tokens, it has 33 MB */
#define FETCH "fetch tokenizer.json from where the model came from"

/* Of a name that nothing has, and of what is no file, the error also says what to do. */
static em_status read_file(const char *path, char **data, size_t *length)
{
    struct stat info;
    const em_status status = em__file_read(path, FILE_CAP, data, length);
    if (status == EM_ERROR_NOT_FOUND || (status == EM_ERROR_IO && stat(path, &info) == 0 && !S_ISREG(info.st_mode)))
        return em__fail(status, "%s; " FETCH, em_last_error());
    return status;
}

static em_status parse_file(const char *path, const char *data, size_t length, em__beside *beside,
                            em_tokenizer **tokenizer)
{
    EM__FAIL_IF(length == 0, EM_ERROR_FORMAT, "%s: the file is empty; " FETCH, path);
    EM__TRY(em__file_check_pointer(path, data, length));
    const em_status status = parse(data, length, beside, tokenizer);
    if (beside->failed)
        return status;
    if (status == EM_ERROR_FORMAT)
        return em__fail(status, "%s: %s; the file is damaged, or no tokenizer.json", path, em_last_error());
    if (status == EM_ERROR_UNSUPPORTED)
        return em__fail(status, "%s: %s; this version cannot tokenize for the model", path, em_last_error());
    return em__context(status, "%s", path);
}

em_status em__tokenizer_open(const char *path, bool lowercase, em_tokenizer **tokenizer)
{
    struct stat info;
    char *data = NULL, *inside = NULL;
    size_t length = 0;
    if (tokenizer)
        *tokenizer = NULL;
    EM__FAIL_IF(!path || !tokenizer, EM_ERROR_INVALID_ARGUMENT,
                "tokenizer: open needs a path and a place for the result");
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        inside = em__format("%s/tokenizer.json", path);
        if (!inside)
            return EM_ERROR_OUT_OF_MEMORY;
    }
    em_status status = read_file(inside ? inside : path, &data, &length);
    if (status == EM_OK) {
        status =
            parse_file(inside ? inside : path, data, length, &(em__beside){inside ? path : NULL, lowercase}, tokenizer);
        em__free(data);
    }
    em__free(inside);
    return status;
}

em_status em_tokenizer_open(const char *path, em_tokenizer **tokenizer)
{
    return em__tokenizer_open(path, false, tokenizer);
}
