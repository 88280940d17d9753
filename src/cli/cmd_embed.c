/* emily embed: texts to vectors. Input is read, computed and written batch by batch; nothing grows with its size. */
#include <unistd.h>

#include "cli/input.h"
#include "cli/progress.h"
#include "cli/rules.h"
#include "cli/session.h"
#include "cli/vectors.h"

typedef struct embed_values {
    cli_session_values session;
    cli_words files;
    const char *output, *prompt, *prompt_name;
    int null, format, pooling, normalize, task;
    size_t batch, max_tokens, dimensions;
} embed_values;

static const cli_option options[] = {
    {"file", 'f', "FILE", "texts from a file, one a line; - is standard input", CLI_LIST,
     offsetof(embed_values, files)},
    {"null", '0', NULL, "texts end with NUL instead of newline", CLI_FLAG, offsetof(embed_values, null), 1},
    {"output", 'o', "FILE", "write there; the file appears when it is whole", CLI_TEXT, offsetof(embed_values, output)},
    {"format", 0, CLI_VECTORS_FORMATS, "form of the result (human on a terminal, else jsonl)", CLI_CHOICE,
     offsetof(embed_values, format)},
    {"pooling", 0, CLI_POOLINGS, "how token vectors become one (as the model says)", CLI_CHOICE,
     offsetof(embed_values, pooling)},
    {"normalize", 0, NULL, "vectors of length 1 (as the model says)", CLI_FLAG, offsetof(embed_values, normalize), 1},
    {"no-normalize", 0, NULL, "vectors as pooled", CLI_FLAG, offsetof(embed_values, normalize), -1},
    {"prompt", 0, "TEXT", "put before each text, such as \"query: \"", CLI_TEXT, offsetof(embed_values, prompt)},
    {"prompt-name", 0, "NAME", "a prompt that the model defines", CLI_TEXT, offsetof(embed_values, prompt_name)},
    {"task", 0, "query|document", "what the texts are for: its prompt and length, if the model has them", CLI_CHOICE,
     offsetof(embed_values, task)},
    {"max-tokens", 0, "N", "cut longer texts there (as the model says; its positions at most)", CLI_COUNT,
     offsetof(embed_values, max_tokens), 1 << 20},
    {"dimensions", 0, "N", "keep the first N of a vector, of a Matryoshka model (as the model says)", CLI_COUNT,
     offsetof(embed_values, dimensions), 1 << 20},
    {"batch", 'b', "N", "texts taken at a time (1024)", CLI_COUNT, offsetof(embed_values, batch), 1 << 20},
    CLI_COMPUTE_OPTIONS(embed_values),
    CLI_EXACT_OPTION(embed_values),
    CLI_PROFILE_OPTION(embed_values),
    {NULL},
};

typedef struct embed_job {
    em_model *model;
    const char *model_name;
    cli_source source;
    cli_batch batch;
    cli_output out;
    cli_format format;
    cli_vectors vectors;
    cli_progress progress;
    em_embed_options options;
    size_t cut, max_tokens;
} embed_job;

static bool show_progress(size_t done, size_t total, void *user)
{
    embed_job *job = user;
    char detail[64];
    size_t texts = job->vectors.rows + done, seen = job->vectors.rows + total;
    double fraction = cli_source_fraction(&job->source);
    snprintf(detail, sizeof detail, "%zu texts", texts);
    cli_progress_update(&job->progress, seen ? fraction * (double)texts / (double)seen : fraction, detail);
    return true;
}

/* The width is known with the first vectors: another pooling than the model's own may change it. */
static int write_rows(embed_job *job, const float *data, size_t width)
{
    const cli_batch *batch = &job->batch;
    int code = job->vectors.out ? CLI_OK : cli_vectors_begin(&job->vectors, &job->out, job->format, width);
    if (code == CLI_OK && data)
        code = cli_vectors_add(&job->vectors, data, batch->texts.length, batch->texts.data, batch->lengths.data);
    return code;
}

static int embed_batch(embed_job *job)
{
    size_t cut = 0;
    job->options.truncated = &cut;
    em_array *array =
        em_embed_n(job->model, job->batch.texts.data, job->batch.lengths.data, job->batch.texts.length, &job->options);
    const float *data = em_array_data(array);
    int code = data ? write_rows(job, data, (size_t)em_array_dims(array).dims[1]) : cli_fail_last();
    em_array_release(&array);
    job->cut += cut;
    return code;
}

static int embed_all(embed_job *job, size_t width)
{
    int code = CLI_OK;
    cli_progress_begin(&job->progress, "embedding");
    while ((code = cli_source_fill(&job->source, &job->batch)) == CLI_OK && job->batch.texts.length)
        if ((code = embed_batch(job)) != CLI_OK)
            break;
    cli_progress_end(&job->progress);
    if (code == CLI_OK)
        code = write_rows(job, NULL, width);
    if (code == CLI_OK)
        code = cli_vectors_end(&job->vectors);
    if (code == CLI_OK && job->cut)
        cli_note("%zu of %zu texts were cut at %zu tokens", job->cut, job->vectors.rows, job->max_tokens);
    return code;
}

static int choose_format(const embed_values *values, cli_format *format)
{
    bool terminal = !values->output && isatty(STDOUT_FILENO);
    *format = values->format ? (cli_format)values->format : terminal ? CLI_HUMAN : CLI_JSONL;
    if (*format != CLI_NPY || !terminal)
        return CLI_OK;
    cli_fail(CLI_USAGE, "embed: npy is not text, and standard output is a terminal");
    cli_hint("name a file with -o, or send the output elsewhere");
    return CLI_USAGE;
}

static int embed_with(embed_job *job, const embed_values *values)
{
    int code;
    em_model_info info = {.struct_size = sizeof info};
    job->model = cli_session_open(job->model_name, &values->session, &code);
    if (!job->model)
        return code;
    if ((code = cli_rules_check_model(&cli_embed, values, job->model)) != CLI_OK)
        return code;
    if (em_model_get_info(job->model, &info) != EM_OK)
        return cli_fail_last();
    const size_t limits[] = {info.max_tokens, info.query_tokens, info.document_tokens};
    job->max_tokens = values->max_tokens ? values->max_tokens : limits[values->task];
    if ((code = cli_output_open(&job->out, values->output)) != CLI_OK ||
        (code = embed_all(job, values->dimensions ? values->dimensions : (size_t)info.width)) != CLI_OK)
        return code;
    cli_session_profile(job->model, &values->session);
    return cli_output_finish(&job->out);
}

static int run(const void *given, const cli_words *operands)
{
    const embed_values *values = given;
    embed_job job = {.model_name = operands->data[0]};
    job.options = (em_embed_options){
        .struct_size = sizeof job.options,
        .prompt = values->prompt,
        .prompt_name = values->prompt_name,
        .pooling = values->pooling,
        .normalize = values->normalize,
        .max_tokens = values->max_tokens,
        .dimensions = values->dimensions,
        .task = (em_task)values->task, /* CLI_CHOICE counts from 1 as em_task does */
        .progress = show_progress,
        .user = &job,
    };
    int code = choose_format(values, &job.format);
    if (code == CLI_OK)
        code = cli_source_open(&job.source, "embed", operands, 1, &values->files, values->null != 0);
    if (code != CLI_OK)
        return code;
    if (values->batch)
        job.source.most_texts = values->batch;
    code = embed_with(&job, values);
    cli_vectors_free(&job.vectors);
    cli_output_abandon(&job.out);
    cli_batch_free(&job.batch);
    cli_source_close(&job.source);
    em_model_close(&job.model);
    return code;
}

const cli_command cli_embed = {
    .name = "embed",
    .operands = "MODEL [TEXT ... | -f FILE | -]",
    .summary = "texts to vectors",
    .examples = "emily embed all-MiniLM-L6-v2 \"A man is eating food.\" \"Someone has lunch.\"\n"
                "emily embed all-MiniLM-L6-v2 -f notes.txt --format npy -o notes.npy\n"
                "tail -f log | emily embed all-MiniLM-L6-v2 - | consumer\n"
                "emily embed intfloat/e5-small-v2 --prompt \"query: \" \"how plants make energy\"\n",
    .notes =
        "jsonl is {\"index\":0,\"embedding\":[...]} a line, the shortest numbers that read back as the same floats.\n"
        "Reading standard input, each line is answered when it arrives. An empty line is a text.\n"
        "The vector of a text does not depend on the other texts, on --batch or on --threads.\n",
    .options = options,
    .least = 1,
    .most = SIZE_MAX,
    .values_size = sizeof(embed_values),
    .run = run,
};
