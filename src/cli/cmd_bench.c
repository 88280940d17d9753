/* emily bench: how long the forward of a model takes, at some shapes. */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/rules.h"
#include "cli/session.h"
#include "cli/times.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/str.h"

enum { MOST_RUNS = CLI_BENCH_MOST_RUNS, LEAST_RUNS = 5 };
#define BUDGET_MS 1500.0
#define DEFAULT_SHAPES "1x16,1x32,10x32,32x128,1x256"

typedef struct bench_values {
    cli_session_values session;
    const char *shapes;
    size_t runs, prefill, decode, batch;
    int json;
} bench_values;

static const cli_option options[] = {
    {"shapes", 's', "BxT,...", "texts x tokens (" DEFAULT_SHAPES ")", CLI_TEXT, offsetof(bench_values, shapes)},
    {"runs", 'n', "N", "runs after warm-up (as many as take 1.5 s, 5 at least)", CLI_COUNT,
     offsetof(bench_values, runs), MOST_RUNS},
    {"prefill", 'p', "N", "of a model that generates: tokens of the prompt (512)", CLI_COUNT,
     offsetof(bench_values, prefill), 1 << 20},
    {"decode", 'd', "N", "of a model that generates: tokens of the answer (64)", CLI_COUNT,
     offsetof(bench_values, decode), 1 << 20},
    {"batch", 'b', "N", "of a model that generates: sequences at a time (1)", CLI_COUNT, offsetof(bench_values, batch),
     1024},
    {"json", 0, NULL, "one object a shape, or the rates of a model that generates", CLI_FLAG,
     offsetof(bench_values, json), 1},
    CLI_COMPUTE_OPTIONS(bench_values),
    CLI_EXACT_OPTION(bench_values),
    CLI_PROFILE_OPTION(bench_values),
    {NULL},
};

typedef struct shape {
    size_t batch, tokens;
} shape;

typedef EM__VEC(shape) shape_list;

static bool parse_size(const char **text, size_t *value)
{
    char *end;
    if (**text < '1' || **text > '9')
        return false;
    unsigned long long number = strtoull(*text, &end, 10);
    *text = end;
    *value = (size_t)number;
    return number <= 1u << 20;
}

static int parse_shapes(const char *text, shape_list *shapes)
{
    const char *at = text;
    for (;;) {
        shape s;
        bool good =
            parse_size(&at, &s.batch) && *at++ == 'x' && parse_size(&at, &s.tokens) && s.batch * s.tokens <= 1u << 24;
        if (!good || (*at && *at != ',')) {
            cli_fail(CLI_USAGE, "bench: --shapes is texts x tokens, such as 1x16,10x32; got `%s`", text);
            return CLI_USAGE;
        }
        if (em__vec_push(shapes, s) != EM_OK)
            return cli_fail_last();
        if (!*at++)
            return CLI_OK;
    }
}

/* Multiplications and additions of an encoder's matrix products; 0 when the sizes are not known. */
static double flops(const em_model_info *info, shape s)
{
    double h = info->hidden, inner = info->intermediate, tokens = (double)s.tokens;
    return (double)s.batch * tokens * info->layers * (8 * h * h + 4 * h * inner + 4 * h * tokens);
}

static void print_row(const em_model_info *info, shape s, double *times, size_t runs, const bench_values *values)
{
    const double median = cli_median(times, runs), best = times[0];
    char name[48];
    snprintf(name, sizeof name, "%zux%zu", s.batch, s.tokens);
    if (values->json)
        printf("{\"shape\":\"%s\",\"median_ms\":%.4f,\"best_ms\":%.4f,\"runs\":%zu,\"device\":\"%s\"}\n", name, median,
               best, runs, em_device_name(cli_session_device(&values->session)));
    else
        printf("%-10s %10.3f %10.3f %6zu %12.0f %9.1f\n", name, median, best, runs,
               (double)(s.batch * s.tokens) / median * 1e3, flops(info, s) / median * 1e-6);
    fflush(stdout);
}

/* How many runs fill the time that a shape is worth. */
static int choose_runs(em_model *model, shape s, size_t *runs)
{
    double once;
    if (*runs)
        return CLI_OK;
    if (em_model_bench(model, s.batch, s.tokens, 1, &once) != EM_OK)
        return cli_fail_last();
    double fit = once > 0 ? BUDGET_MS / once : MOST_RUNS;
    *runs = fit > MOST_RUNS ? MOST_RUNS : fit < LEAST_RUNS ? LEAST_RUNS : (size_t)fit;
    return CLI_OK;
}

static int bench_shape(em_model *model, const em_model_info *info, shape s, const bench_values *values)
{
    double times[MOST_RUNS];
    size_t runs = values->runs;
    int code = choose_runs(model, s, &runs);
    if (code != CLI_OK)
        return code;
    if (em_model_bench(model, s.batch, s.tokens, runs, times) != EM_OK)
        return cli_fail_last();
    cli_progress_hide();
    print_row(info, s, times, runs, values);
    return CLI_OK;
}

void cli_bench_device(em_device *device)
{
    char text[256];
    if (em_device_describe(device, text, sizeof text) == EM_OK)
        printf("on %s: %s\n", em_device_name(device), text);
}

static int bench_all(em_model *model, const shape_list *shapes, const bench_values *values)
{
    em_model_info info = {.struct_size = sizeof info};
    cli_progress progress;
    int code = em_model_get_info(model, &info) == EM_OK ? CLI_OK : cli_fail_last();
    if (code == CLI_OK && !values->json) {
        cli_bench_device(cli_session_device(&values->session));
        printf("%-10s %10s %10s %6s %12s %9s\n", "texts x t.", "median ms", "best ms", "runs", "tokens/s", "GFLOP/s");
    }
    cli_progress_begin(&progress, "bench");
    for (size_t i = 0; i < shapes->length && code == CLI_OK; i++) {
        char name[48];
        snprintf(name, sizeof name, "%zux%zu", shapes->data[i].batch, shapes->data[i].tokens);
        cli_progress_update(&progress, (double)i / (double)shapes->length, name);
        code = bench_shape(model, &info, shapes->data[i], values);
    }
    cli_progress_end(&progress);
    return code;
}

/* Of a model that also gives vectors its answers are timed where an option speaks of them. */
static bool answers(const em_model_info *info, const bench_values *values)
{
    return info->generates && !values->shapes && (values->prefill || values->decode || values->batch);
}

static int run(const void *given, const cli_words *operands)
{
    const bench_values *values = given;
    cli_bench_decoder decoder = {.prefill = values->prefill,
                                 .decode = values->decode,
                                 .batch = values->batch,
                                 .runs = values->runs,
                                 .json = values->json != 0};
    shape_list shapes = {0};
    em_model_info info = {.struct_size = sizeof info};
    int code = parse_shapes(values->shapes ? values->shapes : DEFAULT_SHAPES, &shapes);
    if (code == CLI_OK) {
        uint64_t begin = em__now();
        em_model *model = cli_session_open(operands->data[0], &values->session, &code);
        decoder.device = model ? cli_session_device(&values->session) : NULL;
        double load_ms = (double)(em__now() - begin) / 1e6;
        if (model)
            code = cli_rules_check_model(&cli_bench, values, model);
        if (code == CLI_OK && em_model_get_info(model, &info) == EM_OK && (info.width == 0 || answers(&info, values)))
            code = cli_bench_generation(model, &decoder, load_ms);
        else if (code == CLI_OK)
            code = bench_all(model, &shapes, values);
        if (code == CLI_OK)
            cli_session_profile(model, &values->session);
        em_model_close(&model);
    }
    em__vec_free(&shapes);
    return code;
}

const cli_command cli_bench = {
    .name = "bench",
    .operands = "MODEL",
    .summary = "how fast a model runs",
    .examples = "emily bench all-MiniLM-L6-v2\n"
                "emily bench all-MiniLM-L6-v2 --shapes 1x16,10x32 --threads 1\n"
                "emily bench all-MiniLM-L6-v2 --shapes 1x16 --runs 100 --json\n"
                "emily bench Qwen/Qwen3-0.6B --prefill 512 --decode 64 --json\n",
    .notes =
        "Times the forward alone, after warm-up: neither tokenizer nor pooling. GFLOP/s counts its matrix products.\n"
        "A model that generates reads a prompt of any tokens and writes greedily: the median of --runs (3).\n",
    .options = options,
    .least = 1,
    .most = 1,
    .values_size = sizeof(bench_values),
    .run = run,
};
