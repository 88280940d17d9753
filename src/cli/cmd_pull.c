/* emily pull: a model from the hub into the Hugging Face cache. */
#include <string.h>

#include <emily/hub.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/session.h"

typedef struct pull_values {
    const char *revision, *cache;
    cli_words include;
    int quiet;
} pull_values;

static const cli_option options[] = {
    {"revision", 'r', "REV", "branch, tag or commit (what follows @, else main)", CLI_TEXT,
     offsetof(pull_values, revision)},
    {"include", 0, "PATTERN", "files to fetch, such as \"*.json\"; may be repeated (what a model needs)", CLI_LIST,
     offsetof(pull_values, include)},
    {"cache", 0, "DIR", "where to put it (HF_HUB_CACHE, else HF_HOME/hub)", CLI_TEXT, offsetof(pull_values, cache)},
    {"quiet", 'q', NULL, "no progress line", CLI_FLAG, offsetof(pull_values, quiet), 1},
    {NULL},
};

static bool show_progress(const em_hub_progress *now, void *user)
{
    cli_progress *progress = user;
    char detail[160];
    const char *name = strrchr(now->file, '/') ? strrchr(now->file, '/') + 1 : now->file;
    if (!*name)
        name = now->repo;
    snprintf(detail, sizeof detail, "%.1f of %.1f MB  %s", (double)now->done * 1e-6, (double)now->total * 1e-6, name);
    cli_progress_update(progress, now->total ? (double)now->done / (double)now->total : -1, detail);
    return true;
}

static int run(const void *given, const cli_words *operands)
{
    const pull_values *values = given;
    cli_words patterns = {0};
    cli_progress progress;
    em_hub_options how = {
        .struct_size = sizeof how,
        .revision = values->revision,
        .cache_dir = values->cache,
        .progress = show_progress,
        .user = &progress,
    };
    em_status status = EM_OK;
    const int code = cli_model_named(operands->data[0]);
    if (code != CLI_OK)
        return code;
    if (values->revision && strchr(operands->data[0], '@'))
        return cli_fail(CLI_USAGE, "pull: %s names a revision, and --revision %s another", operands->data[0],
                        values->revision);
    for (size_t i = 0; i <= values->include.length && status == EM_OK; i++)
        status = em__vec_push(&patterns, i < values->include.length ? values->include.data[i] : NULL);
    how.files = values->include.length ? patterns.data : NULL;
    cli_progress_begin(&progress, "pulling");
    progress.wanted = progress.wanted && !values->quiet;
    char *path = NULL;
    if (status == EM_OK)
        status = em_hub_pull(operands->data[0], &how, &path);
    cli_progress_end(&progress);
    if (status == EM_OK)
        printf("%s\n", path);
    else
        cli_fail_last();
    em_hub_path_free(path);
    em__vec_free(&patterns);
    return status == EM_OK ? CLI_OK : cli_exit_code(status);
}

const cli_command cli_pull = {
    .name = "pull",
    .operands = "ORG/NAME[@REVISION]",
    .summary = "download a model into the Hugging Face cache",
    .examples = "emily pull sentence-transformers/all-MiniLM-L6-v2\n"
                "emily pull intfloat/e5-small-v2@main\n"
                "HF_ENDPOINT=https://mirror.example emily pull BAAI/bge-small-en-v1.5\n",
    .notes = "Prints the directory. What is there already is not fetched again, a broken download goes on where it\n"
             "stopped, and sizes and hashes are checked. HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and\n"
             "HF_HUB_OFFLINE are honoured.\n",
    .options = options,
    .least = 1,
    .most = 1,
    .values_size = sizeof(pull_values),
    .run = run,
};
