/*
 * emily info: what a checkpoint is. One that does not open as a model is described as far as its files go, and the exit
 * code says what is wrong with it.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/hub.h>
#include <emily/template.h>

#include "cli/info.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/times.h"
#include "core/alloc.h"
#include "io/json.h"

enum { RUNS = 7 };

typedef struct info_values {
    cli_session_values session;
    int json, tensors;
} info_values;

static const cli_option options[] = {
    {"tensors", 0, NULL, "list the tensors: dtype, shape, name", CLI_FLAG, offsetof(info_values, tensors), 1},
    {"json", 0, NULL, "one JSON object", CLI_FLAG, offsetof(info_values, json), 1},
    CLI_COMPUTE_OPTIONS(info_values),
    {NULL},
};

/* architectures[0] of config.json, else its model_type. Owned by the caller; NULL when neither is there. */
static char *read_architecture(const char *path)
{
    em__json_doc doc = {0};
    const char *name = NULL;
    char *copy = NULL, *file = em__format("%s/config.json", path);
    if (file && em__json_load(file, EM__JSON_CAP, &doc) == EM_OK) {
        em__json root = em__json_root(&doc), list;
        size_t count;
        if (em__json_opt_array(&root, "architectures", &list, &count) == EM_OK && count) {
            em__json first = em__json_item(&list, 0);
            if (em__json_as_string(&first, &name) != EM_OK)
                name = NULL;
        }
        if (!name && em__json_opt_string(&root, "model_type", &name) != EM_OK)
            name = NULL;
        copy = name ? em__strdup(name) : NULL;
    }
    em__json_free(&doc);
    em__free(file);
    return copy;
}

static void describe_device(cli_facts *facts, const info_values *values)
{
    char text[120];
    em_device *device = cli_session_device(&values->session);
    if (device && em_device_describe(device, text, sizeof text) == EM_OK)
        snprintf(facts->device, sizeof facts->device, "%s: %s", em_device_name(device), text);
}

/* An opened model: its own account, and a short measurement. */
static int describe_model(cli_facts *facts, em_model *model, const info_values *values)
{
    double times[RUNS];
    facts->model.struct_size = sizeof facts->model;
    if (em_model_get_info(model, &facts->model) != EM_OK)
        return cli_fail_last();
    facts->handle = model;
    facts->architecture = facts->model.architecture;
    facts->path = facts->model.path;
    facts->parameters = facts->model.parameters;
    facts->bytes = facts->model.weight_bytes;
    facts->files = facts->model.weight_files;
    facts->dtype = em_dtype_name(facts->model.dtype);
    describe_device(facts, values);
    size_t tokens = facts->model.positions > 0 && facts->model.positions < 16 ? (size_t)facts->model.positions : 16;
    if (!cli_is_decoder(&facts->model) && tokens == 16 && em_model_bench(model, 1, tokens, RUNS, times) == EM_OK)
        facts->milliseconds = cli_median(times, RUNS);
    return CLI_OK;
}

static int print(const cli_facts *facts, const info_values *values)
{
    em__str text = {0};
    em_status status = values->json ? cli_facts_json(&text, facts, values->tensors != 0)
                                    : cli_facts_human(&text, facts, values->tensors != 0);
    fwrite(em__str_text(&text), 1, text.length, stdout);
    em__str_free(&text);
    return status == EM_OK && fflush(stdout) == 0 ? CLI_OK : status == EM_OK ? CLI_FAILURE : cli_fail_last();
}

/* An error that is told later. */
typedef struct why {
    char *text; /* owned */
    size_t next;
} why;

static why keep_error(void)
{
    const size_t next = cli_last_next(); /* of the error that is there now */
    return (why){em__strdup(em_last_error()), next};
}

/* A checkpoint that did not open: what its files say, then the reason. */
static int describe_files(const char *name, const char *path, const why *reason, int code, const info_values *values)
{
    cli_facts facts = {.name = name, .path = path, .missing = reason->text};
    em_safetensors *file = NULL;
    char *architecture = read_architecture(path);
    if (em_safetensors_open(path, NULL, &file) == EM_OK)
        facts.file = file;
    if (architecture || file) {
        facts.architecture = architecture ? architecture : "unknown architecture";
        cli_facts_count(&facts);
        print(&facts, values);
    }
    cli_fail_text(code, reason->text, reason->next);
    if (file && !values->tensors)
        cli_hint("`emily info %s --tensors` lists its tensors", name);
    else if (!file && code == CLI_NOT_FOUND)
        cli_hint_missing(name);
    em_safetensors_close(&file);
    em__free(architecture);
    return code;
}

/* Whether the chat template of a model that generates, if it has one, can be read. */
static bool has_good_template(const cli_facts *facts)
{
    em_chat_template *chat = NULL;
    const em_status status = facts->model.generates ? em_chat_template_open(facts->path, &chat) : EM_OK;
    em_chat_template_free(chat);
    return status == EM_OK || status == EM_ERROR_NOT_FOUND;
}

/* What a decoder reads late, tokenizer and chat template: why one cannot be read; nothing, and the code as it was, when
 * they can, or are not there. */
static why read_rest(cli_facts *facts, const em_model *model, int *code)
{
    if (!em_model_tokenizer(model) && em_last_status() != EM_ERROR_NOT_FOUND)
        facts->model.can = facts->model.generates ? "generate from token ids" : "nothing without its tokenizer";
    else if (has_good_template(facts))
        return (why){0};
    *code = cli_exit_code(em_last_status());
    return keep_error();
}

static int describe_open(const char *name, em_model *model, const info_values *values)
{
    cli_facts facts = {.name = name, .path = name};
    em_safetensors *file = NULL;
    int code = describe_model(&facts, model, values), broken = CLI_OK;
    why reason = {0};
    if (code == CLI_OK)
        reason = read_rest(&facts, model, &broken);
    if (code == CLI_OK && values->tensors && em_safetensors_open(facts.path, NULL, &file) != EM_OK)
        code = cli_fail_last();
    facts.file = file;
    if (code == CLI_OK)
        code = print(&facts, values);
    if (code == CLI_OK && broken != CLI_OK)
        code = cli_fail_text(broken, reason.text ? reason.text : em_status_text(EM_ERROR_OUT_OF_MEMORY), reason.next);
    em__free(reason.text);
    em_safetensors_close(&file);
    return code;
}

static int run(const void *given, const cli_words *operands)
{
    info_values values = *(const info_values *)given;
    const char *name = operands->data[0];
    char *path = NULL;
    why reason = {0};
    int code = cli_model_path(name, &path);
    if (code != CLI_OK)
        return code;
    values.session.device = cli_device_or_cpu(values.session.device);
    em_model *model = cli_session_try(name, &values.session, &code);
    if (model) {
        code = describe_open(name, model, &values);
    } else if (code == CLI_GO_ON) {
        code = cli_exit_code(em_last_status());
        reason = keep_error();
        code = reason.text ? describe_files(name, path, &reason, code, &values) : cli_fail_last();
    }
    em_model_close(&model);
    em__free(reason.text);
    em_hub_path_free(path);
    return code;
}

const cli_command cli_info = {
    .name = "info",
    .operands = "MODEL",
    .summary = "what a checkpoint is and what it can do",
    .examples = "emily info all-MiniLM-L6-v2\n"
                "emily info ./my-model --tensors\n"
                "emily info ./my-model --json\n",
    .notes = "A checkpoint that cannot run is described as far as its files go; the exit code is 7 when it is not\n"
             "supported and 3 when it is broken.\n",
    .options = options,
    .least = 1,
    .most = 1,
    .values_size = sizeof(info_values),
    .run = run,
};
