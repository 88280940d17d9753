/* emily quantize: a checkpoint with fewer bits a weight, and how far it is from the one it was made from. */
#include <math.h>
#include <string.h>

#include <emily/hub.h>
#include <emily/quantize.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/cause.h"
#include "core/error.h"
#include "core/number.h"
#include "io/json.h"

typedef struct quantize_values {
    size_t bits, group;
    const char *device;
    int mode, json, quiet, allow_nan;
} quantize_values;

static const cli_option options[] = {
    {"bits", 'b', "N", "bits of a code: 2, 3, 4, 5, 6 or 8 (4, or the mode's)", CLI_COUNT,
     offsetof(quantize_values, bits), 8},
    {"group", 'g', "N", "weights that share a scale: 16, 32, 64 or 128 (64, or the mode's)", CLI_COUNT,
     offsetof(quantize_values, group), 128},
    {"mode", 'm', "affine|mxfp4|mxfp8|nvfp4", "form of a code (affine)", CLI_CHOICE, offsetof(quantize_values, mode)},
    {"allow-nan", 0, NULL, "go on with weights that are NaN or infinite", CLI_FLAG,
     offsetof(quantize_values, allow_nan), 1},
    {"device", 0, "NAME", "a device of `emily devices`, say cuda (EMILY_DEVICE, else cpu)", CLI_TEXT,
     offsetof(quantize_values, device)},
    {"json", 0, NULL, "one JSON object: tensors and totals", CLI_FLAG, offsetof(quantize_values, json), 1},
    {"quiet", 'q', NULL, "no report, no progress line", CLI_FLAG, offsetof(quantize_values, quiet), 1},
    {NULL},
};

typedef struct quantize_run {
    const quantize_values *values;
    cli_progress progress;
    em__str text;  /* the JSON object so far */
    size_t broken; /* quantized tensors whose error is not a number */
    em_status status;
} quantize_run;

/* "[1024, 3072]" */
static const char *shape_text(const em_quantize_report *t, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < t->dims.rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)t->dims.dims[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
    return out;
}

static em_status add_json_number(em__str *text, const char *name, double value)
{
    char number[EM__NUMBER_SIZE];
    snprintf(number, sizeof number, "%.6g", value);
    return em__str_addf(text, ", \"%s\": %s", name, cli_json_number(value, number));
}

static em_status add_json(em__str *text, const em_quantize_report *t)
{
    char shape[128];
    EM__TRY(em__str_add_text(text, t->index ? ",\n  {\"name\": " : "\n  {\"name\": "));
    EM__TRY(cli_json_string(text, t->name, strlen(t->name)));
    EM__TRY(em__str_addf(text, ", \"shape\": %s, \"dtype\": \"%s\", \"before\": %zu, \"after\": %zu",
                         shape_text(t, shape, sizeof shape), em_dtype_name(t->dtype), t->before, t->after));
    if (t->quantized) {
        EM__TRY(add_json_number(text, "rms_error", t->rms_error));
        EM__TRY(add_json_number(text, "max_error", t->max_error));
    }
    return em__str_add_text(text, "}");
}

static void report(const em_quantize_report *t, void *user)
{
    quantize_run *run = user;
    char name[96], shape[128];
    const bool broken = t->quantized && !(isfinite(t->rms_error) && isfinite(t->max_error));
    run->broken += broken;
    if (run->values->json && run->status == EM_OK)
        run->status = add_json(&run->text, t);
    if (run->values->json || run->values->quiet)
        return;
    cli_progress_hide();
    em__printable(name, sizeof name, t->name);
    shape_text(t, shape, sizeof shape);
    if (broken)
        printf("%-52s %-16s error not a number: NaN or infinity\n", name, shape);
    else if (t->quantized)
        printf("%-52s %-16s error %6.3f %% rms, %.3g at most\n", name, shape, 100 * t->rms_error, t->max_error);
    else
        printf("%-52s %-16s as it was\n", name, shape);
}

static bool progress(size_t done, size_t total, void *user)
{
    quantize_run *run = user;
    char detail[64];
    snprintf(detail, sizeof detail, "%.1f of %.1f MB", (double)done * 1e-6, (double)total * 1e-6);
    if (!run->values->quiet)
        cli_progress_update(&run->progress, total ? (double)done / (double)total : 1, detail);
    return !cli_signals_waiting();
}

static int finish(quantize_run *run, const em_quantize_totals *t)
{
    if (run->values->json) {
        if (run->status == EM_OK)
            run->status = em__str_addf(
                &run->text,
                "],\n \"count\": %zu, \"quantized\": %zu, \"before\": %zu, \"after\": %zu, \"files\": %zu, "
                "\"bits_per_weight\": %.6g",
                t->tensors, t->quantized, t->before, t->after, t->files, t->bits_per_weight);
        if (run->status == EM_OK)
            run->status = add_json_number(&run->text, "rms_error", t->rms_error);
        if (run->status == EM_OK)
            run->status = em__str_add_text(&run->text, "}\n");
        if (run->status != EM_OK)
            return cli_fail_last();
        fwrite(em__str_text(&run->text), 1, run->text.length, stdout);
    } else if (!run->values->quiet) {
        char error[48] = "not a number";
        if (isfinite(t->rms_error))
            snprintf(error, sizeof error, "%.3f %% rms", 100 * t->rms_error);
        printf("%zu of %zu tensors quantized: %.1f MB from %.1f MB, %.3f bits a weight, error %s\n", t->quantized,
               t->tensors, (double)t->after * 1e-6, (double)t->before * 1e-6, t->bits_per_weight, error);
    }
    fflush(stdout); /* what goes to standard error comes after it */
    if (run->broken && run->values->allow_nan)
        cli_note("%zu of %zu quantized tensors hold NaN or infinity", run->broken, t->quantized);
    else if (run->broken) /* weights, codes and scales are numbers; a sum of squares is none */
        cli_note("the error of %zu of %zu quantized tensors is past what f32 holds", run->broken, t->quantized);
    return CLI_OK;
}

static int run(const void *given, const cli_words *operands)
{
    const quantize_values *values = given;
    quantize_run run = {.values = values};
    em_quantize_totals totals = {.struct_size = sizeof totals};
    em_quantization how = {sizeof how, values->mode ? (em_quant_mode)(values->mode - 1) : EM_QUANT_AFFINE,
                           (int)values->group, (int)values->bits};
    em_quantize_options options_of = {.struct_size = sizeof options_of,
                                      .how = &how,
                                      .report = report,
                                      .progress = progress,
                                      .user = &run,
                                      .allow_nan = values->allow_nan != 0};
    char *path = NULL;
    if (!(options_of.device = em_device_find(cli_device_or_cpu(values->device))))
        return cli_fail_last();
    int code = cli_model_path(operands->data[0], &path);
    if (code != CLI_OK)
        return code;
    if (values->json)
        run.status = em__str_add_text(&run.text, "{\"tensors\": [");
    cli_progress_begin(&run.progress, "quantizing");
    cli_signals_hold(true); /* the library takes away what is unfinished; see progress */
    em_status status = em_checkpoint_quantize(path, operands->data[1], &options_of, &totals);
    cli_progress_end(&run.progress);
    cli_signals_hold(false);
    code = status == EM_OK             ? finish(&run, &totals)
           : status == EM_ERROR_FORMAT ? cli_fail_model(operands->data[0])
                                       : cli_fail_last();
    if (status == EM_ERROR_FORMAT && em__last_cause() == EM__CAUSE_NO_NUMBER)
        cli_hint("--allow-nan goes on all the same");
    em__str_free(&run.text);
    em_hub_path_free(path);
    return code;
}

const cli_command cli_quantize = {
    .name = "quantize",
    .operands = "MODEL DIRECTORY",
    .summary = "a checkpoint with fewer bits a weight",
    .examples = "emily quantize Qwen/Qwen3-0.6B qwen3-4bit\n"
                "emily quantize ./my-model my-model-8bit --bits 8 --group 32\n"
                "emily quantize ./my-model my-model-mxfp4 --mode mxfp4 --json\n",
    .notes =
        "Writes DIRECTORY, which must not exist or be empty, in the form of mlx-lm: linear maps and embeddings in\n"
        "codes, the rest as it was, with the tokenizer. Prints for each tensor the rms of the error over that of\n"
        "the tensor, and the largest error of an element. DIRECTORY appears when it is whole.\n",
    .options = options,
    .least = 2,
    .most = 2,
    .values_size = sizeof(quantize_values),
    .run = run,
};
