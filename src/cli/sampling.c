/* See sampling.h. */
#include "cli/sampling.h"

#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "core/number.h"
#include "core/str.h"

static void take(const cli_real *real, float *value)
{
    if (real->given)
        *value = (float)real->value;
}

/* "17=-2.5" */
static bool parse_bias(const char *text, em_logit_bias *bias)
{
    char id[24];
    long long number;
    double value;
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : sizeof id;
    if (length >= sizeof id)
        return false;
    memcpy(id, text, length);
    id[length] = 0;
    if (!em__parse_i64(id, &number) || number < 0 || number > INT32_MAX ||
        (strcmp(equals + 1, "-inf") != 0 && !em__parse_f64(equals + 1, &value)))
        return false;
    if (strcmp(equals + 1, "-inf") == 0)
        value = -INFINITY;
    *bias = (em_logit_bias){(int32_t)number, (float)value};
    return true;
}

static int take_biases(cli_sampling *s, const char *command, const cli_words *words)
{
    s->bias = em__calloc(words->length + 1, sizeof *s->bias);
    if (!s->bias)
        return cli_fail_last();
    for (size_t i = 0; i < words->length; i++)
        if (!parse_bias(words->data[i], &s->bias[i]))
            return cli_fail(CLI_USAGE, "%s: --logit-bias is ID=NUMBER, got `%s`", command, words->data[i]);
    s->options.logit_bias = s->bias;
    s->options.n_logit_bias = words->length;
    return CLI_OK;
}

static int take_cache(cli_sampling *s, const char *command, const char *name)
{
    if (!name)
        return CLI_OK;
    em_dtype *dtype = &s->options.cache_dtype;
    if (em_dtype_parse(name, dtype) == EM_OK &&
        (*dtype == EM_F32 || *dtype == EM_BF16 || *dtype == EM_F16 || *dtype == EM_S8))
        return CLI_OK;
    cli_fail(CLI_USAGE, "%s: --cache has no choice `%s`", command, name);
    cli_hint("choose one of f32, bf16, f16, s8");
    return CLI_USAGE;
}

/* What only the draws would see does nothing where the most likely token is taken. Values that ask for nothing anyway
 * are passed over: scripts give them to switch a choice off. */
static int note_needless(const cli_sampling_values *v, const em_generation_options *o)
{
    const struct {
        const char *name;
        bool given;
    } all[] = {{"--top-k", v->top_k.given && v->top_k.value > 0},
               {"--top-p", v->top_p.given && v->top_p.value != 1},
               {"--min-p", v->min_p.given && v->min_p.value != 0},
               {"--seed", v->seed.given}};
    em__str names = {0};
    em_status status = EM_OK;
    size_t count = 0;
    for (size_t i = 0; o->temperature == 0 && i < sizeof all / sizeof *all && status == EM_OK; i++)
        if (all[i].given)
            status = em__str_addf(&names, "%s%s", count++ ? ", " : "", all[i].name);
    if (count && status == EM_OK)
        cli_note("%s %s no effect: at temperature 0%s the most likely token is taken", em__str_text(&names),
                 count > 1 ? "have" : "has", v->temperature.given ? "" : ", as this model recommends,");
    em__str_free(&names);
    return status == EM_OK ? CLI_OK : cli_fail_last();
}

/* In the library 0 is as if these were not given; who writes it means something else. */
static int check_zeros(const char *command, const cli_sampling_values *v)
{
    const struct {
        const char *name;
        const cli_real *value;
        const char *none;
    } all[] = {{"top-p", &v->top_p, "1 draws among all, --temperature 0 takes the most likely"},
               {"repetition-penalty", &v->repetition, "1 is no penalty"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value->given && all[i].value->value == 0) {
            cli_fail(CLI_USAGE, "%s: --%s wants more than 0", command, all[i].name);
            cli_hint("%s", all[i].none);
            return CLI_USAGE;
        }
    return CLI_OK;
}

static int note_context(const em_model *model, size_t context)
{
    em_model_info info = {.struct_size = sizeof info};
    if (em_model_get_info(model, &info) != EM_OK)
        return cli_fail_last();
    if (context > (size_t)info.positions && info.positions > 0)
        cli_note(
            "--context %zu is more than the %d tokens that the model was made for; beyond them it may write nonsense",
            context, info.positions);
    return CLI_OK;
}

int cli_sampling_init(cli_sampling *s, const char *command, const em_model *model, const cli_sampling_values *v)
{
    *s = (cli_sampling){.options = {.struct_size = sizeof s->options}};
    em_generation_options *o = &s->options;
    int code = check_zeros(command, v);
    if (code != CLI_OK)
        return code;
    if (em_generation_recommended(model, o) != EM_OK)
        return cli_fail_last();
    o->max_tokens = v->max_tokens;
    take(&v->temperature, &o->temperature);
    take(&v->top_p, &o->top_p);
    take(&v->min_p, &o->min_p);
    take(&v->repetition, &o->repetition_penalty);
    take(&v->presence, &o->presence_penalty);
    take(&v->frequency, &o->frequency_penalty);
    o->top_k = v->top_k.given ? (int)v->top_k.value : o->top_k;
    o->seed = v->seed.given ? v->seed.value : 1;
    o->ignore_eos = v->ignore_eos != 0;
    o->stop = v->stop.data;
    o->n_stop = v->stop.length;
    o->context = v->context;
    o->overflow = v->rotate ? EM_OVERFLOW_ROTATE : EM_OVERFLOW_STOP;
    o->keep = v->keep;
    o->prefill_chunk = v->chunk;
    o->speculate = v->speculate;
    code = take_cache(s, command, v->cache);
    return code == CLI_OK ? take_biases(s, command, &v->bias) : code;
}

int cli_sampling_notes(const cli_sampling *s, const em_model *model, const cli_sampling_values *v)
{
    const int code = note_context(model, v->context);
    return code == CLI_OK ? note_needless(v, &s->options) : code;
}

void cli_sampling_free(cli_sampling *s)
{
    em__free(s->bias);
    s->bias = NULL;
}
