/* emily tokenize: texts to token ids, one JSON object a text, or tokens for people. */
#include <string.h>
#include <unistd.h>

#include <emily/hub.h>
#include <emily/tokenizer.h>

#include "cli/input.h"
#include "cli/output.h"
#include "cli/session.h"
#include "core/alloc.h"

enum { JSON = 1, HUMAN };

typedef struct tokenize_values {
    cli_words files;
    const char *output;
    int null, form, truncate, no_special;
    size_t max_tokens;
} tokenize_values;

static const cli_option options[] = {
    {"file", 'f', "FILE", "texts from a file, one a line; - is standard input", CLI_LIST,
     offsetof(tokenize_values, files)},
    {"null", '0', NULL, "texts end with NUL instead of newline", CLI_FLAG, offsetof(tokenize_values, null), 1},
    {"output", 'o', "FILE", "write there; the file appears when it is whole", CLI_TEXT,
     offsetof(tokenize_values, output)},
    {"json", 0, NULL, "ids and offsets, an object a line", CLI_FLAG, offsetof(tokenize_values, form), JSON},
    {"human", 0, NULL, "tokens as the vocabulary spells them", CLI_FLAG, offsetof(tokenize_values, form), HUMAN},
    {"truncate", 0, NULL, "cut long texts as tokenizer.json says", CLI_FLAG, offsetof(tokenize_values, truncate), 1},
    {"max-tokens", 0, "N", "cut longer texts there", CLI_COUNT, offsetof(tokenize_values, max_tokens), 1 << 30},
    {"no-special", 0, NULL, "leave out [CLS], </s> and the like", CLI_FLAG, offsetof(tokenize_values, no_special), 1},
    {NULL},
};

typedef struct tokenize_job {
    em_tokenizer *tokenizer;
    cli_source source;
    cli_batch batch;
    cli_output out;
    em_encode_options how;
    em_encoding encoding;
    em__str line;
    bool human;
} tokenize_job;

static em_status add_number(em__str *out, int64_t value, char separator)
{
    char text[24], *at = text + sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
    } while (rest /= 10);
    if (value < 0)
        *--at = '-';
    if (separator)
        *--at = separator;
    return em__str_add(out, at, (size_t)(text + sizeof text - at));
}

static em_status add_json(em__str *out, const em_encoding *e)
{
    em_status status = em__str_add_text(out, "{\"ids\":[");
    for (size_t i = 0; i < e->length && status == EM_OK; i++)
        status = add_number(out, e->ids[i], i ? ',' : '\0');
    if (status == EM_OK)
        status = em__str_add_text(out, "],\"offsets\":[");
    for (size_t i = 0; i < e->length && status == EM_OK; i++) {
        status = em__str_add_text(out, i ? ",[" : "[");
        if (status == EM_OK)
            status = add_number(out, e->offsets[i].start, '\0');
        if (status == EM_OK)
            status = add_number(out, e->offsets[i].end, ',');
        if (status == EM_OK)
            status = em__str_add_char(out, ']');
    }
    return status == EM_OK ? em__str_add_text(out, "]}\n") : status;
}

static em_status add_human(em__str *out, const em_tokenizer *tokenizer, const em_encoding *e)
{
    em_status status = em__str_addf(out, "%zu token%s\n ", e->length, e->length == 1 ? "" : "s");
    for (size_t i = 0; i < e->length && status == EM_OK; i++) {
        size_t length = 1;
        const char *token = em_tokenizer_token(tokenizer, e->ids[i], &length);
        status = em__str_add_char(out, ' ');
        if (status == EM_OK)
            status = cli_plain_text(out, token ? token : "?", length, SIZE_MAX);
    }
    if (status == EM_OK)
        status = em__str_add_text(out, "\n ");
    for (size_t i = 0; i < e->length && status == EM_OK; i++)
        status = add_number(out, e->ids[i], ' ');
    return status == EM_OK ? em__str_add_char(out, '\n') : status;
}

static int tokenize_batch(tokenize_job *job)
{
    for (size_t i = 0; i < job->batch.texts.length; i++) {
        em__str_clear(&job->line);
        em_status status = em_tokenizer_encode(job->tokenizer, job->batch.texts.data[i], job->batch.lengths.data[i],
                                               &job->how, &job->encoding);
        if (status == EM_OK)
            status = job->human ? add_human(&job->line, job->tokenizer, &job->encoding)
                                : add_json(&job->line, &job->encoding);
        if (status != EM_OK)
            return cli_fail_last();
        fwrite(em__str_text(&job->line), 1, job->line.length, job->out.file);
    }
    return cli_output_flush(&job->out);
}

static int tokenize_all(tokenize_job *job, const char *model, const tokenize_values *values)
{
    char *path;
    int code = cli_model_path(model, &path);
    if (code != CLI_OK)
        return code;
    if (em_tokenizer_open(path, &job->tokenizer) != EM_OK)
        code = cli_fail_model(model);
    em_hub_path_free(path);
    if (code != CLI_OK || (code = cli_output_open(&job->out, values->output)) != CLI_OK)
        return code;
    while ((code = cli_source_fill(&job->source, &job->batch)) == CLI_OK && job->batch.texts.length)
        if ((code = tokenize_batch(job)) != CLI_OK)
            return code;
    return code == CLI_OK ? cli_output_finish(&job->out) : code;
}

static int run(const void *given, const cli_words *operands)
{
    const tokenize_values *values = given;
    tokenize_job job = {.how = {.struct_size = sizeof job.how, .no_special = values->no_special != 0}};
    if (values->max_tokens) {
        job.how.truncation = EM_TRUNCATION_GIVEN;
        job.how.max_length = values->max_tokens;
    } else if (values->truncate) {
        job.how.truncation = EM_TRUNCATION_FILE;
    }
    int code = cli_source_open(&job.source, "tokenize", operands, 1, &values->files, values->null != 0);
    if (code != CLI_OK)
        return code;
    bool terminal = job.source.operands && !values->output && isatty(STDOUT_FILENO);
    job.human = values->form ? values->form == HUMAN : terminal;
    code = tokenize_all(&job, operands->data[0], values);
    cli_output_abandon(&job.out);
    cli_batch_free(&job.batch);
    cli_source_close(&job.source);
    em__str_free(&job.line);
    em_encoding_free(&job.encoding);
    em_tokenizer_free(job.tokenizer);
    return code;
}

const cli_command cli_tokenize = {
    .name = "tokenize",
    .operands = "MODEL [TEXT ... | -f FILE | -]",
    .summary = "texts to token ids",
    .examples = "emily tokenize all-MiniLM-L6-v2 \"A man is eating food.\"\n"
                "emily tokenize ./tokenizer.json -f corpus.txt -o ids.jsonl\n"
                "find . -name '*.txt' -print0 | emily tokenize all-MiniLM-L6-v2 - --null\n",
    .notes =
        "MODEL may also be a tokenizer.json. A line is {\"ids\":[...],\"offsets\":[[start,end],...]}; offsets count\n"
        "Unicode code points of the text. Texts are whole unless --truncate or --max-tokens is given.\n"
        "A text written on a terminal is shown as tokens; everywhere else JSON is the default.\n",
    .options = options,
    .least = 1,
    .most = SIZE_MAX,
    .values_size = sizeof(tokenize_values),
    .run = run,
};
