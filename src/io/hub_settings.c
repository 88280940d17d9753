/* Settings of a hub call: options first, then the environment, then the defaults of huggingface_hub. */
#include <fnmatch.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "io/file.h"
#include "io/hub.h"
#include "io/json.h"

#define ENDPOINT "https://huggingface.co"
#define NAME_LIMIT 96

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static bool env_true(const char *name)
{
    const char *value = env(name);
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "on") == 0 || strcasecmp(value, "yes") == 0 ||
                     strcasecmp(value, "true") == 0);
}

/* A copy of `path` with a leading ~ replaced, and `more` appended. Without HOME the user's entry says where home is. */
static char *expand(const char *path, const char *more)
{
    const char *home = env("HOME");
    struct passwd entry, *found = NULL;
    char text[4096];
    if (path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
        return em__format("%s%s", path, more);
    if (!home && getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
        home = entry.pw_dir;
    if (home && *home)
        return em__format("%s%s%s", home, path + 1, more);
    em__fail(EM_ERROR_NOT_FOUND, "hub: %s: HOME is not set; HF_HOME says where models are kept", path);
    return NULL;
}

/* HF_HOME or what stands for it, with `more` appended. */
static char *hf_home(const char *more)
{
    if (env("HF_HOME"))
        return expand(env("HF_HOME"), more);
    char *base =
        env("XDG_CACHE_HOME") ? expand(env("XDG_CACHE_HOME"), "/huggingface") : expand("~/.cache/huggingface", "");
    char *path = base ? em__format("%s%s", base, more) : NULL;
    em__free(base);
    return path;
}

static char *find_cache(const em_hub_options *options)
{
    const char *dir = options->cache_dir    ? options->cache_dir
                      : env("HF_HUB_CACHE") ? env("HF_HUB_CACHE")
                                            : env("HUGGINGFACE_HUB_CACHE");
    return dir ? expand(dir, "") : hf_home("/hub");
}

/* Trims white space; what would break a header is refused. The token itself never goes into a message. */
static em_status clean_token(const char *text, const char *where, char **token)
{
    while (*text && strchr(" \t\r\n", *text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        EM__FAIL_IF(text[i] <= ' ' || text[i] == 0x7f, EM_ERROR_INVALID_ARGUMENT,
                    "%s: the token has white space or a control character in it", where);
    *token = n ? em__strndup(text, n) : NULL;
    return n && !*token ? EM_ERROR_OUT_OF_MEMORY : EM_OK;
}

static em_status find_token(const em_hub_options *options, char **token)
{
    if (options->token)
        return clean_token(options->token, "options.token", token);
    if (env("HF_TOKEN"))
        return clean_token(env("HF_TOKEN"), "HF_TOKEN", token);
    if (env("HUGGING_FACE_HUB_TOKEN"))
        return clean_token(env("HUGGING_FACE_HUB_TOKEN"), "HUGGING_FACE_HUB_TOKEN", token);
    char *path = env("HF_TOKEN_PATH") ? expand(env("HF_TOKEN_PATH"), "") : hf_home("/token");
    char *text = NULL;
    size_t size;
    em_status status =
        path || em_last_status() == EM_ERROR_NOT_FOUND ? EM_OK : em_last_status(); /* no home: no token */
    if (path && em__path_is_file(path)) {
        status = em__file_read(path, 4096, &text, &size);
        if (status == EM_OK)
            status = clean_token(text, path, token);
    }
    em__free(text);
    em__free(path);
    return status;
}

/* One part of a repository's name: as the hub has them. */
static bool is_name_part(const char *text, size_t n)
{
    if (n == 0 || n > NAME_LIMIT || strchr("-.", text[0]) || strchr("-.", text[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        bool joint = c == '-' || c == '.';
        /* "--" separates the parts in the cache; ".." is a parent. */
        if (!plain && (!joint || text[i + 1] == c))
            return false;
    }
    return true;
}

static em_status fail_name(const char *name)
{
    char shown[120];
    return em__fail(EM_ERROR_INVALID_ARGUMENT,
                    "model \"%s\": no such directory, and not a hub name: expected name, org/name or org/name@revision",
                    em__printable(shown, sizeof shown, name));
}

/* org/name[@revision] or name[@revision]. */
static em_status split_name(em__hub *hub, const char *name)
{
    const char *at = strchr(name, '@'), *slash = strchr(name, '/');
    size_t n = at ? (size_t)(at - name) : strlen(name);
    if (slash && slash > name + n)
        slash = NULL;
    size_t org = slash ? (size_t)(slash - name) : 0, base = slash ? org + 1 : 0;
    if ((slash && !is_name_part(name, org)) || !is_name_part(name + base, n - base))
        return fail_name(name);
    const char *revision = hub->options.revision ? hub->options.revision : at ? at + 1 : "main";
    char shown[120];
    EM__FAIL_IF(!em__hub_is_safe_path(revision), EM_ERROR_INVALID_ARGUMENT,
                "model \"%.*s\": revision \"%s\" can't be one", (int)n, name,
                em__printable(shown, sizeof shown, revision));
    hub->repo[0] = em__strndup(name, n);
    hub->repo[1] = slash ? NULL : em__format("sentence-transformers/%.*s", (int)n, name);
    hub->revision = em__strdup(revision);
    return hub->repo[0] && (slash || hub->repo[1]) && hub->revision ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em_status em__hub_init(em__hub *hub, const char *name, const em_hub_options *options)
{
    *hub = (em__hub){0};
    EM__TRY(EM__OPTIONS_COPY(options, &hub->options, em_hub_options));
    const char *endpoint = hub->options.endpoint ? hub->options.endpoint : env("HF_ENDPOINT");
    hub->offline = hub->options.offline || env_true("HF_HUB_OFFLINE") || env_true("TRANSFORMERS_OFFLINE");
    hub->endpoint = em__strdup(endpoint ? endpoint : ENDPOINT);
    hub->cache = find_cache(&hub->options);
    if (!hub->endpoint || !hub->cache)
        return em_last_status();
    for (size_t n = strlen(hub->endpoint); n > 0 && hub->endpoint[n - 1] == '/'; n--)
        hub->endpoint[n - 1] = '\0';
    EM__TRY(split_name(hub, name));
    return find_token(&hub->options, &hub->token);
}

void em__hub_free(em__hub *hub)
{
    em__free(hub->cache);
    em__free(hub->endpoint);
    em__free(hub->token);
    em__free(hub->repo[0]);
    em__free(hub->repo[1]);
    em__free(hub->revision);
    *hub = (em__hub){0};
}

/* What a model needs, in its own folder or in a module's ("1_Pooling"). */
static const char *const wanted[] = {
    "config*.json",
    "generation_config.json",
    "modules.json",
    "sentence_*_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "merges*",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "*.jinja",
    "preprocessor_config.json",
    "processor_config.json",
};
/* Weights a second time, in other clothes. */
static const char *const unwanted[] = {"consolidated*", "*.fp16.safetensors", "tokenizer*.onnx", "flax_model*",
                                       "tf_model*"};

static bool matches(const char *const *patterns, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(patterns[i], text, FNM_PATHNAME | FNM_PERIOD) == 0)
            return true;
    return false;
}

bool em__hub_wants(const em__hub *hub, const char *file)
{
    const char *const *files = hub->options.files;
    size_t n = 0;
    while (files && files[n])
        n++;
    if (files)
        return matches(files, n, file);
    const char *slash = strchr(file, '/'), *base = slash ? slash + 1 : file;
    bool module = slash && file[0] >= '0' && file[0] <= '9' && memchr(file, '_', (size_t)(slash - file));
    if (slash && !module)
        return fnmatch("*/config.json", file, FNM_PATHNAME) == 0 && strncmp(file, "onnx/", 5) != 0 &&
               strncmp(file, "openvino/", 9) != 0;
    return matches(wanted, sizeof wanted / sizeof wanted[0], base) &&
           !matches(unwanted, sizeof unwanted / sizeof unwanted[0], base);
}
