/* emily generate: the answer to one prompt, as it is written. */
#include "cli/generating.h"
#include "cli/signals.h"
#include "core/log.h"

enum { OUTPUT_TEXT = 1, OUTPUT_IDS };

static const cli_option options[] = {
    {"prompt-ids", 0, "N,N,...", "token ids in place of a text: needs no tokenizer", CLI_TEXT,
     offsetof(cli_generate_values, prompt_ids)},
    {"raw", 0, NULL, "the prompt as it stands, without the model's chat template", CLI_FLAG,
     offsetof(cli_generate_values, raw), 1},
    {"system", 's', "TEXT", "what the model is told before the prompt", CLI_TEXT,
     offsetof(cli_generate_values, system)},
    {"no-think", 0, NULL, "answer without thinking aloud (templates that know enable_thinking)", CLI_FLAG,
     offsetof(cli_generate_values, no_think), 1},
    {"var", 0, "NAME=JSON", "a variable of the chat template; may be repeated", CLI_LIST,
     offsetof(cli_generate_values, variables)},
    {"output", 0, "text|ids", "what to print (text; ids with --prompt-ids where there is no tokenizer)", CLI_CHOICE,
     offsetof(cli_generate_values, output)},
    {"answers", 0, "N", "answers to the prompt, each with draws of its own (1)", CLI_COUNT,
     offsetof(cli_generate_values, answers), 1024},
    {"json", 0, NULL, "one object: text, ids, finish, numbers", CLI_FLAG, offsetof(cli_generate_values, json), 1},
    {"logprobs", 0, "N", "with --json: the N most likely tokens at each place", CLI_COUNT,
     offsetof(cli_generate_values, logprobs), 64},
    {"logits", 0, "FILE.npy", "save the logits of each token: f32 [tokens, vocabulary]", CLI_TEXT,
     offsetof(cli_generate_values, logits)},
    {"special", 0, NULL, "show special tokens too", CLI_FLAG, offsetof(cli_generate_values, special), 1},
    {"stats", 0, NULL, "load time, tokens a second and memory, on stderr", CLI_FLAG,
     offsetof(cli_generate_values, stats), 1},
    CLI_SAMPLING_OPTIONS(cli_generate_values),
    CLI_COMPUTE_OPTIONS(cli_generate_values),
    CLI_EXACT_OPTION(cli_generate_values),
    CLI_PROFILE_OPTION(cli_generate_values),
    {NULL},
};

/* The logits that the newest token was chosen from; of several tokens in a step each has its own. */
static em_status save_logits(cli_generating *g)
{
    const float *row = em_generation_logits(g->generation, 0);
    return g->saving && row ? em__npy_writer_add(&g->logits, row, 1) : EM_OK;
}

static bool on_token(const em_token *t, void *user)
{
    cli_generating *g = user;
    if (g->status == EM_OK)
        g->status = save_logits(g);
    if (g->values->logprobs && t->sequence == 0 && g->status == EM_OK)
        g->status = cli_generating_score(&g->scores, t);
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
    cli_generating *g = user;
    return cli_progress_prompt(&g->progress, done, total);
}

/* What is wrong stands in a line of its own, behind what was written of the answer. */
static int fail_in_answer(const cli_generating *g)
{
    size_t length = 0;
    em_generation_ids(g->generation, 0, &length);
    if (g->stream && length > 0) {
        putchar('\n');
        fflush(stdout);
    }
    return cli_fail_last();
}

static int write_answer(cli_generating *g)
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

/* What is printed: ids where they are wanted, or where no tokenizer makes texts of them. */
static int choose_output(cli_generating *g)
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
static int make_generation(cli_generating *g)
{
    const cli_generate_values *v = g->values;
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

static int start(cli_generating *g, const cli_words *operands)
{
    const cli_generate_values *v = g->values;
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

static int open_logits(cli_generating *g)
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

static int generate(cli_generating *g, const cli_words *operands)
{
    int code = start(g, operands);
    if (code == CLI_OK)
        code = open_logits(g);
    if (code == CLI_OK)
        code = write_answer(g);
    if (code == CLI_OK)
        code = cli_generating_print(g);
    if (g->saving && code == CLI_OK && em__npy_writer_commit(&g->logits) != EM_OK)
        code = cli_fail_last();
    else if (g->saving && code != CLI_OK)
        em__npy_writer_abort(&g->logits);
    cli_signals_unfinished(NULL);
    if (code == CLI_OK && g->values->stats)
        cli_generating_stats(g);
    if (code == CLI_OK)
        cli_session_profile(g->model, &g->values->session);
    return code;
}

static int run(const void *given, const cli_words *operands)
{
    cli_generating g = {.values = given};
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
    .values_size = sizeof(cli_generate_values),
    .run = run,
};
