/* emily perplexity: how well a model foresees a text. */
#include <math.h>
#include <string.h>

#include "cli/input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "core/alloc.h"
#include "core/number.h"
#include "io/file.h"

#include <emily/generation.h>

typedef struct perplexity_values {
    cli_session_values session;
    size_t context;
    int json;
} perplexity_values;

enum { DEFAULT_CONTEXT = 2048, MOST_BYTES = 1 << 30 };

static const cli_option options[] = {
    {"context", 0, "N", "tokens scored at a time, without those before them (2048, or what the model has)", CLI_COUNT,
     offsetof(perplexity_values, context), 1 << 20},
    {"json", 0, NULL, "one object", CLI_FLAG, offsetof(perplexity_values, json), 1},
    CLI_COMPUTE_OPTIONS(perplexity_values),
    CLI_EXACT_OPTION(perplexity_values),
    CLI_PROFILE_OPTION(perplexity_values),
    {NULL},
};

typedef struct score {
    double sum; /* of log p */
    size_t count;
} score;

/* Windows of `context` tokens, each by itself. A window begins with the last token of the one before it, so that all
 * tokens but the text's first count once. */
static int score_all(em_model *model, const em_encoding *text, size_t context, score *total)
{
    cli_progress progress;
    float *logprobs = em__calloc(context, sizeof *logprobs);
    if (!logprobs)
        return cli_fail_last();
    int code = CLI_OK;
    cli_progress_begin(&progress, "perplexity");
    for (size_t i = 0; i + 1 < text->length && code == CLI_OK; i += context - 1) {
        size_t n = text->length - i < context ? text->length - i : context;
        cli_progress_update(&progress, (double)i / (double)text->length, "");
        if (em_model_score(model, text->ids + i, n, logprobs) != EM_OK)
            code = cli_fail_last();
        for (size_t k = 1; k < n && code == CLI_OK; k++)
            total->sum += logprobs[k];
        total->count += n - 1;
    }
    cli_progress_end(&progress);
    em__free(logprobs);
    return code;
}

static void print_json_number(const char *name, double value)
{
    char number[EM__NUMBER_SIZE];
    snprintf(number, sizeof number, "%.6g", value);
    printf("\"%s\":%s,", name, cli_json_number(value, number));
}

/* Of a text of `size` bytes. */
static void print_score(const score *total, size_t size, size_t context, bool json)
{
    const double nats = -total->sum / (double)total->count, bits = -total->sum / log(2) / (double)size;
    if (!json) {
        printf("perplexity %.4f over %zu tokens (%.4f nats a token, %.4f bits a byte)\n", exp(nats), total->count, nats,
               bits);
        return;
    }
    putchar('{');
    print_json_number("perplexity", exp(nats));
    print_json_number("nats_per_token", nats);
    print_json_number("bits_per_byte", bits);
    printf("\"tokens\":%zu,\"context\":%zu}\n", total->count, context);
}

static int measure(em_model *model, const char *bytes, size_t size, const perplexity_values *values)
{
    em_encoding text = {0};
    em_model_info info = {.struct_size = sizeof info};
    score total = {0};
    const em_tokenizer *tokenizer = em_model_tokenizer(model);
    if (!tokenizer || em_tokenizer_encode(tokenizer, bytes ? bytes : "", size, NULL, &text) != EM_OK) {
        em_encoding_free(&text);
        return cli_fail_last();
    }
    em_model_get_info(model, &info);
    size_t context = values->context ? values->context : DEFAULT_CONTEXT;
    if (!values->context && context > info.max_tokens)
        context = info.max_tokens;
    if (context < 2 || context > info.max_tokens) {
        em_encoding_free(&text);
        return cli_fail(CLI_USAGE, "perplexity: --context is %zu, expected 2 to the %zu tokens of the model", context,
                        info.max_tokens);
    }
    int code = text.length < 2 ? cli_fail(CLI_FAILURE, "perplexity: the text has %zu tokens; two at least", text.length)
                               : score_all(model, &text, context, &total);
    em_encoding_free(&text);
    if (code != CLI_OK)
        return code;
    print_score(&total, size, context, values->json != 0);
    return CLI_OK;
}

static int read_text(const char *path, char **text, size_t *size)
{
    em__str input = {0};
    const bool file = strcmp(path, "-") != 0;
    int code = CLI_OK;
    if (file && em__file_read(path, MOST_BYTES, text, size) != EM_OK) {
        code = cli_fail_last();
        if (code == CLI_NOT_FOUND)
            cli_hint("FILE is a text to score; - is standard input");
        return code;
    }
    if (!file) {
        code = cli_read_all(&input, CLI_MOST_TEXT);
        *text = input.data;
        *size = input.length;
    }
    if (code == CLI_OK && *size > 0)
        cli_ill_check_lines(file ? path : "standard input", *text, *size);
    return code;
}

static int run(const void *given, const cli_words *operands)
{
    const perplexity_values *values = given;
    char *text = NULL;
    size_t size = 0;
    int code = read_text(operands->data[1], &text, &size);
    if (code != CLI_OK) {
        em__free(text);
        return code;
    }
    em_model *model = cli_session_open(operands->data[0], &values->session, &code);
    if (model)
        code = measure(model, text, size, values);
    if (code == CLI_OK)
        cli_session_profile(model, &values->session);
    em_model_close(&model);
    em__free(text);
    return code;
}

const cli_command cli_perplexity = {
    .name = "perplexity",
    .operands = "MODEL FILE",
    .summary = "how well a model foresees a text",
    .examples = "emily perplexity Qwen/Qwen3-0.6B notes.txt\n"
                "emily perplexity ./my-model-4bit notes.txt --context 512 --json\n",
    .notes =
        "FILE - is standard input. What is printed is exp of the mean of -log p of each token, given those before\n"
        "it in its window. Lower is better; compare models with one tokenizer only, or their bits a byte.\n",
    .options = options,
    .least = 2,
    .most = 2,
    .values_size = sizeof(perplexity_values),
    .run = run,
};
