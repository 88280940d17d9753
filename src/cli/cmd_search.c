/*
 * emily search: the passages nearest to a query, by the cosine of their vectors or as the checkpoint has them compared.
 * An index file keeps the passages' vectors; it is used as it stands while corpus and model are the same, and made
 * again otherwise.
 */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/index.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/rank.h"
#include "cli/rules.h"
#include "cli/session.h"
#include "core/alloc.h"
#include "io/file.h"

enum { BATCH = 1024 };
#define PROBE "Emily knows a model by what it answers to this sentence."
#define SAME_MODEL 0.014 /* how far two probes may be apart, for one of unit length: a cosine of 0.9999 */

typedef struct search_values {
    cli_session_values session;
    cli_words files;
    const char *index, *query_prompt, *passage_prompt;
    size_t k;
    int json;
} search_values;

static const cli_option options[] = {
    {"top", 'k', "N", "passages to show for a query (5)", CLI_COUNT, offsetof(search_values, k), 100000},
    {"index", 'i', "FILE", "keep the passages' vectors there", CLI_TEXT, offsetof(search_values, index)},
    {"file", 'f', "FILE", "a corpus file or directory; may be repeated, and replaces CORPUS", CLI_LIST,
     offsetof(search_values, files)},
    {"query-prompt", 0, "TEXT", "put before a query (the model's prompt \"query\", or nothing)", CLI_TEXT,
     offsetof(search_values, query_prompt)},
    {"passage-prompt", 0, "TEXT", "put before a passage (the model's prompt \"document\", or nothing)", CLI_TEXT,
     offsetof(search_values, passage_prompt)},
    {"json", 0, NULL, "an object a query: {\"query\":..,\"results\":[..]}", CLI_FLAG, offsetof(search_values, json), 1},
    CLI_COMPUTE_OPTIONS(search_values),
    CLI_EXACT_OPTION(search_values),
    CLI_PROFILE_OPTION(search_values),
    {NULL},
};

typedef struct search_job {
    const search_values *values;
    const char *model_name;
    em_model *model;
    cli_words paths; /* of the corpus; none: the index has it. Borrows */
    size_t first_query;
    cli_corpus corpus;
    cli_index index;
    float *vectors, *probe;    /* owned */
    size_t width, most_tokens; /* of a passage */
    em_similarity similarity;
    bool cut_in_front; /* of longer passages the end is read */
    cli_progress progress;
    size_t embedded, cut; /* passages; those of which only the beginning was read */
    bool titled;          /* a heading before each query's results */
    int unsaved;          /* the exit code of an index that could not be written */
    bool answered;
} search_job;

static bool show_progress(size_t done, size_t total, void *user)
{
    (void)total;
    search_job *job = user;
    char detail[64];
    snprintf(detail, sizeof detail, "%zu passages", job->embedded + done);
    cli_progress_update(&job->progress, (double)(job->embedded + done) / (double)job->index.n, detail);
    return true;
}

/* Vectors of `n` texts into `out` [n, width], of unit length for cosines. */
static int embed(search_job *job, const char *const *texts, const size_t *lengths, size_t n, em_task task, float *out)
{
    size_t cut = 0;
    em_embed_options how = {
        .prompt = task == EM_TASK_QUERY ? job->values->query_prompt : job->values->passage_prompt,
        .task = task,
        .normalize = job->similarity == EM_SIMILARITY_COSINE,
        .truncated = &cut,
    };
    if (job->progress.wanted) {
        how.progress = show_progress;
        how.user = job;
    }
    em_array *array = em_embed_n(job->model, texts, lengths, n, &how);
    const float *data = em_array_data(array);
    if (data)
        memcpy(out, data, n * job->width * sizeof *out);
    em_array_release(&array);
    job->cut += cut;
    return data ? CLI_OK : cli_fail_last();
}

static int embed_probe(search_job *job)
{
    const char *text = PROBE;
    size_t length = strlen(PROBE);
    job->probe = em__calloc(job->width, sizeof *job->probe);
    int code = job->probe ? embed(job, &text, &length, 1, EM_TASK_DOCUMENT, job->probe) : cli_fail_last();
    job->cut = 0; /* it is no passage */
    return code;
}

static int embed_passages(search_job *job)
{
    const char *texts[BATCH];
    size_t lengths[BATCH];
    int code = CLI_OK;
    job->vectors = em__calloc(job->index.n, job->width * sizeof *job->vectors);
    if (!job->vectors)
        return cli_fail_last();
    cli_progress_begin(&job->progress, "embedding");
    for (size_t n; code == CLI_OK && job->embedded < job->index.n; job->embedded += n) {
        n = job->index.n - job->embedded < BATCH ? job->index.n - job->embedded : BATCH;
        for (size_t i = 0; i < n; i++)
            texts[i] = cli_index_text(&job->index, job->embedded + i, lengths + i);
        code = embed(job, texts, lengths, n, EM_TASK_DOCUMENT, job->vectors + job->embedded * job->width);
    }
    cli_progress_end(&job->progress);
    if (code == CLI_OK && job->cut)
        cli_note("%zu of %zu passages are longer than the %zu tokens that the model reads: what is %s is not found",
                 job->cut, job->index.n, job->most_tokens, job->cut_in_front ? "before" : "behind");
    job->index.vectors = job->vectors;
    return code;
}

static bool exists(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0;
}

static bool same_model(const search_job *job, const cli_index *index)
{
    if (index->width != job->width)
        return false;
    const double apart = -em_similarity_f32(EM_SIMILARITY_EUCLIDEAN, index->probe, job->probe, job->width);
    return apart <= SAME_MODEL * sqrt(em_dot_f32(job->probe, job->probe, job->width));
}

/* Why a saved index is no use for this model and corpus; NULL when it is. */
static const char *misfit(const search_job *job, const cli_index *saved)
{
    if (saved->similarity != job->similarity)
        return "the model compares vectors in another way than when the index was made";
    if (!same_model(job, saved))
        return "the index was made with another model or prompt";
    return job->paths.length && saved->hash != job->corpus.hash ? "the corpus changed" : NULL;
}

/* The passages of an index that is asked without its corpus are those of when it was made. */
static void note_changes(const cli_index *index, const char *path)
{
    const char *first = NULL;
    const size_t changed = cli_index_changed(index, &first);
    char more[48] = "";
    if (changed > 1)
        snprintf(more, sizeof more, " and %zu more", changed - 1);
    if (changed > 0)
        cli_note("%s%s changed since %s was made\nname the corpus before the query to embed it again", first, more,
                 path);
}

/* The corpus, read just now, is that of the index; if its files look other than they did, say after a copy, they are
 * remembered so. Where the index cannot be written the answer is right all the same. */
static void keep_stamps(const search_job *job, const cli_index *saved)
{
    if (cli_index_has_stamps(saved, &job->corpus) || access(job->values->index, W_OK) != 0)
        return;
    cli_index fresh = *saved;
    fresh.paths = em__str_text(&job->corpus.paths);
    fresh.paths_bytes = job->corpus.paths.length;
    fresh.stamps = job->corpus.stamps.data;
    fresh.n_paths = job->corpus.stamps.length;
    if (cli_index_write(&fresh, job->values->index, job->model_name) != EM_OK)
        em_clear_error();
}

/* An index that is no use: with its corpus it is made again. */
static int remake(const search_job *job, const char *why, int code)
{
    const char *path = job->values->index;
    if (job->paths.length) {
        cli_note("%s: %s, embedding again", path, why);
        return CLI_OK;
    }
    cli_fail(code, "%s: %s", path, why);
    cli_hint("name the corpus to embed it again: emily search %s CORPUS --index %s QUERY", job->model_name, path);
    return code;
}

/* The saved index, when it fits; job->index.file stays NULL when it has to be made again. */
static int try_saved(search_job *job)
{
    const char *path = job->values->index, *why;
    if (!exists(path))
        return CLI_OK;
    cli_index saved;
    int reason, code = cli_index_open(&saved, path, &why, &reason);
    if (code != CLI_OK)
        return code == CLI_GO_ON ? remake(job, why, reason) : code;
    if ((why = misfit(job, &saved))) {
        cli_index_close(&saved);
        return remake(job, why, CLI_USAGE);
    }
    if (job->paths.length)
        keep_stamps(job, &saved);
    else
        note_changes(&saved, path);
    job->index = saved;
    return CLI_OK;
}

/* Asked before the embedding, which may take hours. */
static int can_save(const char *path)
{
    cli_output out;
    int code = cli_output_open(&out, path);
    cli_output_abandon(&out);
    return code;
}

static int prepare(search_job *job)
{
    int code = job->paths.length ? cli_corpus_read(&job->corpus, &job->paths) : CLI_OK;
    em_model_info info = {.struct_size = sizeof info};
    if (code != CLI_OK || !(job->model = cli_session_open(job->model_name, &job->values->session, &code)))
        return code;
    if ((code = cli_rules_check_model(&cli_search, job->values, job->model)) != CLI_OK)
        return code;
    if (em_model_get_info(job->model, &info) != EM_OK)
        return cli_fail_last();
    job->width = (size_t)info.width;
    job->most_tokens = info.document_tokens;
    job->cut_in_front = info.truncate_left;
    job->similarity = info.similarity;
    if ((job->values->index && (code = embed_probe(job)) != CLI_OK) || (code = try_saved(job)) != CLI_OK ||
        job->index.file)
        return code;
    if (job->values->index && (code = can_save(job->values->index)) != CLI_OK)
        return code;
    cli_index_view(&job->index, &job->corpus);
    job->index.width = job->width;
    job->index.similarity = job->similarity;
    job->index.probe = job->probe;
    code = embed_passages(job);
    if (code == CLI_OK && job->values->index &&
        cli_index_write(&job->index, job->values->index, job->model_name) != EM_OK)
        job->unsaved = cli_fail_last(); /* what was embedded, maybe for hours, answers all the same */
    return code;
}

static int answer(search_job *job, const char *query, size_t length)
{
    cli_ranked ranked = {0};
    em__str line = {0};
    size_t k = job->values->k ? job->values->k : 5;
    float *vector = em__calloc(job->width, sizeof *vector);
    int code = vector ? embed(job, &query, &length, 1, EM_TASK_QUERY, vector) : cli_fail_last();
    if (code == CLI_OK && cli_rank(&ranked, &job->index, vector, k) != EM_OK)
        code = cli_fail_last();
    if (code == CLI_OK) {
        em_status status = job->values->json
                               ? cli_rank_json(&line, &ranked, &job->index, query, length)
                               : cli_rank_human(&line, &ranked, &job->index, query, length, job->titled, job->answered);
        cli_output out = {.file = stdout, .name = "standard output"};
        fwrite(em__str_text(&line), 1, line.length, stdout);
        code = status == EM_OK ? cli_output_flush(&out) : cli_fail_last();
    }
    job->answered = true;
    em__str_free(&line);
    em__vec_free(&ranked);
    em__free(vector);
    return code;
}

static int answer_all(search_job *job, const cli_words *operands)
{
    cli_source source = {0};
    cli_batch batch = {0};
    if (job->first_query == operands->length)
        return CLI_OK;
    int code = cli_source_open(&source, "search", operands, job->first_query, NULL, false);
    if (code != CLI_OK)
        return code;
    job->titled = !source.operands || operands->length - job->first_query > 1;
    while (code == CLI_OK && (code = cli_source_fill(&source, &batch)) == CLI_OK && batch.texts.length)
        for (size_t i = 0; i < batch.texts.length && code == CLI_OK; i++)
            code = answer(job, batch.texts.data[i], batch.lengths.data[i]);
    cli_batch_free(&batch);
    cli_source_close(&source);
    return code;
}

/* After MODEL comes the corpus, unless -f named it or an index has it: then a word that is no file is a query. */
static void split_operands(search_job *job, const cli_words *operands)
{
    const search_values *values = job->values;
    job->first_query = 1;
    if (values->files.length) {
        job->paths = values->files;
    } else if (operands->length > 1 && (!exists(values->index) || exists(operands->data[1]))) {
        job->paths = (cli_words){.data = operands->data + 1, .length = 1};
        job->first_query = 2;
    }
}

/* Nothing, or a file: looked at before the model is opened. */
static int check_index(const char *index)
{
    if (!index || em__path_is_file(index) || (*index && !exists(index)))
        return CLI_OK;
    if (!*index)
        cli_fail(CLI_USAGE, "search: the name of the --index is empty");
    else
        cli_fail(CLI_USAGE, "search: --index %s is %s", index,
                 em__path_is_dir(index) ? "a directory" : "no regular file");
    cli_hint("name a file, such as notes.idx; it is made when the corpus is named");
    return CLI_USAGE;
}

static int check_operands(const search_job *job, const cli_words *operands)
{
    const char *index = job->values->index;
    const int code = check_index(index);
    if (code != CLI_OK)
        return code;
    if (!job->paths.length && operands->length == 1) {
        cli_fail(CLI_USAGE, "search: there is %s", exists(index) ? "no query" : "no corpus");
        cli_hint("emily search %s %s \"what to look for\"", job->model_name, exists(index) ? "--index FILE" : "CORPUS");
        return CLI_USAGE;
    }
    if (index && !exists(index) && operands->length == 2 && !job->values->files.length && !exists(operands->data[1])) {
        cli_fail(CLI_NOT_FOUND, "%s: there is no such index", index);
        cli_hint("it is made when the corpus is named: emily search %s CORPUS --index %s", job->model_name, index);
        return CLI_NOT_FOUND;
    }
    const search_values *v = job->values;
    if (job->first_query < operands->length || (index && !v->k && !v->json && !v->query_prompt))
        return CLI_OK;
    cli_fail(CLI_USAGE, "search: there is no query%s",
             index ? ", and --top, --json and --query-prompt are of one" : "");
    cli_hint("emily search %s %s \"what to look for\"; - reads queries from standard input", job->model_name,
             job->paths.data[0]);
    return CLI_USAGE;
}

static int run(const void *given, const cli_words *operands)
{
    search_job job = {.values = given, .model_name = operands->data[0]};
    split_operands(&job, operands);
    int code = check_operands(&job, operands);
    if (code == CLI_OK)
        code = prepare(&job);
    if (code == CLI_OK)
        code = answer_all(&job, operands);
    if (code == CLI_OK)
        cli_session_profile(job.model, &job.values->session);
    if (code == CLI_OK)
        code = job.unsaved;
    cli_index_close(&job.index);
    cli_corpus_free(&job.corpus);
    em__free(job.vectors);
    em__free(job.probe);
    em_model_close(&job.model);
    return code;
}

const cli_command cli_search = {
    .name = "search",
    .operands = "MODEL CORPUS QUERY ...",
    .summary = "the passages that answer a query",
    .examples =
        "emily search all-MiniLM-L6-v2 notes.txt \"how do plants make energy\" -k 3\n"
        "emily search all-MiniLM-L6-v2 notes.txt --index notes.idx \"plants\"   (embeds, and keeps the index)\n"
        "emily search all-MiniLM-L6-v2 --index notes.idx \"plants\" \"animals\"  (no embedding of notes.txt)\n"
        "emily search intfloat/e5-small-v2 notes.txt --query-prompt \"query: \" --passage-prompt \"passage: \" -\n",
    .notes =
        "CORPUS is a text file with a passage a line (blank lines are skipped), or a directory of *.txt and *.md.\n"
        "QUERY - reads queries from standard input. The number before a passage is the cosine similarity\n"
        "of its vector and the query's, or what the checkpoint has in its place (emily info).\n"
        "An index is made again when the corpus or the model changed; without a query it is only made. Asked without\n"
        "CORPUS, a note says when the files that it was made of changed.\n",
    .options = options,
    .least = 1,
    .most = SIZE_MAX,
    .values_size = sizeof(search_values),
    .run = run,
};
