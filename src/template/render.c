/* Templates and their renders, as the outside sees them. */
#include <string.h>
#include <time.h>

#include "core/alloc.h"
#include "core/options.h"
#include "io/json.h"
#include "template/render.h"

#define STEPS ((size_t)1000000)
#define MEMORY ((size_t)64 << 20)
#define OUTPUT ((size_t)16 << 20)
#define MEMORY_OF_A_BYTE 16
#define STEPS_OF_A_BYTE 4

em_status em_template_parse(const char *text, size_t length, const em_template_options *given, em_template **out)
{
    em_template_options options = {0};
    if (out)
        *out = NULL;
    EM__FAIL_IF(!out || (!text && length > 0), EM_ERROR_INVALID_ARGUMENT, "em_template_parse: NULL argument");
    EM__TRY(EM__OPTIONS_COPY(given, &options, em_template_options));
    em_template *source = em__calloc(1, sizeof *source);
    if (!source)
        return em_last_status();
    source->options = options;
    source->name = em__strdup(options.name ? options.name : "template");
    source->options.name = source->name;
    em_status status = source->name ? em__j_parse(source, text, length) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        *out = source;
        return EM_OK;
    }
    em_template_free(source);
    return status;
}

void em_template_free(em_template *source)
{
    if (!source)
        return;
    em__arena_clear(&source->arena);
    em__free(source->name);
    em__free(source);
}

static size_t plus(size_t a, size_t b, size_t times)
{
    size_t product, sum;
    return em__mul_overflows(b, times, &product) || em__add_overflows(a, product, &sum) ? SIZE_MAX / 2 : sum;
}

void em__j_run_init(em__jrun *run, const em_template *source, size_t json_bytes)
{
    const em_template_options *options = &source->options;
    *run = (em__jrun){.source = source};
    run->work_limit =
        plus(0, plus(options->max_steps ? options->max_steps : STEPS, json_bytes, STEPS_OF_A_BYTE), EM__J_STEP);
    run->memory_limit = plus(options->max_memory ? options->max_memory : MEMORY, json_bytes, MEMORY_OF_A_BYTE);
    run->output_limit = plus(options->max_output ? options->max_output : OUTPUT, json_bytes, MEMORY_OF_A_BYTE);
    run->now = options->clock ? options->clock(options->clock_context) : (int64_t)time(NULL);
}

em_status em__j_run(em__jrun *run, em__jvalue context, char **text, size_t *length)
{
    run->context = context.dict;
    EM__TRY(em__j_push_scope(run, NULL));
    EM__TRY(em__str_reserve(&run->out, 1));
    EM__TRY(em__j_exec(run, run->source->root));
    *text = run->out.data;
    (*text)[run->out.length] = '\0';
    if (length)
        *length = run->out.length;
    run->out = (em__str){0};
    return EM_OK;
}

void em__j_run_free(em__jrun *run)
{
    em__arena_clear(&run->arena);
    em__str_free(&run->out);
}

em_status em_template_render(const em_template *source, const char *json, size_t length, char **text,
                             size_t *text_length)
{
    em__json_doc doc = {0};
    em__jrun run;
    em__jvalue context;
    EM__FAIL_IF(!text, EM_ERROR_INVALID_ARGUMENT, "em_template_render: text is NULL");
    *text = NULL;
    EM__FAIL_IF(!source, EM_ERROR_INVALID_ARGUMENT, "em_template_render: the template is NULL");
    em__j_run_init(&run, source, json ? length : 0);
    em_status status = em__json_parse(json ? json : "{}", json ? length : 2, "variables", &doc);
    if (status == EM_OK && !json_is_object(doc.root))
        status = em__fail(EM_ERROR_FORMAT, "the variables of a template must be a JSON object");
    if (status == EM_OK)
        status = em__j_from_json(&run, doc.root, &context);
    if (status == EM_OK)
        status = em__j_run(&run, context, text, text_length);
    em__j_run_free(&run);
    em__json_free(&doc);
    return status;
}

void em_template_text_free(char *text)
{
    em__free(text);
}
