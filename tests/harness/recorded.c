/* Reading recorded models. */
#include "harness/recorded.h"

#include <stdio.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/golden.h"
#include "models/decoder/config.h"

const char *const recorded_names[] = {"bert-mean-gelu",
                                      "bert-cls-relu-prefix",
                                      "bert-max-gelu-new-shards",
                                      "bert-last-silu-f16",
                                      "bert-sqrt-dense-tanh-bf16",
                                      "bert-weighted-dense-lower",
                                      "bert-concat-pooling",
                                      "bert-plain",
                                      "mpnet-mean",
                                      "mpnet-cls-prefix",
                                      "bert-truncate-dim",
                                      "bert-truncation-left",
                                      "roberta-mean",
                                      "roberta-weighted-prefix-pad",
                                      "xlm-roberta-cls",
                                      "camembert-mean-f16",
                                      "distilbert-mean",
                                      "distilbert-dense-prefix",
                                      "qwen3-last",
                                      "mistral-mean-dense-window",
                                      "qwen2-both-ways-bf16",
                                      NULL};

static void read_npy(const recorded *r, const char *file, em_dtype dtype, em__npy *npy)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/expected/%s.npy", r->dir, file);
    EXPECT_OK(em__npy_read(path, EM__MAP_PAGES, npy));
    assert_int_equal(npy->dtype, dtype);
}

static void read_cases(recorded *r)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/expected/cases.json", r->dir);
    EXPECT_OK(em__json_load(path, EM__JSON_INDEX_CAP, &r->doc));
    em__json root = em__json_root(&r->doc), texts, settings;
    const char *family;
    EXPECT_OK(em__json_get_object(&root, "settings", &settings));
    EXPECT_OK(em__json_get_string(&settings, "family", &family));
    r->decoder = em__decoder_family_find(family);
    EXPECT_OK(em__json_get_array(&root, "texts", &texts, &r->n_cases));
    assert_true(r->n_cases <= RECORDED_CASES);
    for (size_t i = 0; i < r->n_cases; i++) {
        em__json item = em__json_item(&texts, i);
        recorded_case *c = &r->cases[i];
        EXPECT_OK(em__json_get_string(&item, "text", &c->text));
        EXPECT_OK(em__json_opt_string(&item, "prompt", &c->prompt));
        EXPECT_OK(em__json_opt_string(&item, "prompt_name", &c->prompt_name));
    }
}

void recorded_open(recorded *r, const char *name)
{
    char folder[256];
    memset(r, 0, sizeof *r);
    snprintf(folder, sizeof folder, "models/%s", name);
    snprintf(r->path, sizeof r->path, "%s", golden_path(folder));
    r->dir = r->path;
    read_npy(r, "ids", EM_S32, &r->ids);
    read_npy(r, "type_ids", EM_S32, &r->types);
    read_npy(r, "offsets", EM_S32, &r->offsets);
    read_npy(r, "hidden_f64", EM_F64, &r->hidden);
    read_npy(r, "embeddings_f64", EM_F64, &r->embeddings);
    r->n_sequences = (size_t)r->offsets.dims.dims[0] - 1;
    read_cases(r);
}

void recorded_close(recorded *r)
{
    em__npy_close(&r->ids);
    em__npy_close(&r->types);
    em__npy_close(&r->offsets);
    em__npy_close(&r->hidden);
    em__npy_close(&r->embeddings);
    em__json_free(&r->doc);
}
