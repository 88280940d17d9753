/* emily generate: the answer to one prompt, as it is written. */

#include "cli/limit.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/error.h"
#include "core/log.h"
#include "core/number.h"
#include "io/npy.h"

typedef struct generate_values {
    cli_session_values session;
    cli_sampling_values sampling;
    const char *prompt_ids, *logits, *system;
    cli_words variables;
    size_t answers, logprobs;
    int output, json, stats, special, raw, no_think;
} generate_values;

enum { OUTPUT_TEXT = 1, OUTPUT_IDS };

static const cli_option options[] = {
    {"prompt-ids", 0, "N,N,...", "token ids in place of a text: needs no tokenizer", CLI_TEXT,
     offsetof(generate_values, prompt_ids)},
    {"raw", 0, NULL, "the prompt as it stands, without the model's chat template", CLI_FLAG,
     offsetof(generate_values, raw), 1},
    {"system", 's', "TEXT", "what the model is told before the prompt", CLI_TEXT, offsetof(generate_values, system)},
    {"no-think", 0, NULL, "answer without thinking aloud (templates that know enable_thinking)", CLI_FLAG,
     offsetof(generate_values, no_think), 1},
    {"var", 0, "NAME=JSON", "a variable of the chat template; may be repeated", CLI_LIST,
     offsetof(generate_values, variables)},
    {"output", 0, "text|ids", "what to print (text; ids with --prompt-ids where there is no tokenizer)", CLI_CHOICE,
     offsetof(generate_values, output)},
    {"answers", 0, "N", "answers to the prompt, each with draws of its own (1)", CLI_COUNT,
     offsetof(generate_values, answers), 1024},
    {"json", 0, NULL, "one object: text, ids, finish, numbers", CLI_FLAG, offsetof(generate_values, json), 1},
    {"logprobs", 0, "N", "with --json: the N most likely tokens at each place", CLI_COUNT,
     offsetof(generate_values, logprobs), 64},
    {"logits", 0, "FILE.npy", "save the logits of each token: f32 [tokens, vocabulary]", CLI_TEXT,
     offsetof(generate_values, logits)},
    {"special", 0, NULL, "show special tokens too", CLI_FLAG, offsetof(generate_values, special), 1},
    {"stats", 0, NULL, "load time, tokens a second and memory, on stderr", CLI_FLAG, offsetof(generate_values, stats),
     1},
    CLI_SAMPLING_OPTIONS(generate_values),
    CLI_COMPUTE_OPTIONS(generate_values),
    CLI_EXACT_OPTION(generate_values),
    CLI_PROFILE_OPTION(generate_values),
    {NULL},
};

typedef struct generating {
    const generate_values *values;
    em_model *model;
    em_generation *generation;
    cli_sampling sampling;
    cli_ids prompt;
    bool ids;    /* print ids, not text */
    bool stream; /* print each token as it comes */
    cli_progress progress;
    em_status status; /* of what was done with the tokens so far */
    em__str scores;   /* JSON of logprobs */
    em__npy_writer logits;
    bool saving;
    double load_seconds;
} generating;

static em_status add_score(em__str *out, const em_token *t)
{
    char number[EM__NUMBER_SIZE];
    em__print_f32(number, t->logprob);
    EM__TRY(em__str_addf(out, "%s{\"id\":%d,\"logprob\":%s,\"top\":[", out->length ? "," : "", (int)t->id,
                         cli_json_number((double)t->logprob, number)));
    for (size_t i = 0; i < t->n_top; i++) {
        em__print_f32(number, t->top[i].logprob);
        EM__TRY(em__str_addf(out, "%s[%d,%s]", i ? "," : "", (int)t->top[i].id,
                             cli_json_number((double)t->top[i].logprob, number)));
    }
    return em__str_add_text(out, "]}");
}

/* The logits that the newest token was chosen from; of several tokens in a step each has its own. */
static em_status save_logits(generating *g)
{
    const float *row = em_generation_logits(g->generation, 0);
    return g->saving && row ? em__npy_writer_add(&g->logits, row, 1) : EM_OK;
}

static bool on_token(const em_token *t, void *user)
{
    generating *g = user;
    if (g->status == EM_OK)
        g->status = save_logits(g);
    if (g->values->logprobs && t->sequence == 0 && g->status == EM_OK)
        g->status = add_score(&g->scores, t);
    if (g->status != EM_OK)
        return false;
    if (!g->stream)
        return true;
    if (g->ids)
        printf("%s%d", t->index ? "," : "", (int)t->id);
    else
        fwrite(t->text, 1, t->length, stdout);
    return fflush(stdout) == 0;
}

static bool on_prompt(size_t done, size_t total, void *user)
{
    generating *g = user;
    return cli_progress_prompt(&g->progress, done, total);
}

/* What is wrong stands in a line of its own, behind what was written of the answer. */
static int fail_in_answer(const generating *g)
{
    size_t length = 0;
    em_generation_ids(g->generation, 0, &length);
    if (g->stream && length > 0) {
        putchar('\n');
        fflush(stdout);
    }
    return cli_fail_last();
}

static int write_answer(generating *g)
{
    const em_prompt prompt = {g->prompt.data, g->prompt.length};
    bool going = true;
    if (em_generation_start(g->generation, &prompt, 1) != EM_OK)
        return cli_fail_given();
    while (going) {
        if (em_generation_step(g->generation, &going) != EM_OK)
            return fail_in_answer(g);
    }
    return g->status == EM_OK ? CLI_OK : fail_in_answer(g);
}

static em_status json_answer(const generating *g, size_t i, em__str *out)
{
    size_t n, length;
    const int32_t *ids = em_generation_ids(g->generation, i, &n);
    const char *text = em_generation_text(g->generation, i, &length);
    EM__TRY(em__str_add_text(out, i ? ",{\"text\":" : "{\"text\":"));
    EM__TRY(cli_json_string(out, text, length));
    EM__TRY(em__str_add_text(out, ",\"ids\":["));
    for (size_t k = 0; k < n; k++)
        EM__TRY(em__str_addf(out, "%s%d", k ? "," : "", (int)ids[k]));
    EM__TRY(em__str_addf(out, "],\"finish\":\"%s\"", em_finish_name(em_generation_finish(g->generation, i))));
    if (i == 0 && g->values->logprobs)
        EM__TRY(em__str_addf(out, ",\"logprobs\":[%s]", em__str_text(&g->scores)));
    return em__str_add_text(out, "}");
}

static em_status json_all(const generating *g, em__str *out)
{
    em_generation_stats stats = {.struct_size = sizeof stats};
    em_generation_get_stats(g->generation, &stats);
    EM__TRY(em__str_add_text(out, "{\"answers\":["));
    for (size_t i = 0; i < em_generation_sequences(g->generation); i++)
        EM__TRY(json_answer(g, i, out));
    return em__str_addf(out, "],\"prompt_tokens\":%zu,\"tokens\":%zu,\"seed\":%llu}\n", stats.prompt_tokens,
                        stats.tokens, (unsigned long long)g->sampling.options.seed);
}

static int print_answers(generating *g)
{
    em__str out = {0};
    em_status status = EM_OK;
    if (g->values->json)
        status = json_all(g, &out);
    else if (g->stream)
        status = em__str_add_text(&out, "\n");
    for (size_t i = 0; !g->values->json && !g->stream && i < em_generation_sequences(g->generation); i++) {
        size_t n;
        const int32_t *ids = em_generation_ids(g->generation, i, &n);
        for (size_t k = 0; g->ids && k < n && status == EM_OK; k++)
            status = em__str_addf(&out, "%s%d", k ? "," : "", (int)ids[k]);
        if (status == EM_OK)
            status = em__str_addf(&out, "%s\n", g->ids ? "" : em_generation_text(g->generation, i, NULL));
    }
    int code = status == EM_OK ? CLI_OK : cli_fail_last();
    fwrite(em__str_text(&out), 1, out.length, stdout);
    em__str_free(&out);
    fflush(stdout); /* what goes to standard error comes after it */
    for (size_t i = 0; i < em_generation_sequences(g->generation) && !g->values->json; i++)
        if (em_generation_finish(g->generation, i) == EM_FINISH_CONTEXT)
            cli_note("the context is full: an answer was cut there");
    return code;
}

enum { CACHED_BYTES = 200 << 20 }; /* weights below it may stay in the caches, where memory is no limit */

/* What decoding reads, weights and half of the final cache, against what memory gives. */
static void print_share(const generating *g, const em_generation_stats *s, const em_model_info *info, size_t decoded)
{
    size_t tokens = s->prompt_tokens + s->tokens / 2;
    double kept = 2.0 * info->layers * info->kv_heads * info->head_dim *
                  (double)(tokens < info->max_tokens ? tokens : info->max_tokens) *
                  (double)em_dtype_size(s->cache_dtype);
    if (decoded == 0 || info->weight_bytes < CACHED_BYTES || g->values->answers > 1 || s->guessed > 0)
        return;
    double rate = ((double)info->token_bytes + kept) * (double)decoded / s->token_seconds;
    double limit = cli_read_limit(cli_session_device(&g->values->session), (int)g->values->session.threads);
    if (limit > 0)
        fprintf(stderr, "  decoding reads %.1f GB/s, %.0f %% of the %.1f GB/s that memory gives\n", rate / 1e9,
                rate / limit * 100, limit / 1e9);
}

/* Where the device has memory of its own: how much of it is in use. */
static void print_device_memory(const generating *g)
{
    em_memory_stats m = {.struct_size = sizeof m};
    em_device *device = cli_session_device(&g->values->session);
    if (em_device_has_memory(device) && em_device_get_memory(device, &m) == EM_OK)
        fprintf(stderr, "  %s: %.2f GB in use, %.2f GB at most, %.2f GB kept for reuse\n", em_device_name(device),
                (double)m.active / 1e9, (double)m.peak / 1e9, (double)m.cached / 1e9);
}

static void print_stats(const generating *g)
{
    em_generation_stats s = {.struct_size = sizeof s};
    em_model_info info = {.struct_size = sizeof info};
    em_generation_get_stats(g->generation, &s);
    em_model_get_info(g->model, &info);
    size_t decoded = s.tokens > 1 ? s.tokens - 1 : 0; /* the first comes with the prompt */
    fflush(stdout);                                   /* the answer's line ends first, also where both go to one file */
    fprintf(stderr,
            "  load %.2f s (%.2f GB mapped), prompt %zu tokens at %.0f tok/s, answer %zu tokens at %.1f tok/s, cache "
            "%.0f MB\n",
            g->load_seconds, (double)info.weight_bytes / 1e9, s.prompt_tokens,
            s.prompt_seconds > 0 ? (double)(s.prompt_tokens - s.reused_tokens) / s.prompt_seconds : 0, s.tokens,
            s.token_seconds > 0 ? (double)decoded / s.token_seconds : 0, (double)s.cache_bytes / 1e6);
    print_device_memory(g);
    print_share(g, &s, &info, decoded);
    if (s.guessed > 0)
        fprintf(stderr, "  %zu of %zu guessed tokens were right\n", s.accepted, s.guessed);
}

/* What is printed: ids where they are wanted, or where no tokenizer makes texts of them. */
static int choose_output(generating *g)
{
    g->ids = g->values->output == OUTPUT_IDS;
    if (!g->ids && !em_model_tokenizer(g->model)) {
        if (em_last_status() != EM_ERROR_NOT_FOUND)
            return cli_fail_last();
        g->ids = true;
    }
    g->stream = !g->values->json && g->values->answers <= 1;
    return CLI_OK;
}

/* The options are good or not before the prompt is read, which may take a person's time. */
static int make_generation(generating *g)
{
    const generate_values *v = g->values;
    const int code = cli_sampling_init(&g->sampling, "generate", g->model, &v->sampling);
    if (code != CLI_OK)
        return code;
    em_generation_options *o = &g->sampling.options;
    o->sequences = v->answers;
    o->logits = v->logits != NULL;
    o->logprobs = v->logprobs > 0;
    o->top_logprobs = (int)v->logprobs;
    o->show_special = v->special != 0;
    o->on_token = on_token;
    o->on_prompt = on_prompt;
    o->user = g;
    g->generation = em_generation_new(g->model, o);
    return g->generation ? CLI_OK : cli_fail_last();
}

static int start(generating *g, const cli_words *operands)
{
    const generate_values *v = g->values;
    const cli_prompt prompt = {.ids = v->prompt_ids,
                               .system = v->system,
                               .variables = &v->variables,
                               .raw = v->raw != 0,
                               .no_think = v->no_think != 0};
    int code = make_generation(g);
    if (code == CLI_OK)
        code = cli_prompt_read(&prompt, g->model, operands, &g->prompt);
    if (code == CLI_OK)
        code = choose_output(g);
    if (code == CLI_OK)
        code = cli_sampling_notes(&g->sampling, g->model, &v->sampling);
    if (code == CLI_OK && v->answers > 1 && g->sampling.options.temperature == 0)
        cli_note("at temperature 0 all answers are the same");
    return code;
}

static int open_logits(generating *g)
{
    em_model_info info = {.struct_size = sizeof info};
    if (!g->values->logits)
        return CLI_OK;
    em_model_get_info(g->model, &info);
    if (em__npy_writer_begin(&g->logits, g->values->logits, EM_F32, em_shape(0, info.vocabulary)) != EM_OK)
        return cli_fail_last();
    g->saving = true;
    cli_signals_unfinished(g->logits.file.temporary);
    return CLI_OK;
}

static int generate(generating *g, const cli_words *operands)
{
    int code = start(g, operands);
    if (code == CLI_OK)
        code = open_logits(g);
    if (code == CLI_OK)
        code = write_answer(g);
    if (code == CLI_OK)
        code = print_answers(g);
    if (g->saving && code == CLI_OK && em__npy_writer_commit(&g->logits) != EM_OK)
        code = cli_fail_last();
    else if (g->saving && code != CLI_OK)
        em__npy_writer_abort(&g->logits);
    cli_signals_unfinished(NULL);
    if (code == CLI_OK && g->values->stats)
        print_stats(g);
    if (code == CLI_OK)
        cli_session_profile(g->model, &g->values->session);
    return code;
}

static int run(const void *given, const cli_words *operands)
{
    generating g = {.values = given};
    int code;
    uint64_t begin = em__now();
    g.model = cli_session_open(operands->data[0], &g.values->session, &code);
    g.load_seconds = (double)(em__now() - begin) / 1e9;
    if (g.model)
        code = generate(&g, operands);
    em_generation_free(g.generation);
    cli_sampling_free(&g.sampling);
    em__vec_free(&g.prompt);
    em__str_free(&g.scores);
    em_model_close(&g.model);
    return code;
}

const cli_command cli_generate = {
    .name = "generate",
    .operands = "MODEL [PROMPT]",
    .summary = "the answer to a prompt, as it is written",
    .examples = "emily generate Qwen/Qwen3-0.6B \"Why is the sky blue?\" --stats\n"
                "emily generate Qwen/Qwen3-0.6B --max-tokens 100 --temperature 0 < prompt.txt\n"
                "emily generate ./model --prompt-ids 1,2,3 --max-tokens 64 --output ids --temperature 0\n",
    .notes = "Without PROMPT, or with -, the prompt is read from standard input. A checkpoint with a chat template is "
             "asked\n"
             "through it, as one message; --raw goes on from the text itself.\n",
    .options = options,
    .least = 1,
    .most = 2,
    .values_size = sizeof(generate_values),
    .run = run,
};
