/* Names, the environment's precedence, and what a cache on disk resolves to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/faults.h"
#include "io/file.h"
#include "io/hub.h"
#include "support/temp.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static int setup(void **state)
{
    static const char *const names[] = {
        "HF_HOME",       "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME",         "HF_TOKEN",
        "HF_TOKEN_PATH", "HF_ENDPOINT",  "HF_HUB_OFFLINE",        "HUGGING_FACE_HUB_TOKEN", "TRANSFORMERS_OFFLINE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    int failed = temp_setup(state);
    setenv("HOME", *state, 1);
    return failed;
}

/* A cached repository with config.json behind a link, as huggingface_hub lays it out. */
static void make_entry(const char *cache, const char *folder, const char *revision)
{
    char text[1024];
    snprintf(text, sizeof text, "%s/blobs", folder);
    assert_int_equal(em__dir_make(temp_path(cache, text)), EM_OK);
    snprintf(text, sizeof text, "%s/snapshots/" COMMIT, folder);
    assert_int_equal(em__dir_make(temp_path(cache, text)), EM_OK);
    snprintf(text, sizeof text, "%s/blobs/abc", folder);
    temp_text(cache, text, "{}");
    snprintf(text, sizeof text, "%s/snapshots/" COMMIT "/config.json", folder);
    assert_int_equal(symlink("../../blobs/abc", temp_path(cache, text)), 0);
    snprintf(text, sizeof text, "%s/refs/%s", folder, revision);
    *strrchr(text, '/') = '\0';
    assert_int_equal(em__dir_make(temp_path(cache, text)), EM_OK);
    snprintf(text, sizeof text, "%s/refs/%s", folder, revision);
    temp_text(cache, text, COMMIT);
}

static void resolves(const char *name, const char *end)
{
    char *path;
    if (em_hub_resolve(name, NULL, &path) != EM_OK)
        fail_msg("%s", em_last_error());
    size_t n = strlen(path), m = strlen(end);
    if (n < m || strcmp(path + n - m, end) != 0)
        fail_msg("%s resolves to %s, which does not end in %s", name, path, end);
    em_hub_path_free(path);
}

static void refuses(const char *name, em_status expected, const char *part)
{
    char *path;
    assert_int_equal(em_hub_resolve(name, NULL, &path), expected);
    assert_error_has(part);
    assert_null(path);
}

static void test_paths(void **state)
{
    resolves(*state, *state);
    resolves(temp_text(*state, "model.gguf", "x"), "/model.gguf");
    make_entry(*state, "models--org--name", "main");
    resolves(temp_path(*state, "models--org--name"), "models--org--name/snapshots/" COMMIT);
    refuses("/no/such/place", EM_ERROR_NOT_FOUND, "/no/such/place: no such file or directory");
    refuses("./x", EM_ERROR_NOT_FOUND, "./x: no such file or directory");
    unlink(temp_path(*state, "models--org--name/refs/main"));
    refuses(temp_path(*state, "models--org--name"), EM_ERROR_NOT_FOUND, "no snapshot of revision \"main\"");
}

static void test_cache(void **state)
{
    setenv("HF_HUB_CACHE", *state, 1);
    make_entry(*state, "models--org--name", "main");
    make_entry(*state, "models--org--other", "refs/pr/1");
    make_entry(*state, "models--sentence-transformers--mini-v2", "main");
    make_entry(*state, "models--gpt2", "main");
    resolves("org/name", "models--org--name/snapshots/" COMMIT);
    resolves("org/name@main", "models--org--name/snapshots/" COMMIT);
    resolves("org/name@" COMMIT, "models--org--name/snapshots/" COMMIT);
    resolves("org/other@refs/pr/1", "models--org--other/snapshots/" COMMIT);
    resolves("mini-v2", "models--sentence-transformers--mini-v2/snapshots/" COMMIT);
    resolves("gpt2", "models--gpt2/snapshots/" COMMIT);
    refuses("org/name@v2", EM_ERROR_NOT_FOUND, "model \"org/name\", revision v2: not on this machine; looked for");
    assert_error_has("models--org--name; run: emily pull org/name@v2");
    refuses("nothing", EM_ERROR_NOT_FOUND, "models--sentence-transformers--nothing; run: emily pull nothing");
    assert_error_has("/models--nothing, ");
    unlink(temp_path(*state, "models--gpt2/blobs/abc"));
    refuses("gpt2", EM_ERROR_NOT_FOUND, "the download is not complete; run: emily pull gpt2");
    /* A reference must be a commit: it becomes part of a path. */
    temp_text(*state, "models--gpt2/refs/main", "../../../../etc");
    refuses("gpt2", EM_ERROR_NOT_FOUND, "not on this machine");
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"a/b/c", "org/",  "/x@",   "a/../b", "-a/b",     "a/b.",   "a--b/c", "a..b",
                                      "a b",   "a/b\n", "@main", "a/b@",   "a/b@../x", "a/b@/x", "a\\b",   "a/b@x\\y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *path;
        em_status status = em_hub_resolve(bad[i], NULL, &path);
        assert_true(status == EM_ERROR_INVALID_ARGUMENT || (bad[i][0] == '/' && status == EM_ERROR_NOT_FOUND));
    }
    char *path;
    assert_int_equal(em_hub_resolve("", NULL, &path), EM_ERROR_INVALID_ARGUMENT);
    path = (char *)&bad;
    assert_int_equal(em_hub_resolve(NULL, NULL, &path), EM_ERROR_INVALID_ARGUMENT);
    assert_null(path);
    path = (char *)&bad;
    assert_int_equal(em_hub_pull(NULL, NULL, &path), EM_ERROR_INVALID_ARGUMENT);
    assert_null(path);
    refuses("a/b@../x", EM_ERROR_INVALID_ARGUMENT, "revision \"../x\" can't be one");
    refuses("a b", EM_ERROR_INVALID_ARGUMENT, "expected name, org/name or org/name@revision");
}

static void cache_is(const char *expected, const char *token)
{
    em__hub hub;
    assert_int_equal(em__hub_init(&hub, "a/b", NULL), EM_OK);
    assert_string_equal(hub.cache, expected);
    assert_string_equal(hub.token ? hub.token : "(none)", token);
    em__hub_free(&hub);
}

static void test_environment(void **state)
{
    char expected[2048];
    snprintf(expected, sizeof expected, "%s/.cache/huggingface/hub", (const char *)*state);
    cache_is(expected, "(none)");
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    cache_is("/xdg/huggingface/hub", "(none)");
    em__dir_make(temp_path(*state, "home"));
    temp_text(*state, "home/token", " hf_file\n");
    setenv("HF_HOME", "~/home", 1);
    snprintf(expected, sizeof expected, "%s/home/hub", (const char *)*state);
    cache_is(expected, "hf_file");
    setenv("HF_HUB_CACHE", "/cache", 1);
    setenv("HF_TOKEN", "hf_env", 1);
    cache_is("/cache", "hf_env");
    em__hub hub;
    em_hub_options options = {.struct_size = sizeof options, .cache_dir = "/c", .token = "", .endpoint = "https://x//"};
    setenv("HF_HUB_OFFLINE", "yes", 1);
    assert_int_equal(em__hub_init(&hub, "a/b", &options), EM_OK);
    assert_string_equal(hub.cache, "/c");
    assert_string_equal(hub.endpoint, "https://x");
    assert_null(hub.token);
    assert_true(hub.offline);
    em__hub_free(&hub);
    setenv("HF_TOKEN", "a\r\nX-Evil: 1", 1);
    assert_int_equal(em__hub_init(&hub, "a/b", NULL), EM_ERROR_INVALID_ARGUMENT);
    assert_error_has("HF_TOKEN: the token has white space");
    em__hub_free(&hub);
    options.struct_size = offsetof(em_hub_options, token);
    unsetenv("HF_TOKEN");
    assert_int_equal(em__hub_init(&hub, "a/b", &options), EM_OK); /* of an older header: fewer options */
    assert_string_equal(hub.endpoint, "https://x");
    assert_non_null(hub.token);
    em__hub_free(&hub);
    options.struct_size = 3;
    assert_int_equal(em__hub_init(&hub, "a/b", &options), EM_ERROR_INVALID_ARGUMENT);
    options.struct_size = sizeof options + 1;
    assert_int_equal(em__hub_init(&hub, "a/b", &options), EM_ERROR_INVALID_ARGUMENT);
}

static void test_wanted(void **state)
{
    (void)state;
    em__hub hub = {0};
    static const char *const yes[] = {"config.json",
                                      "model.safetensors",
                                      "model-00001-of-00002.safetensors",
                                      "vocab.txt",
                                      "model.safetensors.index.json",
                                      "tokenizer.json",
                                      "tokenizer_config.json",
                                      "merges.txt",
                                      "modules.json",
                                      "1_Pooling/config.json",
                                      "2_Dense/model.safetensors",
                                      "2_Dense/config.json",
                                      "sentence_bert_config.json",
                                      "config_sentence_transformers.json",
                                      "special_tokens_map.json",
                                      "chat_template.jinja",
                                      "sentencepiece.bpe.model"};
    static const char *const no[] = {"README.md",
                                     ".gitattributes",
                                     "pytorch_model.bin",
                                     "onnx/model.onnx",
                                     "openvino/x.xml",
                                     "tf_model.h5",
                                     "onnx/config.json",
                                     "original/consolidated.00.pth",
                                     "rust_model.ot",
                                     "consolidated.safetensors",
                                     "train_script.py",
                                     "fp16/model.safetensors",
                                     "data_config.json",
                                     "2_Dense/pytorch_model.bin",
                                     "1_Pooling/deep/config.json"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!em__hub_wants(&hub, yes[i]))
            fail_msg("%s is not wanted", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (em__hub_wants(&hub, no[i]))
            fail_msg("%s is wanted", no[i]);
    const char *const files[] = {"*.md", NULL};
    hub.options.files = files;
    assert_true(em__hub_wants(&hub, "README.md"));
    assert_false(em__hub_wants(&hub, "config.json"));
}

static void test_safe_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "/x",  "../x",  "a/../b", "a/..", "a//b",
                                      "a/", "./a", "a/./b", "a\\b",   "a\nb", "\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(em__hub_is_safe_path(bad[i]));
    assert_true(em__hub_is_safe_path("a/b..c/.d/e"));
}

static em_status resolve_once(void *name)
{
    char *path;
    em_status status = em_hub_resolve(name, NULL, &path);
    em_hub_path_free(path);
    return status;
}

static void test_every_allocation_fails(void **state)
{
    setenv("HF_HUB_CACHE", *state, 1);
    make_entry(*state, "models--sentence-transformers--mini", "main");
    assert_true(faults_sweep(resolve_once, (void *)(uintptr_t) "mini") > 10);
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEMP(test_paths),
                                       TEMP(test_cache),
                                       TEMP(test_names),
                                       TEMP(test_environment),
                                       TEMP(test_wanted),
                                       TEMP(test_safe_paths),
                                       TEMP(test_every_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
