/* Loading tokenizer.json beside the weights. */
#include "models/tokenizer.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"
#include "io/json.h"

enum { CAP = 256 << 20 };

static bool is_lowercase(const json_t *normalizer)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    return type && strcmp(type, "Lowercase") == 0;
}

/* Does it lowercase already, by sentence-transformers' test: it is Lowercase, or a Sequence that has it? */
static bool lowers(const json_t *normalizer)
{
    const json_t *list = json_object_get(normalizer, "normalizers"), *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item) if (is_lowercase(item)) return true;
    return is_lowercase(normalizer);
}

/* {"type": "Sequence", "normalizers": [Lowercase, what was there]} */
static json_t *lowered(json_t *normalizer)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    json_t *own = json_object_get(normalizer, "normalizers");
    json_t *list = json_pack("[{s:s}]", "type", "Lowercase");
    bool ok = list != NULL;
    if (ok && type && strcmp(type, "Sequence") == 0 && json_is_array(own))
        ok = json_array_extend(list, own) == 0;
    else if (ok && normalizer && !json_is_null(normalizer))
        ok = json_array_append(list, normalizer) == 0;
    json_t *sequence = ok ? json_pack("{s:s, s:O}", "type", "Sequence", "normalizers", list) : NULL;
    json_decref(list);
    return sequence;
}

static em_status parse_lowered(const em__json_doc *doc, em_tokenizer **tokenizer)
{
    json_t *normalizer = json_object_get(doc->root, "normalizer");
    if (!lowers(normalizer)) {
        json_t *sequence = lowered(normalizer);
        if (!sequence || json_object_set_new(doc->root, "normalizer", sequence) != 0)
            return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", doc->source);
    }
    char *text = json_dumps(doc->root, JSON_COMPACT);
    EM__FAIL_IF(!text, EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", doc->source);
    em_status status = em_tokenizer_parse(text, strlen(text), tokenizer);
    em__json_text_free(text);
    return em__context(status, "%s", doc->source);
}

static em_status open_lowered(const char *dir, em_tokenizer **tokenizer)
{
    em__json_doc doc = {0};
    char *path = em__path_join(dir, "tokenizer.json");
    em_status status = path ? em__json_load(path, CAP, &doc) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        status = parse_lowered(&doc, tokenizer);
    em__json_free(&doc);
    em__free(path);
    return status;
}

static void *load_tokenizer(void *context)
{
    em__tokenizer_load *load = context;
    load->status =
        load->lowercase ? open_lowered(load->dir, &load->tokenizer) : em_tokenizer_open(load->dir, &load->tokenizer);
    if (load->status != EM_OK && load->threaded)
        load->error = em__strdup(em_last_error());
    return NULL;
}

void em__tokenizer_start(em__tokenizer_load *load, const char *dir, bool lowercase)
{
    memset(load, 0, sizeof *load);
    load->dir = dir;
    load->lowercase = lowercase;
    load->threaded = true;
    if (pthread_create(&load->thread, NULL, load_tokenizer, load) != 0) {
        load->threaded = false;
        load_tokenizer(load);
    }
}

em_status em__tokenizer_join(em__tokenizer_load *load, em_tokenizer **tokenizer)
{
    if (load->threaded)
        pthread_join(load->thread, NULL);
    *tokenizer = load->tokenizer;
    if (load->threaded && load->status != EM_OK)
        em__fail(load->status, "%s", load->error ? load->error : em_status_text(load->status));
    em__free(load->error);
    return load->status;
}

void em__tokenizer_discard(em__tokenizer_load *load)
{
    if (load->threaded)
        pthread_join(load->thread, NULL);
    em_tokenizer_free(load->tokenizer);
    em__free(load->error);
}
