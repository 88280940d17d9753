/* Opening a model as the command line asks, and what to try when it does not open. */
#include "cli/session.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <emily/hub.h>
#include <emily/safetensors.h>

#include "core/cause.h"
#include "core/str.h"

/* Whether the list of tensors of a checkpoint can be read. */
static bool has_header(const char *name)
{
    char *path = NULL;
    em_safetensors *file = NULL;
    bool good = em_hub_resolve(name, NULL, &path) == EM_OK && em_safetensors_open(path, NULL, &file) == EM_OK;
    em_safetensors_close(&file);
    em_hub_path_free(path);
    return good;
}

static bool holds(const char *folder, int length, const char *file)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%.*s/%s", length, folder, file);
    return n < (int)sizeof path && access(path, R_OK) == 0;
}

void cli_hint_missing(const char *name)
{
    const char *slash = strrchr(name, '/'), *folder = slash ? name : ".";
    const int length = slash > name ? (int)(slash - name) : 1; /* the folder of /file is / */
    struct stat info;
    if (stat(name, &info) != 0)
        cli_hint("there is no folder %s; `emily pull ORG/NAME` downloads a model", name);
    else if (em__ends_with(name, ".gguf"))
        cli_hint("GGUF is not read; what it was made of is: a folder with config.json and *.safetensors");
    else if (S_ISREG(info.st_mode) && holds(folder, length, "config.json"))
        cli_hint("name the folder that it lies in: %.*s", length, folder);
    else if (holds(name, (int)strlen(name), "adapter_config.json"))
        cli_hint("an adapter is no model: merge it into its base, as merge_and_unload of peft does");
    else
        cli_hint("a model is a folder with config.json and *.safetensors; `emily pull ORG/NAME` downloads one");
}

int cli_fail_model(const char *name)
{
    const em_status status = em_last_status();
    const bool told = cli_last_next() > 0, json = em__last_cause() == EM__CAUSE_JSON;
    const int code = cli_fail_last();
    if (told)
        return code;
    if (status == EM_ERROR_FORMAT && json)
        cli_hint("the file is damaged, or was edited so: mend it, or fetch it again");
    else if ((status == EM_ERROR_FORMAT || status == EM_ERROR_UNSUPPORTED) && has_header(name))
        cli_hint("`emily info %s --tensors` shows what is there", name);
    else if (status == EM_ERROR_FORMAT)
        cli_hint("the file is damaged, or its download broke off: fetch it again");
    else if (status == EM_ERROR_NOT_FOUND)
        cli_hint_missing(name);
    return code;
}

em_device *cli_session_device(const cli_session_values *values)
{
    return values->device ? em_device_find(values->device) : em_device_default();
}

const char *cli_device_or_cpu(const char *name)
{
    if (name || em_device_default() || em_last_status() != EM_ERROR_NOT_FOUND)
        return name;
    cli_note("on cpu instead: %s", em_last_error());
    return "cpu";
}

static int choose_device(const cli_session_values *values, em_device **device)
{
    *device = cli_session_device(values);
    if (!*device)
        return cli_fail_last();
    if (values->threads && strcmp(em_device_name(*device), "cpu") != 0) {
        cli_fail(CLI_USAGE, "--threads is of the device cpu; %s has its own", em_device_name(*device));
        cli_hint("leave it out; EMILY_THREADS=%zu says it of what runs on the processor all the same", values->threads);
        return CLI_USAGE;
    }
    if (values->threads && em_device_set_threads(*device, (int)values->threads) != EM_OK)
        return cli_fail_last();
    return CLI_OK;
}

static int choose_dtype(const cli_session_values *values, em_dtype *dtype)
{
    if (!values->dtype)
        return CLI_OK;
    if (em_dtype_parse(values->dtype, dtype) == EM_OK && em_dtype_get_kind(*dtype) == EM_KIND_FLOAT)
        return CLI_OK;
    cli_fail(CLI_USAGE, "--dtype has no choice `%s`", values->dtype);
    cli_hint("choose one of f32, f64, bf16, f16");
    return CLI_USAGE;
}

em_model *cli_session_try(const char *name, const cli_session_values *values, int *code)
{
    em_model_options options = {.struct_size = sizeof options,
                                .profile = values->profile != 0,
                                .raw_weights = values->raw != 0,
                                .exact = values->exact != 0};
    if ((*code = choose_device(values, &options.device)) != CLI_OK ||
        (*code = choose_dtype(values, &options.dtype)) != CLI_OK)
        return NULL;
    if (values->lane)
        options.lane = (em_model_lane)(values->lane - 1);
    em_model *model = em_model_open(name, &options);
    *code = model ? CLI_OK : CLI_GO_ON;
    return model;
}

int cli_model_named(const char *name)
{
    if (*name)
        return CLI_OK;
    cli_fail(CLI_USAGE, "the name of the model is empty");
    cli_hint("a model is a folder, or ORG/NAME; `emily pull ORG/NAME` downloads one");
    return CLI_USAGE;
}

em_model *cli_session_open(const char *name, const cli_session_values *values, int *code)
{
    if ((*code = cli_model_named(name)) != CLI_OK)
        return NULL;
    em_model *model = cli_session_try(name, values, code);
    if (*code == CLI_GO_ON)
        *code = cli_fail_model(name);
    return model;
}

int cli_model_path(const char *name, char **path)
{
    const int code = cli_model_named(name);
    if (code != CLI_OK)
        return code;
    return em_hub_resolve(name, NULL, path) == EM_OK ? CLI_OK : cli_fail_model(name);
}

static void print_line(const char *line, void *user)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

void cli_session_profile(em_model *model, const cli_session_values *values)
{
    if (values->profile && em_model_profile(model, print_line, NULL) != EM_OK)
        cli_note("no profile: %s", em_last_error());
}
