/* Reading recorded decoders. */
#include "harness/decoders.h"

#include <stdio.h>
#include <string.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"

static json_t *load_cases(void)
{
    json_error_t error;
    json_t *root = json_load_file(golden_path("decoders/cases.json"), 0, &error);
    if (!root)
        fail_msg("decoders/cases.json: %s", error.text);
    return root;
}

size_t decoder_count(void)
{
    json_t *root = load_cases();
    size_t n = json_array_size(json_object_get(root, "cases"));
    json_decref(root);
    return n;
}

/* The checkpoint's own config.json with `change` ({"set", "remove"}) made to it, in the scratch directory. */
static void apply(decoder_case *c, const json_t *change)
{
    char folder[256];
    const char *key;
    json_t *value, *set = json_object_get(change, "set"), *gone = json_object_get(change, "remove");
    size_t i;
    snprintf(folder, sizeof folder, "decoders/%s", json_string_value(json_object_get(c->json, "checkpoint")));
    if (json_object_size(set) == 0 && json_array_size(gone) == 0) {
        snprintf(c->dir, sizeof c->dir, "%s", golden_path(folder));
        return;
    }
    snprintf(c->dir, sizeof c->dir, "%s", checkpoint_copy(folder, c->scratch));
    json_array_foreach(gone, i, value) checkpoint_set(c->dir, "config.json", json_string_value(value), NULL);
    json_object_foreach(set, key, value)
    {
        char text[1024];
        size_t length = json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY);
        assert_true(length < sizeof text);
        text[length] = '\0';
        checkpoint_set(c->dir, "config.json", key, text);
    }
}

static const void *find(const decoder_case *c, const char *name, em_dtype dtype, size_t *first, size_t *second)
{
    const em_safetensors_tensor *t = em_safetensors_find(c->expected, name);
    if (!t)
        return NULL;
    assert_int_equal(t->dtype, dtype);
    *first = (size_t)t->dims.dims[0];
    *second = t->dims.rank > 1 ? (size_t)t->dims.dims[1] : 1;
    return t->data;
}

void decoder_open(decoder_case *c, size_t index, const char *scratch)
{
    char file[256];
    size_t rows = 0, columns = 0;
    memset(c, 0, sizeof *c);
    snprintf(c->scratch, sizeof c->scratch, "%s", scratch);
    c->root = load_cases();
    c->json = json_array_get(json_object_get(c->root, "cases"), index);
    c->name = json_string_value(json_object_get(c->json, "name"));
    assert_non_null(c->name);
    c->chunks = json_is_true(json_object_get(c->json, "chunks"));
    c->spellings = json_array_size(json_object_get(c->json, "spellings"));
    apply(c, c->json);
    snprintf(file, sizeof file, "decoders/expected/%s.safetensors", c->name);
    EXPECT_OK(em_safetensors_open(golden_path(file), NULL, &c->expected));
    c->ids = find(c, "ids", EM_S32, &c->tokens, &columns);
    c->offsets = find(c, "offsets", EM_S32, &rows, &columns);
    c->prompts = rows - 1;
    c->logits = find(c, "logits", EM_F32, &rows, &c->vocabulary);
    assert_int_equal(rows, c->tokens);
    c->greedy = find(c, "greedy", EM_S32, &rows, &columns);
    assert_true(rows == c->prompts && columns == DECODER_STEPS);
    c->steps = find(c, "steps", EM_F32, &rows, &columns);
}

void decoder_spell(decoder_case *c, size_t index)
{
    apply(c, json_array_get(json_object_get(c->json, "spellings"), index));
}

void decoder_close(decoder_case *c)
{
    em_safetensors_close(&c->expected);
    json_decref(c->root);
}

size_t decoder_prompt(const decoder_case *c, size_t p, const int32_t **ids)
{
    *ids = c->ids + c->offsets[p];
    return (size_t)(c->offsets[p + 1] - c->offsets[p]);
}
